//! What goes wrong, when, and with whom.
//!
//! One file per family of faults. Each says how long it lasts, with whom it has to do and how it reads; [`Fault`] asks the
//! right one.

mod host;
mod link;
mod partition;
mod process;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::quantity::duration;
use crate::{LinkChange, Selector};

pub use host::{
    ClockTrouble, Descriptors, DiskFailure, DiskTrouble, Expired, NameAnswer, NameTrouble, NatChange,
    NatTrouble, OnHosts, Paused, Slowed,
};
pub use link::{LinkFault, StreamFailure, Streams};
pub use partition::{Direction, Partition};
pub use process::{Crash, CrashKind, Disk, Stop};

/// One thing that goes wrong. `S` says with whom: patterns as written, or whatever they were resolved to.
///
/// Serialized to TOML it is a `[[fault]]` table of a scenario file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault<S = Selector> {
    /// When it begins, from the start of the run.
    #[serde(with = "duration")]
    pub at: Duration,
    /// What happens.
    #[serde(flatten)]
    pub what: FaultKind<S>,
}

/// What happens in a [`Fault`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum FaultKind<S = Selector> {
    /// Packets between two sides do not arrive for a while.
    Partition(Partition<S>),
    /// Hosts go down without a word of their own.
    Crash(Crash<S>),
    /// Hosts are asked to end (SIGTERM) and do so in good order.
    Stop(Stop<S>),
    /// Links behave otherwise for a while.
    Link(LinkFault<S>),
    /// Established streams stall or are reset, while their packets' path is whole.
    Streams(Streams<S>),
    /// Processes are stopped as by SIGSTOP, and go on later as if nothing had been.
    Pause(OnHosts<S, Paused>),
    /// Machines work more slowly.
    Slow(OnHosts<S, Slowed>),
    /// Clocks are wrong, or run at a wrong rate.
    Clock(OnHosts<S, ClockTrouble>),
    /// Names are answered wrongly or not at all.
    Dns(OnHosts<S, NameTrouble>),
    /// The router in front of a Home forgets or moves.
    Nat(OnHosts<S, NatTrouble>),
    /// File descriptors are used up.
    Descriptors(OnHosts<S, Descriptors>),
    /// Disks fail, fill up or lie.
    Disk(OnHosts<S, DiskTrouble>),
    /// Certificates have run out, and are renewed late.
    #[serde(rename = "certificate-expires")]
    Expiry(OnHosts<S, Expired>),
}

/// When a fault is active: from `start` until before `end`, or for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Active {
    /// When it begins, from the start of the run.
    pub start: Duration,
    /// When it is over: the heal, or the restart. `None`: never. The start itself for what happens in a moment.
    pub end: Option<Duration>,
}

impl Active {
    /// Whether it is active at `time`.
    pub fn contains(&self, time: Duration) -> bool {
        self.start <= time && self.end.is_none_or(|end| time < end)
    }

    /// Whether it is active at any time from `first` to `last`, both included.
    pub fn overlaps(&self, first: Duration, last: Duration) -> bool {
        self.start <= last && self.end.is_none_or(|end| first < end)
    }

    /// Whether it is over as soon as it begins.
    pub fn is_moment(&self) -> bool {
        self.end == Some(self.start)
    }
}

impl<S> Fault<S> {
    /// When the fault is active. A crash or a stop lasts until the host starts again.
    pub fn active(&self) -> Active {
        let lasts = match &self.what {
            FaultKind::Partition(it) => Some(it.lasts),
            FaultKind::Crash(it) => it.down,
            FaultKind::Stop(it) => it.down,
            FaultKind::Link(it) => Some(it.lasts),
            FaultKind::Streams(it) => it.lasts(),
            FaultKind::Nat(_) => Some(Duration::ZERO),
            FaultKind::Pause(it) => it.lasts,
            FaultKind::Slow(it) => it.lasts,
            FaultKind::Clock(it) => it.lasts,
            FaultKind::Dns(it) => it.lasts,
            FaultKind::Descriptors(it) => it.lasts,
            FaultKind::Disk(it) => it.lasts,
            FaultKind::Expiry(it) => it.lasts,
        };
        Active { start: self.at, end: lasts.map(|lasts| self.at.saturating_add(lasts)) }
    }

    /// Whether it comes later than it begins, or not at all: a power cut that waits for the disk.
    pub fn is_conditional(&self) -> bool {
        matches!(&self.what, FaultKind::Crash(it) if it.at_disk_operation.is_some())
    }

    /// Whether nothing runs on a host while the fault is active. `contains` says whether the host is in a set.
    pub fn takes_down(&self, contains: impl Fn(&S) -> bool) -> bool {
        match &self.what {
            FaultKind::Crash(it) => contains(&it.hosts),
            FaultKind::Stop(it) => contains(&it.hosts),
            FaultKind::Pause(it) => contains(&it.hosts),
            _ => false,
        }
    }

    /// Whether what one host sends to another may not arrive while the fault is active.
    ///
    /// `source` and `target` say whether the sending and the receiving host are in a set.
    pub fn severs(&self, source: impl Fn(&S) -> bool, target: impl Fn(&S) -> bool) -> bool {
        let either = |set: &S| source(set) || target(set);
        match &self.what {
            FaultKind::Partition(it) => it.stops(source, target),
            FaultKind::Streams(it) => it.concerns(source, target),
            // Nobody new gets in, and a Home's upstreams are dialled for each call.
            FaultKind::Descriptors(it) => either(&it.hosts),
            // What is established breaks without a word.
            FaultKind::Nat(it) => either(&it.hosts),
            _ => self.takes_down(either),
        }
    }

