//! The discrete-event engine: one thread, virtual nanoseconds, one heap of what is still to happen.
//!
//! [`run`] gives a *director* a world ([`Sim`]) to fill with hosts and processes and to disturb. Tasks that can go on
//! are picked in an order that the seed decides; when none can, time moves to the next event. Idle time costs
//! nothing, nothing walks all hosts or pairs of hosts per event, and the same seed gives the same [`Trace`].
//!
//! Read in this order: `run` (the loop), `core`, `executor` and `cpu` (processes and tasks), `state` and `timeline`
//! (events), `link` and `jitter` (paths), `dial`, `connection`, `datagram`, `nat`, `names` and `descriptors` (the network), `disk` (files, and SQLite on them),
//! `env` (the seams over all this). What stands beside it in `engine/` is shared with the other engine.

mod clock;
mod connection;
mod core;
mod cpu;
mod datagram;
mod descriptors;
mod dial;
pub(in crate::engine) mod disk;
mod env;
mod executor;
mod host;
mod jitter;
mod link;
mod names;
mod nat;
mod pool;
mod run;
mod sim;
mod state;
mod timeline;

use super::{libc_hooks, observe, panics, random, stamp, tls, watchdog};

pub use self::core::TaskPanic;
pub use super::observe::Observation;
pub use super::stamp::Stamp;
pub use super::tls::Certificate;
pub use connection::StallId;
pub use cpu::Cpu;
pub use disk::DiskFaults;
pub use host::{HostSpec, ProcessId, ProcessKind};
pub(in crate::engine) use link::nanos;
pub use link::{CutId, HostId, HostSet, Link, LinkModel};
pub use nat::{Nat, NatKind};
pub(in crate::engine) use run::on_fresh_thread;
pub use run::{Halt, Options, RunEnd, TaskPolls, Waiting, run};
pub use sim::Sim;
