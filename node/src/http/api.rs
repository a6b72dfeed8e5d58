//! The routes. Bodies are JSON; `timestamp` is RFC 3339.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, Method, StatusCode, Uri};
use axum::routing::{delete, get, post};
use serde_json::{Value, json};

use super::{older, rpc};
use crate::federation::{Listing, Router as Federation, Scope};
use crate::link::Switchboard;
use crate::wire::{NodeId, NodeKind, ServiceOffer};

/// What the API tells of a node that never changes.
#[derive(Clone, Debug)]
pub struct NodeFacts {
    /// The node's public key, in hex.
    pub public_key: String,
    /// Its address for others: a Main's URL, or the address that a Home listens on.
    pub address: String,
    /// Whether its port speaks TLS.
    pub tls: bool,
    /// The services that it offers by itself.
    pub services: Vec<ServiceOffer>,
}

/// What every handler may use.
pub(super) struct Api {
    pub(super) board: Arc<Switchboard>,
    pub(super) facts: NodeFacts,
}

/// The routes of this node's kind.
pub(super) fn router(api: &Arc<Api>) -> Router {
    let board = &api.board;
    let both = Router::new()
        .route("/rpc", post(rpc::handle))
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/services", get(services));
    let routes = match board.kind() {
        NodeKind::Home => both,
        NodeKind::Main => both
            .route("/registry", get(registry))
            .route("/registry/servers", get(older::servers))
            .route("/registry/peers", get(older::peers))
            .route("/registry/peers/add", post(older::add_peer))
            .route("/registry/peers/remove", delete(older::remove_peer))
            .route("/registry/health", get(older::health))
            .route("/federation/registry", get(federation_registry))
            .route("/federation/peers", get(federation_peers))
            .route("/federation/health", get(federation_health)),
    };
    routes
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(board.limits.max_message_bytes))
        .with_state(Arc::clone(api))
}

async fn wrong_method(method: Method, uri: Uri) -> (StatusCode, Json<Value>) {
    let right = match uri.path() {
        "/rpc" | "/registry/peers/add" => Method::POST,
        "/registry/peers/remove" => Method::DELETE,
        _ => Method::GET,
    };
    let error = format!("{} takes {right}, not {method}", uri.path());
    (StatusCode::METHOD_NOT_ALLOWED, Json(json!({ "error": error })))
}

async fn unknown(State(api): State<Arc<Api>>, uri: Uri) -> (StatusCode, Json<Value>) {
    let kind = api.board.kind();
    let routes = match kind {
        NodeKind::Home => "POST /rpc, GET /health, /ready, /metrics, /services",
        NodeKind::Main => {
            "POST /rpc, GET /health, /ready, /metrics, /services, /registry, /registry/servers, /registry/peers, \
             /registry/health, /federation/registry, /federation/peers, /federation/health, \
             POST /registry/peers/add, DELETE /registry/peers/remove, WebSocket /ws/federation, /ws/peers, /ws/p2p"
        }
    };
    let error = format!("there is no {} on a {kind} relay; there are: {routes}", uri.path());
    (StatusCode::NOT_FOUND, Json(json!({ "error": error })))
}

/// Live: the process answers.
async fn health(State(api): State<Arc<Api>>) -> Json<Value> {
    let board = &api.board;
    let (neighbours, in_flight) = board.look(|router| (router.neighbours().count(), router.in_flight()));
    Json(json!({
        "status": if board.is_draining() { "draining" } else { "ok" },
        "node_id": board.me(),
        "node_type": board.kind(),
        "public_key": api.facts.public_key,
        "version": env!("CARGO_PKG_VERSION"),
        "links": neighbours,
        "calls_in_flight": in_flight,
    }))
}

/// Ready: for load balancers. A Main that takes calls; a Home that has its Main.
async fn ready(State(api): State<Arc<Api>>) -> (StatusCode, Json<Value>) {
    let board = &api.board;
    let waits_for = match board.kind() {
        _ if board.is_draining() => Some("it is shutting down"),
        NodeKind::Home if board.look(|router| router.neighbours().next().is_none()) => {
            Some("it is not connected to a Main")
        }
        NodeKind::Home | NodeKind::Main => None,
    };
    match waits_for {
        None => (StatusCode::OK, Json(json!({ "ready": true }))),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "ready": false, "reason": reason }))),
    }
}

