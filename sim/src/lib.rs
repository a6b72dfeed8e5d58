//! The simulator: the same node, whole days in seconds, from scenario files.

pub mod director;
pub mod engine;
pub mod invariants;
pub mod oracle;
pub mod record;
pub mod scenario;
pub mod trace;
pub mod workload;
pub mod world;
