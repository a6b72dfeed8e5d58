//! Every route, in one table: the router is made from it, and whoever asks for something else is told what there is.
//! `openapi.json` describes them.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{Method, StatusCode, Uri};
use axum::routing::{MethodRouter, delete, get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::access;
use super::api::{self, Api};
use super::{dht, older, peers, pins, rpc};
use crate::wire::NodeKind;

/// Who has a route.
#[derive(Clone, Copy, PartialEq, Eq)]
enum On {
    Both,
    Main,
}

impl On {
    fn has(self, kind: NodeKind) -> bool {
        self == On::Both || kind == NodeKind::Main
    }
}

/// How a route is served.
enum Serve {
    /// By this.
    Http(fn() -> MethodRouter<Arc<Api>>),
    /// As a link, before anything here is asked.
    WebSocket,
}

type Route = (&'static str, Method, On, Serve);

const GET: Method = Method::GET;
const POST: Method = Method::POST;

static ROUTES: [Route; 23] = [
    ("/rpc", POST, On::Both, Serve::Http(|| post(rpc::handle))),
    ("/health", GET, On::Both, Serve::Http(|| get(api::health))),
    ("/ready", GET, On::Both, Serve::Http(|| get(api::ready))),
    ("/metrics", GET, On::Both, Serve::Http(|| get(api::metrics))),
    ("/services", GET, On::Both, Serve::Http(|| get(api::services))),
    ("/dht/status", GET, On::Both, Serve::Http(|| get(dht::status))),
    ("/dht/peers", GET, On::Both, Serve::Http(|| get(dht::peers))),
    ("/dht/peers/{peer_id}", GET, On::Both, Serve::Http(|| get(dht::peer))),
    ("/registry", GET, On::Main, Serve::Http(|| get(api::registry))),
    ("/registry/servers", GET, On::Main, Serve::Http(|| get(older::servers))),
    ("/registry/peers", GET, On::Main, Serve::Http(|| get(older::peers))),
    ("/registry/health", GET, On::Main, Serve::Http(|| get(older::health))),
    ("/registry/peers/add", POST, On::Main, Serve::Http(|| post(older::add_peer))),
    ("/registry/peers/remove", Method::DELETE, On::Main, Serve::Http(|| delete(older::remove_peer))),
    ("/federation/registry", GET, On::Main, Serve::Http(|| get(api::federation_registry))),
    ("/federation/peers", GET, On::Main, Serve::Http(|| get(peers::list))),
    ("/federation/peers/add", POST, On::Main, Serve::Http(|| post(peers::add))),
    (access::PINS, GET, On::Main, Serve::Http(|| get(pins::list))),
    (access::ONE_PIN, Method::DELETE, On::Main, Serve::Http(|| delete(pins::forget))),
    ("/federation/health", GET, On::Main, Serve::Http(|| get(api::federation_health))),
    ("/ws/federation", GET, On::Main, Serve::WebSocket),
    ("/ws/peers", GET, On::Main, Serve::WebSocket),
    ("/ws/p2p", GET, On::Main, Serve::WebSocket),
];

/// The routes of this node's kind.
pub(super) fn router(api: &Arc<Api>) -> Router {
    let kind = api.board.kind();
    let max_bytes = api.board.limits.max_message_bytes;
    let mut routes = Router::new();
    for (path, _, on, serve) in &ROUTES {
        if let Serve::Http(handler) = serve
            && on.has(kind)
        {
            routes = routes.route(path, handler());
        }
    }
    routes
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(max_bytes))
        .with_state(Arc::clone(api))
}

async fn wrong_method(method: Method, uri: Uri) -> (StatusCode, Json<Value>) {
    let is_it = |path: &str| match path.split_once('{') {
        Some((front, _)) => uri.path().starts_with(front),
        None => path == uri.path(),
    };
    let route = ROUTES.iter().find(|(path, ..)| is_it(path));
    let right = route.map_or(&GET, |(_, right, ..)| right);
    let error = format!("{} takes {right}, not {method}", uri.path());
    (StatusCode::METHOD_NOT_ALLOWED, Json(json!({ "error": error })))
}

async fn unknown(State(api): State<Arc<Api>>, uri: Uri) -> (StatusCode, Json<Value>) {
    let kind = api.board.kind();
    let error = format!("there is no {} on a {kind} relay; there are: {}", uri.path(), listed(kind));
    (StatusCode::NOT_FOUND, Json(json!({ "error": error })))
}

/// The routes of a kind of node in words: `POST /rpc, GET /health, …`.
fn listed(kind: NodeKind) -> String {
    let mut text = String::new();
    for (path, method, on, serve) in &ROUTES {
        if on.has(kind) {
            let comma = if text.is_empty() { "" } else { ", " };
            let written = match serve {
                Serve::Http(_) => write!(text, "{comma}{method} {path}"),
                Serve::WebSocket => write!(text, "{comma}WebSocket {path}"),
            };
            written.expect("a string takes what is written");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_has_no_route_for_other_relays() {
        let home = listed(NodeKind::Home);
        assert_eq!(
            home,
            "POST /rpc, GET /health, GET /ready, GET /metrics, GET /services, \
             GET /dht/status, GET /dht/peers, GET /dht/peers/{peer_id}"
        );
        let main = listed(NodeKind::Main);
        assert!(main.starts_with(&home) && main.ends_with("WebSocket /ws/p2p"), "{main}");
    }
}
