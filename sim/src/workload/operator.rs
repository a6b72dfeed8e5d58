//! The operators of the Mains: they add and remove peers, and read what each Main knows.
//!
//! What they add is at names that stand for nothing: nobody is ever there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use relay_node::env::Env;
use relay_node::store::ADMIN_TOKEN_FILE;
use serde::Deserialize;
use serde_json::json;

use super::SharedRecord;
use super::api::Api;
use crate::engine::ProcessKind;
use crate::invariants::{PeerChange, Recalled};
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
}

#[derive(Deserialize)]
struct Peer {
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
        let peers: BTreeSet<String> = added.filter_map(|peer| peer.address).collect();
        Some(Recalled { node: health.node_id, key: health.public_key, peers })
    }

    /// Makes the change; `None` unless the Main says that it is made.
    async fn change(&self, change: &PeerChange) -> Option<()> {
        let token = self.env.storage.read(ADMIN_TOKEN_FILE).ok()??;
        let token = String::from_utf8(token).ok()?;
        // `ws://added-7.invalid:8080` goes by the id `added-7.invalid`.
        let node = change.url.trim_start_matches("ws://").trim_end_matches(":8080");
        let body = json!({ "node_id": node, "address": change.url }).to_string();
        let asked = match change.added {
            true => self.api.admin(hyper::Method::POST, "/registry/peers/add", token.trim(), body),
            false => self.api.admin(hyper::Method::DELETE, "/registry/peers/remove", token.trim(), body),
        };
        let status = asked.await.ok()?;
        status.is_success().then_some(())
    }
}
