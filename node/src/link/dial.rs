//! This node dials a Main: connection, WebSocket handshake, introductions.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::SinkExt;
use hyper::header::{HOST, HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::tungstenite::error::{ProtocolError, SubProtocolError};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::{self, Message};

use super::ahead::ReadAhead;
use super::codec::Codec;
use super::handshake::{self, Trouble};
use super::outbox::Outbox;
use super::session::{self, End, Socket};
use super::websocket::{HOMES_PATH, NODE_ID_HEADER, NODE_TYPE_HEADER, PEERS_PATH, settings};
use super::{RelayUrl, Switchboard};
use crate::env::dial_host;
use crate::federation::{Failure, LinkId, LinkInfo, LinkRole};
use crate::wire::{self, Body, Frame, NodeId, NodeKind, Registration, SUBPROTOCOL};

/// Why a dial did not bring up a link.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// No connection.
    #[error("cannot connect to {0}: {1}")]
    Unreachable(String, std::io::Error),
    /// A connection, and no TLS over it.
    #[error("no TLS with {0}: {1}")]
    NotSecured(String, std::io::Error),
    /// It did not come up in time.
    #[error("no link within {0:?}")]
    TooSlow(std::time::Duration),
    /// The other side is no relay, or refuses us.
    #[error("{0} refuses: {1}")]
    Refused(String, String),
    /// We do not take the other side.
    #[error("{0} is not trusted: {1}")]
    NotTrusted(String, Failure),
    /// The other side is an older relay.
    #[error(
        "{0} is an older relay that cannot prove who it is; -allow-legacy has this node connect all the same"
    )]
    Legacy(String),
    /// The connection broke, or was closed, before both sides were introduced.
    #[error("the connection ended during the introduction: {0}")]
    Interrupted(String),
    /// What was dialled has this node's own id.
    #[error("{0} has this node's own id: it is this node itself, or another with the same -node-id")]
    Myself(String),
    /// That node is not wanted any more.
    #[error("{0} was removed from the peers of this node; POST /registry/peers/add brings it back")]
    Removed(NodeId),
    /// There is a link to the node at that address already.
    #[error("there is a link to {0} already")]
    Duplicate(NodeId, SocketAddr),
}

/// A link that is up and waits to be carried.
pub(super) struct Connected {
    /// The node at the other end.
    pub(super) node: NodeId,
    /// Where it was dialled.
    pub(super) at: SocketAddr,
    socket: Socket,
    link: LinkId,
    outbox: Arc<Outbox>,
}

impl Connected {
    /// Carries the link until it ends.
    pub(super) async fn run(self, board: &Arc<Switchboard>) -> End {
        session::run(board, self.socket, self.link, &self.outbox, &Codec::Federation).await
    }
}

/// Dials `url` and introduces this node there. A link to the node that is there may give way to the new one.
pub(super) async fn dial(board: &Arc<Switchboard>, url: &RelayUrl) -> Result<Connected, DialError> {
    within_limit(board, connect(board, url, false)).await
}

/// Dials `url` to see who is there, and hangs up where there is a link to that node already. One that is older says who
/// it is only once this node has introduced itself: with that one it is as with [`dial`].
pub(super) async fn look(board: &Arc<Switchboard>, url: &RelayUrl) -> Result<Connected, DialError> {
    within_limit(board, connect(board, url, true)).await
}

async fn within_limit(
    board: &Switchboard,
    connecting: impl Future<Output = Result<Connected, DialError>>,
) -> Result<Connected, DialError> {
    let limit = board.timing.dial;
    board.env.deadline(limit, connecting).await.unwrap_or(Err(DialError::TooSlow(limit)))
}

