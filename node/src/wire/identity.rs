//! Who a relay is in the DHT: in its `registration`, and in `known_peers` whom else it knows there.
//!
//! Only between relays of this version. The key of a connection's other end is proven before; here it says what else it
//! goes by. Then each side shares whom it knows, at most [`KNOWN_PEERS_PER_MESSAGE`] at a time.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::envelope::Envelope;
use super::{Hex, PublicKey, WireError};

/// Peers that one `known_peers` may list.
pub const KNOWN_PEERS_PER_MESSAGE: usize = 50;

/// The longest topic, in bytes.
const TOPIC_BYTES_MAX: usize = 64;

/// The SHA-1 of a public key: who a peer is. Also an id in the DHT.
pub type PeerId = Hex<20>;

/// Whether a node can be reached from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeType {
    /// Everybody can connect to it.
    Public,
    /// It is behind NAT: only through a relay.
    Private,
}

impl NodeType {
    /// `public` or `private`.
    pub const fn as_str(self) -> &'static str {
        match self {
            NodeType::Public => "public",
            NodeType::Private => "private",
        }
    }

    /// What [`NodeType::as_str`] says of it.
    pub fn of(text: &str) -> Option<Self> {
        [NodeType::Public, NodeType::Private].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// What a relay goes by in the DHT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerIdentity {
    /// The SHA-1 of `public_key`.
    pub peer_id: PeerId,
    /// Its own id in the DHT, where it has one already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dht_node_id: Option<Hex<20>>,
    /// The key that it has proven on this connection.
    pub public_key: PublicKey,
    /// Whether it can be reached from outside.
    pub node_type: NodeType,
    /// Whether others can be reached through it.
    #[serde(default)]
    pub is_relay: bool,
    /// What its peers have in common.
    pub topic: String,
    /// The UDP port of its DHT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dht_port: Option<u16>,
    /// Under which address it sees the other end of this connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_as: Option<IpAddr>,
}

/// Whom the sender knows, of those that it has not told the receiver of on this connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedPeers {
    /// At most [`KNOWN_PEERS_PER_MESSAGE`].
    pub peers: Vec<SharedPeer>,
}

/// A peer that somebody knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedPeer {
    /// The SHA-1 of `public_key`.
    pub peer_id: PeerId,
    /// Its own id in the DHT, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dht_node_id: Option<Hex<20>>,
    /// Its key.
    pub public_key: PublicKey,
    /// Whether others can be reached through it.
    #[serde(default)]
    pub is_relay: bool,
}

impl PeerIdentity {
    pub(super) fn check(&self) -> Result<(), WireError> {
        if self.topic.len() > TOPIC_BYTES_MAX {
            let reason = format!("{} bytes, at most {TOPIC_BYTES_MAX}", self.topic.len());
            return Err(WireError::invalid("data.identity.topic", reason));
        }
        Ok(())
    }
}

impl SharedPeers {
    pub(super) fn decode(envelope: &Envelope<'_>) -> Result<Self, WireError> {
        let shared: SharedPeers = envelope.need_data("known_peers")?;
        if shared.peers.len() > KNOWN_PEERS_PER_MESSAGE {
            let reason = format!("{} peers, at most {KNOWN_PEERS_PER_MESSAGE}", shared.peers.len());
            return Err(WireError::invalid("data.peers", reason));
        }
        Ok(shared)
    }
}

#[cfg(test)]
mod tests {
    use crate::wire::{Body, decode};

    fn read(kind: &str, data: &str) -> Result<Body, String> {
        let text = format!(
            r#"{{"type":"{kind}","message_id":"1","source_node":{{"type":"main","id":"relay-a.com"}},"data":{data}}}"#
        );
        decode(&text).map(|frame| frame.body).map_err(|error| error.to_string())
    }

    #[test]
    fn a_registration_may_say_who_its_sender_is_in_the_dht() {
        let (id, key) = ("ab".repeat(20), "cd".repeat(32));
        let least = format!(
            r#"{{"identity":{{"peer_id":"{id}","public_key":"{key}","node_type":"public","topic":"t"}}}}"#
        );
        let Body::Registration(registration) = read("registration", &least).unwrap() else { panic!() };
        let identity = registration.identity.unwrap();
        assert_eq!((identity.dht_port, identity.is_relay), (None, false));
        let Body::Registration(without) = read("registration", "{}").unwrap() else { panic!() };
        assert_eq!(without.identity, None);
        let long = least.replace("\"t\"", &format!("\"{}\"", "t".repeat(65)));
        assert!(read("registration", &long).unwrap_err().contains("data.identity.topic"));
        assert!(
            read("registration", &least.replace("public\"", "hidden\"")).unwrap_err().contains("node_type")
        );
        assert!(read("registration", &least.replace(&id, "ab")).unwrap_err().contains("40 hex digits"));
    }

    #[test]
    fn more_than_fifty_peers_are_not_taken() {
        let peer = format!(r#"{{"peer_id":"{}","public_key":"{}"}}"#, "ab".repeat(20), "cd".repeat(32));
        let list = |count: usize| format!(r#"{{"peers":[{}]}}"#, vec![peer.as_str(); count].join(","));
        let Body::KnownPeers(shared) = read("known_peers", &list(50)).unwrap() else { panic!() };
        assert_eq!(shared.peers.len(), 50);
        assert!(read("known_peers", &list(51)).unwrap_err().contains("51 peers, at most 50"));
    }
}
