//! The engines that own time, network and failure: everything that runs under one sees it only through
//! [`relay_node::env`]. Whoever moves a run does so by the one handle of `handle.rs`, [`Sim`].
//!
//! What both engines are made of stands here: the libc symbols that are answered virtually, seeded randomness, panics
//! that are kept, the model of TLS, the watchdog. The vocabulary of hosts, links and processes is the event engine's.

pub mod event;
mod handle;
mod libc_hooks;
mod observe;
mod panics;
mod random;
mod stamp;
mod tls;
pub mod turmoil;
mod watchdog;

pub use event::{
    Certificate, Cpu, CutId, Halt, HostId, HostSet, HostSpec, Link, LinkModel, Nat, NatKind, Observation,
    Options, ProcessId, ProcessKind, RunEnd, StallId, Stamp, TaskPanic,
};
pub use handle::{Engine, Sim, run};
