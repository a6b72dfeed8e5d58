//! What the routes of both kinds of node and of the federation answer. Bodies are JSON; `timestamp` is RFC 3339.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, StatusCode};
use serde_json::{Value, json};

use crate::env::Instant;
use crate::federation::{BreakerState, Listing, Router as Federation, Scope};
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

/// Live: the process answers.
pub(super) async fn health(State(api): State<Arc<Api>>) -> Json<Value> {
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
pub(super) async fn ready(State(api): State<Arc<Api>>) -> (StatusCode, Json<Value>) {
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
pub(super) async fn metrics(State(api): State<Arc<Api>>) -> ([(HeaderName, &'static str); 1], String) {
    let text = api.board.metrics.scrape(&api.board.levels());
    ([(CONTENT_TYPE, crate::metrics::CONTENT_TYPE)], text)
}

/// The federation as this Main sees it, at a glance.
pub(super) async fn federation_health(State(api): State<Arc<Api>>) -> Json<Value> {
    let board = &api.board;
    let levels = board.levels();
    let all = everything(board);
    let failed = all.iter().filter(|(_, reachable)| !reachable).count();
    let peers = board.peers();
    let now = board.env.clock.now();
    let down = peers.iter().filter(|peer| peer.is_missed(now)).count();
    let peers: Vec<Value> = peers
        .iter()
        .map(|peer| {
            let state = if peer.is_up() { "connected" } else { "down" };
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
        "connected_homes": levels.links.homes,
        "connected_peers": levels.links.peers,
        "total_services": all.len(),
        "failed_services": failed,
        "average_latency": format!("{}ms", board.metrics.average_latency().as_millis()),
        "peers": peers,
        "breakers": board.tripped().iter().map(|it| breaker(it, now)).collect::<Vec<_>>(),
    }))
}

fn breaker((node, service, state): &(NodeId, Option<String>, BreakerState), now: Instant) -> Value {
    let (state, retry) = match state {
        BreakerState::Open { until } => ("open", Some((*until - now).as_secs_f64())),
        BreakerState::Closed | BreakerState::HalfOpen => ("half-open", None),
    };
    json!({ "node_id": node, "service_name": service, "state": state, "retry_in_seconds": retry })
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
pub(super) async fn services(State(api): State<Arc<Api>>) -> Json<Value> {
    Json(json!({ "node_id": api.board.me(), "services": api.facts.services }))
}

/// Services that hang on this Main.
pub(super) async fn registry(State(api): State<Arc<Api>>) -> Json<Value> {
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
pub(super) async fn federation_registry(State(api): State<Arc<Api>>) -> Json<Value> {
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
