//! What goes wrong on a machine whose relay runs on.

use relay_chaos::{
    ClockTrouble, DiskFailure, DiskTrouble, Drift, Expired, FaultKind, Offset, OnHosts, Paused, Slowed,
};

use super::Director;
use crate::engine::event::{Cpu, DiskFaults};
use crate::scenario::{HostIndex, HostSet};

/// The most that a clock's drifts come to, in parts per million.
const DRIFT_PPM_MAX: i32 = 500_000;

impl Director {
    pub(super) fn pause(&mut self, number: usize, fault: &OnHosts<HostSet, Paused>) {
        self.ailing.insert(number, FaultKind::Pause(fault.clone()));
        fault.hosts.hosts().iter().for_each(|host| self.world.sim.event().pause(self.world.host(*host)));
    }

    pub(super) fn resume(&mut self, number: usize, fault: &OnHosts<HostSet, Paused>) {
        self.ailing.remove(&number);
        for host in fault.hosts.hosts() {
            if !self.ailments(*host).any(|it| matches!(it, FaultKind::Pause(_))) {
                self.world.sim.event().resume(self.world.host(*host));
            }
        }
        self.healed(format!("{} goes on", fault.hosts));
    }

    /// Lets all go on that are paused.
    pub(super) fn resume_all(&mut self) {
        let paused = self.ailing.iter().filter_map(|(number, it)| match it {
            FaultKind::Pause(it) => Some((*number, it.clone())),
            _ => None,
        });
        for (number, fault) in paused.collect::<Vec<_>>() {
            self.resume(number, &fault);
        }
    }

    pub(super) fn slow(&mut self, number: usize, fault: &OnHosts<HostSet, Slowed>) {
        self.ailing.insert(number, FaultKind::Slow(fault.clone()));
        self.set_speed(&fault.hosts);
    }

    pub(super) fn hurry(&mut self, number: usize, fault: &OnHosts<HostSet, Slowed>) {
        self.ailing.remove(&number);
        self.set_speed(&fault.hosts);
        self.healed(format!("{} works as before", fault.hosts));
    }

    /// Says what messages cost on these hosts: of several faults the one that began last counts.
    fn set_speed(&self, hosts: &HostSet) {
        for host in hosts.hosts() {
            let machine = self.world.scenario.topology.hosts.get(*host).machine;
            let slowed = self.ailments(*host).filter_map(|it| match it {
                FaultKind::Slow(it) => Some(it.what.per_message),
                _ => None,
            });
            let per_message = slowed.last().unwrap_or(machine.per_message);
            self.world.sim.set_cpu(self.world.host(*host), Cpu { per_message, cores: machine.cores });
        }
    }

    pub(super) fn disturb_clocks(&mut self, number: usize, fault: &OnHosts<HostSet, ClockTrouble>) {
        self.ailing.insert(number, FaultKind::Clock(fault.clone()));
        for host in fault.hosts.hosts() {
            if let Some(offset) = fault.what.offset {
                self.world.sim.event().jump_clock(self.world.host(*host), offset.nanos());
            }
            if fault.what.drift.is_some() {
                self.set_drift(*host);
            }
        }
    }

    pub(super) fn set_clocks_right(&mut self, number: usize, fault: &OnHosts<HostSet, ClockTrouble>) {
        self.ailing.remove(&number);
        for host in fault.hosts.hosts() {
            if fault.what.drift.is_some() {
                self.set_drift(*host);
            }
            let offset = |clock: &ClockTrouble| clock.offset.map_or(0, Offset::nanos);
            let usual = offset(&self.world.scenario.topology.hosts.get(*host).machine.clock);
            let ahead = self.clocks(*host).map(offset).fold(usual, i64::saturating_add);
            self.world.sim.event().set_wall_clock(self.world.host(*host), ahead);
        }
        self.healed(format!("the clocks of {} are set right", fault.hosts));
    }

    /// Has a host's clocks run at the rate that its machine and the active faults leave them.
    fn set_drift(&self, host: HostIndex) {
        let ppm = |clock: &ClockTrouble| clock.drift.map_or(0, Drift::ppm);
        let usual = ppm(&self.world.scenario.topology.hosts.get(host).machine.clock);
        let ppm = self.clocks(host).map(ppm).fold(usual, i32::saturating_add);
        self.world.sim.event().set_drift(self.world.host(host), ppm.clamp(-DRIFT_PPM_MAX, DRIFT_PPM_MAX));
    }

    pub(super) fn break_disks(&mut self, number: usize, fault: &OnHosts<HostSet, DiskTrouble>) {
        self.ailing.insert(number, FaultKind::Disk(fault.clone()));
        self.set_disks(&fault.hosts);
    }

    pub(super) fn mend_disks(&mut self, number: usize, fault: &OnHosts<HostSet, DiskTrouble>) {
        self.ailing.remove(&number);
        self.set_disks(&fault.hosts);
        self.healed(format!("the disk of {} works again", fault.hosts));
    }

    /// Has the disks of these hosts do wrong what the active faults say; of two of one kind the greater share counts.
    fn set_disks(&self, hosts: &HostSet) {
        for host in hosts.hosts() {
            let mut faults = DiskFaults::default();
            for it in self.ailments(*host) {
                let FaultKind::Disk(it) = it else { continue };
                let share = match it.what.trouble {
                    DiskFailure::LostSync => &mut faults.lost_sync,
                    DiskFailure::TornWrite => &mut faults.torn_write,
                    DiskFailure::Full => &mut faults.full,
                    DiskFailure::IoError => &mut faults.io_error,
                    DiskFailure::BitRot => &mut faults.bit_rot,
                };
                *share = share.max(it.what.share.as_f64());
            }
            self.world.sim.event().set_disk_faults(self.world.host(*host), faults);
        }
    }

    /// What is wrong with a machine, in the order in which it began.
    fn ailments(&self, host: HostIndex) -> impl Iterator<Item = &FaultKind<HostSet>> {
        self.ailing.values().filter(move |it| it.hosts().contains(host))
    }

    fn clocks(&self, host: HostIndex) -> impl Iterator<Item = &ClockTrouble> {
        self.ailments(host).filter_map(|it| match it {
            FaultKind::Clock(it) => Some(&it.what),
            _ => None,
        })
    }

    pub(super) fn expire(&mut self, number: usize, fault: &OnHosts<HostSet, Expired>) {
        self.expired.insert(number, fault.hosts.clone());
        self.certify(&fault.hosts);
    }

    pub(super) fn renew(&mut self, number: usize, fault: &OnHosts<HostSet, Expired>) {
        self.expired.remove(&number);
        self.certify(&fault.hosts);
        self.healed(format!("the certificates of {} are renewed", fault.hosts));
    }

    /// Gives these hosts the certificates that the active faults leave them.
    fn certify(&self, hosts: &HostSet) {
        let now = self.world.sim.now();
        for host in hosts.hosts() {
            let is_expired = self.expired.values().any(|set| set.contains(*host));
            self.world.certify([*host], is_expired.then_some(now));
        }
    }
}
