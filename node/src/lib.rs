//! The federation node: Main Relay and Home Relay.
//!
//! The path of one message, one step per module:
//! [`link`] reads bytes, [`wire`] decodes them to a frame, [`federation`] decides what becomes of it, and
//! [`service`] answers it, or [`link`] carries it on. [`http`] is where calls come in from a node's own clients.
//! [`metadata`] is what nodes tell of themselves in the [`dht`], and what a node knows of others by it.
//! [`command`] asks the DHT without a node.
//! [`env`] is the world that all of it runs in, [`config`] what it is told to be, [`store`] what it remembers.
//!
//! [`run`] is the only place that puts a node together.

pub mod command;
pub mod config;
pub mod dht;
pub mod env;
pub mod federation;
pub mod http;
pub mod link;
pub mod metadata;
pub mod metrics;
pub mod service;
pub mod store;
pub mod wire;

mod run;

pub use run::{RunError, run};
