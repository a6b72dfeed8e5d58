//! The reference engine: the same hosts, nodes and scenarios on turmoil, the tokio team's simulator. A network and a
//! scheduler of somebody else's: what holds on one engine has to hold on the other.
//!
//! A host is a host of turmoil's: a tokio runtime with a paused clock, moved by a millisecond at a time. Bytes travel
//! through turmoil's sockets, its links and its latencies. This engine adds what turmoil lacks and scenarios need:
//! several processes per host that end one by one, dials into a partition that time out, a backlog of connections that
//! nobody has accepted yet, names, disks, certificates, and homes that nobody can dial.
//!
//! What it cannot do: one direction of a link that differs from the other, or is cut alone; bandwidth; CPU time;
//! datagrams from behind a NAT; anything shorter than a millisecond. It walks all hosts and all pairs of hosts in each
//! millisecond, which is why it is meant for some twenty hosts.
//!
//! Read in this order: `run` (the loop), `core` and `task` (processes and tasks), `hosts`, `paths` and `timers`, `pipe`
//! and `pump` (streams), `listen`, `datagram`, `env` (the seams over all this).

mod core;
mod datagram;
mod env;
mod hosts;
mod listen;
mod paths;
mod pipe;
mod pump;
mod run;
mod sim;
mod task;
mod timers;

pub use run::run;
pub use sim::Sim;
