//! What a node tells of its part in the DHT.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use crate::metadata::{Given, Published, Version};

/// `GET /dht/status`; of a node without the DHT only that.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    pub(super) enabled: bool,
    pub(super) peer_id: String,
    metadata: Option<Value>,
    publication: Publication,
    counters: Counters,
    pub(super) known_peers: usize,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Publication {
    state: String,
    seq: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Counters {
    bytes_in: u64,
    bytes_out: u64,
}

impl Status {
    /// Reads it.
    pub(super) fn read(body: &[u8]) -> Result<Status, serde_json::Error> {
        serde_json::from_slice(body)
    }

    /// What it has published, or is about to.
    pub(super) fn published(&self) -> Option<Published> {
        let content = self.metadata.clone()?;
        let sequence = content.get("sequence")?.as_i64()?;
        let kept = self.publication.seq.filter(|_| self.publication.state == "kept");
        Some(Published { peer: self.peer_id.clone(), version: Version { sequence, content }, kept })
    }

    /// Bytes that its datagrams had, both ways.
    pub(super) fn bytes(&self) -> u64 {
        self.counters.bytes_in + self.counters.bytes_out
    }
}

/// `GET /dht/peers`, a page of it.
#[derive(Deserialize)]
pub(super) struct Page<'a> {
    #[serde(borrow)]
    peers: Vec<Peer<'a>>,
    #[serde(borrow)]
    pub(super) next: Option<&'a str>,
}

#[derive(Deserialize)]
struct Peer<'a> {
    peer_id: &'a str,
}

impl<'a> Page<'a> {
    /// Reads it.
    pub(super) fn read(body: &'a [u8]) -> Result<Page<'a>, serde_json::Error> {
        serde_json::from_slice(body)
    }

    /// The peer ids on it.
    pub(super) fn ids(&self) -> BTreeSet<&'a str> {
        self.peers.iter().map(|peer| peer.peer_id).collect()
    }
}

/// `GET /dht/peers/PEER_ID`, of a peer that was found.
#[derive(Deserialize)]
pub(super) struct Found {
    cached: bool,
    metadata: Value,
}

impl Found {
    /// What was given; `None` where the body is none.
    pub(super) fn read(body: &[u8]) -> Option<Given> {
        let Found { cached, metadata } = serde_json::from_slice(body).ok()?;
        let sequence = metadata.get("sequence")?.as_i64()?;
        Some(Given { version: Version { sequence, content: metadata }, cached, is_of_dht: true })
    }
}

/// Where a peer says that it takes connections: its own address, or that of the relay that it is behind.
pub(super) fn address(metadata: &Value) -> Option<(String, u16)> {
    let text = |key: &str| metadata.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    if text("node_type") == Some("public") {
        let port = metadata.get("public_port").and_then(Value::as_u64)?;
        return Some((text("public_ip")?.to_owned(), u16::try_from(port).ok()?));
    }
    let relay = text("relay_address")?;
    let authority = relay.split_once("://").map_or(relay, |(_, rest)| rest);
    let authority = authority.split('/').next().unwrap_or_default();
    let (host, port) = authority.rsplit_once(':')?;
    Some((host.trim_matches(['[', ']']).to_owned(), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_tells_what_is_published_and_what_is_kept() {
        let text = br#"{"enabled":true,"peer_id":"ab","metadata":{"sequence":7,"node_type":"public"},
            "publication":{"state":"kept","seq":6},"counters":{"bytes_in":5,"bytes_out":8,"garbage":1},"known_peers":3}"#;
        let status = Status::read(text).unwrap();
        let published = status.published().unwrap();
        assert_eq!((published.version.sequence, published.kept), (7, Some(6)));
        assert_eq!((status.bytes(), status.known_peers, status.enabled), (13, 3, true));
        let off = Status::read(br#"{"enabled":false}"#).unwrap();
        assert!(!off.enabled && off.published().is_none());
        let waits = br#"{"enabled":true,"metadata":null,"publication":{"state":"waits-for-relay","seq":0}}"#;
        assert!(Status::read(waits).unwrap().published().is_none());
    }

    #[test]
    fn a_page_tells_ids_and_where_the_next_begins() {
        let text = br#"{"peers":[{"peer_id":"a","source":"x"},{"peer_id":"b"}],"total":3,"next":"b"}"#;
        let page = Page::read(text).unwrap();
        assert_eq!((page.ids().into_iter().collect::<Vec<_>>(), page.next), (vec!["a", "b"], Some("b")));
    }

    #[test]
    fn a_peer_is_reached_at_its_own_address_or_at_its_relays() {
        let of = |text: &str| address(&serde_json::from_str(text).unwrap());
        let at = |host: &str, port| Some((host.to_owned(), port));
        assert_eq!(
            of(r#"{"node_type":"public","public_ip":"11.0.0.1","public_port":8080}"#),
            at("11.0.0.1", 8080)
        );
        assert_eq!(of(r#"{"node_type":"private","relay_address":"ws://main-a:8080/x"}"#), at("main-a", 8080));
        assert_eq!(of(r#"{"node_type":"private","relay_address":"[::1]:9"}"#), at("::1", 9));
        assert_eq!(of(r#"{"node_type":"private","relay_address":""}"#), None);
        assert_eq!(of(r#"{"node_type":"private"}"#), None);
    }
}
