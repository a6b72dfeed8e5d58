//! How things are, for operators.

use serde_json::{Value, json};

use super::publish::PutState;
use super::{PeerDirectory, ways};
use crate::dht::{self, Family, Id};
use crate::federation::Level;
use crate::metadata::{CACHED_MAX, KNOWN_PEERS_MAX, KnownPeer, TOPIC};
use crate::wire::NodeKind;

/// What is counted, for the metrics. All since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Of the DHT.
    pub dht: dht::Counters,
    /// Lookups that the cache answered.
    pub cache_hits: u64,
    /// Those that it did not.
    pub cache_misses: u64,
    /// Puts of this node's own metadata that somebody took.
    pub published: u64,
    /// Those that nobody took.
    pub unpublished: u64,
    /// Contacts in the DHT now.
    pub contacts: usize,
    /// Peers that are known now.
    pub known_peers: usize,
}

impl PeerDirectory {
    /// What is counted, for the metrics.
    pub fn counts(&self) -> Counts {
        let (dht, contacts) = self.driver.look(|dht| (dht.counters(), dht.contact_count()));
        let state = self.lock();
        Counts {
            dht,
            cache_hits: state.cache.hits(),
            cache_misses: state.cache.misses(),
            published: state.outcome.kept,
            unpublished: state.outcome.failed,
            contacts,
            known_peers: state.known.len(),
        }
    }

    /// How full each table is.
    pub fn levels(&self) -> Vec<Level> {
        let ((items, announcements), waiting) = self.driver.look(|dht| (dht.kept(), dht.queries_under_way()));
        let state = self.lock();
        vec![
            Level::new("dht-items", items, dht::ITEMS_MAX),
            Level::new("dht-announcements", announcements, dht::PEERS_MAX),
            Level::new("dht-transactions", waiting, dht::TRANSACTIONS_MAX),
            Level::new("known-peers", state.known.len(), KNOWN_PEERS_MAX),
            Level::new("metadata-cache", state.cache.len(), CACHED_MAX),
            Level::new("dht-ways-in", state.ways.len(), ways::WAYS_MAX),
        ]
    }

    /// The answer of `GET /dht/status`.
    pub fn status(&self) -> Value {
        let listen: Vec<String> = self.driver.local_addresses().map(|at| at.to_string()).collect();
        let seen_as = self.driver.seen_as();
        let dht = self.driver.look(|dht| {
            let (items, announcements) = dht.kept();
            json!({
                "dht_node_id": { "v4": text(dht.id(Family::V4)), "v6": text(dht.id(Family::V6)) },
                "contacts": dht.contact_count(),
                "items_kept": items,
                "announcements_kept": announcements,
                "lookups_under_way": dht.operations_under_way(),
                "queries_under_way": dht.queries_under_way(),
                "counters": dht.counters(),
            })
        });
        let state = self.lock();
        let outcome = &state.outcome;
        let refused: Vec<Value> = outcome
            .refused
            .iter()
            .map(|(address, code, message)| json!({ "address": address, "code": code, "message": message }))
            .collect();
        let rest = json!({
            "enabled": true,
            "peer_id": self.me.peer_id.to_string(),
            "public_key": hex::encode(self.me.key.verifying_key().as_bytes()),
            "listen": listen,
            "seen_as": seen_as.or(state.place.ip()),
            "topic": TOPIC,
            "metadata": state.own.current(),
            "publication": {
                "state": match outcome.state {
                    PutState::Waits if self.me.kind == NodeKind::Main => "starting",
                    PutState::Waits => "waits-for-relay",
                    PutState::Publishing => "publishing",
                    PutState::Kept => "kept",
                    PutState::Failed => "failed",
                },
                "seq": state.own.version().map(|version| version.seq),
                "kept_by": outcome.kept_by,
                "refused": refused,
                "silent": outcome.silent,
                "published_at": outcome.published_at.map(|at| at.to_string()),
            },
            "cache": {
                "entries": state.cache.len(),
                "bytes": state.cache.bytes(),
                "hits": state.cache.hits(),
                "misses": state.cache.misses(),
                "ttl_seconds": state.cache.ttl().as_secs(),
            },
            "known_peers": state.known.len(),
            "connectable_peers": state.looked_up.values().filter(|looked| looked.connectable).count(),
        });
        joined(rest, dht)
    }

    /// The answer of `GET /dht/peers`: those after `after`, at most `limit`.
    pub fn peers(&self, after: Option<&Id>, limit: usize) -> Value {
        let state = self.lock();
        let (peers, next) = state.known.page(after, limit);
        let lines: Vec<Value> = peers
            .iter()
            .map(|peer| line(peer, state.looked_up.get(&peer.peer_id).map(|looked| looked.connectable)))
            .collect();
        json!({ "peers": lines, "total": state.known.len(), "next": text(next) })
    }
}

fn line(peer: &KnownPeer, connectable: Option<bool>) -> Value {
    json!({
        "peer_id": peer.peer_id.to_string(),
        "dht_node_id": text(peer.dht_node_id),
        "public_key": hex::encode(peer.public_key),
        "is_relay": peer.is_relay,
        "source": peer.source.as_str(),
        "first_seen": peer.first_seen.to_string(),
        "last_seen": peer.last_seen.to_string(),
        "connectable": connectable,
    })
}

fn text(id: Option<Id>) -> Option<String> {
    id.map(|id| id.to_string())
}

fn joined(mut one: Value, other: Value) -> Value {
    if let (Value::Object(one), Value::Object(other)) = (&mut one, other) {
        one.extend(other);
    }
    one
}
