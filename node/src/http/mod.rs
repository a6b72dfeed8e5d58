//! The HTTP side of a node: one port for the API and, on a Main, for the WebSocket endpoints.

mod access;
mod api;
mod calls;
mod client;
mod dht;
mod older;
mod page;
mod peers;
mod pins;
mod rewound;
mod routes;
mod rpc;
mod secure;
mod timer;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use crate::env::{Listener, Stream};
use crate::link::{Switchboard, accept, older as older_mesh};
use crate::wire::NodeKind;

use access::Doorman;
pub use access::Guard;
use api::Api;
pub use api::NodeFacts;
use calls::Front;
pub use client::{Client, ClientError, Server};

/// How long a client may take to send a request's head, and how long an idle connection is kept, in seconds.
const HEAD_SECONDS: u64 = 60;

/// Buffer of one HTTP connection, in bytes. Ten thousand Homes keep theirs until the upgrade only.
const CONNECTION_BUFFER_BYTES: usize = 16 * 1024;

/// Waits after `accept` has failed, as it does when file descriptors run out, in milliseconds.
const ACCEPT_RETRY_MILLIS: u64 = 100;

/// Accepts connections until `closing`; those that are open then end with the request that they are serving. Where
/// [`NodeFacts::tls`] says so, the port speaks TLS.
pub async fn serve(
    board: Arc<Switchboard>,
    mut listener: Box<dyn Listener>,
    facts: NodeFacts,
    guard: Guard,
    closing: CancellationToken,
) {
    let tls = facts.tls;
    let api = Arc::new(Api { board: Arc::clone(&board), facts });
    let routes = Arc::new(Routes { router: routes::router(&api), api, guard });
    let doorman = Doorman::new(board.limits.max_connections_per_address);
    loop {
        let accepted = tokio::select! {
            biased;
            () = closing.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => {
                let Some(stream) = doorman.admit(stream, from) else {
                    tracing::debug!(%from, "refused: that address has too many connections");
                    board.metrics.turned_away();
                    continue;
                };
                let (task_board, routes, closing) =
                    (Arc::clone(&board), Arc::clone(&routes), closing.clone());
                board.env.spawn("http-connection", async move {
                    let stream =
                        if tls { secure::secured(&task_board, stream, from).await } else { Some(stream) };
                    if let Some(stream) = stream {
                        connection(task_board, stream, from, routes, closing).await;
                    }
                });
            }
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                board.env.sleep(Duration::from_millis(ACCEPT_RETRY_MILLIS)).await;
            }
        }
    }
}

/// Where requests go, and which of them may.
struct Routes {
    router: axum::Router,
    api: Arc<Api>,
    guard: Guard,
}

async fn connection(
    board: Arc<Switchboard>,
    stream: Stream,
    from: SocketAddr,
    routes: Arc<Routes>,
    closing: CancellationToken,
) {
    let front = Front { api: &routes.api, guard: &routes.guard, closing: &closing };
    let Some(stream) = front.serve(stream).await else { return };
    // On the heap: most connections that come this far are upgraded, and a link's task is not to hold room for this.
    let rest = general(board, stream, from, routes, closing);
    Box::pin(rest).await;
}

/// Serves what is left of a connection with all of HTTP.
async fn general(
    board: Arc<Switchboard>,
    stream: Stream,
    from: SocketAddr,
    routes: Arc<Routes>,
    closing: CancellationToken,
) {
    let (env, tls) = (board.env.clone(), routes.api.facts.tls);
    let service = service_fn(move |request| {
        let (board, routes) = (Arc::clone(&board), Arc::clone(&routes));
        async move { Ok::<_, std::convert::Infallible>(answer(&board, &routes, request, from).await) }
    });
    let connection = http1::Builder::new()
        .timer(timer::SeamTimer::new(env))
        .header_read_timeout(Duration::from_secs(HEAD_SECONDS))
        .max_buf_size(CONNECTION_BUFFER_BYTES)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    match ended {
        // What begins a TLS connection is no method of HTTP.
        Err(error) if error.is_parse() && !tls => tracing::warn!(
            %from,
            "what came is not HTTP ({error}); perhaps TLS: this port speaks plain http:// and ws://"
        ),
        Err(error) => tracing::debug!(%from, "HTTP connection: {error}"),
        Ok(()) => {}
    }
}

async fn answer(
    board: &Arc<Switchboard>,
    routes: &Routes,
    request: Request<Incoming>,
    from: SocketAddr,
) -> Response<Body> {
    if let Some(refusal) = access::foreign_origin(request.headers()) {
        return refusal;
    }
    if board.kind() == NodeKind::Main {
        let path = request.uri().path();
        if path == older_mesh::PATH {
            return older_mesh::upgrade(board, request, from).map(Body::new);
        }
        if let Some(role) = accept::role_at(path) {
            return accept::upgrade(board, request, role, from).map(Body::new);
        }
    }
    if let Some(refusal) = routes.guard.refusal(request.uri().path(), request.headers(), from) {
        return refusal;
    }
    match routes.router.clone().call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}
