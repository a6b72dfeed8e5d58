//! The other Mains: how they are, and one more of them.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::api::Api;
use crate::env::Instant;
use crate::link::mesh::AddPeerError;
use crate::link::{PeerState, PeerStatus, RelayUrl, mesh};

/// The Mains that this one is connected to, tries to connect to, or was connected to. What watches over them is the
/// heartbeats of their links.
pub(super) async fn list(State(api): State<Arc<Api>>) -> Json<Value> {
    let board = &api.board;
    let now = board.env.clock.now();
    let peers: Vec<Value> = board.peers().iter().map(|peer| line(peer, now)).collect();
    Json(json!({
        "node_id": board.me(),
        "peers": peers,
        "removed": board.removed_peers(),
        "health_check": {
            "heartbeat_seconds": board.timing.heartbeat.as_secs_f64(),
            "down_after_seconds": board.timing.unhealthy_after.as_secs_f64(),
        },
        "timestamp": board.env.clock.unix().to_string(),
    }))
}

fn line(peer: &PeerStatus, now: Instant) -> Value {
    let seconds = |since: Instant| (now - since).as_secs();
    let mut sources: Vec<&str> = peer.sources.iter().map(|source| source.as_str()).collect();
    if peer.inbound {
        sources.push("inbound");
    }
    let retry = match peer.state {
        PeerState::Waiting { until } => Some((until - now).as_secs_f64()),
        _ => None,
    };
    let round_trip = peer.vitals.and_then(|vitals| vitals.round_trip);
    json!({
        "node_id": peer.node,
        "address": peer.address,
        "status": if peer.is_up() { "connected" } else { "down" },
        "state": peer.state.as_str(),
        "since_seconds": seconds(peer.since),
        "connected_seconds": peer.is_up().then(|| seconds(peer.since)),
        "sources": sources,
        "last_heard_seconds": peer.vitals.map(|vitals| seconds(vitals.heard)),
        "round_trip_ms": round_trip.map(|time| time.as_micros() as f64 / 1_000.0),
        "failures": peer.failures,
        "retry_in_seconds": retry,
        "last_error": peer.last_error,
    })
}

/// What a request to add a peer holds.
#[derive(Deserialize)]
struct Addition {
    url: Option<String>,
}

/// Dials another Main from now on.
pub(super) async fn add(
    State(api): State<Arc<Api>>,
    body: Result<Bytes, BytesRejection>,
) -> (StatusCode, Json<Value>) {
    let refused = |status, error: String| (status, Json(json!({ "error": error })));
    let url = match asked(body, &api) {
        Ok(url) => url,
        Err(reason) => return refused(StatusCode::BAD_REQUEST, reason),
    };
    match mesh::add(&api.board, None, url.clone()).await {
        Ok(is_new) => (StatusCode::OK, Json(json!({ "url": url.to_string(), "added": is_new }))),
        Err(error) => refused(refusal_status(&error), format!("{url} was not added: {error}")),
    }
}

/// Whether a peer that was not added is the client's mistake or ours.
pub(super) const fn refusal_status(error: &AddPeerError) -> StatusCode {
    match error {
        AddPeerError::Myself(_) | AddPeerError::TooMany => StatusCode::BAD_REQUEST,
        AddPeerError::NotKept(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The JSON object that a client has sent.
pub(super) fn read_body<T: DeserializeOwned>(
    body: Result<Bytes, BytesRejection>,
    api: &Api,
) -> Result<T, String> {
    let limit = api.board.limits.max_message_bytes;
    let body = body.map_err(|error| format!("the body, at most {limit} bytes, did not arrive: {error}"))?;
    serde_json::from_slice(&body).map_err(|error| format!("the body is no JSON object: {error}"))
}

fn asked(body: Result<Bytes, BytesRejection>, api: &Api) -> Result<RelayUrl, String> {
    let request: Addition = read_body(body, api)?;
    let url = request.url.ok_or("the field `url` is missing: ws://HOST:PORT or wss://HOST:PORT")?;
    url.parse().map_err(|error| format!("`url`: {error}"))
}
