//! A Main's connections to other Mains: one task for each Main that is configured or heard of.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::dial::{self, DialError};
use super::{RelayUrl, Switchboard};
use crate::federation::{Backoff, LinkRole};
use crate::store::{AddedPeer, Peers, RemovedPeer, StoreError};
use crate::wire::{NodeId, PeerAddress};

/// Two Mains that hear of each other would dial at the same moment. The one with the greater id leaves the other this
/// long a lead, in seconds.
const LEAD_SECONDS: u64 = 3;

/// Mains that one node may dial. More cannot be added.
const MAX_DIALLED_PEERS: usize = 1_024;

/// Why a peer could not be added.
#[derive(Debug, thiserror::Error)]
pub enum AddPeerError {
    /// It would dial itself.
    #[error("{0} is this node's own id; give that of the Main to connect to")]
    Myself(NodeId),
    /// There is no room.
    #[error("{MAX_DIALLED_PEERS} peers are dialled already; remove one that is not needed")]
    TooMany,
    /// It would be forgotten by a restart.
    #[error(transparent)]
    NotKept(#[from] StoreError),
}

/// Starts what the configuration and, before a restart, the operator asked for: who was removed is kept out, even where
/// the configuration names it, and links to all others are kept up.
pub fn start(board: &Arc<Switchboard>, configured: Vec<RelayUrl>, remembered: Peers) {
    board.note_peer(|book| remembered.removed.into_iter().for_each(|peer| book.keep_out(peer.node)));
    let added = remembered.added.into_iter().filter(|peer| !configured.contains(&peer.url));
    let added: Vec<_> = added.map(|AddedPeer { url, node, .. }| (url, node)).collect();
    for (url, node) in configured.iter().map(|url| (url.clone(), None)).chain(added) {
        board.env.spawn("peer-dial", keep(Arc::clone(board), url, node, false));
    }
}

/// Keeps a link up to a peer that the operator of the running node names; one that was removed is welcome again. It is
/// on disk when this returns. `false` where that URL is dialled already.
///
/// # Errors
/// [`AddPeerError`] says in words why not; nothing has changed then.
pub async fn add(board: &Arc<Switchboard>, node: NodeId, url: RelayUrl) -> Result<bool, AddPeerError> {
    if node == *board.me() {
        return Err(AddPeerError::Myself(node));
    }
    if board.note_peer(|book| !book.dials(&url) && book.len() >= MAX_DIALLED_PEERS) {
        return Err(AddPeerError::TooMany);
    }
    let now = board.env.clock.unix();
    let peer = AddedPeer { url: url.clone(), node: Some(node.clone()), added_at: now };
    let task_board = Arc::clone(board);
    let added = board.store.add_peer(peer, move || take_in(&task_board, node, url)).await?;
    Ok(added)
}

/// `false` where that URL is dialled already.
fn take_in(board: &Arc<Switchboard>, node: NodeId, url: RelayUrl) -> bool {
    let is_new = board.note_peer(|book| {
        book.welcome(&node);
        let is_new = !book.dials(&url);
        if is_new {
            // Noted at once, so that the same peer is not added twice.
            book.dialling(&url, Some(node.clone()));
        }
        is_new
    });
    if is_new {
        tracing::info!(peer = %node, %url, "added");
        board.env.spawn("peer-dial", keep(Arc::clone(board), url, Some(node), false));
    }
    is_new
}

/// Ends the link to a Main or to a peer of the older mesh, stops dialling it, and refuses it where it dials, until [`add`]
/// brings it back: it, or a third Main that still knows both, would undo the removal in a moment. It is on disk when this
/// returns. `false` where no such peer is known.
///
/// # Errors
/// Where it cannot be kept; nothing has changed then.
pub async fn remove(board: &Arc<Switchboard>, node: &NodeId) -> Result<bool, StoreError> {
    let is_linked = board.look(|router| {
        router.neighbours().any(|info| info.node == *node && (info.role == LinkRole::Peer || info.older_mesh))
    });
    if !is_linked && !board.note_peer(|book| book.dials_node(node)) {
        return Ok(false);
    }
    let removed = RemovedPeer { node: node.clone(), removed_at: board.env.clock.unix() };
    let (task_board, node) = (Arc::clone(board), node.clone());
    let keep_out = move || {
        task_board.note_peer(|book| book.remove(&node));
        tracing::info!(peer = %node, "removed");
        task_board.close_links_to(&node, "removed by the operator");
    };
    board.store.remove_peer(removed, keep_out).await?;
    Ok(true)
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
            Err(error @ DialError::Myself(_)) => {
                tracing::warn!(%url, "this peer is left out: {error}");
                board.note_peer(|book| book.failed(url, error.to_string()));
                return;
            }
            Err(error @ DialError::Removed(_)) => {
                tracing::warn!(%url, "this peer is left out: {error}");
                board.note_peer(|book| book.left_out(url, stop));
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
