//! A relay dials this Main: the WebSocket upgrade, its introduction, the session.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::SinkExt;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::ahead::ReadAhead;
use super::codec::Codec;
use super::handshake::{self, Trouble};
use super::session::{self, Socket};
use super::websocket::{HOMES_PATH, NODE_ID_HEADER, PEERS_PATH, settings};
use super::{RelayUrl, Switchboard};
use crate::env::Stream;
use crate::federation::{Failure, LinkInfo, LinkRole, Refusal};
use crate::wire::{self, Body, Frame, Header, NodeKind, PublicKey, Registration, SUBPROTOCOL};

/// What is accepted at a path; `None` where the path is no WebSocket endpoint.
pub fn role_at(path: &str) -> Option<LinkRole> {
    match path {
        HOMES_PATH => Some(LinkRole::Home),
        PEERS_PATH => Some(LinkRole::Peer),
        _ => None,
    }
}

/// Answers an upgrade request, and carries the link on a task of its own once the connection is upgraded.
pub fn upgrade(
    board: &Arc<Switchboard>,
    request: Request<Incoming>,
    role: LinkRole,
    from: SocketAddr,
) -> Response<Full<Bytes>> {
    if board.is_draining() {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, format!("{} is shutting down", board.me()));
    }
    let modern = match speaks_ours(&request) {
        Ok(modern) => modern,
        Err(response) => return *response,
    };
    // What is no handshake at all is told so below.
    if !modern && request.headers().contains_key(UPGRADE) && !board.known.keyring.allows_legacy() {
        let refused = Refusal::Legacy { by: board.me().clone() };
        tracing::warn!(%from, "refused: {refused}");
        board.metrics.not_trusted();
        return refusal(StatusCode::FORBIDDEN, refused.to_string());
    }
    let named = request.headers().get(NODE_ID_HEADER).and_then(|id| id.to_str().ok()).map(str::to_owned);
    let task_board = Arc::clone(board);
    switch_protocols(board, request, from, modern.then_some(SUBPROTOCOL), move |socket| async move {
        serve(&task_board, socket, Arrival { role, from, modern, named }).await;
    })
}

/// Answers a WebSocket handshake, agreeing on `subprotocol` where there is one, and has `carry` take the socket on a
/// task of its own.
pub(super) fn switch_protocols<F: Future<Output = ()> + Send>(
    board: &Arc<Switchboard>,
    mut request: Request<Incoming>,
    from: SocketAddr,
    subprotocol: Option<&'static str>,
    carry: impl FnOnce(Socket) -> F + Send + 'static,
) -> Response<Full<Bytes>> {
    let mut response = match create_response_with_body(&request, Full::default) {
        Ok(response) => response,
        Err(error) => {
            return refusal(StatusCode::BAD_REQUEST, format!("this is a WebSocket endpoint: {error}"));
        }
    };
    if let Some(subprotocol) = subprotocol {
        response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(subprotocol));
    }
    let upgraded = hyper::upgrade::on(&mut request);
    let settings = settings(board.limits.max_message_bytes);
    board.env.spawn("link-accept", async move {
        // On the heap, as everything that is over before the link is up: the task lives as long as the link.
        match Box::pin(take_over(upgraded, settings)).await {
            Ok(socket) => carry(socket).await,
            Err(error) => tracing::debug!(%from, "the upgrade did not complete: {error}"),
        }
    });
    response
}

/// The WebSocket on a connection that HTTP has left. Whatever buffers HTTP had are gone after this.
async fn take_over(upgraded: OnUpgrade, settings: WebSocketConfig) -> hyper::Result<Socket> {
    let parts = upgraded.await?.downcast::<TokioIo<Stream>>();
    let parts = parts.expect("every connection that we serve is a stream of the network seam");
    let (stream, read) = (ReadAhead::boxed(parts.io.into_inner()), parts.read_buf.to_vec());
    Ok(WebSocketStream::from_partially_read(stream, read, Role::Server, Some(settings)).await)
}

struct Arrival {
    role: LinkRole,
    from: SocketAddr,
    modern: bool,
    named: Option<String>,
}

/// Whether the dialler offers our subprotocol; an older one offers none.
fn speaks_ours(request: &Request<Incoming>) -> Result<bool, Box<Response<Full<Bytes>>>> {
    let offered: Vec<&str> = request
        .headers()
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(str::trim))
        .collect();
    if offered.contains(&SUBPROTOCOL) {
        return Ok(true);
    }
    if offered.is_empty() {
        return Ok(false);
    }
    let message = format!(
        "no common version: you offer {}, this relay speaks {SUBPROTOCOL}; offer that as well",
        offered.join(", ")
    );
    let mut response = refusal(StatusCode::BAD_REQUEST, message);
    response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    Err(Box::new(response))
}

pub(super) fn refusal(status: StatusCode, message: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(message + "\n"));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

