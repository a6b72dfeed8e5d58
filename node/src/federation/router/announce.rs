//! What Mains tell each other of their services and of their peers.

use std::time::Duration;

use super::{Action, Moment, Router};
use crate::env::Instant;
use crate::federation::LinkId;
use crate::wire::{Announced, Body, Discovery, NodeId, PeerAddress, Withdrawn};

/// How long changes gather before they are announced to the peers, in milliseconds: a thousand Homes that register
/// in one second make some tens of announcements, not a thousand.
const ANNOUNCE_DELAY_MILLIS: u64 = 20;

/// What is announced in one second, in bytes, about, to each peer. What changes faster gathers for longer: a Home that
/// registers thousands of services anew again and again must not fill the links between Mains, on which heartbeats
/// wait their turn.
const ANNOUNCED_BYTES_PER_SECOND: u64 = 2 * 1024 * 1024;

/// Mains of the older wire get a full list again this often, as a share of the time to live: they see no confirming
/// heartbeats.
const OLDER_REFRESH_SHARE: u32 = 3;

/// Size of one part of a full list, in bytes, about: well below the smallest message limit that makes sense, so that a
/// list of any length arrives.
const PART_BYTES: usize = 128 * 1024;

/// What an entry takes on the wire besides its texts, in bytes, about.
const ENTRY_BYTES: usize = 64;

/// Withdrawn entries in one message: each takes some hundred bytes.
const GONE_PER_PART: usize = 1_000;

/// Mains that one node remembers having heard of. More are not dialled.
pub(super) const MAX_KNOWN_MAINS: usize = 1_024;

/// What is to be announced, and when.
#[derive(Default)]
pub(super) struct Announcements {
    /// When the gathered changes are announced.
    pub(super) due: Option<Instant>,
    /// When the Mains of the older wire get a full list again.
    pub(super) refresh_older: Option<Instant>,
    peers_changed: bool,
    /// When what was announced last has had its time.
    paid: Instant,
}

impl Router {
    /// A peer has come up: it gets the full list, and the others are to hear of it.
    pub(super) fn greet_peer(
        &mut self,
        link: LinkId,
        modern: bool,
        its_peers: Vec<PeerAddress>,
        at: Moment,
        actions: &mut Vec<Action>,
    ) {
        self.send_full(link, at, actions);
        self.meet(its_peers, actions);
        self.announcements.peers_changed = true;
        self.announce_soon(at);
        if !modern && self.announcements.refresh_older.is_none() {
            self.announcements.refresh_older = Some(at.now + self.config.registry_ttl / OLDER_REFRESH_SHARE);
        }
    }

    pub(super) fn announce_soon(&mut self, at: Moment) {
        let due = at.now + Duration::from_millis(ANNOUNCE_DELAY_MILLIS);
        self.announcements.due.get_or_insert(due.max(self.announcements.paid));
    }

    /// Tells the peers what has changed since the last announcement.
    pub(super) fn announce(&mut self, at: Moment, actions: &mut Vec<Action>) {
        if !self.registry.has_changes() && !self.announcements.peers_changed {
            return;
        }
        self.announcements.peers_changed = false;
        let (there, gone) = self.registry.take_changes();
        let bytes: usize =
            there.iter().map(entry_bytes).sum::<usize>() + gone.iter().map(gone_bytes).sum::<usize>();
        let time = Duration::from_micros(bytes as u64 * 1_000_000 / ANNOUNCED_BYTES_PER_SECOND);
        self.announcements.paid = at.now + time;
        let mut gone = gone.chunks(GONE_PER_PART).map(<[Withdrawn]>::to_vec);
        let mut there = in_parts(there).into_iter();
        let mut parts = Vec::new();
        // At least one, for the peers' sake; what is gone and what is there never name the same entry.
        while let (services, removed) = (there.next(), gone.next())
            && (services.is_some() || removed.is_some())
        {
            parts.push(Discovery {
                version: self.registry.next_version(),
                services: services.unwrap_or_default(),
                removed: removed.unwrap_or_default(),
                peers: if parts.is_empty() { self.links.peer_addresses() } else { Vec::new() },
                ..Discovery::default()
            });
        }
        let peers: Vec<(LinkId, bool)> = self.links.peers().map(|(link, info)| (link, info.modern)).collect();
        for (link, modern) in peers {
            if modern {
                for part in &parts {
                    let frame = self.message(Body::Discovery(part.clone()), at);
                    actions.push(Action::Send(link, frame));
                }
            } else {
                // The older wire knows no changes, only lists.
                self.send_full(link, at, actions);
            }
        }
    }

