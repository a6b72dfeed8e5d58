//! Upgrades: hosts that come back with another configuration, and the way back.

use std::sync::Arc;
use std::time::Duration;

use relay_chaos::{Fault, FaultKind, Stop};

use super::{Director, Step};
use crate::scenario::{HostIndex, HostSet, OnAbort, Upgrade};

/// How far an upgrade has come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    standing: Standing,
    /// Some dial Mains otherwise than these can be dialled now.
    cuts_over: bool,
}

/// How an upgrade stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Standing {
    /// It has not come to its end.
    #[default]
    Open,
    /// Every host has it, and has been up for its pause.
    Done,
    /// It was given up.
    Aborted,
}

impl Director {
    /// The upgrade that a fault is a batch of, and which batch.
    pub(super) fn batch(&self, fault: &Fault<HostSet>) -> Option<(usize, usize)> {
        let upgrades = self.world.scenario.topology.upgrades.iter().enumerate();
        upgrades.filter_map(|(number, upgrade)| Some((number, upgrade.batch_of(fault)?))).next()
    }

    /// Whether the fault is a batch of an upgrade that was given up before its turn came. Looks at the gates first.
    pub(super) fn is_called_off(&mut self, fault: &Fault<HostSet>) -> bool {
        if self.upgrades.is_empty() {
            return false;
        }
        self.watch_upgrades();
        self.batch(fault).is_some_and(|(upgrade, _)| self.upgrades[upgrade].standing == Standing::Aborted)
    }

    /// Gives the hosts of a batch that were stopped their new configuration.
    pub(super) fn upgrade(&mut self, fault: &Fault<HostSet>) {
        let Some((upgrade, batch)) = self.batch(fault) else { return };
        for host in fault.what.hosts().hosts() {
            self.world.upgrade(*host, upgrade);
            self.tell_where(*host);
        }
        if batch + 1 == self.world.scenario.topology.upgrades[upgrade].batches.len() {
            self.end_cutover(upgrade);
        }
    }

    /// Where a host was told to dial others, those who watch learn of it.
    fn tell_where(&self, host: HostIndex) {
        if self.world.scenario.topology.moves(host) {
            self.record().moved(self.world.sim.now(), host, &self.world.role(host));
        }
    }

    /// A batch goes down, forwards or back: where it is the first of an upgrade that changes how Mains are dialled, some
    /// cannot reach others until the last is up again.
    pub(super) fn begin_cutover(&mut self, upgrade: usize) {
        let mains = self.cutover_of(upgrade);
        if !mains.is_empty() && !std::mem::replace(&mut self.upgrades[upgrade].cuts_over, true) {
            self.record().cuts_over(self.world.sim.now(), mains);
        }
    }

    fn end_cutover(&mut self, upgrade: usize) {
        if std::mem::take(&mut self.upgrades[upgrade].cuts_over) {
            let name = &self.world.scenario.topology.upgrades[upgrade].name;
            let why = format!("all who have {name} can reach each other");
            self.record().cut_over(self.world.sim.now(), &self.cutover_of(upgrade), why);
        }
    }

    fn cutover_of(&self, upgrade: usize) -> Vec<HostIndex> {
        let topology = &self.world.scenario.topology;
        topology.upgrades[upgrade].cut_over(topology).collect()
    }

    /// Looks at the gates of the upgrades that are under way: gives up those that break one, and ends those that are over.
    pub(super) fn watch_upgrades(&mut self) {
        let scenario = Arc::clone(&self.world.scenario);
        let now = self.world.sim.now();
        for (number, upgrade) in scenario.topology.upgrades.iter().enumerate() {
            let begins = upgrade.batches.first().is_some_and(|first| first.at <= now);
            if !begins || self.upgrades[number].standing != Standing::Open {
                continue;
            }
            if let Some(gate) = self.broken_gate(upgrade) {
                self.abort(number, upgrade, gate);
            } else if now >= upgrade.end() {
                self.upgrades[number].standing = Standing::Done;
                self.tell_upgrade(number, format!("{}: every host has it", upgrade.name));
            }
        }
    }

