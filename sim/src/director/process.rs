//! Relays that go down and come back.

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use relay_chaos::{Crash, CrashKind, Disk, Fault, FaultKind, Stop};

use super::Director;
use crate::record::Record;
use crate::scenario::{HostIndex, HostSet};
use crate::workload::SharedRecord;
use crate::world::World;

impl Director {
    pub(super) fn crash(&self, number: usize, crash: &Crash<HostSet>) {
        for host in crash.hosts.hosts() {
            if let Some(operation) = crash.at_disk_operation {
                self.cut_power_at(number, *host, operation);
                continue;
            }
            self.gone(*host);
            match crash.how {
                CrashKind::Kill => self.world.kill(*host),
                CrashKind::PowerCut => self.world.power_cut(*host),
            }
            if crash.disk == Disk::Wipe {
                self.world.sim.wipe(self.world.host(*host));
            }
        }
    }

    pub(super) fn come_back(&self, number: usize, crash: &Crash<HostSet>) {
        self.tell_who_was_spared(number, crash);
        for host in crash.hosts.hosts() {
            let place = self.world.host(*host);
            if crash.at_disk_operation.is_some() && self.world.sim.is_powered(place) {
                // It did too little for the power to go.
                self.world.sim.event().keep_power(place);
                continue;
            }
            if crash.how == CrashKind::PowerCut {
                self.world.sim.power_on(place);
            }
            self.start(*host, "restart");
        }
    }

    pub(super) fn stop(&self, stop: &Stop<HostSet>) {
        for host in stop.hosts.hosts() {
            self.gone(*host);
            self.world.stop(*host);
        }
    }

    pub(super) fn start_again(&self, stop: &Stop<HostSet>) {
        for host in stop.hosts.hosts() {
            // One that is still draining is not waited for, as with any init system.
            self.world.kill(*host);
            self.start(*host, "restart");
        }
    }

    /// Says whose power did not go, for their disks had too little to do.
    pub(super) fn tell_who_was_spared(&self, number: usize, crash: &Crash<HostSet>) {
        let Some(operation) = crash.at_disk_operation else { return };
        let now = self.world.sim.now();
        let mut record = self.record();
        for host in crash.hosts.hosts() {
            if !record.course.power_cuts.contains(&(number, *host)) {
                let name = &self.world.scenario.topology.hosts.get(*host).name;
                let text = format!("{name} keeps its power: its disk did fewer than {operation} operations");
                record.timeline.push(now, Some(*host), "spared", text);
            }
        }
    }

    /// Has the power of a host go when its relay uses the disk next, give or take.
    fn cut_power_at(&self, number: usize, host: HostIndex, operation: u32) {
        let (world, record) = (self.world.clone(), Arc::clone(&self.record));
        let cut = world.sim.event().power_cut_at_disk_operation(world.host(host), operation);
        self.world.sim.spawn("power", async move {
            if cut.await.is_ok() {
                power_went(&world, &record, number, host);
            }
        });
    }

    pub(super) fn start(&self, host: HostIndex, kind: &'static str) {
        start(&self.world, &self.record, host, kind);
    }

    fn gone(&self, host: HostIndex) {
        gone(&self.world, &self.record, host);
    }
}

/// Writes down that the power of a host went at the disk operation that a fault waited for, and does the rest of it.
fn power_went(world: &World, record: &SharedRecord, number: usize, host: HostIndex) {
    let planned = &world.scenario.faults[number];
    let FaultKind::Crash(crash) = &planned.what else { return };
    if world.sim.is_powered(world.host(host)) {
        // The fault was over at this very moment.
        return;
    }
    let (now, name) = (world.sim.now(), &world.scenario.topology.hosts.get(host).name);
    let down = planned.active().end.map(|end| end.saturating_sub(now));
    let came = Crash { hosts: HostSet::one(name, host), down, ..crash.clone() };
    lock(record).power_went(number, host, Fault { at: now, what: FaultKind::Crash(came) });
    gone(world, record, host);
    world.forget_process(host);
    if crash.disk == Disk::Wipe {
        world.sim.wipe(world.host(host));
    }
    let operation = crash.at_disk_operation.unwrap_or_default();
    let text = format!("{name} loses power at disk operation {operation}");
    lock(record).timeline.push(now, Some(host), "crash", text);
}

/// Starts a host's relay, and writes that down.
pub(super) fn start(world: &World, record: &SharedRecord, host: HostIndex, kind: &'static str) {
    world.start(host);
    let now = world.sim.now();
    let name = &world.scenario.topology.hosts.get(host).name;
    let node = world.node_id(host);
    lock(record).node(now, host, node.as_deref(), true);
    // Thousands that start at once would hide all else.
    if kind == "restart" || now > Duration::ZERO {
        lock(record).timeline.push(now, Some(host), kind, format!("{name} starts"));
    }
}

/// Writes down that a host's relay is gone.
pub(super) fn gone(world: &World, record: &SharedRecord, host: HostIndex) {
    let node = world.node_id(host);
    lock(record).node(world.sim.now(), host, node.as_deref(), false);
}

pub(super) fn lock(record: &SharedRecord) -> MutexGuard<'_, Record> {
    record.lock().expect("nothing panics with the record")
}
