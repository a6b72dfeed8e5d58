//! One run of a scenario: starts everything, makes the faults happen at their times, and waits for the end.
//!
//! | file | what |
//! | --- | --- |
//! | `mod.rs` | the steps of a run, in order |
//! | `faults.rs` | which hand a fault is in |
//! | `network.rs` | what goes wrong between hosts |
//! | `edge.rs` | what goes wrong between a relay and its network |
//! | `process.rs` | relays that go down and come back |
//! | `snapshot.rs` | how things stand where a run is stopped |
//! | `init.rs` | relays that end by themselves, and are tried again |
//! | `machine.rs` | what goes wrong on a machine whose relay runs on |
//! | `upgrade.rs` | hosts that come back with another configuration, and the way back |

mod edge;
mod faults;
mod init;
mod machine;
mod network;
mod process;
mod snapshot;
mod upgrade;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use relay_chaos::{Fault, FaultKind};

use crate::engine::{CutId, Sim, StallId};
use crate::record::Record;
use crate::scenario::{HostIndex, HostSet, Scenario};
use crate::workload::{SharedRecord, dht, load, metrics, probe, upstream};
use crate::world::World;

pub use snapshot::Snapshot;

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
    /// A batch of an upgrade that was given up goes down, to go back.
    RollBack(usize, usize),
    /// It starts again as it was.
    RolledBack(usize, usize),
}

struct Director {
    world: World,
    record: SharedRecord,
    cuts: BTreeMap<usize, Vec<CutId>>,
    /// Link faults that are active.
    degraded: BTreeMap<usize, Fault<HostSet>>,
    /// Whose certificates have expired, by fault.
    expired: BTreeMap<usize, HostSet>,
    /// What is still to be done, in order.
    steps: BTreeSet<(Duration, Step)>,
    /// How each upgrade stands.
    upgrades: Vec<upgrade::Progress>,
    stalls: BTreeMap<usize, StallId>,
    edge: edge::Edge,
    /// What is wrong with machines, by fault.
    ailing: BTreeMap<usize, FaultKind<HostSet>>,
}

/// Runs the scenario to its end and fills the record.
pub async fn direct(sim: impl Into<Sim>, scenario: Arc<Scenario>, record: SharedRecord) {
    direct_until(sim.into(), scenario, record, None).await;
}

/// The same, or `until` then only: then it says how things stand.
pub async fn direct_until(
    sim: Sim,
    scenario: Arc<Scenario>,
    record: SharedRecord,
    until: Option<Duration>,
) -> Option<Snapshot> {
    let world = World::build(sim.clone(), Arc::clone(&scenario));
    upstream::start(&world);
    load::start(&world, &record);
    probe::start(&world, &record);
    metrics::start(&world, &record);
    dht::start(&world, &record);
    let mut director = Director {
        world,
        record,
        cuts: BTreeMap::new(),
        degraded: BTreeMap::new(),
        expired: BTreeMap::new(),
        steps: steps(&scenario),
        upgrades: vec![upgrade::Progress::default(); scenario.topology.upgrades.len()],
        stalls: BTreeMap::new(),
        edge: edge::Edge::default(),
        ailing: BTreeMap::new(),
    };
    init::start(&director.world, &director.record);
    // Until the last host has started, nobody can expect the others to have found everything.
    let late = scenario.topology.hosts.iter().filter(|(_, host)| !host.start.is_zero()).count();
    (0..late).for_each(|_| director.record().disturb(Duration::ZERO));
    while let Some((at, step)) = director.steps.first().copied().filter(|(at, _)| *at < scenario.run.duration)
    {
        if let Some(until) = until.filter(|until| *until < at) {
            return Some(director.stop_at(until).await);
        }
        director.wait_until(at).await;
        // Meanwhile something may have come up that is to be done before.
        if director.steps.first() == Some(&(at, step)) {
            director.steps.pop_first();
            director.perform(step);
        }
    }
    if let Some(until) = until.filter(|until| *until < scenario.run.duration) {
        return Some(director.stop_at(until).await);
    }
    director.wait_until(scenario.run.duration).await;
    director.tell_of_cuts_that_never_came();
    // Who is still held back now owes its callers an outcome all the same.
    director.resume_all();
    let longest = scenario.loads.iter().map(|load| load.call.timeout).max().unwrap_or_default();
    let patience = scenario.run.duration + longest + Duration::from_secs(LAST_CALLS_SECONDS);
    while director.record().open_calls() > 0 && sim.now() < patience {
        sim.sleep(Duration::from_millis(100)).await;
    }
    let seen = sim.take_observations();
    let mut record = director.record();
    record.network(seen);
    record.finish(sim.now());
    None
}

