//! What a node keeps on its disk: who it is, and what must survive a restart.
//!
//! [`Identity`] is three small files. All else is in one SQLite database behind a [`Store`]: `database` opens and checks
//! it, `seal` is the checksum of each row, `pins`, `peers`, `snapshot`, `known_peers`,
//! `metadata_cache`, `dht_contacts` and `own_metadata` hold the queries of one table each, `facade` is what the rest of the
//! node calls, `metadata` the part of it that is about the DHT.

mod database;
mod dht_contacts;
mod facade;
mod identity;
mod known_peers;
mod metadata;
mod metadata_cache;
mod own_metadata;
mod peers;
mod pins;
mod seal;
mod snapshot;
mod token;

#[cfg(test)]
mod tests;

pub use database::{DATABASE_FILE, StoreError};
pub use dht_contacts::DHT_CONTACTS_MAX;
pub use facade::Store;
pub use identity::{Identity, IdentityError};
pub use peers::{AddedPeer, MAX_ADDED_PEERS, MAX_REMOVED_PEERS, Peers, RemovedPeer};
pub(crate) use pins::LAST_SEEN_LAG_SECONDS;
pub use pins::{MAX_PINS, Pin, PinPage, STRANGER_DAYS};
pub use snapshot::MainSnapshot;
pub use token::{ADMIN_TOKEN_FILE, admin_token};
