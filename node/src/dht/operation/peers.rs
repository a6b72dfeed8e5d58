//! Finding those who announced themselves under something, and being found there.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::dht::contact::is_reachable;
use crate::dht::event::{Cost, Event, OperationId};
use crate::dht::id::Id;
use crate::dht::krpc::{Announce, Method, Response, Values};
use crate::dht::walk::Walk;

use super::StoreAt;

/// Peers that are taken from all answers; more are passed over.
const PEERS_FOUND_MAX: usize = 1_024;

/// Who was found so far.
#[derive(Debug)]
pub(in crate::dht) struct Peers {
    found: BTreeSet<SocketAddr>,
    announcement: Option<Announcement>,
}

/// At which port we are to be found; `None` says at the one that our queries come from.
#[derive(Clone, Copy, Debug)]
pub(in crate::dht) struct Announcement {
    pub(in crate::dht) port: Option<u16>,
}

impl Peers {
    /// Finds peers.
    pub(in crate::dht) fn get() -> Self {
        Peers { found: BTreeSet::new(), announcement: None }
    }

    /// Announces ourselves.
    pub(in crate::dht) fn announce(port: Option<u16>) -> Self {
        Peers { found: BTreeSet::new(), announcement: Some(Announcement { port }) }
    }

    pub(super) fn is_announcement(&self) -> bool {
        self.announcement.is_some()
    }

    pub(super) fn absorb(&mut self, response: &Response<'_>) {
        for peer in response.values.iter().flat_map(Values::iter).filter(|peer| is_reachable(*peer)) {
            if self.found.len() < PEERS_FOUND_MAX {
                self.found.insert(peer);
            }
        }
    }

    pub(super) fn walked(
        &mut self,
        operation: OperationId,
        walks: &[Walk],
        cost: Cost,
    ) -> (Option<Event>, Vec<StoreAt>) {
        if !self.is_announcement() {
            let peers = std::mem::take(&mut self.found).into_iter().collect();
            return (Some(Event::Peers { operation, peers, cost }), Vec::new());
        }
        let stores = walks
            .iter()
            .flat_map(Walk::result)
            .filter_map(|(contact, said)| Some(StoreAt { contact, token: said.token.clone()? }));
        (None, stores.collect())
    }

    pub(super) fn store<'a>(&self, target: Id, token: &'a [u8]) -> Option<Method<'a>> {
        let port = self.announcement?.port;
        Some(Method::AnnouncePeer(Announce { info_hash: target, port, token }))
    }
}
