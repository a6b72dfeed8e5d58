//! Which hand a fault is in.

use relay_chaos::{Fault, FaultKind};

use super::Director;
use crate::scenario::HostSet;

impl Director {
    /// Makes fault number `number` of the scenario happen.
    pub(super) fn begin(&mut self, number: usize, fault: &Fault<HostSet>) {
        match &fault.what {
            FaultKind::Partition(it) => self.cut(number, it),
            FaultKind::Crash(it) => self.crash(it),
            FaultKind::Stop(it) => self.stop(it),
            FaultKind::Link(_) => self.degrade(number, fault),
            FaultKind::Pause(it) => self.pause(number, it),
            FaultKind::Slow(it) => self.slow(number, it),
            FaultKind::Clock(it) => self.disturb_clocks(number, it),
            FaultKind::Disk(it) => self.break_disks(number, it),
            FaultKind::Expiry(it) => self.expire(number, it),
            other => unreachable!("no scenario can have this yet: {other}"),
        }
    }

    /// Takes it back.
    pub(super) fn end(&mut self, number: usize, fault: &Fault<HostSet>) {
        match &fault.what {
            FaultKind::Partition(it) => self.heal(number, it),
            FaultKind::Crash(it) => self.come_back(it),
            FaultKind::Stop(it) => self.start_again(it),
            FaultKind::Link(it) => self.restore(number, it),
            FaultKind::Pause(it) => self.resume(number, it),
            FaultKind::Slow(it) => self.hurry(number, it),
            FaultKind::Clock(it) => self.set_clocks_right(number, it),
            FaultKind::Disk(it) => self.mend_disks(number, it),
            FaultKind::Expiry(it) => self.renew(number, it),
            other => unreachable!("no scenario can have this yet: {other}"),
        }
    }

    /// Says on the timeline that something is well again.
    pub(super) fn healed(&self, text: String) {
        let now = self.world.sim.now();
        self.record().timeline.push(now, None, "heal", text);
    }
}
