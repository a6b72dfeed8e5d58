//! What a relay knows of the DHT, and lookups in it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use serde_json::{Value, json};

use super::api::Api;
use super::page::Page;
use crate::dht::Id;
use crate::metadata::{PeerDirectory, ResolveError};

/// An answer: what went wrong has a status of its own.
type Answered = (StatusCode, Json<Value>);

/// How this node stands in the DHT.
pub(super) async fn status(State(api): State<Arc<Api>>) -> Json<Value> {
    Json(api.board.directory().map_or_else(|| json!({ "enabled": false }), |directory| directory.status()))
}

/// Whom it knows.
pub(super) async fn peers(State(api): State<Arc<Api>>, uri: Uri) -> Answered {
    let directory = match directory(&api) {
        Ok(directory) => directory,
        Err(refusal) => return refusal,
    };
    match Page::<Id>::of(uri.query().unwrap_or_default()) {
        Ok(Page { after, limit }) => (StatusCode::OK, Json(directory.peers(after.as_ref(), limit))),
        Err(reason) => refusal(StatusCode::BAD_REQUEST, reason),
    }
}

/// What one of them says of itself.
pub(super) async fn peer(State(api): State<Arc<Api>>, Path(peer): Path<String>) -> Answered {
    let directory = match directory(&api) {
        Ok(directory) => directory,
        Err(refusal) => return refusal,
    };
    let peer = match peer_id(&peer) {
        Ok(peer) => peer,
        Err(refusal) => return refusal,
    };
    match directory.resolve(peer).await {
        Ok(found) => {
            let body = json!({
                "peer_id": peer.to_string(),
                "cached": found.cached,
                "connectable": found.metadata.is_connectable(),
                "metadata": found.metadata,
            });
            (StatusCode::OK, Json(body))
        }
        Err(error) => {
            let status = match &error {
                ResolveError::NotPublished { .. } => StatusCode::NOT_FOUND,
                ResolveError::NotMetadata { .. } => StatusCode::BAD_GATEWAY,
                ResolveError::Alone | ResolveError::Busy => StatusCode::SERVICE_UNAVAILABLE,
            };
            refusal(status, error.to_string())
        }
    }
}

fn directory(api: &Api) -> Result<&Arc<PeerDirectory>, Answered> {
    let off = "this relay takes no part in the DHT: it was started with -dht off";
    api.board.directory().ok_or_else(|| refusal(StatusCode::SERVICE_UNAVAILABLE, off.to_owned()))
}

fn peer_id(text: &str) -> Result<Id, Answered> {
    let words = format!("`{text}` is no peer id: that is the SHA-1 of a public key, 40 hexadecimal digits");
    text.parse().map_err(|_| refusal(StatusCode::BAD_REQUEST, words))
}

fn refusal(status: StatusCode, error: String) -> Answered {
    (status, Json(json!({ "error": error })))
}
