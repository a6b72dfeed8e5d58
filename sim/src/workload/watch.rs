//! Reads what relays report of themselves: their metrics, and a Main's health.

use std::sync::Arc;
use std::time::Duration;

use relay_node::env::Env;

use super::SharedRecord;
use super::api::Api;
use crate::engine::ProcessKind;
use crate::invariants::Reported;
use crate::scenario::HostIndex;
use crate::world::World;

/// A relay that does not tell in this time is asked again later, in seconds.
const PATIENCE_SECONDS: u64 = 5;

/// Starts one reader on each host. They read one after the other, spread over the interval.
pub fn start(world: &World, record: &SharedRecord) {
    let hosts = world.scenario.topology.hosts.len();
    for (index, _) in world.scenario.topology.hosts.iter() {
        let (world, record) = (world.clone(), Arc::clone(record));
        let first = world.scenario.run.report_interval.mul_f64((index.0 + 1) as f64 / hosts as f64);
        world.sim.clone().start(world.host(index), "watch", ProcessKind::Harness, |env| {
            Box::pin(async move { watch(&world, &record, index, env, first).await })
        });
    }
}

async fn watch(world: &World, record: &SharedRecord, index: HostIndex, env: Env, first: Duration) {
    let api = world.api(env.clone(), index);
    let patience = Duration::from_secs(PATIENCE_SECONDS);
    let mut next = first;
    loop {
        world.sim.sleep_until(next).await;
        next += world.scenario.run.report_interval;
        if !world.is_up(index) {
            continue;
        }
        if let Some(Some(reported)) = env.deadline(patience, read(world, &api, index)).await {
            let at = world.sim.now();
            record.lock().expect("nothing panics with the record").reported(at, index, &reported);
        }
    }
}

/// What a relay says of itself; `None` where it is not there.
async fn read(world: &World, api: &Api, index: HostIndex) -> Option<Reported> {
    let metrics = api.get("/metrics").await.ok()?;
    let reported = Reported::from_metrics(std::str::from_utf8(&metrics).expect("metrics are text"));
    if !world.scenario.topology.hosts.get(index).is_main() {
        return Some(reported);
    }
    let health = api.get("/federation/health").await.ok()?;
    Some(reported.with_health(&health).expect("a Main tells its health as JSON"))
}
