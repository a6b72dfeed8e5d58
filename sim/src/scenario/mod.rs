//! Scenario files: TOML text in, a checked and resolved [`Scenario`] out.
//!
//! The format is documented in `scenarios/README.md`.

mod hosts;
mod model;
mod network;

pub use hosts::{Host, HostIndex, HostSet, Hosts, NodeId, Role};
pub use model::{
    Arrival, CallPlan, Gates, LatencyGates, Load, NodeSettings, Pacing, RunPlan, Scenario, Service,
    ServiceKind, Source, Target, Topology, Upstream,
};
pub use network::{LinkRule, Network};
