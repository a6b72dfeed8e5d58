//! What a node keeps on its disk.

mod identity;
mod token;

pub use identity::{Identity, IdentityError};
pub use token::{ADMIN_TOKEN_FILE, admin_token};
