//! Commands that can be awaited. Dropped half-way, a command ends without effect on anything else.

use std::net::SocketAddr;

use tokio::sync::oneshot;

use super::{Core, Driver};
use crate::dht::contact::Contact;
use crate::dht::event::{Busy, Cost, Event, Found, OperationId, StoreReport};
use crate::dht::id::Id;
use crate::dht::kademlia::{GetRequest, PutRequest};
use crate::env::Instant;

/// What a command gave, and what it took.
pub type Ended<T> = Result<(T, Cost), Busy>;

impl Driver {
    /// Finds the nodes closest to `target`.
    ///
    /// # Errors
    /// When too many lookups are under way.
    pub async fn find_node(&self, target: Id) -> Ended<Vec<Contact>> {
        match self.run(|core, now| core.dht.find_node(target, now)).await? {
            Event::Found { closest, cost, .. } => Ok((closest, cost)),
            other => unreachable!("a search ends with what it found, not with {other:?}"),
        }
    }

    /// Finds an item: verified, and the newest over all answers.
    ///
    /// # Errors
    /// When too many lookups are under way.
    pub async fn get(&self, request: GetRequest) -> Ended<Found> {
        match self.run(|core, now| core.dht.get(request, now)).await? {
            Event::Got { found, cost, .. } => Ok((found, cost)),
            other => unreachable!("a get ends with what it got, not with {other:?}"),
        }
    }

    /// Has an item kept.
    ///
    /// # Errors
    /// When too many lookups are under way.
    pub async fn put(&self, request: PutRequest) -> Ended<StoreReport> {
        stored(self.run(|core, now| core.dht.put(request, now)).await?)
    }

    /// Announces this node under `info_hash`, at the port that its datagrams come from.
    ///
    /// # Errors
    /// When too many lookups are under way.
    pub async fn announce(&self, info_hash: Id) -> Ended<StoreReport> {
        stored(self.run(|core, now| core.dht.announce(info_hash, None, now)).await?)
    }

    /// Finds who announced itself under `info_hash`.
    ///
    /// # Errors
    /// When too many lookups are under way.
    pub async fn get_peers(&self, info_hash: Id) -> Ended<Vec<SocketAddr>> {
        match self.run(|core, now| core.dht.get_peers(info_hash, now)).await? {
            Event::Peers { peers, cost, .. } => Ok((peers, cost)),
            other => unreachable!("a search for peers ends with peers, not with {other:?}"),
        }
    }

    async fn run(
        &self,
        begin: impl FnOnce(&mut Core, Instant) -> Result<OperationId, Busy>,
    ) -> Result<Event, Busy> {
        let (begun, transmits) = self.with(|core, now| {
            let operation = begin(core, now)?;
            let (done, ended) = oneshot::channel();
            core.waiting.insert(operation, done);
            Ok((UnderWay { driver: self, operation }, ended))
        });
        let (_under_way, ended) = begun?;
        self.send(transmits).await;
        // The sender lives in the core until the operation ends, and operations end: each query of theirs is lost in time.
        Ok(ended.await.expect("an operation that is not cancelled ends in an event"))
    }
}

fn stored(event: Event) -> Ended<StoreReport> {
    match event {
        Event::Stored { report, cost, .. } => Ok((report, cost)),
        other => unreachable!("a put ends with who took it, not with {other:?}"),
    }
}

/// Cancels an operation whose caller goes away.
struct UnderWay<'a> {
    driver: &'a Driver,
    operation: OperationId,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut core = self.driver.lock();
        if core.waiting.remove(&self.operation).is_some() {
            core.dht.cancel(self.operation);
        }
    }
}
