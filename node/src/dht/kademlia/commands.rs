//! What a node's owner wants of it.

use std::net::SocketAddr;

use crate::dht::contact::{Contact, Family, canonical};
use crate::dht::event::{Busy, OperationId};
use crate::dht::id::Id;
use crate::dht::item::{Item, KEY_BYTES, mutable_target};
use crate::dht::operation::{Get, Peers, Put, Task};
use crate::env::Instant;

use super::{Dht, OPERATIONS_MAX};

/// What is to be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetRequest {
    /// Where it is kept.
    pub target: Id,
    /// The salt of a mutable item; empty where it has none.
    pub salt: Vec<u8>,
    /// Only a version later than this is of interest.
    pub newer_than: Option<i64>,
    /// Nodes closest to it that lack it, or have an older version, are given what was found: an item that is read
    /// outlives the nodes that it was put to.
    pub repair: bool,
}

impl GetRequest {
    /// An item by where it is kept: any without salt.
    pub fn of_target(target: Id) -> Self {
        GetRequest { target, salt: Vec::new(), newer_than: None, repair: false }
    }

    /// The item of a key.
    pub fn of_key(key: &[u8; KEY_BYTES], salt: &[u8]) -> Self {
        GetRequest { salt: salt.to_vec(), repair: true, ..Self::of_target(mutable_target(key, salt)) }
    }
}

/// What is to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutRequest {
    /// The item, within its limits and truly signed.
    pub item: Item,
    /// Nodes that have another version than this refuse it. Those that have none take it.
    pub cas: Option<i64>,
    /// Nodes that have this version already are not asked to take it. Their time for it does not begin anew.
    pub only_lacking: bool,
}

impl PutRequest {
    /// An item, to be kept by all of the nodes closest to it.
    pub fn of(item: Item) -> Self {
        PutRequest { item, cas: None, only_lacking: false }
    }
}

impl Dht {
    /// Asks nodes that were known before, such as before a restart, whether they are still there. At most sixteen are
    /// asked at a time; call it again later for the rest. Says how many were asked.
    pub fn meet(&mut self, contacts: &[Contact], now: Instant) -> usize {
        let asked = contacts.iter().take_while(|contact| {
            let contact = Contact { address: canonical(contact.address), ..**contact };
            self.has_room_for_check() && {
                self.consider(contact, now);
                true
            }
        });
        asked.count()
    }

    /// Ways in, in place of those that there were. A node that is alone tries them now.
    pub fn set_bootstrap(&mut self, ways: Vec<SocketAddr>, now: Instant) {
        let news = ways.iter().any(|way| !self.config.bootstrap.contains(way));
        self.config.bootstrap = ways.into_iter().map(canonical).collect();
        for family in Family::ALL {
            if let Some(overlay) = self.overlays.get_mut(family)
                && news
                && overlay.table.len() == 0
            {
                overlay.upkeep.join_now(now);
            }
        }
    }

    /// Finds the nodes closest to `target`. Ends with [`Event::Found`](super::super::Event::Found).
    ///
    /// # Errors
    /// When too many lookups are under way.
    pub fn find_node(&mut self, target: Id, now: Instant) -> Result<OperationId, Busy> {
        self.command(Task::Find, target, now)
    }

    /// Finds an item. Ends with [`Event::Got`](super::super::Event::Got).
    ///
    /// # Errors
    /// When too many lookups are under way.
    pub fn get(&mut self, request: GetRequest, now: Instant) -> Result<OperationId, Busy> {
        let GetRequest { target, salt, newer_than, repair } = request;
        let get = Get::new(salt, newer_than, repair, self.server.item(&target));
        self.command(Task::Get(get), target, now)
    }

    /// Has an item kept. Ends with [`Event::Stored`](super::super::Event::Stored); where a newer version was met on
    /// the way, nobody was asked to keep this one.
    ///
    /// # Errors
    /// When too many lookups are under way.
    pub fn put(&mut self, request: PutRequest, now: Instant) -> Result<OperationId, Busy> {
        let target = request.item.target();
        let PutRequest { item, cas, only_lacking } = request;
        let put = Put::new(item, cas, only_lacking, self.server.item(&target));
        self.command(Task::Put(put), target, now)
    }

    /// Finds who announced itself under `info_hash`. Ends with [`Event::Peers`](super::super::Event::Peers).
    ///
    /// # Errors
    /// When too many lookups are under way.
    pub fn get_peers(&mut self, info_hash: Id, now: Instant) -> Result<OperationId, Busy> {
        self.command(Task::Peers(Peers::get()), info_hash, now)
    }

    /// Announces this node under `info_hash`, at `port` or at the one that its datagrams come from. Ends with
    /// [`Event::Stored`](super::super::Event::Stored).
    ///
    /// # Errors
    /// When too many lookups are under way.
    pub fn announce(&mut self, info_hash: Id, port: Option<u16>, now: Instant) -> Result<OperationId, Busy> {
        self.command(Task::Peers(Peers::announce(port)), info_hash, now)
    }

    /// Ends a command without an event. What was sent was sent.
    pub fn cancel(&mut self, operation: OperationId) {
        self.operations.remove(&operation);
        self.transactions.abandon(operation.0);
    }

    fn command(&mut self, task: Task, target: Id, now: Instant) -> Result<OperationId, Busy> {
        if self.operations.len() >= OPERATIONS_MAX {
            return Err(Busy);
        }
        Ok(self.begin(task, target, now))
    }
}