/// Everything that is to be done before the end, in order.
fn steps(scenario: &Scenario) -> BTreeSet<(Duration, Step)> {
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
    starts.chain(faults).chain(dns).collect()
}

impl Director {
    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().expect("nothing panics with the record")
    }

    /// Of power cuts that waited for a disk until the run was over.
    fn tell_of_cuts_that_never_came(&self) {
        let scenario = Arc::clone(&self.world.scenario);
        for (number, fault) in scenario.faults.iter().enumerate() {
            let is_on = fault.active().contains(scenario.run.duration);
            if let FaultKind::Crash(crash) = &fault.what
                && is_on
            {
                self.tell_who_was_spared(number, crash);
            }
        }
    }

    async fn stop_at(&mut self, at: Duration) -> Snapshot {
        self.wait_until(at).await;
        let snapshot = self.snapshot().await;
        self.record().finish(at);
        snapshot
    }

    async fn wait_until(&mut self, at: Duration) {
        let sim = self.world.sim.clone();
        while sim.now() < at && self.steps.first().is_none_or(|(next, _)| *next >= at) {
            sim.sleep_until(at.min(sim.now() + Duration::from_secs(OBSERVE_SECONDS))).await;
            let seen = sim.take_observations();
            self.record().network(seen);
            self.watch_upgrades();
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
                let mut record = self.record();
                if now.is_zero() {
                    record.changed_at_once(now, "start".into());
                } else {
                    record.calm(now, "start".into());
                }
            }
            Step::RollBack(upgrade, batch) => self.roll_back(upgrade, batch),
            Step::RolledBack(upgrade, batch) => self.rolled_back(upgrade, batch),
            Step::Begin(number) => {
                let fault = self.world.scenario.faults[number].clone();
                if self.is_called_off(&fault) {
                    self.steps.retain(|(_, step)| *step != Step::End(number));
                    return;
                }
                let upgrade = self.batch(&fault).map(|(upgrade, _)| upgrade);
                if let Some(upgrade) = upgrade {
                    self.begin_cutover(upgrade);
                }
                let kind = if upgrade.is_some() { "upgrade" } else { "fault" };
                self.record().timeline.push(now, None, kind, fault.to_string());
                self.world.sim.note(None, &format!("fault: {fault}"));
                // Where nothing is to end, the world is as it is to be at once.
                let active = fault.active();
                let is_lasting = active.end.is_some() && !active.is_moment();
                // What may not come at all disturbs nobody until it does.
                let disturbs = fault.disturbs() && !fault.is_conditional();
                if disturbs && is_lasting {
                    self.record().disturb(now);
                }
                self.begin(number, &fault);
                if disturbs && !is_lasting {
                    self.record().changed_at_once(now, fault.to_string());
                }
            }
            Step::End(number) => {
                let fault = self.world.scenario.faults[number].clone();
                self.world.sim.note(None, &format!("over: {fault}"));
                self.upgrade(&fault);
                let came = self.record().course.came(number, &fault);
                self.end(number, &fault);
                if fault.disturbs() && came {
                    self.record().calm(now, format!("after {fault}"));
                }
            }
        }
    }
}
