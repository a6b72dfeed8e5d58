//! What goes wrong, when, and with whom.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::quantity::duration;
use crate::{LinkChange, Selector};

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
}

/// Packets between two sides do not arrive. Nobody is told: dials time out, streams stall.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Partition<S = Selector> {
    /// One side.
    pub hosts: S,
    /// The other side; everyone else where it is `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<S>,
    /// Which packets are stopped, seen from `hosts`.
    pub direction: Direction,
    /// How long until it heals.
    #[serde(with = "duration")]
    pub lasts: Duration,
}

/// Which packets a partition stops, seen from its `hosts`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Those to and from `hosts`.
    #[default]
    Both,
    /// Those to `hosts`: they can speak, and hear nothing.
    In,
    /// Those from `hosts`: they hear, and are not heard.
    Out,
}

/// Hosts go down without a word of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Crash<S = Selector> {
    /// Who goes down.
    pub hosts: S,
    /// What takes them down.
    pub how: CrashKind,
    /// How long until they start again; `None`: they stay down.
    #[serde(with = "duration::optional", skip_serializing_if = "Option::is_none")]
    pub down: Option<Duration>,
    /// What they find on their disk when they start again.
    pub disk: Disk,
}

/// What takes a host down in a [`Crash`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum CrashKind {
    /// The process is killed: its connections are reset, and what it wrote is kept.
    #[default]
    #[serde(rename = "kill")]
    Kill,
    /// The power goes: peers hear nothing, and only what was synced is kept.
    #[serde(rename = "power-cut")]
    PowerCut,
}

/// What a host finds on its disk when it starts again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Disk {
    /// What the crash left.
    #[default]
    Keep,
    /// Nothing.
    Wipe,
}

/// Hosts are asked to end (SIGTERM) and do so in good order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stop<S = Selector> {
    /// Who ends.
    pub hosts: S,
    /// How long after the request they start again; `None`: they stay down.
    #[serde(with = "duration::optional", skip_serializing_if = "Option::is_none")]
    pub down: Option<Duration>,
}

/// Links behave otherwise for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LinkFault<S = Selector> {
    /// Where the packets come from.
    pub from: S,
    /// Where they go.
    pub to: S,
    /// Whether packets the other way stay as they were.
    pub one_way: bool,
    /// What changes.
    #[serde(flatten)]
    pub change: LinkChange,
    /// How long until the links are as before.
    #[serde(with = "duration")]
    pub lasts: Duration,
}

/// When a fault is active: from `start` until before `end`, or for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Active {
    /// When it begins, from the start of the run.
    pub start: Duration,
    /// When it is over: the heal, or the restart. `None`: never.
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
}

impl<S> Fault<S> {
    /// When the fault is active. A crash or a stop lasts until the host starts again.
    pub fn active(&self) -> Active {
        let lasts = match &self.what {
            FaultKind::Partition(it) => Some(it.lasts),
            FaultKind::Crash(it) => it.down,
            FaultKind::Stop(it) => it.down,
            FaultKind::Link(it) => Some(it.lasts),
        };
        Active { start: self.at, end: lasts.map(|lasts| self.at.saturating_add(lasts)) }
    }

    /// Whether a host is down while the fault is active. `contains` says whether the host is in a set.
    pub fn takes_down(&self, contains: impl Fn(&S) -> bool) -> bool {
        match &self.what {
            FaultKind::Crash(it) => contains(&it.hosts),
            FaultKind::Stop(it) => contains(&it.hosts),
            FaultKind::Partition(_) | FaultKind::Link(_) => false,
        }
    }

