//! The vocabulary of faults that scenarios, random plans and real processes share.
//!
//! Pure: nothing here does anything to anybody. It says what goes wrong ([`Fault`]), with whom ([`Selector`]), how a
//! link behaves ([`LinkQuality`]), and holds the quantities that people write by hand ([`quantity`]). It draws plans of
//! faults from a seed ([`plan`]), and finds the few things that matter among many ([`shrink`]).
//!
//! | file | what |
//! | --- | --- |
//! | `fault/` | what can go wrong, one file per family: when each is active, whom it touches, how it reads |
//! | `link.rs` | what a link does to packets, and changes to that |
//! | `selector.rs` | names and globs that stand for hosts |
//! | `quantity/` | durations, rates, bandwidths, sizes and shares as text |
//! | `plan/` | faults drawn from a seed: when, with whom, what |
//! | `shrink/` | the fewest of many things that still fail |
//! | `stream.rs` | random numbers by name |

mod fault;
mod link;
pub mod plan;
pub mod quantity;
mod selector;
pub mod shrink;
mod stream;

pub use fault::{
    Active, ClockTrouble, Crash, CrashKind, Descriptors, Direction, Disk, DiskFailure, DiskTrouble, Expired,
    Fault, FaultKind, LinkFault, NameAnswer, NameTrouble, NatChange, NatTrouble, OnHosts, Partition, Paused,
    Slowed, Stop, StreamFailure, Streams,
};
pub use link::{JitterShape, LinkChange, LinkQuality};
pub use quantity::{Bandwidth, ByteSize, Drift, Offset, QuantityError, Rate, Share};
pub use selector::Selector;
pub use stream::Stream;
