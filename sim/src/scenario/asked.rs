//! What a scenario asks of its run besides the gates that every scenario may have: gates on any metric, things that must
//! have happened, and failures that are expected.

use std::time::Duration;

use relay_chaos::Share;

use super::hosts::HostSet;
use super::metric::NodeMetric;
use super::parts::Window;

/// All of it, each in the order of the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asked {
    /// Gates on metrics.
    pub gates: Vec<MetricGate>,
    /// What must have happened.
    pub sometimes: Vec<Sometimes>,
    /// Calls that are expected to fail.
    pub expected: Vec<Expected>,
    /// What the run is expected to fail: it passes only if it does.
    pub failures: Vec<Failure>,
}

/// A limit on a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricGate {
    /// Its name, unique among the gates.
    pub name: String,
    /// What is measured.
    pub metric: Metric,
    /// Of whom: whose calls, or whose nodes; of all where it is `None`.
    pub of: Option<HostSet>,
    /// What becomes of many values.
    pub aggregate: Aggregate,
    /// When.
    pub over: Window,
    /// Every span of this length within `over` is judged for itself.
    pub sliding: Option<Duration>,
    /// What must hold of the value.
    pub limit: Limit,
}

/// What a [`MetricGate`] measures.
#[derive(Clone, Debug, PartialEq)]
pub enum Metric {
    /// Something about calls, of all loads or of the one at this place.
    Calls(CallMetric, Option<usize>),
    /// Connections between hosts that had one before.
    Reconnects,
    /// What nodes tell of themselves.
    Node(NodeMetric),
    /// Something about lookups of metadata, of all of them or of those at this place.
    Lookups(LookupMetric, Option<usize>),
    /// Bytes that metadata takes of the network, per node and hour, in both directions.
    MetadataBytes,
}

/// Something about lookups of metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupMetric {
    /// How many ended.
    Lookups,
    /// The share that gave what is true, of those about peers that had published something.
    Resolution,
    /// The share that came from the asked node's cache, of those that gave something.
    CacheHits,
    /// How many gave what was replaced too long ago.
    Stale,
    /// The share that led to a peer that takes a connection at the address found, of those that were to.
    Reach,
    /// How long they took, in seconds.
    Latency,
}

/// Something about calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallMetric {
    /// How many ended.
    Calls,
    /// How many failed.
    Failures,
    /// How many ended per second.
    Rate,
    /// How many succeeded per second.
    Goodput,
    /// The share that succeeded of those whose path was whole.
    Success,
    /// The share that succeeded of all.
    Availability,
    /// How long those that succeeded took, in seconds.
    Latency,
}

/// What becomes of many values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    /// The greatest of them.
    Max,
    /// The least of them.
    Min,
    /// Their mean.
    Mean,
    /// The hosts' values at one moment, added up; every moment counts.
    Sum,
    /// Each host's last one; every host counts.
    Last,
    /// By how much they grew, all hosts together. A counter that begins anew is no loss.
    Increase,
    /// The value that this share of them does not exceed.
    Quantile(Share),
}

/// What must hold of a value. Latency is in seconds, rates are per second, a share is from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// How it is compared.
    pub bound: Bound,
    /// With what.
    pub value: f64,
    /// How it is written.
    pub unit: Unit,
}

/// How a value is compared with its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// It is not greater.
    AtMost,
    /// It is not less.
    AtLeast,
    /// It is the same.
    Equals,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A plain number.
    Number,
    /// A time in seconds.
    Seconds,
    /// Something per second.
    PerSecond,
    /// A part of a whole, from 0 to 1.
    Share,
}

impl Limit {
    /// Whether `value` keeps it.
    pub fn holds(&self, value: f64) -> bool {
        match self.bound {
            Bound::AtMost => value <= self.value,
            Bound::AtLeast => value >= self.value,
            Bound::Equals => (value - self.value).abs() <= f64::EPSILON * self.value.abs(),
        }
    }

    /// Whether `one` is farther from keeping it than `other`.
    pub fn is_worse(&self, one: f64, other: f64) -> bool {
        match self.bound {
            Bound::AtMost => one > other,
            Bound::AtLeast => one < other,
            Bound::Equals => (one - self.value).abs() > (other - self.value).abs(),
        }
    }
}

/// Something that must happen at least once, or the run proves nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Sometimes {
    /// In words: its name, or what it is.
    pub name: String,
    /// What.
    pub what: Sight,
    /// With whom; with anybody where it is `None`.
    pub of: Option<HostSet>,
    /// When.
    pub over: Window,
    /// How often, at least.
    pub times: u64,
}

/// What can be seen to happen.
#[derive(Clone, Debug, PartialEq)]
pub enum Sight {
    /// A call was refused, with this code where one is given.
    Refused {
        /// The code.
        code: Option<i64>,
        /// The load that it is of.
        load: Option<usize>,
    },
    /// A call succeeded, and took longer.
    SlowCall {
        /// Than this.
        longer_than: Duration,
        /// The load that it is of.
        load: Option<usize>,
    },
    /// A host connected to one that it had a connection to before.
    Reconnect,
    /// A Home connected to another Main than the first of its own.
    Fallback,
    /// A relay that had gone down runs again.
    Restart,
    /// A node told a value above this.
    Metric {
        /// Of what.
        metric: NodeMetric,
        /// The value.
        above: f64,
    },
    /// An upgrade came to its end.
    UpgradeDone,
    /// An upgrade was given up.
    UpgradeAborted,
}

/// Calls that are expected to fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The load that they are of; any where it is `None`.
    pub load: Option<usize>,
    /// The codes that they may fail with.
    pub codes: Vec<i64>,
    /// When they are due.
    pub over: Window,
    /// At least this share of the calls due then fails so; at least one call where it is `None`.
    pub at_least: Option<Share>,
    /// At most this share does.
    pub at_most: Option<Share>,
}

impl Expected {
    /// Whether it speaks of calls of this load that are due then.
    pub fn speaks_of(&self, load: usize, due: Duration) -> bool {
        self.load.is_none_or(|it| it == load) && self.over.contains(due)
    }
}

/// Something that a run is expected to fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A gate: its name, or a load's name, `/` and its name.
    Gate(String),
    /// An invariant.
    Invariant(String),
}
