//! Reads what the Mains list, and compares it with the truth.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::{SharedRecord, operator, watch};
use crate::engine::ProcessKind;
use crate::heap;
use crate::invariants::Listed;
use crate::scenario::{HostIndex, Role};
use crate::world::World;

/// While nothing is to be waited for, views are read this many times less often.
const IDLE_FACTOR: u32 = 10;

/// A Main that does not tell its view in this time is asked again later, in seconds.
const PATIENCE_SECONDS: u64 = 5;

#[derive(Deserialize)]
struct View {
    services: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    node_id: String,
    main_relay: String,
    scope: String,
    reachable: bool,
}

/// The longest time between two views of one Main.
pub fn longest_gap(interval: Duration) -> Duration {
    interval * IDLE_FACTOR + Duration::from_secs(PATIENCE_SECONDS)
}

/// Starts one reader on each Main, and the other watchers.
pub fn start(world: &World, record: &SharedRecord) {
    watch::start(world, record);
    operator::start(world, record);
    for (index, _) in world.scenario.topology.hosts.iter().filter(|(_, host)| host.is_main()) {
        let (world, record) = (world.clone(), Arc::clone(record));
        world.sim.clone().start(world.host(index), "probe", ProcessKind::Harness, |env| {
            let api = world.api(env.clone(), index);
            let counts_memory = index.0 == 0;
            Box::pin(async move {
                let interval = world.scenario.run.probe_interval;
                let patience = Duration::from_secs(PATIENCE_SECONDS);
                let mut skipped = 0;
                loop {
                    world.sim.sleep(interval).await;
                    if counts_memory && let Some(bytes) = heap::live_bytes() {
                        let at = world.sim.now();
                        record.lock().expect("nothing panics with the record").holds(at, bytes);
                    }
                    let wanted =
                        record.lock().expect("nothing panics with the record").convergence.is_pending();
                    skipped += 1;
                    if !world.is_up(index) || !(wanted || skipped >= IDLE_FACTOR) {
                        continue;
                    }
                    skipped = 0;
                    let asked = world.sim.now();
                    if let Some(Ok(body)) = env.deadline(patience, api.get("/federation/registry")).await {
                        look(&world, &record, index, asked, &body);
                    }
                }
            })
        });
    }
}

fn look(world: &World, record: &SharedRecord, main: HostIndex, asked: Duration, body: &[u8]) {
    let view: View = serde_json::from_slice(body).expect("a Main tells its registry as JSON");
    let at = world.sim.now();
    let mut listed: Vec<Listed> = Vec::with_capacity(view.services.len());
    let mut reachable: Vec<(String, String)> = Vec::new();
    let is_pending = record.lock().expect("nothing panics with the record").convergence.is_pending();
    for entry in view.services {
        if is_pending && entry.reachable {
            reachable.push((entry.name.clone(), entry.node_id.clone()));
        }
        listed.push(Listed {
            service: entry.name,
            node: entry.node_id,
            owner: entry.main_relay,
            is_local: entry.scope == "local",
        });
    }
    listed.sort_unstable();
    let mut record = record.lock().expect("nothing panics with the record");
    record.viewed(at, main, &listed);
    if is_pending {
        reachable.sort_unstable();
        let mains: Vec<HostIndex> = world
            .scenario
            .topology
            .hosts
            .iter()
            .filter(|(index, host)| host.is_main() && world.is_up(*index))
            .map(|(index, _)| index)
            .collect();
        record.compared(asked, at, main, reachable == truth(world), &mains);
    }
}

/// Every service of every relay that runs and that a Main can reach, sorted: service and node id.
fn truth(world: &World) -> Vec<(String, String)> {
    let mut truth = Vec::new();
    for (index, host) in world.scenario.topology.hosts.iter() {
        let is_up = |main: &HostIndex| world.is_up(*main);
        let has_main = match &host.role {
            Role::Main { .. } => true,
            Role::Home { main, fallback } if !world.scenario.topology.moves(index) => {
                std::iter::once(main).chain(fallback).any(is_up)
            }
            Role::Home { .. } => match world.role(index) {
                Role::Home { main, fallback } => std::iter::once(&main).chain(&fallback).any(is_up),
                Role::Main { .. } => true,
            },
        };
        let services = world.services(index);
        if services.is_empty() || !has_main || !world.is_up(index) {
            continue;
        }
        // A relay that has not made its id yet cannot be listed; the views agree once it has.
        let node = world.node_id(index).unwrap_or_default();
        let names = services.iter().map(|service| &world.scenario.topology.services[*service].name);
        truth.extend(names.map(|name| (name.clone(), node.clone())));
    }
    truth.sort_unstable();
    truth
}
