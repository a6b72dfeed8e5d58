//! Relays that go down and come back.

use std::time::Duration;

use relay_chaos::{Crash, CrashKind, Disk, Stop};

use super::Director;
use crate::scenario::{HostIndex, HostSet};

impl Director {
    pub(super) fn crash(&self, crash: &Crash<HostSet>) {
        for host in crash.hosts.hosts() {
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

    pub(super) fn come_back(&self, crash: &Crash<HostSet>) {
        for host in crash.hosts.hosts() {
            if crash.how == CrashKind::PowerCut {
                self.world.sim.power_on(self.world.host(*host));
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

    pub(super) fn start(&self, host: HostIndex, kind: &'static str) {
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
}
