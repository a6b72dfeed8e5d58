//! A Main's connections to other Mains: one task for each Main that is configured or heard of.

use std::sync::Arc;
use std::time::Duration;

use super::dial::{self, DialError};
use super::{RelayUrl, Switchboard};
use crate::federation::Backoff;
use crate::wire::{NodeId, PeerAddress};

/// Two Mains that hear of each other would dial at the same moment. The one with the greater id leaves the other this
/// long a lead, in seconds.
const LEAD_SECONDS: u64 = 3;

/// Keeps a link to a configured peer up.
pub fn configured(board: &Arc<Switchboard>, url: RelayUrl) {
    board.env.spawn("peer-dial", keep(Arc::clone(board), url, None));
}

/// Keeps a link up to a peer that another one told us of.
pub(super) fn meet(board: &Arc<Switchboard>, peer: PeerAddress) {
    match peer.address.parse() {
        Ok(url) => board.env.spawn("peer-dial", keep(Arc::clone(board), url, Some(peer.id))),
        Err(error) => tracing::warn!(peer = %peer.id, "heard of a peer that cannot be dialled: {error}"),
    }
}

async fn keep(board: Arc<Switchboard>, url: RelayUrl, heard_of: Option<NodeId>) {
    let mut backoff = Backoff::new(board.timing.backoff);
    let mut rng = board.env.rng("peer-backoff");
    let mut links = board.watch_links();
    if heard_of.as_ref().is_some_and(|other| other < board.me()) {
        board.env.sleep(Duration::from_secs(LEAD_SECONDS)).await;
    }
    board.note_peer(|book| book.dialling(&url, heard_of.clone()));
    let mut known = heard_of;
    while !board.is_draining() {
        if let Some(node) = &known
            && board.look(|router| router.reaches(node))
        {
            // The other side dialled, or an earlier dial of ours holds.
            backoff.reset();
            if links.changed().await.is_err() {
                return;
            }
            continue;
        }
        match dial::dial(&board, &url).await {
            Ok(connected) => {
                backoff.reset();
                let peer = connected.node.clone();
                tracing::info!(%peer, %url, "connected to the peer");
                known = Some(peer.clone());
                board.note_peer(|book| book.connected(&url, peer.clone()));
                let end = connected.run(&board).await;
                tracing::warn!(%peer, "lost the peer: {end}");
                board.metrics.reconnecting();
                if board.look(|router| router.reaches(&peer)) {
                    continue;
                }
            }
            Err(DialError::Duplicate(node)) => {
                board.note_peer(|book| book.connected(&url, node.clone()));
                known = Some(node);
            }
            Err(error @ DialError::Myself(_)) => {
                tracing::warn!(%url, "this peer is left out: {error}");
                board.note_peer(|book| book.failed(&url, error.to_string()));
                return;
            }
            Err(error) => {
                tracing::warn!(%url, "cannot connect to the peer: {error}");
                board.note_peer(|book| book.failed(&url, error.to_string()));
            }
        }
        board.env.sleep(backoff.next_wait(&mut rng)).await;
    }
}
