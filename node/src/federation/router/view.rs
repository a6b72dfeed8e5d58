//! What can be read of a router's state.

use super::Router;
use super::announce::MAX_KNOWN_MAINS;
use crate::env::Instant;
use crate::federation::breaker::Changes;
use crate::federation::{BreakerState, Failure, Level, LinkId, LinkInfo, LinkRole, Registry};
use crate::wire::{NodeId, PublicKey};

impl Router {
    /// Who serves what.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Whether a node's entries can be called: it is this node, a Home here, or behind a Main with a live link.
    pub fn reaches(&self, main: &NodeId) -> bool {
        self.links.to(main).is_some()
    }

    /// The current link to each neighbour.
    pub fn neighbours(&self) -> impl Iterator<Item = &LinkInfo> {
        self.links.current().map(|(_, info)| info)
    }

    /// The current links to other Mains.
    pub fn peers(&self) -> impl Iterator<Item = &LinkInfo> {
        self.links.peers().map(|(_, info)| info)
    }

    /// The same with their numbers.
    pub fn peer_links(&self) -> impl Iterator<Item = (LinkId, &LinkInfo)> {
        self.links.peers()
    }

    /// What is known of a link.
    pub fn link(&self, link: LinkId) -> Option<&LinkInfo> {
        self.links.get(link)
    }

    /// The node at the other end of a link.
    pub fn neighbour(&self, link: LinkId) -> Option<&NodeId> {
        self.links.get(link).map(|info| &info.node)
    }

    /// What the node at the other end of a link is.
    pub fn role(&self, link: LinkId) -> Option<LinkRole> {
        self.links.get(link).map(|info| info.role)
    }

    /// The current link to a node, where there is one.
    pub fn linked(&self, node: &NodeId) -> Option<&LinkInfo> {
        self.links.to(node).and_then(|link| self.links.get(link))
    }

    /// Why a Home cannot hang on this Main under this id, if it cannot: calls for a Main of that id would go astray,
    /// and its link would take the place of that Main's.
    pub fn taken_by_a_main(&self, home: &NodeId) -> Option<Failure> {
        // Only a Main that is connected counts: hearsay must not lock anybody out.
        let is_main = *home == self.config.me || self.links.peers().any(|(_, info)| info.node == *home);
        is_main.then(|| {
            Failure::Malformed(format!("{home} is the id of a Main; give this Home another with -node-id"))
        })
    }

    /// Why a node cannot connect under this id, if another one with another key is connected under it. The same node
    /// that reconnects shows the same key.
    pub fn in_use(&self, node: &NodeId, key: Option<PublicKey>) -> Option<Failure> {
        let held = self.linked(node)?.key;
        (held.is_some() && held != key).then(|| Failure::IdInUse { node: node.clone() })
    }

    /// Whether [`Router::drain`] was called.
    pub fn is_draining(&self) -> bool {
        self.intake.draining
    }

    /// Calls under way through this node.
    pub fn in_flight(&self) -> usize {
        self.pending.len()
    }

    /// Breakers that are not closed: the node, the service where it is about an instance and not about the link to a
    /// Main, and the state.
    pub fn tripped(&self, now: Instant) -> impl Iterator<Item = (&NodeId, Option<&str>, BreakerState)> {
        self.health.tripped(now)
    }

    /// How often breakers changed since the start.
    pub fn breaker_changes(&self) -> Changes {
        self.health.breaker_changes()
    }

    /// How full the tables are that grow with calls, services and links.
    pub fn levels(&self) -> impl Iterator<Item = Level> {
        let intake = self.intake.levels(&self.pending, self.links.len());
        let mains = Level::new("known-mains", self.known_mains.len(), MAX_KNOWN_MAINS);
        intake.into_iter().chain(self.health.levels()).chain([mains])
    }

    /// Calls that failed at this node since the start, by code.
    pub fn failures(&self) -> impl Iterator<Item = (i64, u64)> {
        self.tally.failed.iter().map(|(code, count)| (*code, *count))
    }
}
