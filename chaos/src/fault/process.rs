//! Relays that go down, in good order or not.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::Selector;
use crate::quantity::duration;

/// Hosts go down without a word of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Crash<S = Selector> {
    /// Who goes down.
    pub hosts: S,
    /// What takes them down.
    pub how: CrashKind,
    /// The power goes at the host's so-manieth disk operation after the fault begins, from 1, and not at once. Where
    /// there are fewer operations until the restart, it does not go at all. Power cuts only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_disk_operation: Option<u32>,
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

impl<S> Crash<S> {
    pub(super) fn map<T>(self, to: &mut impl FnMut(S) -> T) -> Crash<T> {
        let Crash { hosts, how, at_disk_operation, down, disk } = self;
        Crash { hosts: to(hosts), how, at_disk_operation, down, disk }
    }
}

impl<S> Stop<S> {
    pub(super) fn map<T>(self, to: &mut impl FnMut(S) -> T) -> Stop<T> {
        Stop { hosts: to(self.hosts), down: self.down }
    }
}

impl<S: fmt::Display> fmt::Display for Crash<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.how {
            CrashKind::Kill => "kill",
            CrashKind::PowerCut => "power cut",
        };
        write!(f, "crash of {} ({how}", self.hosts)?;
        if let Some(operation) = self.at_disk_operation {
            write!(f, " at disk operation {operation}")?;
        }
        write!(f, "), {}", Down(self.down))?;
        match (self.disk, self.down) {
            (Disk::Wipe, Some(_)) => f.write_str(", disk wiped"),
            _ => Ok(()),
        }
    }
}

impl<S: fmt::Display> fmt::Display for Stop<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stop of {}, {}", self.hosts, Down(self.down))
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
