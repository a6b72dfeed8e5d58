//! Reads what nodes tell of themselves, where a gate or something that must happen asks for it.

use std::sync::Arc;
use std::time::Duration;

use super::SharedRecord;
use crate::engine::ProcessKind;
use crate::scenario::{Metric, Sight};
use crate::world::World;

/// A node that does not tell its metrics in this time is asked again later, in seconds.
const PATIENCE_SECONDS: u64 = 5;

/// Starts one reader on each host whose metrics are asked for.
pub fn start(world: &World, record: &SharedRecord) {
    let asked = &world.scenario.gates.asked;
    let gates = asked.gates.iter().filter(|gate| matches!(gate.metric, Metric::Node(_))).map(|gate| &gate.of);
    let sights =
        asked.sometimes.iter().filter(|it| matches!(it.what, Sight::Metric { .. })).map(|sight| &sight.of);
    let of: Vec<_> = gates.chain(sights).collect();
    for (index, _) in world.scenario.topology.hosts.iter() {
        if !of.iter().any(|of| of.as_ref().is_none_or(|of| of.contains(index))) {
            continue;
        }
        let (world, record) = (world.clone(), Arc::clone(record));
        world.sim.clone().start(world.host(index), "metrics", ProcessKind::Harness, |env| {
            let api = world.api(env.clone(), index);
            Box::pin(async move {
                let record = || record.lock().expect("nothing panics with the record");
                let patience = Duration::from_secs(PATIENCE_SECONDS);
                loop {
                    world.sim.sleep(world.scenario.run.probe_interval).await;
                    if !world.is_up(index) || !record().asked.reads_metrics(world.sim.now(), index) {
                        continue;
                    }
                    if let Some(Ok(body)) = env.deadline(patience, api.get("/metrics")).await {
                        let text = String::from_utf8_lossy(&body);
                        record().asked.told(world.sim.now(), index, &text);
                    }
                }
            })
        });
    }
}
