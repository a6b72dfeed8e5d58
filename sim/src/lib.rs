//! The simulator: the same node, whole days in seconds, from scenario files.

pub mod campaign;
pub mod capability;
pub mod cli;
pub mod coverage;
pub mod director;
pub mod engine;
pub mod execute;
pub mod gates;
pub mod heap;
pub mod invariants;
pub mod metadata;
pub mod oracle;
pub mod record;
pub mod replay;
pub mod report;
pub mod scenario;
pub mod shrink;
pub mod trace;
pub mod workload;
pub mod world;
