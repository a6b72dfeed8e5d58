//! What the plan of faults says of a time: whether anything is wrong then, and what was done to a host.

use std::sync::Arc;
use std::time::Duration;

use relay_chaos::{Disk, DiskFailure, Fault, FaultKind};

use crate::scenario::{HostIndex, HostSet, Scenario, Window};

/// How long a machine may have to catch up with after it was slow.
const BACKLOG: Duration = Duration::from_secs(10);

/// Knows the faults of a scenario. Cheap to clone.
#[derive(Clone)]
pub(super) struct Weather {
    faults: Arc<[Fault<HostSet>]>,
    /// From when to when an upgrade may be on its way back, which no plan tells.
    ways_back: Arc<[Window]>,
    is_main: Arc<[bool]>,
}

impl Weather {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let is_main = scenario.topology.hosts.iter().map(|(_, host)| host.is_main());
        let ways_back = scenario.topology.upgrades.iter().filter(|upgrade| upgrade.rest() > upgrade.end());
        let ways_back = ways_back.map(|it| Window { from: it.batches[0].at, to: it.rest() });
        let faults = scenario.faults.as_slice().into();
        Weather { faults, ways_back: ways_back.collect(), is_main: is_main.collect() }
    }

    /// Whether no fault is active at any moment from the first to the last.
    pub(super) fn is_calm(&self, first: Duration, last: Duration) -> bool {
        self.nobody_goes_back(first, last)
            && !self.faults.iter().any(|fault| fault.active().overlaps(first, last))
    }

    /// Whether no upgrade may be on its way back at any moment from the first to the last.
    fn nobody_goes_back(&self, first: Duration, last: Duration) -> bool {
        !self.ways_back.iter().any(|way| way.from <= last && first < way.to)
    }

    /// As [`Weather::is_calm`], but for Homes that have been down all that time.
    pub(super) fn is_calm_but_for_the_dead(&self, first: Duration, last: Duration) -> bool {
        let is_grave = |fault: &Fault<HostSet>| {
            let active = fault.active();
            let mains = || self.is_main.iter().enumerate().filter(|(_, is_main)| **is_main);
            let index = |at: usize| HostIndex(u32::try_from(at).unwrap_or(u32::MAX));
            matches!(fault.what, FaultKind::Crash(_) | FaultKind::Stop(_))
                && active.start <= first
                && active.end.is_none_or(|end| end > last)
                && !mains().any(|(at, _)| fault.takes_down(|set: &HostSet| set.contains(index(at))))
        };
        self.nobody_goes_back(first, last)
            && self.faults.iter().filter(|fault| fault.active().overlaps(first, last)).all(is_grave)
    }

    /// Whether the host that went down at this time was asked to, and nothing else is wrong until `last`.
    pub(super) fn left_in_peace(&self, host: HostIndex, at: Duration, last: Duration) -> bool {
        let is_stop = |fault: &Fault<HostSet>| {
            matches!(fault.what, FaultKind::Stop(_))
                && fault.active().start == at
                && fault.takes_down(|set: &HostSet| set.contains(host))
        };
        let mut meanwhile = self.faults.iter().filter(|fault| fault.active().overlaps(at, last)).peekable();
        self.nobody_goes_back(at, last) && meanwhile.peek().is_some() && meanwhile.all(is_stop)
    }

    /// Whether the host's disk has lied to it or rotted by now: what it was told is kept may be gone or be something else.
    pub(super) fn is_deceived(&self, host: HostIndex, at: Duration) -> bool {
        self.faults.iter().any(|fault| match &fault.what {
            FaultKind::Disk(it) => {
                let deceives = matches!(it.what.trouble, DiskFailure::LostSync | DiskFailure::BitRot);
                deceives && it.hosts.contains(host) && fault.active().start <= at
            }
            _ => false,
        })
    }

    /// Whether the disk of the host that went down at this time was emptied with it.
    pub(super) fn emptied(&self, host: HostIndex, at: Duration) -> bool {
        self.faults.iter().any(|fault| match &fault.what {
            FaultKind::Crash(it) => {
                let active = fault.active();
                let is_then = active.start == at || (it.at_disk_operation.is_some() && active.contains(at));
                it.disk == Disk::Wipe && it.hosts.contains(host) && is_then
            }
            _ => false,
        })
    }

    /// Whether the relay of this host may be late, or refuse its own clients, at some time from the first to the last: it
    /// is stopped or slow, its clock is wrong, or it can open nothing.
    pub(super) fn is_impaired(&self, host: HostIndex, first: Duration, last: Duration) -> bool {
        let first = first.saturating_sub(BACKLOG);
        self.faults.iter().filter(|fault| fault.active().overlaps(first, last)).any(|fault| {
            match &fault.what {
                FaultKind::Pause(_)
                | FaultKind::Slow(_)
                | FaultKind::Clock(_)
                | FaultKind::Descriptors(_) => fault.what.hosts().contains(host),
                _ => false,
            }
        })
    }
}
