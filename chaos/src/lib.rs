//! The vocabulary of faults that scenarios, random plans and real processes share.
//!
//! Pure: nothing here does anything to anybody. It says what goes wrong ([`Fault`]), with whom ([`Selector`]), how a
//! link behaves ([`LinkQuality`]), and holds the quantities that people write by hand ([`quantity`]).
//!
//! | file | what |
//! | --- | --- |
//! | `fault.rs` | partition, crash, stop, degraded link, expired certificate: when each is active and whom it touches |
//! | `link.rs` | latency, jitter, loss and bandwidth, and changes to them |
//! | `selector.rs` | names and globs that stand for hosts |
//! | `quantity/` | durations, rates, bandwidths, sizes and shares as text |

mod fault;
mod link;
pub mod quantity;
mod selector;

pub use fault::{
    Active, Crash, CrashKind, Direction, Disk, Expiry, Fault, FaultKind, LinkFault, Partition, Stop,
};
pub use link::{LinkChange, LinkQuality};
pub use quantity::{Bandwidth, ByteSize, QuantityError, Rate, Share};
pub use selector::Selector;
