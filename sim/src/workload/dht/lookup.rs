//! Those who look up the metadata of peers, by asking the node of their own host, and write down what they were given.

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use hyper::StatusCode;
use rand::RngExt;
use relay_node::env::{Env, Rng, dial_host};
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use super::super::SharedRecord;
use super::super::api::Api;
use super::status::{Found, address};
use super::{broadcaster, watch};
use crate::engine::ProcessKind;
use crate::metadata::Given;
use crate::record::{Answer, EndedLookup, Record};
use crate::scenario::{HostIndex, Lookups};
use crate::world::World;

/// How long somebody who asks waits, in seconds. A lookup in the DHT gives up before.
const PATIENCE_SECONDS: u64 = 30;

/// How long somebody waits for a connection, in seconds.
const DIAL_SECONDS: u64 = 10;

/// One pair of a `[[lookup]]`.
struct Pair {
    to: HostIndex,
    /// Its turn in each round, as a part of it.
    turn: f64,
}

/// Starts those of each host.
pub fn start(world: &World, record: &SharedRecord) {
    for (index, _) in world.scenario.topology.hosts.iter() {
        if !world.scenario.topology.dht.lookups.iter().any(|plan| plan.from.contains(index)) {
            continue;
        }
        let (world, record) = (world.clone(), Arc::clone(record));
        world.sim.clone().start(world.host(index), "lookup", ProcessKind::Harness, |env| {
            let api = world.api(env.clone(), index);
            let asker = Arc::new(Asker { world, record, index, env, api });
            Box::pin(async move {
                let seed = asker.env.entropy.seed("lookup");
                let scenario = Arc::clone(&asker.world.scenario);
                for (number, plan) in scenario.topology.dht.lookups.iter().enumerate() {
                    let rng = asker.world.sim.generator(seed, xxh3_64(plan.name.as_bytes()));
                    let pairs = pairs(plan, asker.index, rng);
                    if !pairs.is_empty() {
                        asker.env.spawn("lookups", rounds(Arc::clone(&asker), number, pairs));
                    }
                }
                // The process lives as long as somebody may ask.
                std::future::pending::<()>().await;
            })
        });
    }
}

/// The pairs in which `from` asks: all hosts take turns, and whom each asks about is drawn.
fn pairs(plan: &Lookups, from: HostIndex, mut rng: Rng) -> Vec<Pair> {
    let Ok(place) = plan.from.hosts().binary_search(&from) else { return Vec::new() };
    let candidates: Vec<HostIndex> = plan.to.hosts().iter().copied().filter(|to| *to != from).collect();
    if candidates.is_empty() {
        return Vec::new();
    }
    let own = (place..plan.pairs as usize).step_by(plan.from.hosts().len());
    own.map(|number| Pair {
        to: candidates[rng.random_range(0..candidates.len())],
        turn: number as f64 / f64::from(plan.pairs),
    })
    .collect()
}

/// Round after round each pair once, whether or not earlier lookups have ended.
async fn rounds(asker: Arc<Asker>, number: usize, pairs: Vec<Pair>) {
    let scenario = Arc::clone(&asker.world.scenario);
    let plan = &scenario.topology.dht.lookups[number];
    let every = plan.every.unwrap_or(plan.over.length());
    for round in 0_u32.. {
        for pair in &pairs {
            let due = plan.over.from + every * round + every.mul_f64(pair.turn);
            if due >= plan.over.to {
                return;
            }
            asker.world.sim.sleep_until(due).await;
            let (asker_now, to) = (Arc::clone(&asker), pair.to);
            asker.env.spawn("look-up", async move { asker_now.look_up(number, to).await });
        }
    }
}

/// Somebody on one host.
struct Asker {
    world: World,
    record: SharedRecord,
    index: HostIndex,
    env: Env,
    api: Api,
}

