//! A peer of the older mesh dials this Main: the adapter at `/ws/p2p?node_id=ID`.
//!
//! To the router it is a Home that hangs here. That is what fits: what it calls may go on to a Home behind another Main
//! (peer → Main → Main → Home are three hops, and what came over a peer link is never forwarded), what it offers is
//! announced to the other Mains and can be called from there, and it neither gets nor gives deltas or addresses of
//! Mains to dial. The horizon is split at this edge: a peer is told of all services but its own, and of what it tells
//! only its own are taken, so that nothing comes back as if it were served behind it.
//!
//! It has no registration. It is up as soon as it is connected, and offers nothing until its `registry_sync`. One that
//! sends none is told none: its first message may be a ping, and the next it reads is to be the pong.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, StatusCode};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::Switchboard;
use super::accept::{refusal, switch_protocols};
use super::codec::{Codec, Malformed};
use super::outbox::Outbox;
use super::session::{self, Socket};
use crate::federation::{Failure, LinkId, LinkInfo, LinkRole, Refusal, Scope};
use crate::wire::older::{Listed, Taken, Translator};
use crate::wire::{Body, Frame, NodeId, Registration};

/// Where a Main accepts peers of the older mesh.
pub const PATH: &str = "/ws/p2p";

/// Answers an upgrade request, and carries the link on a task of its own once the connection is upgraded.
pub fn upgrade(
    board: &Arc<Switchboard>,
    request: Request<Incoming>,
    from: SocketAddr,
) -> Response<Full<Bytes>> {
    if board.is_draining() {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, format!("{} is shutting down", board.me()));
    }
    let node = match named(request.uri().query().unwrap_or_default()) {
        Ok(node) => node,
        Err(reason) => return refusal(StatusCode::BAD_REQUEST, reason),
    };
    if let Some(reason) = taken(board, &node) {
        return refusal(StatusCode::CONFLICT, reason);
    }
    if board.note_peer(|book| book.is_removed(&node)) {
        return refusal(StatusCode::FORBIDDEN, Failure::RemovedPeer { node }.to_string());
    }
    if !board.known.keyring.allows_legacy() {
        let refused = Refusal::Legacy { by: board.me().clone() };
        tracing::warn!(%node, %from, "refused: {refused}");
        board.metrics.not_trusted();
        return refusal(StatusCode::FORBIDDEN, refused.to_string());
    }
    let task_board = Arc::clone(board);
    switch_protocols(board, request, from, None, move |socket| async move {
        serve(&task_board, socket, node, from).await;
    })
}

/// Why nobody may come in under this id, which on this wire is all that says who it is.
fn taken(board: &Switchboard, node: &NodeId) -> Option<String> {
    board.look(|router| {
        let by_a_home = || {
            let newer = router.linked(node).is_some_and(|info| !info.older_mesh);
            newer.then(|| format!("{node} is connected as a Home; give this node another id"))
        };
        router.taken_by_a_main(node).map(|failure| failure.to_string()).or_else(by_a_home)
    })
}

/// The node that the query of the URL names.
fn named(query: &str) -> Result<NodeId, String> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix("node_id="));
    let Some(id) = value.filter(|id| !id.is_empty()) else {
        return Err(format!("say who you are: {PATH}?node_id=ID"));
    };
    // An id has no character that a URL would have to escape.
    id.parse().map_err(|error| format!("node_id: {error}"))
}

async fn serve(board: &Arc<Switchboard>, mut socket: Socket, node: NodeId, from: SocketAddr) {
    if let Err(refused) = board.known.keyring.admit_legacy(&board.env, &node).await {
        tracing::warn!(%node, %from, "refused: {refused}");
        board.metrics.not_trusted();
        let close =
            CloseFrame { code: CloseCode::Policy, reason: session::truncate(&refused.to_string()).into() };
        let _ = socket.close(Some(close)).await;
        return;
    }
    let info = LinkInfo {
        node: node.clone(),
        role: LinkRole::Home,
        boot: None,
        key: None,
        dialled: false,
        modern: false,
        older_mesh: true,
        address: Some(from.to_string()),
        since: board.env.clock.now(),
    };
    let Some((link, outbox)) = board.attach(info, from, Registration::default(), None) else {
        let _ = socket.close(None).await;
        return;
    };
    tracing::info!(%node, %from, "connected, a peer of the older mesh");
    let codec = Codec::Older(Edge::new(board.me().clone(), node.clone(), link));
    let end = session::run(board, socket, link, &outbox, &codec).await;
    tracing::info!(%node, "disconnected: {end}");
}

