//! Looks a peer's metadata up: in the cache, then in the DHT. Those who ask for the same peer at the same time wait for
//! one lookup.

use std::collections::BTreeMap;

use tokio::sync::oneshot;

use super::PeerDirectory;
use crate::dht::{Found, GetRequest, Id, Item, MutableItem, OPERATIONS_MAX};
use crate::metadata::{Metadata, MetadataError};

/// Peers that are looked up at the same time: half of what the DHT takes on, so that clients who ask for much do not
/// keep this node from publishing.
const LOOKUPS_MAX: usize = OPERATIONS_MAX / 2;

/// Clients that wait for the same peer.
const WAITERS_MAX: usize = 1_024;

/// Lookups that are awaited by somebody, by peer.
#[derive(Default)]
pub(super) struct UnderWay(BTreeMap<Id, Vec<oneshot::Sender<Result<Metadata, ResolveError>>>>);

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// What the peer says of itself.
    pub metadata: Metadata,
    /// It was looked up a short while ago.
    pub cached: bool,
}

/// Why there is no metadata of a peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// Nobody in the DHT has it.
    #[error(
        "{peer} has published nothing: the {asked} nodes of the DHT that are closest to it have no item of it"
    )]
    NotPublished {
        /// Which peer.
        peer: Id,
        /// How many answered.
        asked: usize,
    },
    /// No node of the DHT answers.
    #[error("no node of the DHT answers: this one has not joined yet, or is cut off; try again later")]
    Alone,
    /// What is published is no metadata.
    #[error("what {peer} has published is no metadata: {error}")]
    NotMetadata {
        /// Which peer.
        peer: Id,
        /// What is wrong with it.
        error: MetadataError,
    },
    /// Too many lookups are under way.
    #[error("too many lookups are under way; try again when some of them have ended")]
    Busy,
}

impl PeerDirectory {
    /// What a peer says of itself: as it was within the cache's time to live. Its signature was checked.
    ///
    /// # Errors
    /// As [`ResolveError`] says.
    pub async fn resolve(&self, peer: Id) -> Result<Resolved, ResolveError> {
        if peer == self.me.peer_id {
            let own = self.lock().own.current().cloned();
            let metadata = own.ok_or(ResolveError::NotPublished { peer, asked: 0 })?;
            return Ok(Resolved { metadata, cached: false });
        }
        if let Some(metadata) = self.cached(&peer) {
            return Ok(Resolved { metadata, cached: true });
        }
        loop {
            let waits = {
                let under_way = &mut self.lock().under_way.0;
                let count = under_way.len();
                match under_way.get_mut(&peer) {
                    Some(waiting) if waiting.len() >= WAITERS_MAX => return Err(ResolveError::Busy),
                    Some(waiting) => {
                        let (done, result) = oneshot::channel();
                        waiting.push(done);
                        Some(result)
                    }
                    None if count >= LOOKUPS_MAX => return Err(ResolveError::Busy),
                    None => {
                        under_way.insert(peer, Vec::new());
                        None
                    }
                }
            };
            let Some(result) = waits else { break };
            // Where whoever looked it up went away, somebody else has to.
            if let Ok(result) = result.await {
                return result.map(|metadata| Resolved { metadata, cached: false });
            }
        }
        let lead = Lead { directory: self, peer, has_told: false };
        let result = self.look_up(peer).await;
        lead.tell(&result);
        result.map(|metadata| Resolved { metadata, cached: false })
    }

    fn cached(&self, peer: &Id) -> Option<Metadata> {
        let found = self.lock().cache.get(peer, self.now()).cloned();
        tracing::trace!(%peer, "cache {}", if found.is_some() { "hit" } else { "miss" });
        found
    }

    async fn look_up(&self, peer: Id) -> Result<Metadata, ResolveError> {
        let (known, latest) = {
            let state = self.lock();
            (state.known.get(&peer), state.latest_seq(&peer))
        };
        // An item names its key, and only the peer's own hashes to the target. One that we know is helped to stay there.
        let mut request = match known {
            Some(known) => GetRequest::of_key(&known.public_key, b""),
            None => GetRequest::of_target(peer),
        };
        // Nodes that kept an earlier version, or pretend to, are of no use.
        request.newer_than = latest.and_then(|seq| seq.checked_sub(1)).filter(|seq| *seq >= 0);
        let (found, cost) = self.driver.get(request).await.map_err(|_busy| ResolveError::Busy)?;
        tracing::debug!(%peer, queries = cost.queries, holders = found.holders, "queried the DHT for metadata");
        let item = match found {
            Found { item: Some(Item::Mutable(item)), .. } => item,
            Found { asked: 0, .. } => return Err(ResolveError::Alone),
            Found { asked, .. } => return Err(ResolveError::NotPublished { peer, asked }),
        };
        self.take(peer, &item)
    }

    fn take(&self, peer: Id, item: &MutableItem) -> Result<Metadata, ResolveError> {
        let metadata =
            Metadata::decode(&item.value).map_err(|error| ResolveError::NotMetadata { peer, error })?;
        let mut state = self.lock();
        let is_newest = state.cache.put(peer, metadata.clone(), item.seq, self.now());
        state.looked_up(peer, metadata.is_connectable(), Some(item.seq), self.now());
        if is_newest {
            return Ok(metadata);
        }
        // While we looked, somebody else found a later version.
        Ok(state.cache.peek(&peer, self.now()).cloned().unwrap_or(metadata))
    }
}

/// Whoever looks something up for all who wait for it. Where it goes away, they are told by their channels' end.
struct Lead<'a> {
    directory: &'a PeerDirectory,
    peer: Id,
    has_told: bool,
}

impl Lead<'_> {
    fn tell(mut self, result: &Result<Metadata, ResolveError>) {
        self.has_told = true;
        let waiting = self.directory.lock().under_way.0.remove(&self.peer);
        for waiting in waiting.into_iter().flatten() {
            // Nobody listens where a client has hung up.
            let _ = waiting.send(result.clone());
        }
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        if !self.has_told {
            self.directory.lock().under_way.0.remove(&self.peer);
        }
    }
}
