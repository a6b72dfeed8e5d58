//! A Main's connections to other Mains: one task for each Main that is configured or heard of.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::dial::{self, DialError};
use super::{RelayUrl, Switchboard};
use crate::federation::{Backoff, LinkRole};
use crate::wire::{NodeId, PeerAddress};

/// Two Mains that hear of each other would dial at the same moment. The one with the greater id leaves the other this
/// long a lead, in seconds.
const LEAD_SECONDS: u64 = 3;

/// Mains that one node may dial. More cannot be added.
const MAX_DIALLED_PEERS: usize = 1_024;

/// Why a peer could not be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddPeerError {
    /// It would dial itself.
    #[error("{0} is this node's own id; give that of the Main to connect to")]
    Myself(NodeId),
    /// There is no room.
    #[error("{MAX_DIALLED_PEERS} peers are dialled already; remove one that is not needed")]
    TooMany,
}

/// Keeps a link up to a peer that the operator of the running node names; one that was removed is welcome again. `false`
/// where that URL is dialled already.
///
/// Peers that are added live as long as the process: the list is not kept on disk yet.
///
/// # Errors
/// [`AddPeerError`] says in words why not.
pub fn add(board: &Arc<Switchboard>, node: NodeId, url: RelayUrl) -> Result<bool, AddPeerError> {
    if node == *board.me() {
        return Err(AddPeerError::Myself(node));
    }
    let is_new = board.note_peer(|book| {
        book.welcome(&node);
        let is_new = !book.dials(&url);
        if is_new {
            if book.len() >= MAX_DIALLED_PEERS {
                return Err(AddPeerError::TooMany);
            }
            // Noted at once, so that the same peer is not added twice.
            book.dialling(&url, Some(node.clone()));
        }
        Ok(is_new)
    })?;
    if is_new {
        tracing::info!(peer = %node, %url, "added");
        board.env.spawn("peer-dial", keep(Arc::clone(board), url, Some(node), false));
    }
    Ok(is_new)
}

/// Ends the link to a Main or to a peer of the older mesh, stops dialling it, and refuses it where it dials, until [`add`] brings it back: it, or a
/// third Main that still knows both, would undo the removal in a moment. `false` where no such peer is known.
///
/// What is removed is forgotten with the process, and so a peer in the configuration is back after a restart.
pub fn remove(board: &Arc<Switchboard>, node: &NodeId) -> bool {
    let linked = board.look(|router| {
        router.neighbours().any(|info| info.node == *node && (info.role == LinkRole::Peer || info.older_mesh))
    });
    let known = board.note_peer(|book| {
        let listed = book.dials_node(node);
        if linked || listed {
            book.remove(node);
        }
        linked || listed
    });
    if known {
        tracing::info!(peer = %node, "removed");
        board.close_links_to(node, "removed by the operator");
    }
    known
}

/// Keeps a link to a configured peer up.
pub fn configured(board: &Arc<Switchboard>, url: RelayUrl) {
    board.env.spawn("peer-dial", keep(Arc::clone(board), url, None, false));
}

/// Keeps a link up to a peer that another one told us of.
pub(super) fn meet(board: &Arc<Switchboard>, peer: PeerAddress) {
    match peer.address.parse() {
        Ok(url) => board.env.spawn("peer-dial", keep(Arc::clone(board), url, Some(peer.id), true)),
        Err(error) => tracing::warn!(peer = %peer.id, "heard of a peer that cannot be dialled: {error}"),
    }
}

/// Dials `url` whenever there is no link to the node there. `expected` is that node's id, where it is known; where
/// `both_dial`, it is likely to dial us at this moment.
async fn keep(board: Arc<Switchboard>, url: RelayUrl, expected: Option<NodeId>, both_dial: bool) {
    if both_dial && expected.as_ref().is_some_and(|other| other < board.me()) {
        board.env.sleep(Duration::from_secs(LEAD_SECONDS)).await;
    }
    if let Some(stop) = board.note_peer(|book| book.dialling(&url, expected.clone())) {
        keep_until(&board, &url, expected, &stop).await;
    }
}

async fn keep_until(
    board: &Arc<Switchboard>,
    url: &RelayUrl,
    expected: Option<NodeId>,
    stop: &CancellationToken,
) {
    let mut backoff = Backoff::new(board.timing.backoff);
    let mut rng = board.env.rng("peer-backoff");
    let mut known = expected;
    while !board.is_draining() {
        let changed = board.links_change();
        if let Some(node) = &known
            && board.look(|router| router.reaches(node))
        {
            // The other side dialled, or an earlier dial of ours holds.
            backoff.reset();
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = changed => {}
            }
            continue;
        }
        let dialled = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            dialled = dial::dial(board, url) => dialled,
        };
        match dialled {
            Ok(connected) => {
                backoff.reset();
                let peer = connected.node.clone();
                tracing::info!(%peer, %url, "connected to the peer");
                if let Some(expected) = known.replace(peer.clone()).filter(|expected| *expected != peer) {
                    tracing::warn!(%url, %peer, "it was thought to be {expected}");
                }
                board.note_peer(|book| book.connected(url, peer.clone()));
                let end = connected.run(board).await;
                tracing::warn!(%peer, "lost the peer: {end}");
                board.metrics.reconnecting();
                if board.look(|router| router.reaches(&peer)) {
                    continue;
                }
            }
            Err(DialError::Duplicate(node)) => {
                board.note_peer(|book| book.connected(url, node.clone()));
                known = Some(node);
            }
            Err(error @ (DialError::Myself(_) | DialError::Removed(_))) => {
                tracing::warn!(%url, "this peer is left out: {error}");
                board.note_peer(|book| book.failed(url, error.to_string()));
                return;
            }
            Err(error) => {
                tracing::warn!(%url, "cannot connect to the peer: {error}");
                board.note_peer(|book| book.failed(url, error.to_string()));
            }
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = board.env.sleep(backoff.next_wait(&mut rng)) => {}
        }
    }
}
