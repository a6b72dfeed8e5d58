//! Scenario files: TOML text in, a checked and resolved [`Scenario`] out.
//!
//! The format is documented in `scenarios/README.md`.

mod asked;
mod dht;
mod error;
mod hosts;
mod metric;
mod model;
mod network;
mod owed;
mod parts;
mod profile;
mod read;
pub mod schema;
mod upgrade;

pub use asked::{
    Aggregate, Asked, Bound, CallMetric, Expected, Failure, Limit, LookupMetric, Metric, MetricGate, Sight,
    Sometimes, Unit,
};
pub use dht::{Broadcast, DhtPlan, Lookups, MetadataSettings, StrangerKind, Strangers};
pub use error::{MAX_PROBLEMS_SHOWN, Problem, ScenarioError};
pub use hosts::{Host, HostIndex, HostSet, Hosts, Machine, Nat, NatKind, NodeId, Role};
pub use metric::NodeMetric;
pub use model::{
    Arrival, CallPlan, DhtGates, DnsChange, Gates, LatencyGates, Load, LoadGates, NodeSettings, Pacing,
    ReconnectGates, RunPlan, Scenario, Service, ServiceKind, Source, Target, Topology, Upstream,
};
pub use network::{LinkRule, Network};
pub use parts::{Parameter, Phase, Window};
pub use profile::{Profile, Segment, Shape};
pub(crate) use read::hosts as hosts_of;
pub use upgrade::{Batch, Change, OnAbort, Upgrade, Ways};

#[cfg(test)]
mod tests;
