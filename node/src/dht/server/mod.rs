//! Answers queries: what this node keeps for others, and who may write here.

mod items;
mod limits;
mod peers;
mod put;
mod token;

use std::net::SocketAddr;

use rand::Rng as _;
use rand_chacha::rand_core::SeedableRng;

use crate::env::{Instant, Rng};

use super::bencode::Value;
use super::contact::{Contact, Family};
use super::id::Id;
use super::item::Item;
use super::krpc::{
    Announce, Body, CompactNodes, Message, Method, Query, Refusal, Response, Values, Want, pack_addresses,
};

use items::Items;
use limits::Limiter;
use peers::Peers;
use token::Tokens;

pub use items::{ITEM_LIFETIME, ITEMS_MAX, ITEMS_PER_ADDRESS_MAX};
pub(super) use limits::network;
pub use limits::{LIMITED_ADDRESSES_MAX, QueryLimits, QueryRate};
pub use peers::{ANNOUNCEMENT_LIFETIME, PEERS_MAX, PEERS_PER_ANSWER_MAX, PEERS_PER_TARGET_MAX};
pub use token::{TOKEN_BYTES, TOKEN_ROTATION};

/// An answer is no longer than this, so that it travels in one packet of 1,500 bytes, by IPv6 too. Beside a long value
/// nodes are left out, those of the family that the query did not come by first.
pub const ANSWER_BYTES_MAX: usize = 1_452;

/// Room that everything of an answer takes but nodes, peers and value: ids, key, signature, token, transaction.
const FRAME_BYTES: usize = 300;

/// What a node keeps for others.
#[derive(Debug)]
pub(super) struct Server {
    limiter: Limiter,
    tokens: Tokens,
    items: Items,
    peers: Peers,
    rng: Rng,
}

/// A query and the circumstances in which it came.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) transaction: &'a [u8],
    pub(super) query: &'a Query<'a>,
    pub(super) from: SocketAddr,
    pub(super) now: Instant,
}

/// What goes back.
pub(super) struct Reply {
    pub(super) datagram: Vec<u8>,
    /// It says no.
    pub(super) is_refusal: bool,
}

impl Reply {
    fn of(datagram: Vec<u8>) -> Self {
        Reply { datagram, is_refusal: false }
    }
}

/// What the answering node knows of the DHT.
pub(super) trait Neighbours {
    /// This node's id.
    fn me(&self, family: Family) -> Id;
    /// The nodes closest to `target`; none where the family is not spoken.
    fn closest(&self, family: Family, target: &Id) -> Vec<Contact>;
}

impl Server {
    pub(super) fn new(me: Id, limits: QueryLimits, rng: &mut Rng, now: Instant) -> Self {
        let mut fork = || {
            let mut seed = [0; 32];
            rng.fill_bytes(&mut seed);
            Rng::from_seed(seed)
        };
        Server {
            limiter: Limiter::new(limits),
            tokens: Tokens::new(fork(), now),
            items: Items::new(me),
            peers: Peers::default(),
            rng: fork(),
        }
    }

    /// Whether one more query from there is answered.
    pub(super) fn admits(&mut self, from: SocketAddr, now: Instant) -> bool {
        self.limiter.admits(from.ip(), now)
    }

    /// Items and announcements that are kept.
    pub(super) fn kept(&self) -> (usize, usize) {
        (self.items.len(), self.peers.len())
    }

    /// The item kept under `target`.
    pub(super) fn item(&self, target: &Id) -> Option<&Item> {
        self.items.get(target)
    }

    /// Drops what has expired.
    pub(super) fn expire(&mut self, now: Instant) {
        self.items.expire(now);
        self.peers.expire(now);
    }

