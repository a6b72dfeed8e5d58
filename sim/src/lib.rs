//! The simulator.

pub mod engine;
pub mod trace;