/// Prometheus' text format.
async fn metrics(State(api): State<Arc<Api>>) -> ([(HeaderName, &'static str); 1], String) {
    let text = api.board.metrics.scrape(&api.board.levels());
    ([(CONTENT_TYPE, crate::metrics::CONTENT_TYPE)], text)
}

/// The federation as this Main sees it, at a glance.
async fn federation_health(State(api): State<Arc<Api>>) -> Json<Value> {
    let board = &api.board;
    let levels = board.levels();
    let all = everything(board);
    let failed = all.iter().filter(|(_, reachable)| !reachable).count();
    let peers = board.peers();
    let down = peers.iter().filter(|peer| peer.up_since.is_none()).count();
    let peers: Vec<Value> = peers
        .iter()
        .map(|peer| {
            let state = if peer.up_since.is_some() { "connected" } else { "down" };
            json!({ "node_id": peer.node, "address": peer.address, "state": state })
        })
        .collect();
    let status = match (board.is_draining(), failed + down) {
        (true, _) => "draining",
        (false, 0) => "healthy",
        (false, _) => "degraded",
    };
    Json(json!({
        "status": status,
        "connected_homes": levels.homes,
        "connected_peers": levels.peers,
        "total_services": all.len(),
        "failed_services": failed,
        "average_latency": format!("{}ms", board.metrics.average_latency().as_millis()),
        "peers": peers,
    }))
}

/// Every service that this Main knows of, and whether it can be reached now.
fn everything(board: &Switchboard) -> Vec<(Listing, bool)> {
    board.look(|router| {
        let up: BTreeSet<&NodeId> = router.neighbours().map(|info| &info.node).collect();
        let reachable = |listing: &Listing| match &listing.scope {
            Scope::Own => true,
            Scope::Local => up.contains(&listing.node),
            Scope::Federated { main } => up.contains(main),
        };
        let all = router.registry().all().into_iter();
        all.map(|listing| {
            let reachable = reachable(&listing);
            (listing, reachable)
        })
        .collect()
    })
}

/// The node's own services.
async fn services(State(api): State<Arc<Api>>) -> Json<Value> {
    Json(json!({ "node_id": api.board.me(), "services": api.facts.services }))
}

/// Services that hang on this Main.
async fn registry(State(api): State<Arc<Api>>) -> Json<Value> {
    let board = &api.board;
    let (local, peers) = board.look(|router| (router.registry().local(), peer_ids(router)));
    let servers: BTreeSet<&str> = local.iter().map(|listing| listing.service.name.as_str()).collect();
    Json(json!({
        "node_id": board.me(),
        "node_address": api.facts.address,
        "servers": servers,
        "services": local.iter().map(|listing| line(listing, board.me(), true)).collect::<Vec<_>>(),
        "peers": peers,
        "timestamp": board.env.clock.unix().to_string(),
    }))
}

/// Everything that this Main knows of.
async fn federation_registry(State(api): State<Arc<Api>>) -> Json<Value> {
    let board = &api.board;
    let all = everything(board);
    let lines: Vec<Value> =
        all.iter().map(|(listing, reachable)| line(listing, board.me(), *reachable)).collect();
    Json(json!({
        "node_id": board.me(),
        "services": lines,
        "timestamp": board.env.clock.unix().to_string(),
    }))
}

/// The Mains that this one is connected to or tries to connect to.
async fn federation_peers(State(api): State<Arc<Api>>) -> Json<Value> {
    let board = &api.board;
    let now = board.env.clock.now();
    let peers = board.peers().into_iter().map(|peer| {
        json!({
            "node_id": peer.node,
            "address": peer.address,
            "status": if peer.up_since.is_some() { "connected" } else { "down" },
            "connected_seconds": peer.up_since.map(|since| (now - since).as_secs()),
            "last_error": peer.last_error,
        })
    });
    Json(json!({
        "node_id": board.me(),
        "peers": peers.collect::<Vec<_>>(),
        "timestamp": board.env.clock.unix().to_string(),
    }))
}

fn peer_ids(router: &Federation) -> Vec<NodeId> {
    router.peers().map(|info| info.node.clone()).collect()
}

fn line(listing: &Listing, me: &NodeId, reachable: bool) -> Value {
    let (scope, main) = match &listing.scope {
        Scope::Own | Scope::Local => ("local", me),
        Scope::Federated { main } => ("federated", main),
    };
    json!({
        "name": listing.service.name,
        "methods": listing.service.methods,
        "node_id": listing.node,
        "node_type": listing.kind,
        "main_relay": main,
        "scope": scope,
        "reachable": reachable,
    })
}
