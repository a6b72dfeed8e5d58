//! A world that a test moves by hand, and an operator on its hosts.

use std::sync::Arc;
use std::time::Duration;

use relay_node::http::Client;
use relay_sim::engine::event::{self, Options, ProcessKind, Sim};
use relay_sim::scenario::{HostIndex, Scenario};
use relay_sim::world::World;
use serde_json::Value;

/// The largest answer that an operator takes, in bytes.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// Lets `play` move a world made from this text, and returns what it gave.
pub(crate) fn in_world<T, F>(text: &str, play: impl FnOnce(Sim, World) -> F + Send + 'static) -> T
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let scenario = Arc::new(Scenario::load("test.toml", text).unwrap());
    let end = event::run(Options::default(), move |sim| {
        let world = World::build(sim.clone(), scenario);
        Box::pin(play(sim, world))
    });
    assert!(end.panics.is_empty(), "{:?}", end.panics);
    end.outcome.unwrap()
}

/// What a host's relay answers to somebody on its own machine: a GET, or a POST where there is a body.
pub(crate) async fn ask(world: &World, host: HostIndex, path: &str, body: Option<String>) -> Value {
    let (sender, answer) = tokio::sync::oneshot::channel();
    let (port, path) = (world.api_port(host), path.to_owned());
    world.sim.start(world.host(host), "operator", ProcessKind::Harness, move |env| {
        Box::pin(async move {
            let request = match &body {
                Some(_) => hyper::Request::post(path),
                None => hyper::Request::get(path),
            };
            let request = request.header("host", "127.0.0.1").body(body.unwrap_or_default().into()).unwrap();
            let client = Client::new("127.0.0.1", port, MAX_ANSWER_BYTES, Duration::from_secs(1));
            let _ = sender.send(client.send(&env, request).await.expect("the relay answers").1);
        })
    });
    serde_json::from_slice(&answer.await.unwrap()).expect("the API speaks JSON")
}

/// The reply to a `remote_call` with these params.
pub(crate) async fn remote_call(world: &World, from: HostIndex, params: Value) -> Value {
    let call = serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": "remote_call", "params": params });
    ask(world, from, "/rpc", Some(call.to_string())).await
}
