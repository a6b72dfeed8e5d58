//! Relays that end by themselves because of what they find on a disk: they are tried again, as an init system does
//! (systemd: `Restart=on-failure`, `RestartSec=5s`), until one runs or the plan says otherwise.
//!
//! Those too that find their own data damaged, which an init system leaves alone (`RestartPreventExitStatus=65`): a
//! relay may take a read that failed for damage, and each try stands for the operator who looks whether it was.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::process::{gone, lock, start as start_relay};
use crate::scenario::HostIndex;
use crate::workload::SharedRecord;
use crate::world::World;

/// Time from an end to the next try, in seconds.
const RESTART_SECONDS: u64 = 5;

/// A relay that cannot run says so within this time, in seconds.
const STARTED_SECONDS: u64 = 2;

/// Follows the ends of relays for the rest of the run.
pub(super) fn start(world: &World, record: &SharedRecord) {
    let (world, record) = (world.clone(), Arc::clone(record));
    let mut exits = world.exits();
    world.sim.clone().spawn("init", async move {
        let all_in_hand = Arc::new(Mutex::new(BTreeSet::new()));
        while let Some(host) = exits.recv().await {
            gone(&world, &record, host);
            let in_hand = Arc::clone(&all_in_hand);
            if !in_hand.lock().unwrap_or_else(PoisonError::into_inner).insert(host) {
                continue;
            }
            let (world, record) = (world.clone(), Arc::clone(&record));
            world.sim.clone().spawn("init", async move {
                revive(&world, &record, host).await;
                in_hand.lock().unwrap_or_else(PoisonError::into_inner).remove(&host);
            });
        }
    });
}

/// Tries again until the relay runs, or until somebody else has stopped or started it. Meanwhile nobody can expect the
/// others to agree on what is offered there; where that is so until the run is over, convergence is missed.
async fn revive(world: &World, record: &SharedRecord, host: HostIndex) {
    let name = &world.scenario.topology.hosts.get(host).name;
    let (mut said, mut is_again) = (BTreeSet::new(), false);
    let (started, waits) = (Duration::from_secs(STARTED_SECONDS), Duration::from_secs(RESTART_SECONDS));
    lock(record).disturb(world.sim.now());
    while let Some((process, Some(why))) = world.process(host) {
        // Once for each reason: it may be tried for hours.
        if said.insert(why.clone()) {
            let text = format!("{name} ends by itself: {why}");
            lock(record).timeline.push(world.sim.now(), Some(host), "exit", text);
        }
        // One that was tried again has ended as soon as it was started.
        world.sim.sleep(if is_again { waits - started } else { waits }).await;
        let Some((latest, Some(_))) = world.process(host) else { break };
        if latest != process {
            continue;
        }
        is_again = true;
        start_relay(world, record, host, "retry");
        world.sim.sleep(started).await;
    }
    lock(record).calm(world.sim.now(), format!("{name} was started again, or stopped"));
}