async fn connect(
    board: &Arc<Switchboard>,
    url: &RelayUrl,
    spares_links: bool,
) -> Result<Connected, DialError> {
    let (role, path) = match board.kind() {
        NodeKind::Home => (LinkRole::Uplink, HOMES_PATH),
        NodeKind::Main => (LinkRole::Peer, PEERS_PATH),
    };
    let upgraded = match upgrade(board, url, path, true).await {
        // It has closed nothing, but a client that offered a subprotocol and got none must not go on.
        Err(DialError::Legacy(_)) if board.known.keyring.allows_legacy() => {
            upgrade(board, url, path, false).await?
        }
        upgraded => upgraded?,
    };
    let Upgraded { mut socket, at, modern } = upgraded;
    let met = if modern {
        match handshake::answer(board, &mut socket, role, at).await {
            Ok(met) => Some(met),
            Err(trouble) => return Err(give_up(board, url, &mut socket, trouble).await),
        }
    } else {
        None
    };
    if let Some(met) = &met
        && spares_links
        && board.look(|router| router.reaches(&met.address.id))
    {
        let _ = socket.close(None).await;
        return Err(DialError::Duplicate(met.address.id.clone(), at));
    }
    let introduction = Message::text(wire::encode(board.introduction(at)));
    socket.send(introduction).await.map_err(|error| DialError::Interrupted(error.to_string()))?;
    let (header, registration) = match handshake::receive(&mut socket).await {
        Ok(Frame { header, body: Body::Registration(registration) }) => (header, registration),
        Ok(Frame { body: Body::Error(report), .. }) => {
            return Err(DialError::Refused(url.to_string(), report.message));
        }
        Ok(frame) => return Err(DialError::Interrupted(format!("it sent a {}", frame.body.kind()))),
        Err(trouble) => return Err(give_up(board, url, &mut socket, trouble).await),
    };
    let node = header.source.id;
    if node == *board.me() {
        return Err(DialError::Myself(url.to_string()));
    }
    if let Some(met) = &met
        && met.address.id != node
    {
        let words = format!("it proved to be {} and now says that it is {node}", met.address.id);
        return Err(DialError::Interrupted(words));
    }
    if board.note_peer(|book| book.is_removed(&node)) {
        let _ = socket.close(None).await;
        return Err(DialError::Removed(node));
    }
    // One that proves nothing goes by no id that somebody has a key for, whichever side has dialled.
    if met.is_none()
        && let Err(refusal) = board.known.keyring.admit_legacy(&board.env, &node).await
    {
        return Err(give_up(board, url, &mut socket, refusal.into()).await);
    }
    let info = LinkInfo {
        node: node.clone(),
        role,
        boot: registration.boot.clone(),
        key: met.map(|met| met.key),
        dialled: true,
        modern,
        older_mesh: false,
        address: Some(named(&registration).unwrap_or_else(|| url.root()).to_string()),
        since: board.env.clock.now(),
    };
    match board.attach(info, at, registration, None) {
        Some((link, outbox)) => Ok(Connected { node, at, socket, link, outbox }),
        None => {
            let _ = socket.close(None).await;
            Err(DialError::Duplicate(node, at))
        }
    }
}

/// The URL that a Main names itself, where it is one.
fn named(registration: &Registration) -> Option<RelayUrl> {
    registration.address.as_deref()?.parse().ok()
}

/// A connection that speaks WebSocket.
struct Upgraded {
    socket: Socket,
    at: SocketAddr,
    /// Our subprotocol was offered and taken.
    modern: bool,
}

/// Connects, and offers our subprotocol or none.
async fn upgrade(
    board: &Switchboard,
    url: &RelayUrl,
    path: &str,
    offers: bool,
) -> Result<Upgraded, DialError> {
    let network = &board.env.network;
    let (mut stream, at) = dial_host(&**network, url.host(), url.port())
        .await
        .map_err(|error| DialError::Unreachable(url.authority(), error))?;
    if url.is_secure() {
        let secured = network.secure_client(stream, url.host()).await;
        stream = secured.map_err(|error| DialError::NotSecured(url.authority(), error))?;
    }
    let mut request = hyper::Request::builder()
        .uri(format!("ws://{}{}", url.authority(), url.path_or(path)))
        .header(HOST, url.authority())
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", generate_key())
        .header(NODE_ID_HEADER, board.me().as_str())
        .header(NODE_TYPE_HEADER, board.kind().to_string());
    if offers {
        request = request.header(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    }
    let request = request.body(()).expect("every part of this request is a valid header");
    let settings = settings(board.limits.max_message_bytes);
    let stream = ReadAhead::boxed(stream);
    // The library sees to it that what was offered, and nothing else, was taken.
    let (socket, _) = tokio_tungstenite::client_async_with_config(request, stream, Some(settings))
        .await
        .map_err(|error| refused(url, error))?;
    Ok(Upgraded { socket, at, modern: offers })
}

/// Ends a connection whose other end did not prove to be whom we want, and tells it why.
async fn give_up(board: &Switchboard, url: &RelayUrl, socket: &mut Socket, trouble: Trouble) -> DialError {
    let error = match trouble {
        Trouble::Failed(failure) => {
            // Where it is gone already, there is nobody to tell.
            let _ = socket.send(Message::text(wire::encode(board.complaint(None, &failure)))).await;
            DialError::NotTrusted(url.to_string(), failure)
        }
        Trouble::Refused(reason) => DialError::Refused(url.to_string(), reason),
        Trouble::Ended(reason) => DialError::Interrupted(reason),
        Trouble::Myself => DialError::Myself(url.to_string()),
    };
    let _ = socket.close(None).await;
    error
}

fn refused(url: &RelayUrl, error: tungstenite::Error) -> DialError {
    match error {
        tungstenite::Error::Http(response) => {
            let body = response.body().as_deref().unwrap_or_default();
            let words = String::from_utf8_lossy(body).trim().to_owned();
            DialError::Refused(url.to_string(), format!("HTTP {} {words}", response.status().as_u16()))
        }
        tungstenite::Error::Io(error) => DialError::Unreachable(url.authority(), error),
        tungstenite::Error::Protocol(ProtocolError::SecWebSocketSubProtocolError(
            SubProtocolError::NoSubProtocol,
        )) => DialError::Legacy(url.to_string()),
        other => DialError::Interrupted(other.to_string()),
    }
}
