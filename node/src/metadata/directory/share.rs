//! Tells the relays at the other end of links whom this node knows, each only whom it has not been told of.

use std::sync::Arc;
use std::time::Duration;

use super::PeerDirectory;
use super::links::hex;
use crate::federation::{LinkId, LinkRole};
use crate::link::Switchboard;
use crate::metadata::{KnownPeer, Source};
use crate::wire::{Body, Hex, KNOWN_PEERS_PER_MESSAGE, SharedPeer, SharedPeers};

/// Between two messages over one link, in milliseconds: what is learned meanwhile goes together.
const SHARE_SPACING_MILLIS: u64 = 2_000;

pub(super) async fn run(directory: Arc<PeerDirectory>, board: Arc<Switchboard>) {
    loop {
        if !directory.has_to_share() {
            directory.signals.share.notified().await;
        }
        for (link, shared) in directory.shares() {
            board.tell(link, Body::KnownPeers(shared));
        }
        directory.env.sleep(Duration::from_millis(SHARE_SPACING_MILLIS)).await;
    }
}

impl PeerDirectory {
    fn has_to_share(&self) -> bool {
        let state = self.lock();
        state.links.values().any(|linked| linked.peer.is_some() && state.known.has_more(linked.told))
    }

    /// The next message for each link that has not been told of everybody.
    fn shares(&self) -> Vec<(LinkId, SharedPeers)> {
        let state = &mut *self.lock();
        let mut shares = Vec::new();
        for (link, linked) in &mut state.links {
            let Some(there) = linked.peer else { continue };
            let wanted = |peer: &KnownPeer| peer.peer_id != there && goes_to(linked.role, peer);
            let (peers, told) = state.known.share(linked.told, KNOWN_PEERS_PER_MESSAGE, wanted);
            linked.told = told;
            if !peers.is_empty() {
                shares.push((*link, SharedPeers { peers: peers.iter().map(shared).collect() }));
            }
        }
        shares
    }
}

/// A Home hears of everybody from its Main. Mains are linked with each other, each all others: every one tells of those
/// that it has met itself, and nobody hears of a node from all of them.
fn goes_to(role: LinkRole, peer: &KnownPeer) -> bool {
    match role {
        LinkRole::Home => true,
        LinkRole::Peer | LinkRole::Uplink => peer.source == Source::Link,
    }
}

fn shared(peer: &KnownPeer) -> SharedPeer {
    SharedPeer {
        peer_id: hex(&peer.peer_id),
        dht_node_id: peer.dht_node_id.as_ref().map(hex),
        public_key: Hex(peer.public_key),
        is_relay: peer.is_relay,
    }
}
