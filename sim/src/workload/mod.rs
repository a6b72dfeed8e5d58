//! The harness beside the relays: callers, simulated upstreams, operators, and those who read the Mains' views
//! and what relays report of themselves.
//!
//! All of it talks to relays as anybody would: over HTTP, on the host's loopback.

pub mod api;
pub mod dht;
pub mod load;
pub mod metrics;
pub mod operator;
pub mod pace;
pub mod probe;
pub mod upstream;
pub mod watch;

use std::sync::{Arc, Mutex};

use crate::record::Record;

/// The record of the run, shared by everyone in the harness.
pub type SharedRecord = Arc<Mutex<Record>>;
