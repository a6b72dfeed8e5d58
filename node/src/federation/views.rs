//! What other Mains announce, Main by Main: at which version we are with each, and until when its entries live.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::env::Instant;
use crate::wire::{Announced, NodeId};

/// What a Main announced, as far as we hold it.
pub(super) struct View {
    /// Its last announcement; `None` where it is remembered from before a restart, and the full list is still to come.
    version: Option<u64>,
    expires: Instant,
    entries: BTreeMap<(NodeId, String), Announced>,
}

impl View {
    /// Until when its entries live, unless the Main confirms them.
    pub(super) fn expires(&self) -> Instant {
        self.expires
    }

    /// What was announced, by node and service.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Announced> {
        self.entries.values()
    }
}

/// What all other Mains announced.
pub(super) struct Views {
    /// How long entries live without being confirmed.
    ttl: Duration,
    by_main: BTreeMap<NodeId, View>,
    /// The Mains that announce a node, the latest last.
    announcers: BTreeMap<NodeId, Vec<NodeId>>,
    /// Entries that came or went so far.
    edits: u64,
}

impl Views {
    pub(super) fn new(ttl: Duration) -> Self {
        Views { ttl, by_main: BTreeMap::new(), announcers: BTreeMap::new(), edits: 0 }
    }

    /// A full list begins: the view is empty, and what it held must have been withdrawn.
    pub(super) fn begin(&mut self, main: &NodeId, version: u64, now: Instant) {
        let view = View { version: Some(version), expires: now + self.ttl, entries: BTreeMap::new() };
        self.by_main.insert(main.clone(), view);
    }

    /// As [`Views::begin`], for what is remembered from before a restart: no longer than a fresh list would live.
    pub(super) fn remember(&mut self, main: &NodeId, expires: Instant, now: Instant) {
        let view = View { version: None, expires: expires.min(now + self.ttl), entries: BTreeMap::new() };
        self.by_main.insert(main.clone(), view);
    }

    /// Changes come in. `false`: they are not the ones that come next.
    pub(super) fn follow(&mut self, main: &NodeId, version: u64, now: Instant) -> bool {
        match self.by_main.get_mut(main) {
            Some(view) if view.version.map(|version| version.wrapping_add(1)) == Some(version) => {
                (view.version, view.expires) = (Some(version), now + self.ttl);
                true
            }
            _ => false,
        }
    }

    /// A Main says which version it is at. `false`: we are not there.
    pub(super) fn confirm(&mut self, main: &NodeId, version: u64, now: Instant) -> bool {
        match self.by_main.get_mut(main) {
            Some(view) if view.version == Some(version) => {
                view.expires = now + self.ttl;
                true
            }
            _ => false,
        }
    }

    /// Adds an entry to a Main's view. `false` where there is no view.
    pub(super) fn add(&mut self, main: &NodeId, entry: Announced) -> bool {
        let Some(view) = self.by_main.get_mut(main) else { return false };
        let announcers = self.announcers.entry(entry.node_id.clone()).or_default();
        announcers.retain(|other| other != main);
        announcers.push(main.clone());
        view.entries.insert((entry.node_id.clone(), entry.name.clone()), entry);
        self.edits += 1;
        true
    }

    /// Takes an entry out of a Main's view. `false` where it was not there.
    pub(super) fn withdraw(&mut self, main: &NodeId, entry: &(NodeId, String)) -> bool {
        let Some(view) = self.by_main.get_mut(main) else { return false };
        if view.entries.remove(entry).is_none() {
            return false;
        }
        self.edits += 1;
        let node = &entry.0;
        let first_key = (node.clone(), String::new());
        let serves_more = view.entries.range(first_key..).next().is_some_and(|((other, _), _)| other == node);
        if !serves_more && let Some(announcers) = self.announcers.get_mut(node) {
            announcers.retain(|other| other != main);
            if announcers.is_empty() {
                self.announcers.remove(node);
            }
        }
        true
    }

    /// The view of a Main is gone, once its entries have been withdrawn.
    pub(super) fn end(&mut self, main: &NodeId) {
        self.by_main.remove(main);
    }

    /// What a Main's view holds, by node and service.
    pub(super) fn keys(&self, main: &NodeId) -> Vec<(NodeId, String)> {
        self.by_main.get(main).map(|view| view.entries.keys().cloned().collect()).unwrap_or_default()
    }

    /// When the next Main's entries expire.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.by_main.values().map(|view| view.expires).min()
    }

    /// The Mains whose entries have expired.
    pub(super) fn expired(&self, now: Instant) -> Vec<NodeId> {
        let expired = self.by_main.iter().filter(|(_, view)| view.expires <= now);
        expired.map(|(main, _)| main.clone()).collect()
    }

    /// The Main behind which a node is, the latest that announced it first among those for which `reachable` holds;
    /// an unreachable one where there is no other.
    pub(super) fn main_of(&self, node: &NodeId, reachable: impl Fn(&NodeId) -> bool) -> Option<NodeId> {
        let announcers = self.announcers.get(node)?;
        announcers.iter().rev().find(|main| reachable(main)).or_else(|| announcers.last()).cloned()
    }

    /// Every Main's view.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&NodeId, &View)> {
        self.by_main.iter()
    }

    /// All entries of all Mains.
    pub(super) fn count(&self) -> usize {
        self.by_main.values().map(|view| view.entries.len()).sum()
    }

    /// Grows with each entry that comes or goes.
    pub(super) fn edits(&self) -> u64 {
        self.edits
    }
}
