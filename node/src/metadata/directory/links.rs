//! Relays at the other end of links: who they are in the DHT, whom they know, and which of them this node hangs on.

use std::net::{IpAddr, SocketAddr};

use rand::Rng as _;

use super::{PeerDirectory, State};
use crate::dht::{Family, Id, mutable_target};
use crate::federation::{LinkId, LinkRole};
use crate::metadata::{ADDRESS_BYTES_MAX, KNOWN_PEERS_MAX, Learned, PeerNews, RelayUse, Source, TOPIC};
use crate::wire::{Hex, NodeKind, NodeType, PeerIdentity, PublicKey, SharedPeers};

/// New peers that a Home may tell its Main of over one link. An honest one knows a few other Mains.
const HOME_HEARSAY_MAX: usize = 64;

/// Random bytes in the id of a session with a relay.
const SESSION_BYTES: usize = 8;

/// A relay that a link leads to.
pub struct LinkedRelay {
    /// What it is to us.
    pub role: LinkRole,
    /// The key that it has proven; an older one has none.
    pub key: Option<PublicKey>,
    /// Where it can be dialled, where that is known.
    pub address: Option<String>,
    /// Where it is, as we see it.
    pub ip: IpAddr,
    /// Who it is in the DHT, where it says so.
    pub identity: Option<PeerIdentity>,
}

/// What is kept of a link while it is up.
pub(super) struct Linked {
    pub(super) role: LinkRole,
    /// Its peer, where it takes part in the DHT: those are told whom we know.
    pub(super) peer: Option<Id>,
    /// The latest of our known peers that it has been told of.
    pub(super) told: u64,
    /// New peers that it may still tell us of.
    pub(super) hearsay: usize,
    /// Where its DHT listens, where it can be asked from outside.
    pub(super) dht: Option<SocketAddr>,
    /// What we say of it where we hang on it.
    pub(super) relay: Option<RelayUse>,
}

impl PeerDirectory {
    /// Who this node is, for the relay at that address.
    pub fn identity(&self, to: IpAddr) -> PeerIdentity {
        let to = to.to_canonical();
        let family = if to.is_ipv4() { Family::V4 } else { Family::V6 };
        let port = self.driver.local_addresses().find(|at| Family::of(*at) == family).map(|at| at.port());
        let is_main = self.me.kind == NodeKind::Main;
        PeerIdentity {
            peer_id: hex(&self.me.peer_id),
            dht_node_id: self.driver.look(|dht| dht.id(Family::V4).or(dht.id(Family::V6))).map(|id| hex(&id)),
            public_key: Hex(self.me.key.verifying_key().to_bytes()),
            node_type: if is_main { NodeType::Public } else { NodeType::Private },
            is_relay: is_main,
            topic: TOPIC.to_owned(),
            dht_port: port,
            seen_as: Some(to),
        }
    }

