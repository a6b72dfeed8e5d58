//! Responses.

use std::net::SocketAddr;

use crate::dht::bencode::{Value, Writer};
use crate::dht::contact::Family;
use crate::dht::id::Id;
use crate::dht::item::{KEY_BYTES, SIGNATURE_BYTES};

use super::compact::{CompactNodes, read_address};

/// An answer. What is not there was not asked for, or the answering node does not have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response<'a> {
    /// Who answers.
    pub id: Id,
    /// The address that the query came from, as the answering node sees it (BEP 42).
    pub seen_as: Option<SocketAddr>,
    /// The nodes closest to what was asked for, IPv4.
    pub nodes: Option<CompactNodes<'a>>,
    /// The same, IPv6.
    pub nodes6: Option<CompactNodes<'a>>,
    /// Allows to write here for some minutes.
    pub token: Option<&'a [u8]>,
    /// Peers that announced themselves.
    pub values: Option<Values<'a>>,
    /// An item's value.
    pub value: Option<Value<'a>>,
    /// A mutable item's version. There without the value where that is not newer than what the asking node has.
    pub seq: Option<i64>,
    /// A mutable item's key and signature.
    pub signed: Option<(&'a [u8; KEY_BYTES], &'a [u8; SIGNATURE_BYTES])>,
}

impl<'a> Response<'a> {
    /// An answer that says nothing but who answers.
    pub fn of(id: Id) -> Self {
        Response {
            id,
            seen_as: None,
            nodes: None,
            nodes6: None,
            token: None,
            values: None,
            value: None,
            seq: None,
            signed: None,
        }
    }

    pub(super) fn read(message: Value<'a>) -> Option<Self> {
        let (mut id, mut key, mut signature) = (None, None, None);
        let mut response = Response::of(Id::from_bytes([0; Id::BYTES]));
        // Once through, not once for each key: this is what a lookup spends its time with.
        for (name, value) in message.get(b"r")?.entries()? {
            let nodes = |family| value.as_bytes().map(|nodes| CompactNodes::read(nodes, family));
            match name {
                b"id" => id = value.as_bytes().and_then(Id::from_slice),
                b"k" => key = value.as_bytes().and_then(|key| key.try_into().ok()),
                b"nodes" => response.nodes = nodes(Family::V4),
                b"nodes6" => response.nodes6 = nodes(Family::V6),
                b"seq" => response.seq = value.as_int(),
                b"sig" => signature = value.as_bytes().and_then(|signature| signature.try_into().ok()),
                b"token" => response.token = value.as_bytes(),
                b"v" => response.value = Some(value),
                b"values" => response.values = value.items().map(|_| Values(value)),
                _ => {}
            }
        }
        let seen_as = message.get_bytes(b"ip").and_then(read_address);
        Some(Response { id: id?, seen_as, signed: key.zip(signature), ..response })
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.dict(|r| {
            r.bytes(b"id", self.id.as_bytes());
            if let Some((key, _)) = self.signed {
                r.bytes(b"k", key);
            }
            if let Some(nodes) = self.nodes {
                r.bytes(b"nodes", nodes.bytes());
            }
            if let Some(nodes) = self.nodes6 {
                r.bytes(b"nodes6", nodes.bytes());
            }
            if let Some(seq) = self.seq {
                r.int(b"seq", seq);
            }
            if let Some((_, signature)) = self.signed {
                r.bytes(b"sig", signature);
            }
            if let Some(token) = self.token {
                r.bytes(b"token", token);
            }
            if let Some(value) = self.value {
                r.entry(b"v", |out| out.value(value));
            }
            if let Some(Values(values)) = self.values {
                r.entry(b"values", |out| out.value(values));
            }
        });
    }

    /// The nodes of one family.
    pub fn nodes_of(&self, family: Family) -> CompactNodes<'a> {
        let nodes = match family {
            Family::V4 => self.nodes,
            Family::V6 => self.nodes6,
        };
        nodes.unwrap_or(CompactNodes::none(family))
    }
}

/// A list of peers' addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Values<'a>(pub(super) Value<'a>);

impl<'a> Values<'a> {
    /// A bencoded list, where it is one.
    pub fn new(list: &'a [u8]) -> Option<Self> {
        Value::parse(list).ok().filter(|list| list.items().is_some()).map(Values)
    }

    /// The addresses; what is none is passed over.
    pub fn iter(&self) -> impl Iterator<Item = SocketAddr> + use<'a> {
        self.0.items().into_iter().flatten().filter_map(|peer| read_address(peer.as_bytes()?))
    }
}
