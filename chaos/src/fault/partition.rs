//! Packets that do not arrive.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::Selector;
use crate::quantity::duration;

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

impl<S> Partition<S> {
    /// Whether it stops packets from `source` to `target`, each told by whether it is in a set.
    pub(super) fn stops(&self, source: impl Fn(&S) -> bool, target: impl Fn(&S) -> bool) -> bool {
        let other = |host: &dyn Fn(&S) -> bool| match &self.from {
            Some(from) => host(from),
            None => !host(&self.hosts),
        };
        let leaves = source(&self.hosts) && other(&target);
        let enters = other(&source) && target(&self.hosts);
        match self.direction {
            Direction::Both => leaves || enters,
            Direction::In => enters,
            Direction::Out => leaves,
        }
    }

    pub(super) fn map<T>(self, to: &mut impl FnMut(S) -> T) -> Partition<T> {
        let Partition { hosts, from, direction, lasts } = self;
        Partition { hosts: to(hosts), from: from.map(to), direction, lasts }
    }
}

impl<S: fmt::Display> fmt::Display for Partition<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "partition of {} from ", self.hosts)?;
        match &self.from {
            Some(from) => from.fmt(f)?,
            None => f.write_str("everyone")?,
        }
        let direction = match self.direction {
            Direction::Both => "both ways",
            Direction::In => "inbound only",
            Direction::Out => "outbound only",
        };
        write!(f, ", {direction}, {}", duration::format(self.lasts))
    }
}
