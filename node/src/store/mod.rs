//! What a node keeps on its disk.

mod identity;

pub use identity::{Identity, IdentityError};
