//! The keys that nodes are known by: a page of them at a time, and one that is to be forgotten.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use serde_json::{Value, json};

use super::api::Api;
use crate::store::Pin;
use crate::wire::NodeId;

/// Pins on one page: as many as are asked for, at most and by default so many.
const PAGE_PINS_MAX: usize = 1_000;

type Reply = (StatusCode, Json<Value>);

/// The keys that nodes are known by, by node id.
pub(super) async fn list(State(api): State<Arc<Api>>, uri: Uri) -> Reply {
    let Page { after, limit } = match page(uri.query().unwrap_or_default()) {
        Ok(page) => page,
        Err(reason) => return refused(StatusCode::BAD_REQUEST, reason),
    };
    match api.board.keyring.known(after, limit).await {
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
    match api.board.keyring.forget(node.clone()).await {
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

/// Which pins are asked for.
#[derive(Debug, PartialEq, Eq)]
struct Page {
    /// Those behind this node.
    after: Option<NodeId>,
    limit: usize,
}

/// What a query asks for. No node id has a character that a URL would have to escape.
fn page(query: &str) -> Result<Page, String> {
    let mut page = Page { after: None, limit: PAGE_PINS_MAX };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("after", node)) => {
                page.after = Some(node.parse().map_err(|error| format!("`after`: {error}"))?);
            }
            Some(("limit", number)) => {
                let limit = number.parse().ok().filter(|limit| (1..=PAGE_PINS_MAX).contains(limit));
                page.limit = limit.ok_or_else(|| {
                    format!("`limit` is `{number}`; expected a number from 1 to {PAGE_PINS_MAX}")
                })?;
            }
            _ => return Err(format!("`{pair}` says nothing here; expected `after=NODE_ID` and `limit=N`")),
        }
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_a_page() {
        let all = Page { after: None, limit: PAGE_PINS_MAX };
        assert_eq!(page(""), Ok(all));
        let some = Page { after: Some("alice.home".parse().unwrap()), limit: 2 };
        assert_eq!(page("limit=2&after=alice.home"), Ok(some));
    }

    #[test]
    fn a_query_that_names_none_is_refused_in_words() {
        for (query, words) in [
            ("limit=0", "`limit` is `0`; expected a number from 1 to 1000"),
            ("limit=1001", "`limit` is `1001`"),
            ("limit=many", "`limit` is `many`"),
            ("after=", "`after`: "),
            ("after=a%20b", "`after`: "),
            ("before=a", "`before=a` says nothing here"),
            ("limit", "`limit` says nothing here"),
        ] {
            let refusal = page(query).unwrap_err();
            assert!(refusal.contains(words), "{query}: {refusal}");
        }
    }
}
