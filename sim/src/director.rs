//! One run of a scenario: starts everything, makes the faults happen at their times, and waits for the end.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use relay_chaos::{CrashKind, Direction, Disk, Fault, FaultKind};

use crate::engine::event::{CutId, HostSet as EngineSet, Sim};
use crate::record::Record;
use crate::scenario::{HostIndex, HostSet, Scenario};
use crate::workload::{SharedRecord, load, probe, upstream};
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
pub async fn direct(sim: Sim, scenario: Arc<Scenario>, record: SharedRecord) {
    let world = World::build(sim.clone(), Arc::clone(&scenario));
    upstream::start(&world);
    load::start(&world, &record);
    probe::start(&world, &record);
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
        let end = active.end.map(|end| (end, Step::End(number)));
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
                let for_good = fault.active().end.is_none();
                let is_felt = !matches!(fault.what, FaultKind::Link(_));
                if is_felt && !for_good {
                    self.record().convergence.disturb(now);
                }
                self.begin(number, &fault);
                if is_felt && for_good {
                    self.record().convergence.changed(now, fault.to_string());
                }
            }
            Step::End(number) => {
                let fault = self.world.scenario.faults[number].clone();
                self.world.sim.note(None, &format!("over: {fault}"));
                self.end(number, &fault);
                if !matches!(fault.what, FaultKind::Link(_)) {
                    self.record().convergence.calm(now, format!("after {fault}"));
                }
            }
        }
    }

    fn begin(&mut self, number: usize, fault: &Fault<HostSet>) {
        match &fault.what {
            FaultKind::Partition(it) => {
                let side = self.set(|host| it.hosts.contains(host));
                let other = self.set(|host| match &it.from {
                    Some(from) => from.contains(host),
                    None => !it.hosts.contains(host),
                });
                let sim = &self.world.sim;
                let mut cuts = Vec::new();
                if it.direction != Direction::In {
                    cuts.push(sim.cut(side.clone(), other.clone()));
                }
                if it.direction != Direction::Out {
                    cuts.push(sim.cut(other, side));
                }
                self.cuts.insert(number, cuts);
            }
            FaultKind::Crash(it) => {
                for host in it.hosts.hosts() {
                    self.gone(*host);
                    match it.how {
                        CrashKind::Kill => self.world.kill(*host),
                        CrashKind::PowerCut => self.world.power_cut(*host),
                    }
                    if it.disk == Disk::Wipe {
                        self.world.sim.wipe(self.world.host(*host));
                    }
                }
            }
            FaultKind::Stop(it) => {
                for host in it.hosts.hosts() {
                    self.gone(*host);
                    self.world.stop(*host);
                }
            }
            FaultKind::Link(_) => {
                self.degraded.insert(number, fault.clone());
                self.set_links();
            }
            FaultKind::Expiry(it) => {
                self.expired.insert(number, it.hosts.clone());
                self.certify(&it.hosts);
            }
        }
    }

    fn end(&mut self, number: usize, fault: &Fault<HostSet>) {
        let now = self.world.sim.now();
        match &fault.what {
            FaultKind::Partition(it) => {
                self.cuts.remove(&number).into_iter().flatten().for_each(|cut| self.world.sim.heal(cut));
                self.record().timeline.push(
                    now,
                    None,
                    "heal",
                    format!("the partition of {} heals", it.hosts),
                );
            }
            FaultKind::Crash(it) => {
                for host in it.hosts.hosts() {
                    if it.how == CrashKind::PowerCut {
                        self.world.sim.power_on(self.world.host(*host));
                    }
                    self.start(*host, "restart");
                }
            }
            FaultKind::Stop(it) => {
                for host in it.hosts.hosts() {
                    // One that is still draining is not waited for, as with any init system.
                    self.world.kill(*host);
                    self.start(*host, "restart");
                }
            }
            FaultKind::Link(it) => {
                self.degraded.remove(&number);
                self.set_links();
                let text = format!("links from {} to {} are as before", it.from, it.to);
                self.record().timeline.push(now, None, "heal", text);
            }
            FaultKind::Expiry(it) => {
                self.expired.remove(&number);
                self.certify(&it.hosts);
                let text = format!("the certificates of {} are renewed", it.hosts);
                self.record().timeline.push(now, None, "heal", text);
            }
        }
    }

    fn start(&self, host: HostIndex, kind: &'static str) {
        self.world.start(host);
        let now = self.world.sim.now();
        let name = &self.world.scenario.topology.hosts.get(host).name;
        let node = self.world.node_id(host);
        self.record().node(now, host, node.as_deref(), true);
        // Thousands that start at once would hide all else.
        if kind == "restart" || now > Duration::ZERO {
            self.record().timeline.push(now, Some(host), kind, format!("{name} starts"));
        }
    }

    fn gone(&self, host: HostIndex) {
        let node = self.world.node_id(host);
        let now = self.world.sim.now();
        self.record().node(now, host, node.as_deref(), false);
    }

    fn set(&self, wanted: impl Fn(HostIndex) -> bool) -> EngineSet {
        let hosts = self.world.scenario.topology.hosts.iter();
        EngineSet::of(hosts.filter(|(index, _)| wanted(*index)).map(|(index, _)| self.world.host(index)))
    }

    /// Gives these hosts the certificates that the active faults leave them.
    fn certify(&self, hosts: &HostSet) {
        let now = self.world.sim.now();
        for host in hosts.hosts() {
            let is_expired = self.expired.values().any(|set| set.contains(*host));
            self.world.certify([*host], is_expired.then_some(now));
        }
    }

    fn set_links(&self) {
        let active: Vec<_> = self.degraded.values().cloned().collect();
        self.world.set_links(&active);
    }
}
