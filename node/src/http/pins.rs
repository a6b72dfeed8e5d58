//! The keys that nodes are known by: a page of them at a time, and one that is to be forgotten.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use serde_json::{Value, json};

use super::api::Api;
use super::page::Page;
use crate::store::Pin;
use crate::wire::NodeId;

type Reply = (StatusCode, Json<Value>);

/// The keys that nodes are known by, by node id.
pub(super) async fn list(State(api): State<Arc<Api>>, uri: Uri) -> Reply {
    let Page { after, limit } = match Page::of(uri.query().unwrap_or_default()) {
        Ok(page) => page,
        Err(reason) => return refused(StatusCode::BAD_REQUEST, reason),
    };
    match api.board.known.keyring.known(after, limit).await {
        Ok(found) => {
            let next = found.pins.last().filter(|_| found.more).map(|pin| &pin.node);
            let body = json!({
                "node_id": api.board.me(),
                "pins": found.pins.iter().map(line).collect::<Vec<_>>(),
                "total": found.total,
                "next": next,
                "timestamp": api.board.env.clock.unix().to_string(),
            });
            (StatusCode::OK, Json(body))
        }
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, format!("the pins cannot be read: {error}")),
    }
}

/// Forgets the key of a node: whoever next comes under its id is new, and known by the key that it then shows.
pub(super) async fn forget(State(api): State<Arc<Api>>, Path(node): Path<String>) -> Reply {
    let node: NodeId = match node.parse() {
        Ok(node) => node,
        Err(error) => return refused(StatusCode::BAD_REQUEST, format!("the node id in the path: {error}")),
    };
    match api.board.known.keyring.forget(node.clone()).await {
        Ok(true) => {
            tracing::info!(%node, "its key is forgotten: it is new when it next comes");
            (StatusCode::OK, Json(json!({ "node_id": node, "forgotten": true })))
        }
        Ok(false) => {
            let error = format!(
                "{} has pinned no key of {node}; GET /federation/pins lists those that it has",
                api.board.me()
            );
            refused(StatusCode::NOT_FOUND, error)
        }
        Err(error) => refused(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("the key of {node} was not forgotten: {error}"),
        ),
    }
}

fn line(pin: &Pin) -> Value {
    json!({
        "node_id": pin.node,
        "public_key": pin.public_key,
        "role": pin.role,
        "first_seen": pin.first_seen.to_string(),
        "last_seen": pin.last_seen.to_string(),
    })
}

fn refused(status: StatusCode, error: String) -> Reply {
    (status, Json(json!({ "error": error })))
}
