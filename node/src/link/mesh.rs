//! A Main's connections to other Mains: one task for each URL that is configured or heard of.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;

use super::dial::{self, Connected, DialError};
use super::peers::{Keeper, MAX_DIALLED_PEERS, PeerSource, Wanted};
use super::{RelayUrl, Switchboard};
use crate::env::{Instant, Rng};
use crate::federation::{Backoff, LinkRole};
use crate::store::{AddedPeer, Peers, RemovedPeer, StoreError};
use crate::wire::{NodeId, PeerAddress};

/// Two Mains that hear of each other would dial at the same moment. The one with the greater id leaves the other this
/// long a lead, in seconds.
const LEAD_SECONDS: u64 = 3;

/// A URL that led to this node itself, or to one with a link, is looked at again after this long at most, in seconds:
/// names change, and name servers err. What leads here today may lead to a peer tomorrow.
const RECHECK_SECONDS: u64 = 60;

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

/// What the operator asked for before a restart: who was removed is kept out, even where the configuration names it, and
/// links to those that were added are kept up.
pub fn remembered(board: &Arc<Switchboard>, peers: Peers) {
    board.note_peer(|book| peers.removed.into_iter().for_each(|peer| book.keep_out(peer.node)));
    for AddedPeer { url, node, .. } in peers.added {
        want(board, &url, node, PeerSource::Api, false);
    }
}

/// Keeps a link up to a peer that the operator of the running node names; one that was removed is welcome again. It is
/// on disk when this returns. `false` where that URL is dialled already.
///
/// # Errors
/// [`AddPeerError`] says in words why not; nothing has changed then.
pub async fn add(
    board: &Arc<Switchboard>,
    node: Option<NodeId>,
    url: RelayUrl,
) -> Result<bool, AddPeerError> {
    if let Some(node) = node.as_ref().filter(|node| *node == board.me()) {
        return Err(AddPeerError::Myself(node.clone()));
    }
    if !board.note_peer(|book| book.has_room_for(&url)) {
        return Err(AddPeerError::TooMany);
    }
    let peer = AddedPeer { url: url.clone(), node: node.clone(), added_at: board.env.clock.unix() };
    let task_board = Arc::clone(board);
    let take_in = move || {
        if let Some(node) = &node {
            task_board.note_peer(|book| book.welcome(node));
        }
        let is_new = matches!(want(&task_board, &url, node, PeerSource::Api, false), Wanted::New(..));
        if is_new {
            tracing::info!(%url, "added");
        }
        is_new
    };
    Ok(board.known.store.add_peer(peer, take_in).await?)
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
    let urls = board.note_peer(|book| book.urls_of(node));
    if !is_linked && urls.is_empty() {
        return Ok(false);
    }
    let removed = RemovedPeer { node: node.clone(), removed_at: board.env.clock.unix() };
    let (task_board, node) = (Arc::clone(board), node.clone());
    let keep_out = move || {
        task_board.note_peer(|book| book.remove(&node));
        tracing::info!(peer = %node, "removed");
        task_board.close_links_to(&node, "removed by the operator");
    };
    board.known.store.remove_peer(removed, urls, keep_out).await?;
    Ok(true)
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
            Box::pin(keep(&board, &url, &keeper, expected, both_dial)).await;
        });
    }
    wanted
}

/// Where a URL leads.
struct Destination {
    node: NodeId,
    /// Where the URL led to it; `None` where that is hearsay.
    at: Option<SocketAddr>,
    /// When to look next whether it leads there still.
    next_look: Instant,
}

impl Destination {
    fn hearsay(board: &Switchboard, node: NodeId) -> Self {
        Destination { node, at: None, next_look: board.env.clock.now() }
    }

    fn found(board: &Switchboard, node: NodeId, at: SocketAddr, rng: &mut Rng) -> Self {
        let mut found = Destination { at: Some(at), ..Destination::hearsay(board, node) };
        found.rest(board, rng);
        found
    }

