//! The other Mains: how they are, and one more of them.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::Api;
use crate::env::Instant;
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
    let added = asked(body, &api).and_then(|url| {
        let is_new = mesh::add(&api.board, None, url.clone()).map_err(|error| error.to_string())?;
        Ok(json!({ "url": url.to_string(), "added": is_new }))
    });
    match added {
        Ok(done) => (StatusCode::OK, Json(done)),
        Err(error) => (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))),
    }
}

fn asked(body: Result<Bytes, BytesRejection>, api: &Api) -> Result<RelayUrl, String> {
    let limit = api.board.limits.max_message_bytes;
    let body = body.map_err(|error| format!("the body, at most {limit} bytes, did not arrive: {error}"))?;
    let request: Addition =
        serde_json::from_slice(&body).map_err(|error| format!("the body is no JSON object: {error}"))?;
    let url = request.url.ok_or("the field `url` is missing: ws://HOST:PORT or wss://HOST:PORT")?;
    url.parse().map_err(|error| format!("`url`: {error}"))
}