    /// A link has come up.
    pub fn link_up(&self, link: LinkId, there: LinkedRelay) {
        let LinkedRelay { role, key, address, ip, identity } = there;
        let is_main = role != LinkRole::Home;
        let mut state = self.lock();
        let identity = identity.filter(|identity| {
            let fits = key == Some(identity.public_key)
                && id(&identity.peer_id) == mutable_target(&identity.public_key.0, b"");
            if !fits {
                tracing::warn!(%ip, "it says that it is another peer than its key shows: not taken for one");
            }
            fits && identity.topic == TOPIC
        });
        let relay = match (role, key) {
            (LinkRole::Uplink, Some(key)) => Some(RelayUse {
                peer_id: mutable_target(&key.0, b""),
                session_id: self.session_id(),
                // One that is too long to be published is none.
                address: address.filter(|address| address.len() <= ADDRESS_BYTES_MAX).unwrap_or_default(),
            }),
            _ => None,
        };
        // Nobody reaches a Home, and nobody is reached through it, whatever it says.
        let dht = identity.as_ref().filter(|identity| is_main && identity.node_type == NodeType::Public);
        let dht = dht.and_then(|identity| identity.dht_port).map(|port| SocketAddr::new(ip, port));
        if let Some(seen_as) = identity.as_ref().and_then(|identity| identity.seen_as) {
            state.place.told(seen_as, role != LinkRole::Home, link);
        }
        if let Some(identity) = &identity {
            let news = PeerNews {
                peer_id: id(&identity.peer_id),
                dht_node_id: identity.dht_node_id.as_ref().map(id),
                public_key: identity.public_key.0,
                is_relay: is_main && identity.is_relay,
                source: Source::Link,
            };
            self.learn(&mut state, news);
        }
        let peer = identity.map(|identity| id(&identity.peer_id));
        let hearsay = if is_main { KNOWN_PEERS_MAX } else { HOME_HEARSAY_MAX };
        state.links.insert(link, Linked { role, peer, told: 0, hearsay, dht, relay });
        drop(state);
        self.signals.own.notify_one();
        self.signals.share.notify_one();
        self.signals.ways.notify_one();
    }

    /// A link has ended.
    pub fn link_down(&self, link: LinkId) {
        let mut state = self.lock();
        let was = state.links.remove(&link);
        state.place.gone(link);
        drop(state);
        if was.is_some_and(|was| was.relay.is_some()) {
            self.signals.own.notify_one();
        }
        self.signals.ways.notify_one();
    }

    /// Another link takes the place of this one: this node hangs on that from now on.
    pub fn link_retires(&self, link: LinkId) {
        let mut state = self.lock();
        let relay = state.links.get_mut(&link).and_then(|linked| linked.relay.take());
        drop(state);
        if relay.is_some() {
            self.signals.own.notify_one();
        }
    }

    /// A relay tells whom it knows.
    pub fn heard(&self, link: LinkId, shared: &SharedPeers) {
        let mut state = self.lock();
        // One that did not say who it is has no reason to speak of others.
        let Some(linked) = state.links.get(&link).filter(|linked| linked.peer.is_some()) else { return };
        let hearsay = linked.hearsay;
        let mut learned = 0;
        for peer in &shared.peers {
            if learned >= hearsay {
                break;
            }
            let news = PeerNews {
                peer_id: id(&peer.peer_id),
                dht_node_id: peer.dht_node_id.as_ref().map(id),
                public_key: peer.public_key.0,
                is_relay: peer.is_relay,
                source: Source::Shared,
            };
            learned += usize::from(self.learn(&mut state, news));
        }
        if let Some(linked) = state.links.get_mut(&link) {
            linked.hearsay -= learned;
        }
        drop(state);
        if learned > 0 {
            tracing::debug!(learned, of = shared.peers.len(), "exchanged known peers");
            self.signals.share.notify_one();
        }
    }

    /// Takes news of a peer; says whether it is a new one.
    fn learn(&self, state: &mut State, news: PeerNews) -> bool {
        let peer = news.peer_id;
        match state.known.learn(news, self.env.clock.unix()) {
            Learned::New => true,
            Learned::Seen => false,
            Learned::Refused(reason) => {
                tracing::trace!(%peer, "not taken for a peer: {reason}");
                false
            }
        }
    }

    fn session_id(&self) -> String {
        let mut bytes = [0; SESSION_BYTES];
        self.env.rng("relay-session").fill_bytes(&mut bytes);
        ::hex::encode(bytes)
    }
}

impl State {
    /// The relay that this node hangs on: the one that took it last.
    pub(super) fn relay(&self) -> Option<&RelayUse> {
        self.links.values().rev().find_map(|linked| linked.relay.as_ref())
    }
}

fn id(hex: &Hex<20>) -> Id {
    Id::from_bytes(hex.0)
}

pub(super) fn hex(id: &Id) -> Hex<20> {
    Hex(*id.as_bytes())
}