    /// Whether no packet arrives that one host sends to another while the fault is active.
    ///
    /// `source` and `target` say whether the sending and the receiving host are in a set.
    pub fn severs(&self, source: impl Fn(&S) -> bool, target: impl Fn(&S) -> bool) -> bool {
        if self.takes_down(&source) || self.takes_down(&target) {
            return true;
        }
        let FaultKind::Partition(it) = &self.what else { return false };
        let other = |host: &dyn Fn(&S) -> bool| match &it.from {
            Some(from) => host(from),
            None => !host(&it.hosts),
        };
        let leaves = source(&it.hosts) && other(&target);
        let enters = other(&source) && target(&it.hosts);
        match it.direction {
            Direction::Both => leaves || enters,
            Direction::In => enters,
            Direction::Out => leaves,
        }
    }

    /// The change made to the link from one host to another while the fault is active.
    ///
    /// `source` and `target` say whether the sending and the receiving host are in a set.
    pub fn degrades(&self, source: impl Fn(&S) -> bool, target: impl Fn(&S) -> bool) -> Option<&LinkChange> {
        let FaultKind::Link(it) = &self.what else { return None };
        let along = source(&it.from) && target(&it.to);
        let back = !it.one_way && source(&it.to) && target(&it.from);
        (along || back).then_some(&it.change)
    }

    /// Whether the fault has to do with a host at all. `contains` says whether the host is in a set.
    pub fn touches(&self, contains: impl Fn(&S) -> bool) -> bool {
        match &self.what {
            FaultKind::Partition(it) => contains(&it.hosts) || it.from.as_ref().is_none_or(contains),
            FaultKind::Crash(it) => contains(&it.hosts),
            FaultKind::Stop(it) => contains(&it.hosts),
            FaultKind::Link(it) => contains(&it.from) || contains(&it.to),
        }
    }

    /// The same fault with each set of hosts turned into another, such as patterns into the hosts they match.
    pub fn map<T>(self, mut to: impl FnMut(S) -> T) -> Fault<T> {
        let what = match self.what {
            FaultKind::Partition(Partition { hosts, from, direction, lasts }) => {
                FaultKind::Partition(Partition { hosts: to(hosts), from: from.map(to), direction, lasts })
            }
            FaultKind::Crash(Crash { hosts, how, down, disk }) => {
                FaultKind::Crash(Crash { hosts: to(hosts), how, down, disk })
            }
            FaultKind::Stop(Stop { hosts, down }) => FaultKind::Stop(Stop { hosts: to(hosts), down }),
            FaultKind::Link(LinkFault { from, to: target, one_way, change, lasts }) => {
                FaultKind::Link(LinkFault { from: to(from), to: to(target), one_way, change, lasts })
            }
        };
        Fault { at: self.at, what }
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
            FaultKind::Partition(it) => {
                write!(f, "partition of {} from ", it.hosts)?;
                match &it.from {
                    Some(from) => from.fmt(f)?,
                    None => f.write_str("everyone")?,
                }
                let direction = match it.direction {
                    Direction::Both => "both ways",
                    Direction::In => "inbound only",
                    Direction::Out => "outbound only",
                };
                write!(f, ", {direction}, {}", duration::format(it.lasts))
            }
            FaultKind::Crash(it) => {
                let how = match it.how {
                    CrashKind::Kill => "kill",
                    CrashKind::PowerCut => "power cut",
                };
                write!(f, "crash of {} ({how}), {}", it.hosts, Down(it.down))?;
                match (it.disk, it.down) {
                    (Disk::Wipe, Some(_)) => f.write_str(", disk wiped"),
                    _ => Ok(()),
                }
            }
            FaultKind::Stop(it) => write!(f, "stop of {}, {}", it.hosts, Down(it.down)),
            FaultKind::Link(it) => {
                let way = if it.one_way { "to" } else { "and" };
                let lasts = duration::format(it.lasts);
                write!(f, "links of {} {way} {}: {}, {lasts}", it.from, it.to, it.change.describe())
            }
        }
    }
}

/// How long a host is down, in words.
struct Down(Option<Duration>);

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(down) => write!(f, "down for {}", duration::format(down)),
            None => f.write_str("down for good"),
        }
    }
}
