//! Asks every node how it stands in the DHT: what it has published, whom it knows, what it costs.
//!
//! Whom a node knows is read in full only when it knows as many as there are.

use std::collections::BTreeSet;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use hyper::body::Bytes;
use relay_node::env::Env;
use tokio::sync::oneshot;

use super::super::SharedRecord;
use super::super::api::Api;
use super::status::{Page, Status};
use crate::engine::ProcessKind;
use crate::record::Record;
use crate::scenario::HostIndex;
use crate::world::World;

/// While nothing is to be waited for, nodes are asked this many times less often.
const IDLE_FACTOR: u32 = 10;

/// A node that does not tell in this time is asked again later, in seconds.
const PATIENCE_SECONDS: u64 = 5;

/// Pages of known peers that are read of one node at most.
const PAGES_MAX: usize = 100;

/// Starts one on each host.
pub fn start(world: &World, record: &SharedRecord) {
    let interval = world.scenario.run.dht_interval;
    let hosts = world.scenario.topology.hosts.len();
    for (index, _) in world.scenario.topology.hosts.iter() {
        let (world, record) = (world.clone(), Arc::clone(record));
        // Spread over the interval.
        let first = interval.mul_f64(f64::from(index.0) / hosts as f64);
        world.sim.clone().start(world.host(index), "dht-watch", ProcessKind::Harness, |env| {
            let api = world.api(env.clone(), index);
            let watcher = Watcher { world, record, index, env, api };
            Box::pin(async move { watcher.watch(first, interval).await })
        });
    }
}

/// Asks a node now, from outside of its turn.
pub(super) async fn ask_now(world: &World, record: &SharedRecord, index: HostIndex) {
    let (sender, done) = oneshot::channel();
    let (for_it, record) = (world.clone(), Arc::clone(record));
    world.sim.start(world.host(index), "dht-ask", ProcessKind::Harness, |env| {
        let api = for_it.api(env.clone(), index);
        let watcher = Watcher { world: for_it, record, index, env, api };
        Box::pin(async move {
            watcher.look(false).await;
            // Whoever asked may have given up.
            let _ = sender.send(());
        })
    });
    // It ends by itself, within its patience.
    let _ = done.await;
}

struct Watcher {
    world: World,
    record: SharedRecord,
    index: HostIndex,
    env: Env,
    api: Api,
}

impl Watcher {
    async fn watch(&self, first: Duration, interval: Duration) {
        self.world.sim.sleep(first).await;
        let mut skipped = 0;
        loop {
            self.world.sim.sleep(interval).await;
            let is_pending = self.record().dht.discovery.is_pending();
            let is_wanted = is_pending && !self.record().dht.knew_all(self.index);
            skipped += 1;
            if self.world.is_up(self.index) && (is_wanted || skipped >= IDLE_FACTOR) {
                skipped = 0;
                self.look(is_pending).await;
            }
        }
    }

    async fn look(&self, is_pending: bool) {
        let asked = self.world.sim.now();
        let Some(body) = self.get("/dht/status".to_owned()).await else { return };
        let status = Status::read(&body).expect("a node tells how it stands in the DHT as JSON");
        if !status.enabled {
            return;
        }
        let at = self.world.sim.now();
        {
            let mut record = self.record();
            record.dht.is(self.index, &status.peer_id);
            let runs_alone = !self.world.older.runs_on(self.index);
            record.dht_took(at, self.index, status.bytes(), runs_alone);
            if let Some(published) = status.published() {
                record.published(at, self.index, &published);
            }
        }
        if !is_pending {
            return;
        }
        let members = self.world.peers_of_dht();
        if members.contains(&self.index) {
            let agrees = self.knows_all(&status, &members).await;
            let at = self.world.sim.now();
            self.record().acquainted(asked, at, self.index, agrees, &members);
        }
    }

    async fn knows_all(&self, status: &Status, members: &[HostIndex]) -> bool {
        if status.known_peers + 1 < members.len() {
            return false;
        }
        let (mut pages, mut after) = (Vec::new(), None);
        while pages.len() < PAGES_MAX {
            let route = match &after {
                Some(after) => format!("/dht/peers?after={after}"),
                None => "/dht/peers".to_owned(),
            };
            let Some(body) = self.get(route).await else { return false };
            after = Page::read(&body).expect("a node tells whom it knows as JSON").next.map(str::to_owned);
            pages.push(body);
            if after.is_none() {
                break;
            }
        }
        let ids = pages.iter().filter_map(|body| Page::read(body).ok()).flat_map(|page| page.ids());
        let known: BTreeSet<&str> = ids.collect();
        self.record().dht.knows(self.index, members, &known).unwrap_or(false)
    }

    async fn get(&self, route: String) -> Option<Bytes> {
        let answer = self.env.deadline(Duration::from_secs(PATIENCE_SECONDS), self.api.read(&route)).await;
        let (status, body) = answer?.ok()?;
        status.is_success().then_some(body)
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().expect("nothing panics with the record")
    }
}