    /// Confirms our entries to the Mains that see no versions in heartbeats.
    pub(super) fn refresh_older(&mut self, at: Moment, actions: &mut Vec<Action>) {
        let older: Vec<LinkId> =
            self.links.peers().filter(|(_, info)| !info.modern).map(|(link, _)| link).collect();
        self.announcements.refresh_older =
            (!older.is_empty()).then(|| at.now + self.config.registry_ttl / OLDER_REFRESH_SHARE);
        for link in older {
            self.send_full(link, at, actions);
        }
    }

    /// A peer announced something, or asks for everything.
    pub(super) fn handle_discovery(
        &mut self,
        link: LinkId,
        main: &NodeId,
        mut news: Discovery,
        at: Moment,
        actions: &mut Vec<Action>,
    ) {
        if news.want_full {
            return self.send_full(link, at, actions);
        }
        let peers = std::mem::take(&mut news.peers);
        for entry in &news.services {
            self.health.is_back(&entry.node_id, &entry.name);
        }
        if !self.registry.announced(main, news, at.now) {
            self.ask_full(link, at, actions);
        }
        self.meet(peers, actions);
    }

    pub(super) fn ask_full(&mut self, link: LinkId, at: Moment, actions: &mut Vec<Action>) {
        let wish = Discovery { want_full: true, ..Discovery::default() };
        actions.push(Action::Send(link, self.message(Body::Discovery(wish), at)));
    }

    fn send_full(&mut self, link: LinkId, at: Moment, actions: &mut Vec<Action>) {
        let mut list = self.registry.full();
        let (version, peers) = (list.version, self.links.peer_addresses());
        let parts = in_parts(std::mem::take(&mut list.services));
        let last = parts.len().saturating_sub(1);
        for (number, services) in parts.into_iter().enumerate() {
            let part = Discovery {
                full: number == 0,
                // The last part has the version that the list is of; those before lead up to it.
                version: version.wrapping_sub((last - number) as u64),
                services,
                peers: if number == last { peers.clone() } else { Vec::new() },
                ..Discovery::default()
            };
            actions.push(Action::Send(link, self.message(Body::Discovery(part), at)));
        }
    }

    /// Keeps in mind a Main that has a link. Where there is no room, one that has none is forgotten for it.
    pub(super) fn know_main(&mut self, node: NodeId) {
        if self.known_mains.len() >= MAX_KNOWN_MAINS && !self.known_mains.contains(&node) {
            let gone = self.known_mains.iter().find(|main| !self.reaches(main)).cloned();
            if let Some(gone) = gone {
                self.known_mains.remove(&gone);
            }
        }
        self.known_mains.insert(node);
    }

    /// Has the Mains dialled that we hear of for the first time.
    fn meet(&mut self, peers: Vec<PeerAddress>, actions: &mut Vec<Action>) {
        for peer in peers {
            let is_new = peer.id != self.config.me && !self.known_mains.contains(&peer.id);
            if is_new && self.known_mains.len() < MAX_KNOWN_MAINS {
                self.known_mains.insert(peer.id.clone());
                actions.push(Action::MeetPeer(peer));
            }
        }
    }
}

/// The list in parts of about [`PART_BYTES`]; one empty part where it is empty.
fn in_parts(services: Vec<Announced>) -> Vec<Vec<Announced>> {
    let mut parts = vec![Vec::new()];
    let mut bytes = 0;
    for entry in services {
        bytes += entry_bytes(&entry);
        if bytes > PART_BYTES && parts.last().is_some_and(|part| !part.is_empty()) {
            parts.push(Vec::new());
            bytes = 0;
        }
        parts.last_mut().expect("there is one from the start").push(entry);
    }
    parts
}

/// What an entry takes on the wire, in bytes, about.
fn entry_bytes(entry: &Announced) -> usize {
    let methods: usize = entry.methods.iter().map(|method| method.len() + 3).sum();
    ENTRY_BYTES + entry.name.len() + entry.node_id.as_str().len() + methods
}

/// The same for one that is gone.
fn gone_bytes(gone: &Withdrawn) -> usize {
    ENTRY_BYTES + gone.name.len() + gone.node_id.as_str().len()
}
