//! One run of a scenario: starts everything, makes the faults happen at their times, and waits for the end.
//!
//! | file | what |
//! | --- | --- |
//! | `mod.rs` | the steps of a run, in order |
//! | `faults.rs` | which hand a fault is in |
//! | `network.rs` | what goes wrong between hosts |
//! | `process.rs` | relays that go down and come back |
//! | `machine.rs` | what goes wrong on a machine whose relay runs on |

mod faults;
mod machine;
mod network;
mod process;

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use relay_chaos::Fault;

use crate::engine::{CutId, Sim};
use crate::record::Record;
use crate::scenario::{HostIndex, HostSet, Scenario};
use crate::workload::{SharedRecord, load, metrics, probe, upstream};
use crate::world::World;

/// How often what the network saw is taken over, in seconds.
const OBSERVE_SECONDS: u64 = 10;

/// Time for the last calls to end on top of the longest timeout, in seconds.
const LAST_CALLS_SECONDS: u64 = 2;

/// Something that the director does at a certain time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// A name stands for something else.
    Dns(usize),
    /// A host starts.
    Start(HostIndex),
    /// A fault is over. Before any that begins at the same moment.
    End(usize),
    /// A fault begins.
    Begin(usize),
}

struct Director {
    world: World,
    record: SharedRecord,
    cuts: BTreeMap<usize, Vec<CutId>>,
    /// Link faults that are active.
    degraded: BTreeMap<usize, Fault<HostSet>>,
    /// Whose certificates have expired, by fault.
    expired: BTreeMap<usize, HostSet>,
}

/// Runs the scenario to its end and fills the record.
pub async fn direct(sim: impl Into<Sim>, scenario: Arc<Scenario>, record: SharedRecord) {
    let sim = sim.into();
    let world = World::build(sim.clone(), Arc::clone(&scenario));
    upstream::start(&world);
    load::start(&world, &record);
    probe::start(&world, &record);
    metrics::start(&world, &record);
    let mut director = Director {
        world,
        record,
        cuts: BTreeMap::new(),
        degraded: BTreeMap::new(),
        expired: BTreeMap::new(),
    };
    // Until the last host has started, nobody can expect the others to have found everything.
    let late = scenario.topology.hosts.iter().filter(|(_, host)| !host.start.is_zero()).count();
    (0..late).for_each(|_| director.record().convergence.disturb(Duration::ZERO));
    for (at, step) in steps(&scenario) {
        director.wait_until(at).await;
        director.perform(step);
    }
    director.wait_until(scenario.run.duration).await;
    let longest = scenario.loads.iter().map(|load| load.call.timeout).max().unwrap_or_default();
    let patience = scenario.run.duration + longest + Duration::from_secs(LAST_CALLS_SECONDS);
    while director.record().open_calls() > 0 && sim.now() < patience {
        sim.sleep(Duration::from_millis(100)).await;
    }
    let seen = sim.take_observations();
    let mut record = director.record();
    record.network(seen);
    record.finish(sim.now());
}

/// Everything that is to be done before the end, in order.
fn steps(scenario: &Scenario) -> Vec<(Duration, Step)> {
    let starts = scenario.topology.hosts.iter().map(|(index, host)| (host.start, Step::Start(index)));
    let faults = scenario.faults.iter().enumerate().flat_map(|(number, fault)| {
        let active = fault.active();
        // What happens in a moment has no end of its own.
        let end = active.end.filter(|_| !active.is_moment()).map(|end| (end, Step::End(number)));
        std::iter::once((active.start, Step::Begin(number))).chain(end)
    });
    // What holds from the start does so before anything runs.
    let dns = scenario.topology.dns.iter().enumerate().filter(|(_, change)| !change.at.is_zero());
    let dns = dns.map(|(number, change)| (change.at, Step::Dns(number)));
    let mut steps: Vec<_> =
        starts.chain(faults).chain(dns).filter(|(at, _)| *at < scenario.run.duration).collect();
    steps.sort_unstable();
    steps
}

impl Director {
    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().expect("nothing panics with the record")
    }

    async fn wait_until(&self, at: Duration) {
        let sim = &self.world.sim;
        while sim.now() < at {
            sim.sleep_until(at.min(sim.now() + Duration::from_secs(OBSERVE_SECONDS))).await;
            let seen = sim.take_observations();
            self.record().network(seen);
        }
    }

    fn perform(&mut self, step: Step) {
        let now = self.world.sim.now();
        match step {
            Step::Dns(number) => {
                let scenario = Arc::clone(&self.world.scenario);
                let change = &scenario.topology.dns[number];
                self.world.change_dns(change);
                let names: Vec<&str> = change
                    .targets
                    .iter()
                    .map(|main| scenario.topology.hosts.get(*main).name.as_str())
                    .collect();
                let targets = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
                let text = format!("{} stands for {targets}", change.name);
                self.record().timeline.push(now, None, "dns", text);
            }
            Step::Start(host) => {
                self.start(host, "start");
                let convergence = &mut self.record().convergence;
                if now.is_zero() {
                    convergence.changed(now, "start".into());
                } else {
                    convergence.calm(now, "start".into());
                }
            }
            Step::Begin(number) => {
                let fault = self.world.scenario.faults[number].clone();
                self.record().timeline.push(now, None, "fault", fault.to_string());
                self.world.sim.note(None, &format!("fault: {fault}"));
                // Where nothing is to end, the world is as it is to be at once.
                let active = fault.active();
                let is_lasting = active.end.is_some() && !active.is_moment();
                if fault.disturbs() && is_lasting {
                    self.record().convergence.disturb(now);
                }
                self.begin(number, &fault);
                if fault.disturbs() && !is_lasting {
                    self.record().convergence.changed(now, fault.to_string());
                }
            }
            Step::End(number) => {
                let fault = self.world.scenario.faults[number].clone();
                self.world.sim.note(None, &format!("over: {fault}"));
                self.end(number, &fault);
                if fault.disturbs() {
                    self.record().convergence.calm(now, format!("after {fault}"));
                }
            }
        }
    }
}