async fn serve(board: &Arc<Switchboard>, mut socket: Socket, arrival: Arrival) {
    let introduced = match board
        .env
        .deadline(board.timing.handshake, Box::pin(meet(board, &mut socket, &arrival)))
        .await
    {
        Some(introduced) => introduced,
        None => {
            Err(Failure::Malformed(format!("no registration within {:?}", board.timing.handshake)).into())
        }
    };
    let Introduced { header, registration, key } = match introduced {
        Ok(introduced) => introduced,
        Err(trouble) => return Box::pin(turn_away(board, socket, &arrival, trouble)).await,
    };
    let node = header.source.id;
    let info = LinkInfo {
        node: node.clone(),
        role: arrival.role,
        boot: registration.boot.clone(),
        key,
        dialled: false,
        modern: arrival.modern,
        older_mesh: false,
        address: dialable(&registration, arrival.from),
        since: board.env.clock.now(),
    };
    let services = registration.services.len();
    let Some((link, outbox)) = board.attach(info, arrival.from, registration, Some(header.message_id)) else {
        tracing::debug!(%node, "refused a second connection; the one that is there stays");
        let _ = socket.close(None).await;
        return;
    };
    let kind = header.source.kind;
    tracing::info!(%node, %kind, from = %arrival.from, services, "connected");
    let end = session::run(board, socket, link, &outbox, &Codec::Federation).await;
    tracing::info!(%node, %kind, "disconnected: {end}");
}

/// Who has come in.
struct Introduced {
    header: Header,
    registration: Registration,
    key: Option<PublicKey>,
}

/// Learns who the dialler is, whether it may come in, and what it offers. An older one says its name and cannot prove
/// it.
async fn meet(board: &Switchboard, socket: &mut Socket, arrival: &Arrival) -> Result<Introduced, Trouble> {
    let met = if arrival.modern {
        let fits = |header: &Header| fits(board, arrival, header);
        Some(handshake::challenge(board, socket, arrival.role, arrival.from, fits).await?)
    } else {
        None
    };
    let Frame { header, body } = handshake::receive(socket).await?;
    let Body::Registration(registration) = body else {
        let kind = body.kind();
        return Err(Failure::Malformed(format!("expected a registration, not a {kind}")).into());
    };
    let node = &header.source.id;
    match &met {
        Some(met) if met.address.id != *node || met.address.kind != header.source.kind => {
            let words = format!("{} has proven its key, and the registration is {node}'s", met.address.id);
            return Err(Failure::Malformed(words).into());
        }
        Some(_) => {}
        None => {
            fits(board, arrival, &header)?;
            if node == board.me() {
                return Err(Trouble::Myself);
            }
            board.known.keyring.admit_legacy(&board.env, node).await?;
        }
    }
    let key = met.map(|met| met.key);
    match board.look(|router| router.in_use(node, key)) {
        Some(failure) => Err(failure.into()),
        None => Ok(Introduced { header, registration, key }),
    }
}

/// Tells a dialler why it is not let in.
async fn turn_away(board: &Switchboard, mut socket: Socket, arrival: &Arrival, trouble: Trouble) {
    let farewell = match trouble {
        Trouble::Failed(failure) => {
            tracing::warn!(from = %arrival.from, "refused: {failure}");
            if matches!(failure, Failure::NotTrusted(_)) {
                board.metrics.not_trusted();
            }
            Some(board.complaint(None, &failure))
        }
        // This node has dialled itself, or one that was given the same id has: our introduction tells it so.
        Trouble::Myself => (!arrival.modern).then(|| board.introduction(arrival.from)),
        Trouble::Refused(reason) => {
            tracing::warn!(from = %arrival.from, "it does not take this node: {reason}");
            None
        }
        Trouble::Ended(reason) => {
            tracing::debug!(from = %arrival.from, "the connection ended during the introduction: {reason}");
            None
        }
    };
    // Where it is gone already, there is nobody to tell.
    if let Some(farewell) = farewell {
        let _ = socket.send(Message::text(wire::encode(farewell))).await;
    }
    let _ = socket.close(None).await;
}

/// Whether one that introduces itself so fits the endpoint, the headers and the federation.
fn fits(board: &Switchboard, arrival: &Arrival, header: &Header) -> Result<(), Failure> {
    let (wanted, other) = match arrival.role {
        LinkRole::Peer => (NodeKind::Main, HOMES_PATH),
        LinkRole::Home | LinkRole::Uplink => (NodeKind::Home, PEERS_PATH),
    };
    if header.source.kind != wanted {
        return Err(Failure::Malformed(format!(
            "this endpoint takes a {wanted} relay, a {} relay connects to {other}",
            header.source.kind
        )));
    }
    match &arrival.named {
        Some(named) if *named != *header.source.id.as_str() => Err(Failure::Malformed(format!(
            "the header {NODE_ID_HEADER} says {named}, its message {}",
            header.source.id
        ))),
        _ if arrival.role == LinkRole::Peer && board.note_peer(|book| book.is_removed(&header.source.id)) => {
            Err(Failure::RemovedPeer { node: header.source.id.clone() })
        }
        _ if arrival.role == LinkRole::Home => {
            board.look(|router| router.taken_by_a_main(&header.source.id)).map_or(Ok(()), Err)
        }
        _ => Ok(()),
    }
}

/// Where others can dial a Main that introduced itself: the URL it names, or the address it is seen from.
fn dialable(registration: &Registration, from: SocketAddr) -> Option<String> {
    match (&registration.address, registration.listen_port) {
        (Some(address), _) => address.parse::<RelayUrl>().ok().map(|url| url.to_string()),
        (None, Some(port)) => {
            let at = SocketAddr::new(from.ip().to_canonical(), port);
            Some(RelayUrl::at(at, registration.tls).to_string())
        }
        (None, None) => None,
    }
}
