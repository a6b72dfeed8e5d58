//! Which hand a fault is in.

use relay_chaos::{Fault, FaultKind};

use super::Director;
use crate::scenario::HostSet;

impl Director {
    /// Makes fault number `number` of the scenario happen.
    pub(super) fn begin(&mut self, number: usize, fault: &Fault<HostSet>) {
        match &fault.what {
            FaultKind::Partition(it) => self.cut(number, it),
            FaultKind::Crash(it) => self.crash(number, it),
            FaultKind::Stop(it) => self.stop(it),
            FaultKind::Link(_) => self.degrade(number, fault),
            FaultKind::Streams(it) => self.break_streams(number, it),
            FaultKind::Nat(it) => self.disturb_nat(it),
            FaultKind::Dns(it) => self.break_names(number, it),
            FaultKind::Descriptors(it) => self.limit_descriptors(number, it),
            FaultKind::Pause(it) => self.pause(number, it),
            FaultKind::Slow(it) => self.slow(number, it),
            FaultKind::Clock(it) => self.disturb_clocks(number, it),
            FaultKind::Disk(it) => self.break_disks(number, it),
            FaultKind::Expiry(it) => self.expire(number, it),
        }
    }

    /// Takes it back.
    pub(super) fn end(&mut self, number: usize, fault: &Fault<HostSet>) {
        match &fault.what {
            FaultKind::Partition(it) => self.heal(number, it),
            FaultKind::Crash(it) => self.come_back(number, it),
            FaultKind::Stop(it) => self.start_again(it),
            FaultKind::Link(it) => self.restore(number, it),
            FaultKind::Streams(it) => self.mend_streams(number, it),
            // What happens in a moment has nothing to take back.
            FaultKind::Nat(_) => {}
            FaultKind::Dns(it) => self.mend_names(number, it),
            FaultKind::Descriptors(it) => self.free_descriptors(number, it),
            FaultKind::Pause(it) => self.resume(number, it),
            FaultKind::Slow(it) => self.hurry(number, it),
            FaultKind::Clock(it) => self.set_clocks_right(number, it),
            FaultKind::Disk(it) => self.mend_disks(number, it),
            FaultKind::Expiry(it) => self.renew(number, it),
        }
    }

    /// Says on the timeline that something is well again.
    pub(super) fn healed(&self, text: String) {
        let now = self.world.sim.now();
        self.record().timeline.push(now, None, "heal", text);
    }
}
