//! What nodes tell of themselves and of each other.
//!
//! Each node publishes its [`Metadata`] in the DHT, as the mutable item under its own key; [`OwnMetadata`] says when that
//! is a new version. [`KnownPeers`] are the nodes that it has heard of, each with its key, so that their metadata can be
//! looked up; [`MetadataCache`] remembers for a few minutes what was found.
//!
//! All of that is pure: time comes in as a value, nothing does I/O. [`directory`] is the shell around it, with the tasks
//! that publish, share, look up and write down.

mod cache;
mod codec;
mod directory;
mod known;
mod own;
mod record;

pub use cache::{CACHED_MAX, CacheChanges, CachedMetadata, MetadataCache};
pub use codec::{
    ADDRESS_BYTES_MAX, CAPABILITIES_MAX, MetadataError, NAME_BYTES_MAX, PROTOCOLS_MAX, SESSION_ID_BYTES_MAX,
    VERSION_BYTES_MAX,
};
pub use directory::{Counts, DirectoryError, LinkedRelay, Me, Offer, PeerDirectory, ResolveError, Resolved};
pub use known::{
    KNOWN_PEERS_MAX, KnownPeer, KnownPeers, LAST_SEEN_LAG_SECONDS, Learned, PeerChanges, PeerNews, Refusal,
    Source,
};
pub use own::{OwnMetadata, OwnVersion};
#[cfg(test)]
pub(crate) use record::tests::a_public_node;
pub use record::{Content, Endpoint, Metadata, RelayUse};

pub use crate::wire::NodeType;

/// What nodes of this mesh gather under: the topic of their announcements in the DHT.
pub const TOPIC: &str = "remote-network-mesh";