    /// When something expires next.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.items.next_expiry().into_iter().chain(self.peers.next_expiry()).min()
    }

    /// What answers a query.
    pub(super) fn answer(&mut self, asked: Asked<'_>, neighbours: &impl Neighbours) -> Reply {
        let me = neighbours.me(Family::of(asked.from));
        let plain = Response { seen_as: Some(asked.from), ..Response::of(me) };
        let stored = match &asked.query.method {
            Method::Ping => return Reply::of(respond(asked.transaction, plain)),
            Method::FindNode { target, want } => {
                let nodes = Nodes::closest(neighbours, target, *want, asked.from);
                return Reply::of(self.answer_with(asked, plain, nodes));
            }
            Method::GetPeers { info_hash, want } => {
                let nodes = Nodes::closest(neighbours, info_hash, *want, asked.from);
                return Reply::of(self.answer_get_peers(asked, info_hash, plain, nodes));
            }
            Method::Get { target, newer_than, want } => {
                let nodes = Nodes::closest(neighbours, target, *want, asked.from);
                return Reply::of(self.answer_get(asked, (target, *newer_than), plain, nodes));
            }
            Method::AnnouncePeer(announce) => self.announce(*announce, asked),
            Method::Put(put) => self.put(*put, asked.from.ip(), asked.now),
        };
        match stored {
            Ok(()) => Reply::of(respond(asked.transaction, plain)),
            Err(refusal) => Reply { datagram: refuse(asked.transaction, refusal), is_refusal: true },
        }
    }

    fn answer_with(&self, asked: Asked<'_>, plain: Response<'_>, nodes: Nodes) -> Vec<u8> {
        respond(asked.transaction, nodes.fill(plain))
    }

    fn answer_get_peers(
        &mut self,
        asked: Asked<'_>,
        info_hash: &Id,
        plain: Response<'_>,
        mut nodes: Nodes,
    ) -> Vec<u8> {
        let token = self.tokens.issue(asked.from.ip(), info_hash, asked.now);
        let peers = self.peers.sample(info_hash, Family::of(asked.from), &mut self.rng);
        let peers = if peers.is_empty() { Vec::new() } else { pack_addresses(&peers) };
        nodes.fit(peers.len());
        let response = Response { token: Some(&token), values: Values::new(&peers), ..plain };
        respond(asked.transaction, nodes.fill(response))
    }

    fn answer_get(
        &mut self,
        asked: Asked<'_>,
        (target, newer_than): (&Id, Option<i64>),
        plain: Response<'_>,
        mut nodes: Nodes,
    ) -> Vec<u8> {
        let token = self.tokens.issue(asked.from.ip(), target, asked.now);
        let mut response = Response { token: Some(&token), ..plain };
        if let Some(item) = self.items.get(target) {
            // Never the salt: who knows it has it, who does not is not to.
            let known = item.seq().zip(newer_than).is_some_and(|(stored, known)| stored <= known);
            response.seq = item.seq();
            if !known {
                nodes.fit(item.value().len());
                response.value = Value::parse(item.value()).ok();
                if let Item::Mutable(item) = item {
                    response.signed = Some((&item.key, &item.signature));
                }
            }
        }
        respond(asked.transaction, nodes.fill(response))
    }

    fn announce(&mut self, announce: Announce<'_>, asked: Asked<'_>) -> Result<(), Refusal> {
        let ip = asked.from.ip();
        if !self.tokens.is_valid(announce.token, ip, &announce.info_hash, asked.now) {
            return Err(Refusal::protocol(put::BAD_TOKEN));
        }
        let port = announce.port.unwrap_or(asked.from.port());
        self.peers.announce(announce.info_hash, SocketAddr::new(ip, port), asked.now);
        Ok(())
    }
}

/// Nodes of an answer, packed.
struct Nodes {
    v4: Option<Vec<u8>>,
    v6: Option<Vec<u8>>,
    from: Family,
}

impl Nodes {
    fn closest(neighbours: &impl Neighbours, target: &Id, want: Want, from: SocketAddr) -> Self {
        let from = Family::of(from);
        let pack = |family| {
            want.includes(family, from)
                .then(|| CompactNodes::pack(&neighbours.closest(family, target), family))
        };
        Nodes { v4: pack(Family::V4), v6: pack(Family::V6), from }
    }

    /// Leaves out what no longer fits beside `bytes` of other things.
    fn fit(&mut self, bytes: usize) {
        let length = |nodes: &Option<Vec<u8>>| nodes.as_ref().map_or(0, Vec::len);
        let room = ANSWER_BYTES_MAX.saturating_sub(FRAME_BYTES + bytes);
        // Whoever asked by IPv4 can go on with IPv4.
        let (own, other, other_family) = match self.from {
            Family::V4 => (&mut self.v4, &mut self.v6, Family::V6),
            Family::V6 => (&mut self.v6, &mut self.v4, Family::V4),
        };
        truncate(other, room.saturating_sub(length(own)), other_family);
        truncate(own, room, self.from);
    }

    fn fill<'a>(&'a self, response: Response<'a>) -> Response<'a> {
        Response {
            nodes: self.v4.as_deref().map(|nodes| CompactNodes::read(nodes, Family::V4)),
            nodes6: self.v6.as_deref().map(|nodes| CompactNodes::read(nodes, Family::V6)),
            ..response
        }
    }
}

fn truncate(nodes: &mut Option<Vec<u8>>, room: usize, family: Family) {
    if let Some(nodes) = nodes {
        nodes.truncate(room / family.node_bytes() * family.node_bytes());
    }
}

fn respond(transaction: &[u8], response: Response<'_>) -> Vec<u8> {
    Message { transaction, version: Some(super::VERSION), body: Body::Response(response) }.encode()
}

/// The datagram that says why a query is not answered.
pub(super) fn refuse(transaction: &[u8], refusal: Refusal) -> Vec<u8> {
    Message { transaction, version: Some(super::VERSION), body: Body::Error(refusal) }.encode()
}

#[cfg(test)]
mod tests;
