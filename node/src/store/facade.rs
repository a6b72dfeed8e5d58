//! What the rest of a node calls.

use std::sync::{Arc, Mutex, PoisonError};

use super::database::{Database, StoreError};
use super::{AddedPeer, MainSnapshot, Peers, Pin, PinPage, RemovedPeer};
use crate::env::{Env, Storage, UnixTime};
use crate::link::RelayUrl;
use crate::wire::{NodeId, NodeKind};

/// What a node remembers. Cheap to clone.
///
/// One operation at a time; each that changes something is on disk when it returns: neither a kill nor a power cut takes
/// it back. A dropped future does not stop an operation that has begun.
#[derive(Clone)]
pub struct Store {
    env: Env,
    shelf: Arc<Mutex<Shelf>>,
}

/// Where the database is between two operations.
struct Shelf {
    disk: Arc<dyn Storage>,
    /// Whether it stays open: an open one takes some 60 KiB. A Main writes often; a Home hardly ever.
    stays_open: bool,
    open: Option<Database>,
}

impl Store {
    /// Opens the database of this host, made where there is none, and checks all of it. `kind` says how busy it will be.
    ///
    /// # Errors
    /// [`StoreError`] says what is wrong with the file. It is not touched then.
    pub async fn open(env: &Env, kind: NodeKind) -> Result<Store, StoreError> {
        let shelf = Shelf { disk: env.storage.clone(), stays_open: kind == NodeKind::Main, open: None };
        let store = Store { env: env.clone(), shelf: Arc::new(Mutex::new(shelf)) };
        store.with(|database| database.check()).await?;
        Ok(store)
    }

    /// All pinned keys, by node id.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub async fn pins(&self) -> Result<Vec<Pin>, StoreError> {
        self.with(|database| database.pins()).await
    }

    /// The pins of at most `limit` nodes whose ids come after `after`, by node id.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub async fn pins_after(&self, after: Option<NodeId>, limit: usize) -> Result<PinPage, StoreError> {
        self.with(move |database| database.pins_after(after.as_ref(), limit)).await
    }

    /// Pins `public_key` to `node` at first sight. What is pinned then is given to `then`, which does the same in memory
    /// before the next operation: an earlier key stays, so that the caller compares. Where the table is full, nodes are
    /// forgotten for it that were seen once only and long ago, but for those that are to be `spared`: `then` is told who.
    ///
    /// # Errors
    /// [`StoreError::Full`] where [`MAX_PINS`](super::MAX_PINS) keys are pinned that all stay, and this would be one more;
    /// else as [`StoreError`] says.
    pub async fn pin<T: Send + 'static>(
        &self,
        (node, public_key, role): (NodeId, String, NodeKind),
        now: UnixTime,
        spared: impl Fn(&NodeId) -> bool + Send + 'static,
        then: impl FnOnce(&Pin, &[NodeId]) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        self.with(move |database| {
            let forgotten = database.make_room(&node, now, spared)?;
            let pin = database.pin(node, public_key, role, now)?;
            Ok(then(&pin, &forgotten))
        })
        .await
    }

    /// Nodes that are known have been seen again.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub async fn seen(&self, nodes: Vec<NodeId>, now: UnixTime) -> Result<(), StoreError> {
        self.with(move |database| database.seen(&nodes, now)).await
    }

    /// Forgets a node's key: the next one that it shows is pinned. `false` where none is pinned. `then` as in
    /// [`Store::add_peer`].
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub async fn forget_pin(
        &self,
        node: NodeId,
        then: impl FnOnce(&NodeId) + Send + 'static,
    ) -> Result<bool, StoreError> {
        self.with(move |database| {
            let was_there = database.forget_pin(&node)?;
            then(&node);
            Ok(was_there)
        })
        .await
    }

    /// The peers that were added and removed while the node ran.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub async fn peers(&self) -> Result<Peers, StoreError> {
        self.with(|database| database.peers()).await
    }

    /// Keeps a peer that was added; where it had been removed, that is taken back. Once it is on disk, and before the
    /// next operation, `then` does the same in memory; what it gives is returned.
    ///
    /// # Errors
    /// [`StoreError::Full`] where [`MAX_ADDED_PEERS`](super::MAX_ADDED_PEERS) were added; else as [`StoreError`] says.
    pub async fn add_peer<T: Send + 'static>(
        &self,
        peer: AddedPeer,
        then: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        self.with(move |database| database.add_peer(&peer).map(|()| then())).await
    }

    /// Keeps that a peer was removed; where it had been added, under its id or as one of `urls`, that is taken back.
    /// `then` as in [`Store::add_peer`].
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub async fn remove_peer<T: Send + 'static>(
        &self,
        peer: RemovedPeer,
        urls: Vec<RelayUrl>,
        then: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        self.with(move |database| database.remove_peer(&peer, &urls).map(|()| then())).await
    }

    /// What other Mains announced and has not expired, by Main.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub async fn snapshot(&self, now: UnixTime) -> Result<Vec<MainSnapshot>, StoreError> {
        self.with(move |database| database.snapshot(now)).await
    }

    /// Keeps what other Mains announced, in place of what was kept before. `take` gives it when its turn has come, so
    /// that of two that are kept at once the later one stays.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub async fn replace_snapshot(
        &self,
        take: impl FnOnce() -> Vec<MainSnapshot> + Send + 'static,
    ) -> Result<(), StoreError> {
        self.with(move |database| database.replace_snapshot(&take())).await
    }

    /// Says anew until when the entries of these Mains live; the entries stay as they were kept.
    ///
    /// # Errors
    /// As [`StoreError`] says.
    pub async fn confirm_snapshot(&self, mains: Vec<(NodeId, UnixTime)>) -> Result<(), StoreError> {
        self.with(move |database| database.confirm_snapshot(&mains)).await
    }

    pub(super) async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Database) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shelf = Arc::clone(&self.shelf);
        let work = move || shelf.lock().unwrap_or_else(PoisonError::into_inner).with(work);
        self.env.blocking("store", work).await?
    }
}

impl Shelf {
    fn with<T>(
        &mut self,
        work: impl FnOnce(&mut Database) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut database = match self.open.take() {
            Some(open) => open,
            None => Database::open(&*self.disk)?,
        };
        let done = work(&mut database);
        if self.stays_open {
            self.open = Some(database);
        }
        done
    }
}
