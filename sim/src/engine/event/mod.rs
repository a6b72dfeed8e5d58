//! The discrete-event engine: one thread, virtual nanoseconds, one heap of what is still to happen.
//!
//! [`run`] gives a *director* a world ([`Sim`]) to fill with hosts and processes and to disturb. Tasks that can go on
//! are picked in an order that the seed decides; when none can, time moves to the next event. Idle time costs
//! nothing, nothing walks all hosts or pairs of hosts per event, and the same seed gives the same [`Trace`].
//!
//! Read in this order: `run` (the loop), `core`, `executor` and `cpu` (processes and tasks), `state` and `timeline`
//! (events), `link` (paths), `dial`, `connection`, `tls`, `datagram` and `nat` (the network), `disk` (files, and SQLite
//! on them), `env` (the seams over all this), `libc_hooks` (what no seam reaches).

mod clock;
mod connection;
mod core;
mod cpu;
mod datagram;
mod dial;
mod disk;
mod env;
mod executor;
mod host;
mod libc_hooks;
mod link;
mod nat;
mod observe;
mod pool;
mod random;
mod run;
mod sim;
mod stamp;
mod state;
mod timeline;
mod tls;
mod watchdog;

pub use self::core::TaskPanic;
pub use cpu::Cpu;
pub use disk::DiskFaults;
pub use host::{HostSpec, ProcessId, ProcessKind};
pub use link::{CutId, HostId, HostSet, Link, LinkModel};
pub use nat::Nat;
pub use observe::Observation;
pub use run::{Halt, Options, RunEnd, TaskPolls, Waiting, run};
pub use sim::Sim;
pub use stamp::Stamp;
pub use tls::Certificate;