impl Asker {
    async fn look_up(&self, lookup: usize, to: HostIndex) {
        // Nobody is there to be asked, or nobody knows yet whom to ask for.
        let peer = self.record().dht.peer(to).map(str::to_owned);
        let Some(peer) = peer.filter(|_| self.world.is_up(self.index)) else { return };
        let sent = self.world.sim.now();
        let answer = match self.world.is_in_dht(self.index) {
            true => self.ask_dht(&peer).await,
            false => Answer::NotFound("this host takes no part in the DHT".into()),
        };
        let answer = match answer {
            Answer::Given(given) => Answer::Given(given),
            // What was there before it may still know.
            other => broadcaster::given(&self.world, self.index, &peer).map_or(other, Answer::Given),
        };
        let ended = self.world.sim.now();
        let mut reached = None;
        if let Answer::Given(given) = &answer
            && self.world.is_up(to)
            && !self.has_heard(&peer, given)
        {
            watch::ask_now(&self.world, &self.record, to).await;
        }
        // Who is down cannot be reached, whatever is known of it.
        if self.world.scenario.topology.dht.lookups[lookup].connects && self.world.can_be_reached(to) {
            reached = Some(match answer.given() {
                Some(given) => self.reach(to, given).await,
                None => false,
            });
        }
        let from = self.index;
        let ended = EndedLookup { lookup, from, to, peer, sent, ended, answer, reached };
        self.record().looked_up(&ended);
    }

    async fn ask_dht(&self, peer: &str) -> Answer {
        let route = format!("/dht/peers/{peer}");
        let patience = Duration::from_secs(PATIENCE_SECONDS);
        match self.env.deadline(patience, self.api.read(&route)).await {
            None => Answer::NoAnswer,
            Some(Err(error)) => Answer::Gone(error.to_string()),
            Some(Ok((StatusCode::OK, body))) => {
                let given = Found::read(&body).expect("a node tells metadata as JSON, with its sequence");
                Answer::Given(given)
            }
            Some(Ok((status, body))) => {
                let words: Value = serde_json::from_slice(&body).unwrap_or_default();
                let words = words["error"].as_str().unwrap_or_default();
                match status {
                    StatusCode::NOT_FOUND => Answer::NotFound(words.to_owned()),
                    _ => Answer::Unavailable(format!("{status} {words}")),
                }
            }
        }
    }

    /// Whether a connection can be opened to the address that was given, and the peer is to be found there now.
    async fn reach(&self, to: HostIndex, given: &Given) -> bool {
        let Some((host, port)) = address(&given.version.content) else { return false };
        let Some(owner) = self.owner(&host, port).await else { return false };
        // One may give a name and the other an address.
        let mut is_there = false;
        for (own, own_port) in self.where_is(to).await {
            is_there |= own_port == port && self.owner(&own, own_port).await == Some(owner);
        }
        self.record().dht.visits(self.index, owner);
        let patience = Duration::from_secs(DIAL_SECONDS);
        let dial = self.env.deadline(patience, dial_host(&*self.env.network, &host, port)).await;
        let is_open = matches!(dial, Some(Ok(_)));
        if !is_open {
            self.record().dht.does_not_visit(self.index, owner);
        }
        is_open && is_there
    }

    /// Whose relay is at an address.
    async fn owner(&self, host: &str, port: u16) -> Option<HostIndex> {
        let found = self.env.network.resolve(host, port).await.ok()?;
        self.world.owner_of(found.first()?.ip())
    }

    /// Where the peer says by itself that it is; where the older way runs beside the DHT, it may be at two relays.
    async fn where_is(&self, to: HostIndex) -> Vec<(String, u16)> {
        let mut own: Vec<_> =
            broadcaster::own(&self.world, to).and_then(|own| address(&own.content)).into_iter().collect();
        if self.world.is_in_dht(to) && self.world.is_up(to) {
            watch::ask_now(&self.world, &self.record, to).await;
            own.extend(self.record().dht.latest(to).and_then(address));
        }
        own
    }

    fn has_heard(&self, peer: &str, given: &Given) -> bool {
        self.record().dht.has_heard(peer, given.version.sequence)
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().expect("nothing panics with the record")
    }
}
