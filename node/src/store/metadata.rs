//! What the rest of a node calls for what it knows by way of the DHT.

use super::{Store, StoreError};
use crate::dht::Contact;
use crate::env::UnixTime;
use crate::metadata::{CacheChanges, CachedMetadata, KnownPeer, OwnVersion, PeerChanges};

impl Store {
    /// All peers that were known, by id.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub async fn known_peers(&self) -> Result<Vec<KnownPeer>, StoreError> {
        self.with(|database| database.known_peers()).await
    }

    /// Keeps what has changed of the known peers, all or nothing: removes some, then adds others. Of one that is there
    /// already, what is known only moves on: see [`KnownPeers::learn`](crate::metadata::KnownPeers::learn).
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub async fn keep_known_peers(&self, changes: PeerChanges) -> Result<(), StoreError> {
        self.with(move |database| database.keep_known_peers(&changes)).await
    }

    /// The metadata that was looked up and has not expired by `now`, by peer id.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub async fn cached_metadata(&self, now: UnixTime) -> Result<Vec<CachedMetadata>, StoreError> {
        self.with(move |database| database.cached_metadata(now)).await
    }

    /// Keeps what has changed of the metadata that was looked up, all or nothing, and forgets what has expired by `now`.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub async fn keep_cached_metadata(&self, changes: CacheChanges, now: UnixTime) -> Result<(), StoreError> {
        self.with(move |database| database.keep_cached_metadata(&changes, now)).await
    }

    /// The nodes of the DHT that were known, by address.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub async fn dht_contacts(&self) -> Result<Vec<Contact>, StoreError> {
        self.with(|database| database.dht_contacts()).await
    }

    /// Keeps these nodes of the DHT and none of those that were kept before, all or nothing. Of more than
    /// [`DHT_CONTACTS_MAX`](super::DHT_CONTACTS_MAX) the first are kept.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub async fn keep_dht_contacts(&self, contacts: Vec<Contact>) -> Result<(), StoreError> {
        self.with(move |database| database.keep_dht_contacts(&contacts)).await
    }

    /// The latest version of this node's own metadata.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub async fn own_metadata(&self) -> Result<Option<OwnVersion>, StoreError> {
        self.with(|database| database.own_metadata()).await
    }

    /// Keeps a version of this node's own metadata in place of the one before.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub async fn keep_own_metadata(&self, version: OwnVersion) -> Result<(), StoreError> {
        self.with(move |database| database.keep_own_metadata(&version)).await
    }
}
