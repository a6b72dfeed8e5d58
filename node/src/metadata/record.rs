//! What a node tells of itself.

use std::net::IpAddr;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use crate::dht::Id;
use crate::wire::NodeId;

/// One version of what a node tells of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// What it says.
    pub content: Content,
    /// When the content last changed: seconds since 1970, never negative. A republish keeps it.
    pub timestamp: i64,
    /// Which version it is: one more with each change. Never negative.
    pub sequence: i64,
}

/// What it says: who the node is, where it is reached, and what it offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Its node id in the federation.
    pub node_id: Option<NodeId>,
    /// Whether it can be dialled.
    pub node_type: NodeType,
    /// Whether it relays for others.
    pub is_relay: bool,
    /// Where it is reached from anywhere.
    pub public: Endpoint,
    /// Where it is reached in its own network.
    pub private: Endpoint,
    /// The relay that it is reached through.
    pub relay: Option<RelayUse>,
    /// What it speaks. At most [`PROTOCOLS_MAX`](super::PROTOCOLS_MAX).
    pub protocols: Vec<String>,
    /// What it offers. At most [`CAPABILITIES_MAX`](super::CAPABILITIES_MAX).
    pub capabilities: Vec<String>,
    /// The version of its program.
    pub version: String,
}

/// Whether a node can be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeType {
    /// From anywhere.
    Public,
    /// Not from outside: it stands behind NAT.
    Private,
}

/// An address and a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The address, where it is known.
    pub ip: Option<IpAddr>,
    /// The port; 0 where there is none.
    pub port: u16,
}

/// The relay that a private node is reached through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayUse {
    /// Who the relay is.
    pub peer_id: Id,
    /// The node's session at the relay. May be empty.
    pub session_id: String,
    /// Where the relay is dialled. Empty where the node does not say.
    pub address: String,
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

impl Content {
    /// Whether there is a way to it: to a public node its address and port, to a private one its relay's. A private node
    /// that names no relay cannot be reached.
    pub fn is_connectable(&self) -> bool {
        match self.node_type {
            NodeType::Public => self.public.ip.is_some() && self.public.port != 0,
            NodeType::Private => self.relay.as_ref().is_some_and(|relay| !relay.address.is_empty()),
        }
    }
}

impl Metadata {
    /// As [`Content::is_connectable`].
    pub fn is_connectable(&self) -> bool {
        self.content.is_connectable()
    }

    /// Whether both say the same, whenever and as whichever version they say it.
    pub fn same_content(&self, other: &Metadata) -> bool {
        self.content == other.content
    }