/// The translation at one link to an older peer.
pub(super) struct Edge {
    peer: NodeId,
    state: Mutex<State>,
}

struct State {
    translator: Translator,
    /// What the peer was last told of our services, once it has told of its own.
    told: Option<Vec<Listed>>,
}

impl Edge {
    fn new(me: NodeId, peer: NodeId, link: LinkId) -> Self {
        let translator = Translator::new(me, peer.clone(), format!("p2p-{}", link.0));
        Edge { peer, state: Mutex::new(State { translator, told: None }) }
    }

    pub(super) fn take_in(
        &self,
        board: &Arc<Switchboard>,
        link: LinkId,
        outbox: &Outbox,
        text: &str,
    ) -> Result<(), Malformed> {
        let taken = self.lock().translator.take_in(text);
        let Taken { frame, reply, syncs } =
            taken.map_err(|rejected| (rejected.answering.map(Into::into), rejected.error.to_string()))?;
        if let Some(frame) = frame {
            board.receive(link, frame);
        }
        if let Some(reply) = reply {
            queue(board, outbox, reply);
        }
        if syncs {
            self.tell(board, outbox);
        }
        Ok(())
    }

    pub(super) fn put_out(&self, board: &Arc<Switchboard>, link: LinkId, frame: Frame) -> Option<String> {
        let (at, limit) = (board.env.clock.unix(), board.limits.max_message_bytes);
        if matches!(frame.body, Body::Registration(_)) {
            let mut state = self.lock();
            let State { translator, told } = &mut *state;
            let text = translator.sync(told.as_deref()?, at);
            let fits = text.len() <= limit;
            if !fits {
                tracing::warn!(to = %self.peer, bytes = text.len(), limit, "not sent: all services in one message");
            }
            return fits.then_some(text);
        }
        let put = self.lock().translator.put_out(frame, at, limit);
        put.unwrap_or_else(|unsent| {
            board.not_sent(link, &unsent.header, unsent.failure);
            None
        })
    }

    /// Tells a peer that speaks `registry_sync` what has changed since it was last told.
    pub(super) fn beat(&self, board: &Arc<Switchboard>, outbox: &Outbox) {
        if self.lock().told.is_some() {
            self.tell(board, outbox);
        }
    }

    /// Queues our list where it is not what the peer has: two adapters that answer each other come to rest.
    fn tell(&self, board: &Arc<Switchboard>, outbox: &Outbox) {
        let list = listed(board, Some(&self.peer));
        let mut state = self.lock();
        if state.told.as_ref() != Some(&list) {
            state.told = Some(list);
            drop(state);
            queue(board, outbox, board.message(Body::Registration(Registration::default())));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("a translator does not panic")
    }
}

fn queue(board: &Switchboard, outbox: &Outbox, control: Frame) {
    outbox.push(control, board.env.clock.now()).expect("only requests are given back");
}

/// The services that this Main can reach, its own and its Homes' first, but those of `without`.
pub fn listed(board: &Switchboard, without: Option<&NodeId>) -> Vec<Listed> {
    let all = board.look(|router| router.registry().all());
    all.into_iter()
        .filter(|listing| Some(&listing.node) != without)
        .map(|listing| Listed {
            name: listing.service.name,
            node_id: listing.node,
            methods: listing.service.methods,
            is_local: listing.scope == Scope::Own || listing.scope == Scope::Local,
        })
        .collect()
}