    fn broken_gate(&self, upgrade: &Upgrade) -> Option<usize> {
        let now = self.world.sim.now();
        let gates = &self.world.scenario.gates.asked.gates;
        let mut record = self.record();
        upgrade
            .abort_on
            .iter()
            .copied()
            .find(|gate| !record.asked.meters[*gate].holds_now(&gates[*gate], now))
    }

    fn abort(&mut self, number: usize, upgrade: &Upgrade, gate: usize) {
        self.upgrades[number].standing = Standing::Aborted;
        let name = &self.world.scenario.gates.asked.gates[gate].name;
        let then = match upgrade.on_abort {
            OnAbort::Stop => "goes no further",
            OnAbort::RollBack => "goes back",
        };
        self.tell_upgrade(number, format!("{} {then}: the gate {name} does not hold", upgrade.name));
        if upgrade.on_abort == OnAbort::Stop {
            return;
        }
        let now = self.world.sim.now();
        let begun: Vec<_> = upgrade
            .batches
            .iter()
            .enumerate()
            .filter(|(_, batch)| batch.at < now)
            .map(|(at, _)| at)
            .collect();
        // A batch that is down now comes back first.
        let last = begun.last().map_or(now, |last| upgrade.batches[*last].at + upgrade.down);
        let mut at = now.max(last + Duration::from_nanos(1));
        for batch in begun.into_iter().rev() {
            self.steps.insert((at, Step::RollBack(number, batch)));
            self.steps.insert((at + upgrade.down, Step::RolledBack(number, batch)));
            at += upgrade.down + upgrade.pause;
        }
    }

    fn tell_upgrade(&self, number: usize, text: String) {
        let now = self.world.sim.now();
        self.world.sim.note(None, &format!("upgrade: {text}"));
        let is_done = self.upgrades[number].standing == Standing::Done;
        let mut record = self.record();
        record.timeline.push(now, None, "upgrade", text);
        record.asked.upgraded(now, is_done);
    }

    /// A batch is asked to end, to go back to what it had.
    pub(super) fn roll_back(&mut self, upgrade: usize, batch: usize) {
        self.begin_cutover(upgrade);
        let plan = &self.world.scenario.topology.upgrades[upgrade];
        let stop = Stop { hosts: plan.batches[batch].hosts.clone(), down: Some(plan.down) };
        let now = self.world.sim.now();
        let fault = Fault { at: now, what: FaultKind::Stop(stop.clone()) };
        {
            let mut record = self.record();
            record.timeline.push(now, None, "upgrade", format!("{} goes back: {fault}", plan.name));
            record.disturb(now);
            // Nobody could plan for it: whoever tells whose path was whole has to know.
            record.unforeseen(fault);
        }
        self.stop(&stop);
    }

    /// It starts again, with what it had before.
    pub(super) fn rolled_back(&mut self, upgrade: usize, batch: usize) {
        let scenario = Arc::clone(&self.world.scenario);
        let plan = &scenario.topology.upgrades[upgrade];
        let now = self.world.sim.now();
        for host in plan.batches[batch].hosts.hosts() {
            self.world.downgrade(*host, upgrade);
            self.tell_where(*host);
            if !self.is_down_for_another_reason(*host) {
                self.world.kill(*host);
                self.start(*host, "restart");
            }
        }
        self.record().calm(now, format!("after {} went back", plan.name));
        if batch == 0 {
            self.end_cutover(upgrade);
        }
    }

    fn is_down_for_another_reason(&self, host: HostIndex) -> bool {
        let now = self.world.sim.now();
        let faults = self.world.scenario.faults.iter().filter(|fault| fault.active().contains(now));
        let mut faults = faults.filter(|fault| fault.takes_down(|set: &HostSet| set.contains(host)));
        faults.any(|fault| self.batch(fault).is_none())
    }
}