    /// As it is shown over HTTP: one flat object. The node id is left out where there is none; other fields are `null`.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("texts, numbers and lists are JSON")
    }

    /// Bytes on the heap: what was allocated for texts and lists, used or not.
    pub(super) fn heap_bytes(&self) -> usize {
        let Content { node_id, relay, protocols, capabilities, version, .. } = &self.content;
        let texts = |list: &Vec<String>| {
            let slots = list.capacity() * size_of::<String>();
            slots + list.iter().map(String::capacity).sum::<usize>()
        };
        // A node id holds up to 23 bytes in itself; longer ones share theirs behind two counters.
        let node_id = node_id.as_ref().map_or(0, |id| id.as_str().len() + 2 * size_of::<usize>());
        let relay = relay.as_ref().map_or(0, |relay| relay.session_id.capacity() + relay.address.capacity());
        node_id + relay + texts(protocols) + texts(capabilities) + version.capacity()
    }
}

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let content = &self.content;
        let relay = content.relay.as_ref();
        let mut map = to.serialize_map(None)?;
        if let Some(node_id) = &content.node_id {
            map.serialize_entry("node_id", node_id)?;
        }
        map.serialize_entry("node_type", content.node_type.as_str())?;
        map.serialize_entry("is_relay", &content.is_relay)?;
        map.serialize_entry("public_ip", &content.public.ip)?;
        map.serialize_entry("public_port", &content.public.port)?;
        map.serialize_entry("private_ip", &content.private.ip)?;
        map.serialize_entry("private_port", &content.private.port)?;
        map.serialize_entry("using_relay", &relay.is_some())?;
        map.serialize_entry("connected_relay", &relay.map(|relay| relay.peer_id.to_string()))?;
        map.serialize_entry("relay_session_id", &relay.map(|relay| &relay.session_id))?;
        map.serialize_entry("relay_address", &relay.map(|relay| &relay.address))?;
        map.serialize_entry("protocols", &content.protocols)?;
        map.serialize_entry("capabilities", &content.capabilities)?;
        map.serialize_entry("timestamp", &self.timestamp)?;
        map.serialize_entry("sequence", &self.sequence)?;
        map.serialize_entry("version", &content.version)?;
        map.end()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What a Main tells of itself.
    pub(crate) fn a_public_node() -> Metadata {
        let content = Content {
            node_id: Some("relay-a.com".parse().unwrap()),
            node_type: NodeType::Public,
            is_relay: true,
            public: Endpoint { ip: Some("198.51.100.7".parse().unwrap()), port: 8080 },
            private: Endpoint { ip: Some("10.0.0.7".parse().unwrap()), port: 8080 },
            relay: None,
            protocols: vec!["relay.1".into()],
            capabilities: vec!["echo".into(), "relay".into()],
            version: "0.1.0".into(),
        };
        Metadata { content, timestamp: 1_700_000_000, sequence: 4 }
    }

    /// What a Home behind it tells of itself.
    pub(crate) fn a_private_node() -> Metadata {
        let relay = RelayUse {
            peer_id: Id::from_bytes([7; 20]),
            session_id: "s-1".into(),
            address: "ws://198.51.100.7:8080".into(),
        };
        let mut node = a_public_node();
        node.content.node_id = Some("alice.home".parse().unwrap());
        node.content.node_type = NodeType::Private;
        node.content.is_relay = false;
        node.content.public = Endpoint::default();
        node.content.relay = Some(relay);
        node
    }

    #[test]
    fn a_way_to_it_is_needed() {
        let changed = |mut node: Metadata, change: fn(&mut Content)| {
            change(&mut node.content);
            node.is_connectable()
        };
        assert!(a_public_node().is_connectable() && a_private_node().is_connectable());
        assert!(!changed(a_public_node(), |node| node.public.ip = None));
        assert!(!changed(a_public_node(), |node| node.public.port = 0));
        assert!(!changed(a_public_node(), |node| node.node_type = NodeType::Private), "it names no relay");
        assert!(!changed(a_private_node(), |node| node.relay = None));
        assert!(!changed(a_private_node(), |node| node.relay.as_mut().unwrap().address.clear()));
        assert!(changed(a_private_node(), |node| node.relay.as_mut().unwrap().session_id.clear()));
    }

    #[test]
    fn the_content_is_all_but_time_and_version() {
        let node = a_public_node();
        assert!(node.same_content(&Metadata { timestamp: 0, sequence: 9, ..node.clone() }));
        let mut other = node.clone();
        other.content.capabilities.clear();
        assert!(!node.same_content(&other));
    }

    #[test]
    fn it_is_shown_flat() {
        let expected = serde_json::json!({
            "node_id": "alice.home", "node_type": "private", "is_relay": false,
            "public_ip": null, "public_port": 0, "private_ip": "10.0.0.7", "private_port": 8080,
            "using_relay": true, "connected_relay": "07".repeat(20), "relay_session_id": "s-1",
            "relay_address": "ws://198.51.100.7:8080", "protocols": ["relay.1"],
            "capabilities": ["echo", "relay"], "timestamp": 1_700_000_000, "sequence": 4, "version": "0.1.0",
        });
        assert_eq!(a_private_node().to_json(), expected);
        let mut nameless = a_public_node();
        nameless.content.node_id = None;
        let shown = nameless.to_json();
        assert_eq!((shown.get("node_id"), &shown["using_relay"]), (None, &serde_json::json!(false)));
        assert!(shown["connected_relay"].is_null());
    }
}
