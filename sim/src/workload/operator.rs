//! The operators of the Mains: they add and remove peers, and read what each Main knows of peers and of keys.
//!
//! What they add is at names that stand for nothing: nobody is ever there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use relay_node::env::Env;
use relay_node::store::ADMIN_TOKEN_FILE;
use serde::Deserialize;
use serde_json::json;

use super::SharedRecord;
use super::api::Api;
use crate::engine::ProcessKind;
use crate::invariants::{PeerChange, Recalled, node_at};
use crate::scenario::HostIndex;
use crate::world::World;

/// A relay that does not answer in this time has not acknowledged anything, in seconds.
const PATIENCE_SECONDS: u64 = 5;

/// Peers that are added and removed in turn.
const PEERS: u64 = 4;

#[derive(Deserialize)]
struct Health {
    node_id: String,
    public_key: String,
}

#[derive(Deserialize)]
struct Peers {
    peers: Vec<Peer>,
    removed: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Pins {
    pins: Vec<Pin>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Pin {
    node_id: String,
    public_key: String,
}

#[derive(Deserialize)]
struct Peer {
    node_id: Option<String>,
    address: Option<String>,
    sources: Vec<String>,
}

/// Starts one on each Main, where the scenario has operators.
pub fn start(world: &World, record: &SharedRecord) {
    let Some(every) = world.scenario.run.operator_every else { return };
    for (index, _) in world.scenario.topology.hosts.iter().filter(|(_, host)| host.is_main()) {
        let (world, record) = (world.clone(), Arc::clone(record));
        world.sim.clone().start(world.host(index), "operator", ProcessKind::Harness, |env| {
            let api = world.api(env.clone(), index);
            let operator = Operator { world, record, index, env, api };
            Box::pin(async move { operator.work(every).await })
        });
    }
}

struct Operator {
    world: World,
    record: SharedRecord,
    index: HostIndex,
    env: Env,
    api: Api,
}

impl Operator {
    async fn work(&self, every: Duration) {
        for number in 0_u64.. {
            self.world.sim.sleep(every).await;
            if !self.world.is_up(self.index) {
                continue;
            }
            let Some(recalled) = self.in_time(self.read()).await else { continue };
            let at = self.world.sim.now();
            self.record.lock().expect("nothing panics with the record").recalled(at, self.index, &recalled);
            // The same few again and again: whoever was removed is remembered, and there is room for so many only.
            let url = format!("ws://added-{}.invalid:8080", number % PEERS);
            let change = PeerChange { added: !recalled.peers.contains(&url), url, acknowledged: false };
            let done = self.in_time(self.change(&change)).await;
            let change = PeerChange { acknowledged: done.is_some(), ..change };
            let at = self.world.sim.now();
            self.record.lock().expect("nothing panics with the record").changed(at, self.index, &change);
        }
    }

    async fn in_time<T>(&self, wanted: impl Future<Output = Option<T>>) -> Option<T> {
        self.env.deadline(Duration::from_secs(PATIENCE_SECONDS), wanted).await.flatten()
    }

    /// What the Main knows; `None` where it is not there.
    async fn read(&self) -> Option<Recalled> {
        let health = self.api.get("/health").await.ok()?;
        let health: Health = serde_json::from_slice(&health).expect("a relay tells its health as JSON");
        let peers = self.api.get("/federation/peers").await.ok()?;
        let peers: Peers = serde_json::from_slice(&peers).expect("a Main tells its peers as JSON");
        let added = peers.peers.into_iter().filter(|peer| peer.sources.iter().any(|source| source == "api"));
        let added: Vec<Peer> = added.collect();
        let is_another = |peer: &Peer| match (&peer.node_id, &peer.address) {
            (Some(node), Some(address)) => node != node_at(address),
            _ => false,
        };
        Some(Recalled {
            node: health.node_id,
            key: health.public_key,
            stands_for_others: added.iter().any(is_another),
            peers: added.into_iter().filter_map(|peer| peer.address).collect(),
            removed: peers.removed,
            pins: self.read_pins().await?,
        })
    }

    /// The keys that the Main knows others by, page by page.
    async fn read_pins(&self) -> Option<BTreeMap<String, String>> {
        let token = self.token()?;
        let mut pins = BTreeMap::new();
        let mut route = "/federation/pins".to_owned();
        loop {
            let asked = self.api.admin(hyper::Method::GET, &route, &token, String::new());
            let (status, page) = asked.await.ok()?;
            if !status.is_success() {
                return None;
            }
            let page: Pins = serde_json::from_slice(&page).expect("a Main tells its pins as JSON");
            pins.extend(page.pins.into_iter().map(|pin| (pin.node_id, pin.public_key)));
            match page.next {
                Some(next) => route = format!("/federation/pins?after={next}"),
                None => return Some(pins),
            }
        }
    }

    fn token(&self) -> Option<String> {
        let token = self.env.storage.read(ADMIN_TOKEN_FILE).ok()??;
        Some(String::from_utf8(token).ok()?.trim().to_owned())
    }

    /// Makes the change; `None` unless the Main says that it is made.
    async fn change(&self, change: &PeerChange) -> Option<()> {
        let token = self.token()?;
        let node = node_at(&change.url);
        let body = json!({ "node_id": node, "address": change.url }).to_string();
        let asked = match change.added {
            true => self.api.admin(hyper::Method::POST, "/registry/peers/add", &token, body),
            false => self.api.admin(hyper::Method::DELETE, "/registry/peers/remove", &token, body),
        };
        let (status, _) = asked.await.ok()?;
        status.is_success().then_some(())
    }
}