    /// The change made to the link from one host to another while the fault is active.
    ///
    /// `source` and `target` say whether the sending and the receiving host are in a set.
    pub fn degrades(&self, source: impl Fn(&S) -> bool, target: impl Fn(&S) -> bool) -> Option<&LinkChange> {
        match &self.what {
            FaultKind::Link(it) if it.concerns(source, target) => Some(&it.change),
            _ => None,
        }
    }

    /// Whether hosts may come to disagree on what is offered where because of the fault. What only makes things slower
    /// is no reason.
    pub fn disturbs(&self) -> bool {
        !matches!(self.what, FaultKind::Link(_) | FaultKind::Slow(_))
    }

    /// Whether the fault has to do with a host at all. `contains` says whether the host is in a set.
    pub fn touches(&self, contains: impl Fn(&S) -> bool) -> bool {
        match &self.what {
            FaultKind::Partition(it) => contains(&it.hosts) || it.from.as_ref().is_none_or(contains),
            FaultKind::Link(it) => contains(&it.from) || contains(&it.to),
            FaultKind::Streams(it) => contains(&it.from) || contains(&it.to),
            _ => contains(self.what.hosts()),
        }
    }

    /// The same fault with each set of hosts turned into another, such as patterns into the hosts they match.
    pub fn map<T>(self, mut to: impl FnMut(S) -> T) -> Fault<T> {
        let to = &mut to;
        let what = match self.what {
            FaultKind::Partition(it) => FaultKind::Partition(it.map(to)),
            FaultKind::Crash(it) => FaultKind::Crash(it.map(to)),
            FaultKind::Stop(it) => FaultKind::Stop(it.map(to)),
            FaultKind::Link(it) => FaultKind::Link(it.map(to)),
            FaultKind::Streams(it) => FaultKind::Streams(it.map(to)),
            FaultKind::Pause(it) => FaultKind::Pause(it.map(to)),
            FaultKind::Slow(it) => FaultKind::Slow(it.map(to)),
            FaultKind::Clock(it) => FaultKind::Clock(it.map(to)),
            FaultKind::Dns(it) => FaultKind::Dns(it.map(to)),
            FaultKind::Nat(it) => FaultKind::Nat(it.map(to)),
            FaultKind::Descriptors(it) => FaultKind::Descriptors(it.map(to)),
            FaultKind::Disk(it) => FaultKind::Disk(it.map(to)),
            FaultKind::Expiry(it) => FaultKind::Expiry(it.map(to)),
        };
        Fault { at: self.at, what }
    }
}

impl<S> FaultKind<S> {
    /// Its name in a scenario file: `partition`, `certificate-expires`.
    pub fn name(&self) -> &'static str {
        match self {
            FaultKind::Partition(_) => "partition",
            FaultKind::Crash(_) => "crash",
            FaultKind::Stop(_) => "stop",
            FaultKind::Link(_) => "link",
            FaultKind::Streams(_) => "streams",
            FaultKind::Pause(_) => "pause",
            FaultKind::Slow(_) => "slow",
            FaultKind::Clock(_) => "clock",
            FaultKind::Dns(_) => "dns",
            FaultKind::Nat(_) => "nat",
            FaultKind::Descriptors(_) => "descriptors",
            FaultKind::Disk(_) => "disk",
            FaultKind::Expiry(_) => "certificate-expires",
        }
    }

    /// With whom it is in the first place: for what lies between hosts, its first side.
    pub fn hosts(&self) -> &S {
        match self {
            FaultKind::Partition(it) => &it.hosts,
            FaultKind::Crash(it) => &it.hosts,
            FaultKind::Stop(it) => &it.hosts,
            FaultKind::Link(it) => &it.from,
            FaultKind::Streams(it) => &it.from,
            FaultKind::Pause(it) => &it.hosts,
            FaultKind::Slow(it) => &it.hosts,
            FaultKind::Clock(it) => &it.hosts,
            FaultKind::Dns(it) => &it.hosts,
            FaultKind::Nat(it) => &it.hosts,
            FaultKind::Descriptors(it) => &it.hosts,
            FaultKind::Disk(it) => &it.hosts,
            FaultKind::Expiry(it) => &it.hosts,
        }
    }
}

/// The fault in words, without its time: `partition of main-b from everyone, both ways, 90s`.
impl<S: fmt::Display> fmt::Display for Fault<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.what.fmt(f)
    }
}

impl<S: fmt::Display> fmt::Display for FaultKind<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FaultKind::Partition(it) => it.fmt(f),
            FaultKind::Crash(it) => it.fmt(f),
            FaultKind::Stop(it) => it.fmt(f),
            FaultKind::Link(it) => it.fmt(f),
            FaultKind::Streams(it) => it.fmt(f),
            FaultKind::Pause(it) => it.fmt(f),
            FaultKind::Slow(it) => it.fmt(f),
            FaultKind::Clock(it) => it.fmt(f),
            FaultKind::Dns(it) => it.fmt(f),
            FaultKind::Nat(it) => it.fmt(f),
            FaultKind::Descriptors(it) => it.fmt(f),
            FaultKind::Disk(it) => it.fmt(f),
            FaultKind::Expiry(it) => it.fmt(f),
        }
    }
}
