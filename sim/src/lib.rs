//! The simulator.

pub mod engine;
pub mod scenario;
pub mod trace;