    /// It has just been looked at.
    fn rest(&mut self, board: &Switchboard, rng: &mut Rng) {
        let rest = Duration::from_secs(RECHECK_SECONDS).mul_f64(rng.random_range(0.5..=1.0));
        self.next_look = board.env.clock.now() + rest;
    }
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
    let mut known = expected.map(|node| Destination::hearsay(board, node));
    let mut is_left_out = false;
    let mut found = None;
    // A link that is up already is carried, whatever was said meanwhile.
    while found.is_some() || !board.is_draining() && !keeper.stop.is_cancelled() {
        let dialled = if let Some(found) = found.take() {
            found
        } else if let Some(known) = known.as_mut().filter(|known| is_linked(board, &known.node)) {
            // The other side dialled, or an earlier dial of ours holds.
            backoff.reset();
            tokio::select! {
                biased;
                () = keeper.stop.cancelled() => continue,
                () = unlinked(board, known.node.clone()) => continue,
                found = leads_elsewhere(board, url, keeper, known, &mut rng) => found,
            }
        } else {
            if !is_left_out {
                board.note_peer(|book| book.dialling(url, keeper));
            }
            tokio::select! {
                biased;
                () = keeper.stop.cancelled() => continue,
                dialled = dial::dial(board, url) => dialled,
            }
        };
        match dialled {
            Ok(connected) => {
                backoff.reset();
                let peer = connected.node.clone();
                tracing::info!(%peer, %url, "connected to the peer");
                let there = Destination::found(board, peer.clone(), connected.at, &mut rng);
                if let Some(before) = known.as_ref().filter(|before| before.node != peer) {
                    tracing::warn!(%url, %peer, "it was thought to be {}", before.node);
                }
                let there = known.insert(there);
                board.note_peer(|book| book.connected(url, keeper, peer.clone()));
                let task_board = Arc::clone(board);
                let mut session = Box::pin(async move { connected.run(&task_board).await });
                let end = tokio::select! {
                    biased;
                    end = &mut session => end,
                    elsewhere = leads_elsewhere(board, url, keeper, there, &mut rng) => {
                        found = Some(elsewhere);
                        board.env.spawn("peer-session", async move {
                            let end = session.await;
                            tracing::warn!(%peer, "lost the peer: {end}");
                        });
                        continue;
                    }
                };
                tracing::warn!(%peer, "lost the peer: {end}");
                board.metrics.reconnecting();
                if is_linked(board, &peer) {
                    continue;
                }
            }
            Err(DialError::Duplicate(node, at)) => {
                board.note_peer(|book| book.connected(url, keeper, node.clone()));
                known = Some(Destination::found(board, node, at, &mut rng));
            }
            Err(error @ DialError::Removed(_)) => {
                tracing::info!(%url, "this peer is left out: {error}");
                board.note_peer(|book| book.left_out(url, keeper, error.to_string()));
                return;
            }
            Err(error @ DialError::Myself(_)) => {
                if !is_left_out {
                    tracing::info!(%url, "this peer is left out: {error}");
                    board.note_peer(|book| book.left_out(url, keeper, error.to_string()));
                }
                is_left_out = true;
                pause(board, keeper, board.env.clock.now() + Duration::from_secs(RECHECK_SECONDS)).await;
                continue;
            }
            Err(error) => {
                tracing::warn!(%url, "cannot connect to the peer: {error}");
                board.note_peer(|book| book.failed(url, keeper, error.to_string()));
            }
        }
        is_left_out = false;
        wait(board, url, keeper, backoff.next_wait(&mut rng)).await;
    }
    // A node that closes keeps the peers that it was given, and says so as long as anybody asks.
    if keeper.stop.is_cancelled() {
        board.note_peer(|book| book.stopped(url, keeper));
    }
}

/// Looks now and then whether `url` still leads where it led, while there is a link to the node there. Completes once it
/// leads to another one: with a link to that, or with the word that there is one already. The link that there was
/// stays. A name that stands for the same address still is not dialled.
async fn leads_elsewhere(
    board: &Arc<Switchboard>,
    url: &RelayUrl,
    keeper: &Keeper,
    known: &mut Destination,
    rng: &mut Rng,
) -> Result<Connected, DialError> {
    while let Some(at) = known.at {
        pause(board, keeper, known.next_look).await;
        if board.is_draining() || keeper.stop.is_cancelled() {
            break;
        }
        known.rest(board, rng);
        let resolving = board.env.network.resolve(url.host(), url.port());
        match board.env.deadline(board.timing.dial, resolving).await {
            Some(Ok(addresses)) if !addresses.contains(&at) => {}
            _ => continue,
        }
        match dial::look(board, url).await {
            Ok(connected) => return Ok(connected),
            Err(DialError::Duplicate(node, there)) if node == known.node => {
                known.at = Some(there);
            }
            Err(elsewhere @ DialError::Duplicate(..)) => return Err(elsewhere),
            Err(error) => tracing::debug!(%url, "it may lead elsewhere now: {error}"),
        }
    }
    // The link is all that counts: hearsay is put to the test once there is none, and whoever was told to stop is done.
    std::future::pending().await
}

fn is_linked(board: &Switchboard, node: &NodeId) -> bool {
    board.look(|router| router.reaches(node))
}

/// Completes when there is no link to that node.
async fn unlinked(board: &Switchboard, node: NodeId) {
    loop {
        let changed = board.links_change();
        if !is_linked(board, &node) {
            return;
        }
        changed.await;
    }
}

async fn wait(board: &Switchboard, url: &RelayUrl, keeper: &Keeper, time: Duration) {
    let until = board.env.clock.now() + time;
    board.note_peer(|book| book.waits(url, keeper, until));
    pause(board, keeper, until).await;
}

/// Does nothing until then, or until the keeper is told to stop.
async fn pause(board: &Switchboard, keeper: &Keeper, until: Instant) {
    tokio::select! {
        biased;
        () = keeper.stop.cancelled() => {}
        () = board.env.clock.sleep_until(until) => {}
    }
}
