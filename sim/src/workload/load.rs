//! Callers: they make the calls of a scenario's loads, open or closed, and write down how each ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::RngExt;
use relay_node::env::{Env, Rng};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::SharedRecord;
use super::api::{Api, RemoteCall};
use super::pace::Pace;
use crate::engine::{ProcessKind, Sim};
use crate::invariants::Outcome;
use crate::record::OpenCall;
use crate::scenario::{Arrival, HostIndex, Load, Pacing, ServiceKind, Target};
use crate::world::World;

/// What a relay may take on top of the timeout to tell its caller that it is over, in milliseconds.
const GRACE_MILLIS: u64 = 100;

/// How long a caller waits on top of that before it gives its relay up, in milliseconds.
const PATIENCE_MILLIS: u64 = 1_000;

/// Starts the callers of all loads, each on its host.
pub fn start(world: &World, record: &SharedRecord) {
    for (index, _) in world.scenario.topology.hosts.iter() {
        let calls = world.scenario.loads.iter().any(|load| load.from.contains(index));
        if !calls {
            continue;
        }
        let (world, record) = (world.clone(), Arc::clone(record));
        world.sim.clone().start(world.host(index), "load", ProcessKind::Harness, |env| {
            Box::pin(run(world, record, index, env))
        });
    }
}

/// One host's callers.
struct Caller {
    world: World,
    record: SharedRecord,
    index: HostIndex,
    env: Env,
    api: Api,
}

async fn run(world: World, record: SharedRecord, index: HostIndex, env: Env) {
    let api = world.api(env.clone(), index);
    let caller = Arc::new(Caller { world, record, index, env, api });
    let scenario = Arc::clone(&caller.world.scenario);
    let seed = caller.env.entropy.seed("load");
    for (number, load) in scenario.loads.iter().enumerate().filter(|(_, load)| load.from.contains(index)) {
        let rng = stream(&caller.world.sim, seed, load, 0);
        match &load.arrival {
            Arrival::Open { .. } => caller.env.spawn("load-open", open(Arc::clone(&caller), number, rng)),
            Arrival::Profile(_) => {
                caller.env.spawn("load-profile", profile(Arc::clone(&caller), number, rng));
            }
            Arrival::Closed { callers, calls, .. } => {
                let left = calls.map(|calls| Arc::new(AtomicU64::new(calls)));
                for one in 1..=*callers {
                    let rng = stream(&caller.world.sim, seed, load, one);
                    caller.env.spawn("load-closed", closed(Arc::clone(&caller), number, left.clone(), rng));
                }
            }
        }
    }
    // The process lives as long as its callers may call.
    std::future::pending::<()>().await;
}

/// What one caller of a load draws on one host, whatever other loads there are.
fn stream(sim: &Sim, seed: [u8; 32], load: &Load, caller: u32) -> Rng {
    sim.generator(seed, xxh3_64_with_seed(load.name.as_bytes(), u64::from(caller)))
}

/// Calls at a rate, whether or not earlier calls were answered.
async fn open(caller: Arc<Caller>, load: usize, mut rng: Rng) {
    let scenario = Arc::clone(&caller.world.scenario);
    let plan = &scenario.loads[load];
    let Arrival::Open { rate, pacing } = plan.arrival else { return };
    let phase = rate.interval().mul_f64(rng.random::<f64>());
    let mut due = plan.start + phase;
    for n in 1.. {
        if due >= plan.stop {
            return;
        }
        caller.world.sim.sleep_until(due).await;
        let (caller_now, callee) = (Arc::clone(&caller), pick(&caller, plan, &mut rng));
        caller.env.spawn("call", async move { caller_now.call(load, callee, due).await });
        due = match pacing {
            Pacing::Even => plan.start + phase + rate.offset(n),
            // The gaps between independent arrivals are exponential.
            Pacing::Poisson => due + rate.interval().mul_f64(-(1.0 - rng.random::<f64>()).ln()),
        };
    }
}

/// Calls at rates that change with time, whether or not earlier calls were answered.
async fn profile(caller: Arc<Caller>, load: usize, mut rng: Rng) {
    let scenario = Arc::clone(&caller.world.scenario);
    let plan = &scenario.loads[load];
    let Arrival::Profile(profile) = &plan.arrival else { return };
    let mut pace = Pace::new(profile, &mut rng);
    while let Some(due) = pace.next(&mut rng).filter(|due| *due < plan.stop) {
        caller.world.sim.sleep_until(due).await;
        let (caller_now, callee) = (Arc::clone(&caller), pick(&caller, plan, &mut rng));
        caller.env.spawn("call", async move { caller_now.call(load, callee, due).await });
    }
}

/// Calls, waits for the outcome, thinks, and calls again, while calls are `left`.
async fn closed(caller: Arc<Caller>, load: usize, left: Option<Arc<AtomicU64>>, mut rng: Rng) {
    let scenario = Arc::clone(&caller.world.scenario);
    let plan = &scenario.loads[load];
    let Arrival::Closed { think, .. } = plan.arrival else { return };
    caller.world.sim.sleep_until(plan.start).await;
    loop {
        let now = caller.world.sim.now();
        let take = |left: &Arc<AtomicU64>| {
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
        };
        if now >= plan.stop || !left.as_ref().is_none_or(take) {
            return;
        }
        let callee = pick(&caller, plan, &mut rng);
        caller.call(load, callee, now).await;
        // Without a pause a relay that refuses at once would keep time from passing.
        caller.world.sim.sleep(think.max(Duration::from_millis(1))).await;
    }
}

/// Whom the next call is for; `None` where the federation is to choose.
fn pick(caller: &Caller, load: &Load, rng: &mut Rng) -> Option<HostIndex> {
    let Target::Node(hosts) = &load.target else { return None };
    let hosts = hosts.hosts();
    let own = hosts.binary_search(&caller.index);
    let drawn = rng.random_range(0..hosts.len() - usize::from(own.is_ok()));
    // Everyone but oneself: those from one's own place on move up by one.
    Some(hosts[if own.is_ok_and(|own| drawn >= own) { drawn + 1 } else { drawn }])
}

impl Caller {
    async fn call(&self, load: usize, callee: Option<HostIndex>, due: Duration) {
        let scenario = &self.world.scenario;
        let plan = &scenario.loads[load].call;
        let service = scenario.topology.services.iter().find(|service| service.name == plan.service);
        let sent = self.world.sim.now();
        let deadline = scenario.owed_by(self.index, sent, plan.timeout) + Duration::from_millis(GRACE_MILLIS);
        let number = self.record.lock().expect("nothing panics with the record").call_sent(OpenCall {
            load,
            caller: self.index,
            callee,
            service: plan.service.clone(),
            due,
            sent,
            deadline,
            hops: Vec::new(),
        });
        let call = RemoteCall {
            number,
            node: callee.map(|host| scenario.topology.hosts.get(host).name.as_str()),
            service: &plan.service,
            method: &plan.method,
            payload: plan.payload.bytes(),
            timeout: plan.timeout,
            priority: plan.priority,
            echoes: service.is_some_and(|service| !matches!(service.kind, ServiceKind::Static(_))),
        };
        let patience = deadline - sent + Duration::from_millis(PATIENCE_MILLIS);
        let outcome = self.env.deadline(patience, self.api.call(&call)).await;
        let (outcome, hops) = outcome.unwrap_or((Outcome::NoOutcome, Vec::new()));
        let ended = self.world.sim.now();
        let mut record = self.record.lock().expect("nothing panics with the record");
        record.call_timed(number, hops);
        record.call_ended(number, ended, outcome);
    }
}
