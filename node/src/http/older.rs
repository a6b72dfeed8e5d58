//! The routes that clients of the older mesh know. Maps are keyed by name, times are RFC 3339, as they expect.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::Api;
use super::peers as peer_routes;
use crate::federation::Scope;

use crate::link::{RelayUrl, mesh, older};
use crate::wire::NodeId;
use crate::wire::older::by_key;

type Reply = (StatusCode, Json<Value>);

/// The services that can be called here: each name's first instance under that name, its others under `NAME@NODE`.
pub(super) async fn servers(State(api): State<Arc<Api>>) -> Json<Value> {
    let listed = older::listed(&api.board, None);
    let now = api.board.env.clock.unix().to_string();
    let servers: BTreeMap<String, Value> = by_key(&listed)
        .into_iter()
        .map(|(key, service)| {
            let line = json!({
                "name": service.name,
                "node_id": service.node_id,
                "node_address": api.facts.address,
                "methods": service.methods,
                "last_seen": now,
                "is_local": service.is_local,
            });
            (key, line)
        })
        .collect();
    Json(json!(servers))
}

/// The other Mains and the peers of the older mesh, by id; by address where the id is not known yet.
pub(super) async fn peers(State(api): State<Arc<Api>>) -> Json<Value> {
    Json(json!(listed_peers(&api)))
}

fn listed_peers(api: &Api) -> BTreeMap<String, Value> {
    let board = &api.board;
    let now = board.env.clock.unix().to_string();
    let (older, counts) = board.look(|router| {
        let mut counts: BTreeMap<NodeId, usize> = BTreeMap::new();
        for listing in router.registry().all() {
            let at = match listing.scope {
                Scope::Federated { main } => main,
                Scope::Own | Scope::Local => listing.node,
            };
            *counts.entry(at).or_default() += 1;
        }
        let older = router.neighbours().filter(|info| info.older_mesh);
        let older: Vec<_> = older.map(|info| (info.node.clone(), info.address.clone())).collect();
        (older, counts)
    });
    let line = |node: Option<&NodeId>, address: Option<&str>, is_up: bool| {
        let count = node.and_then(|node| counts.get(node)).copied().unwrap_or(0);
        json!({
            "node_id": node,
            "address": address,
            // A link that is up was heard of within its time limit.
            "last_seen": is_up.then_some(&now),
            "is_healthy": is_up,
            "server_count": if is_up { count } else { 0 },
        })
    };
    let mains = board.peers().into_iter().map(|peer| {
        let key = peer.node.as_ref().map(ToString::to_string).or_else(|| peer.address.clone());
        let value = line(peer.node.as_ref(), peer.address.as_deref(), peer.is_up());
        (key.unwrap_or_default(), value)
    });
    let older =
        older.iter().map(|(node, address)| (node.to_string(), line(Some(node), address.as_deref(), true)));
    mains.chain(older).collect()
}

/// The state of this node, in the words of the older mesh.
pub(super) async fn health(State(api): State<Arc<Api>>) -> Json<Value> {
    let board = &api.board;
    let (local, federated) = board.look(|router| router.registry().counts());
    Json(json!({
        "status": if board.is_draining() { "draining" } else { "healthy" },
        "node_id": board.me(),
        "node_address": api.facts.address,
        "server_count": local + federated,
        "peer_count": listed_peers(&api).len(),
        "timestamp": board.env.clock.unix().to_string(),
    }))
}

/// What a request to add or remove a peer holds.
#[derive(Deserialize)]
struct PeerRequest {
    node_id: Option<String>,
    address: Option<String>,
}

/// Dials another Main from now on, also after a restart.
pub(super) async fn add_peer(State(api): State<Arc<Api>>, body: Result<Bytes, BytesRejection>) -> Reply {
    let wanted = asked(body, &api).and_then(|(node, address)| {
        let address = address.ok_or("the field `address` is missing: HOST:PORT or ws://HOST:PORT")?;
        Ok((node, peer_url(&address)?))
    });
    let (node, url) = match wanted {
        Ok(wanted) => wanted,
        Err(reason) => return refused(StatusCode::BAD_REQUEST, reason),
    };
    match mesh::add(&api.board, Some(node.clone()), url.clone()).await {
        Ok(true) => done(format!("{node} is dialled at {url}")),
        Ok(false) => done(format!("{url} is dialled already")),
        Err(error) => refused(peer_routes::refusal_status(&error), format!("{node} was not added: {error}")),
    }
}

/// Ends the link to a peer, and keeps it out until it is added again.
pub(super) async fn remove_peer(State(api): State<Arc<Api>>, body: Result<Bytes, BytesRejection>) -> Reply {
    let (node, _) = match asked(body, &api) {
        Ok(asked) => asked,
        Err(reason) => return refused(StatusCode::BAD_REQUEST, reason),
    };
    match mesh::remove(&api.board, &node).await {
        Ok(true) => done(format!("{node} is removed")),
        Ok(false) => {
            let error = format!("{node} is no peer of this node; GET /registry/peers lists them");
            refused(StatusCode::NOT_FOUND, error)
        }
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, format!("{node} was not removed: {error}")),
    }
}

fn done(message: String) -> Reply {
    (StatusCode::OK, Json(json!({ "status": "success", "message": message })))
}

fn refused(code: StatusCode, error: String) -> Reply {
    (code, Json(json!({ "error": error })))
}

fn asked(body: Result<Bytes, BytesRejection>, api: &Api) -> Result<(NodeId, Option<String>), String> {
    let request: PeerRequest = peer_routes::read_body(body, api)?;
    let node = request.node_id.ok_or("the field `node_id` is missing")?;
    let node = node.parse().map_err(|error| format!("`node_id`: {error}"))?;
    Ok((node, request.address))
}

/// The URL that an address of the older mesh means: `HOST:PORT`, or a URL of its HTTP side.
fn peer_url(address: &str) -> Result<RelayUrl, String> {
    let url = match (address.strip_prefix("http://"), address.strip_prefix("https://")) {
        (Some(bare), _) => format!("ws://{bare}"),
        (None, Some(bare)) => format!("wss://{bare}"),
        (None, None) if address.contains("://") => address.to_owned(),
        (None, None) => format!("ws://{address}"),
    };
    url.parse().map_err(|error| format!("`address`: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_older_mesh_are_understood() {
        for address in
            ["relay-b.com:8081", "http://relay-b.com:8081", "ws://relay-b.com:8081", "ws://relay-b.com:8081/"]
        {
            assert_eq!(peer_url(address).unwrap().to_string(), "ws://relay-b.com:8081", "{address}");
        }
        for address in ["https://relay-b.com", "wss://relay-b.com:443"] {
            assert_eq!(peer_url(address).unwrap().to_string(), "wss://relay-b.com:443", "{address}");
        }
        for (address, words) in [
            ("", "`address`: `ws://` is not a URL"),
            ("a b:1", "is not a URL"),
            ("ftp://a:1", "has the scheme `ftp`"),
            ("host:99999", "the port `99999`"),
        ] {
            let refusal = peer_url(address).unwrap_err();
            assert!(refusal.contains(words), "{address}: {refusal}");
        }
    }
}
