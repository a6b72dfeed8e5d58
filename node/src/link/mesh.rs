//! A Main's connections to other Mains: one task for each URL that is configured or heard of.

use std::sync::Arc;
use std::time::Duration;

use super::dial::{self, DialError};
use super::peers::{Keeper, MAX_DIALLED_PEERS, PeerSource, Wanted};
use super::{RelayUrl, Switchboard};
use crate::federation::{Backoff, LinkRole};
use crate::wire::{NodeId, PeerAddress};

/// Two Mains that hear of each other would dial at the same moment. The one with the greater id leaves the other this
/// long a lead, in seconds.
const LEAD_SECONDS: u64 = 3;

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
pub fn add(board: &Arc<Switchboard>, node: Option<NodeId>, url: RelayUrl) -> Result<bool, AddPeerError> {
    if let Some(node) = &node {
        if node == board.me() {
            return Err(AddPeerError::Myself(node.clone()));
        }
        board.note_peer(|book| book.welcome(node));
    }
    match want(board, &url, node, PeerSource::Api, false) {
        Wanted::New(..) => {
            tracing::info!(%url, "added");
            Ok(true)
        }
        Wanted::Known | Wanted::KeptOut => Ok(false),
        Wanted::Full => Err(AddPeerError::TooMany),
    }
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

/// Keeps a link up to a peer that the configuration names in `source`.
pub fn configured(board: &Arc<Switchboard>, url: &RelayUrl, source: PeerSource) {
    if let Wanted::Full = want(board, url, None, source, false) {
        tracing::error!(%url, "not dialled: {}", AddPeerError::TooMany);
    }
}

/// `source` does not name this peer any more: it is not dialled again, unless another does. A link to it stays.
pub(super) fn withdrawn(board: &Switchboard, url: &RelayUrl, source: PeerSource) {
    board.note_peer(|book| book.unwant(url, source));
}

/// Keeps a link up to a peer that another one told us of.
pub(super) fn meet(board: &Arc<Switchboard>, peer: PeerAddress) {
    match peer.address.parse::<RelayUrl>() {
        // Called with the switchboard's lock held: the book is written by the task.
        Ok(url) => {
            let task_board = Arc::clone(board);
            board.env.spawn("peer-meet", async move {
                if let Wanted::Full = want(&task_board, &url, Some(peer.id), PeerSource::Learned, true) {
                    tracing::warn!(%url, "heard of and not dialled: {}", AddPeerError::TooMany);
                }
            });
        }
        Err(error) => tracing::warn!(peer = %peer.id, "heard of a peer that cannot be dialled: {error}"),
    }
}

/// Has a task keep a link to `url` up, unless one does already. `both_dial`: that node is likely to dial us at this
/// moment.
fn want(
    board: &Arc<Switchboard>,
    url: &RelayUrl,
    node: Option<NodeId>,
    source: PeerSource,
    both_dial: bool,
) -> Wanted {
    let now = board.env.clock.now();
    let wanted = board.note_peer(|book| book.want(url, node, source, now));
    if let Wanted::New(keeper, expected) = &wanted {
        let (board, url) = (Arc::clone(board), url.clone());
        let (keeper, expected) = (keeper.clone(), expected.clone());
        let env = board.env.clone();
        env.spawn("peer-dial", async move {
            keep(&board, &url, &keeper, expected, both_dial).await;
        });
    }
    wanted
}

/// Dials `url` whenever there is no link to the node there, until the keeper is told to stop. `expected` is that node's
/// id, where it is known.
async fn keep(
    board: &Arc<Switchboard>,
    url: &RelayUrl,
    keeper: &Keeper,
    expected: Option<NodeId>,
    both_dial: bool,
) {
    if both_dial && expected.as_ref().is_some_and(|other| other < board.me()) {
        wait(board, url, keeper, Duration::from_secs(LEAD_SECONDS)).await;
    }
    let mut backoff = Backoff::new(board.timing.backoff);
    let mut rng = board.env.rng("peer-backoff");
    let mut known = expected;
    while !board.is_draining() && !keeper.stop.is_cancelled() {
        let changed = board.links_change();
        if let Some(node) = &known
            && board.look(|router| router.reaches(node))
        {
            // The other side dialled, or an earlier dial of ours holds.
            backoff.reset();
            tokio::select! {
                biased;
                () = keeper.stop.cancelled() => {}
                () = changed => {}
            }
            continue;
        }
        board.note_peer(|book| book.dialling(url, keeper));
        let dialled = tokio::select! {
            biased;
            () = keeper.stop.cancelled() => continue,
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
                board.note_peer(|book| book.connected(url, keeper, peer.clone()));
                let end = connected.run(board).await;
                tracing::warn!(%peer, "lost the peer: {end}");
                board.metrics.reconnecting();
                if board.look(|router| router.reaches(&peer)) {
                    continue;
                }
            }
            Err(DialError::Duplicate(node)) => {
                board.note_peer(|book| book.connected(url, keeper, node.clone()));
                known = Some(node);
            }
            Err(error @ (DialError::Myself(_) | DialError::Removed(_))) => {
                tracing::info!(%url, "this peer is left out: {error}");
                board.note_peer(|book| book.left_out(url, keeper, error.to_string()));
                return;
            }
            Err(error) => {
                tracing::warn!(%url, "cannot connect to the peer: {error}");
                board.note_peer(|book| book.failed(url, keeper, error.to_string()));
            }
        }
        wait(board, url, keeper, backoff.next_wait(&mut rng)).await;
    }
    board.note_peer(|book| book.stopped(url, keeper));
}

async fn wait(board: &Switchboard, url: &RelayUrl, keeper: &Keeper, time: Duration) {
    let until = board.env.clock.now() + time;
    board.note_peer(|book| book.waits(url, keeper, until));
    tokio::select! {
        biased;
        () = keeper.stop.cancelled() => {}
        () = board.env.clock.sleep_until(until) => {}
    }
}
