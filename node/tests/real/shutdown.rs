//! SIGTERM: no new calls, those under way end, then the node does.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use relay_node::config::{Launch, Parsed, parse_args};
use relay_node::env::{Env, Rng};
use serde_json::json;
use tokio::sync::oneshot;

use crate::http::{SlowUpstream, get, post_rpc, remote_call};
use crate::world::{Process, World, eventually, free_port, lists};

/// The call that is under way meanwhile.
fn slow() -> serde_json::Value {
    json!({ "service_name": "slow_service", "method": "get" })
}

#[tokio::test]
async fn a_home_ends_its_calls_before_itself() {
    let world = World::new();
    let upstream = SlowUpstream::start().await;
    let main = world.main("relay-a", &[]).await;
    let mut bob = world.home("bob.home", &main.url(), &upstream.service(), &[]).await;
    lists(&main, &["slow_service@bob.home local"]).await;
    let at = main.at.clone();
    let under_way = tokio::spawn(async move { remote_call(&at, slow()).await });
    upstream.called().await;

    bob.process.terminate();
    bob.process.says("shutting down: no new calls are taken").await;
    assert_eq!(get(&bob.at, "/health").await["status"], "draining");
    let error = remote_call(&bob.at, slow()).await["error"].take();
    assert_eq!(error["code"], -32011, "{error}");
    assert_eq!(error["message"], "bob.home is shutting down");
    assert_eq!((&error["data"]["node"], &error["data"]["retryable"]), (&json!("bob.home"), &json!(true)));
    // The Main has heard the goodbye, and sends no more calls its way while the one under way goes on.
    lists(&main, &[]).await;
    let error = remote_call(&main.at, slow()).await["error"].take();
    assert_eq!((&error["code"], &error["data"]["node"]), (&json!(-32001), &json!("relay-a")), "{error}");
    upstream.answer();
    let reply = under_way.await.unwrap();
    assert_eq!(reply["result"], "at last", "{reply}");
    assert_eq!(bob.process.ended().await.code(), Some(0));
    lists(&main, &[]).await;
    let error = remote_call(&main.at, slow()).await["error"].take();
    assert_eq!(error["code"], -32001, "{error}");
}

#[tokio::test]
async fn a_main_carries_the_calls_under_way_to_their_end() {
    let world = World::new();
    let upstream = SlowUpstream::start().await;
    let mut main = world.main("relay-a", &[]).await;
    let alice =
        world.home("alice.home", &main.url(), "[[service]]\nname = \"echo\"\nkind = \"echo\"", &[]).await;
    let _bob = world.home("bob.home", &main.url(), &upstream.service(), &[]).await;
    lists(&main, &["echo@alice.home local", "slow_service@bob.home local"]).await;
    let (at, at_main) = (alice.at.clone(), main.at.clone());
    let from_home = tokio::spawn(async move { remote_call(&at, slow()).await });
    let from_main = tokio::spawn(async move { remote_call(&at_main, slow()).await });
    upstream.called().await;
    upstream.called().await;

    main.process.terminate();
    main.process.says("shutting down: no new calls are taken").await;
    let error = remote_call(&alice.at, slow()).await["error"].take();
    assert_eq!((&error["code"], &error["data"]["node"]), (&json!(-32011), &json!("relay-a")), "{error}");
    let (status, page) = post_rpc(&main.at, "{").await;
    assert_eq!(status, 200, "its API still answers: {page}");
    upstream.answer();
    upstream.answer();
    for under_way in [from_home, from_main] {
        let reply = under_way.await.unwrap();
        assert_eq!(reply["result"], "at last", "{reply}");
    }
    assert_eq!(main.process.ended().await.code(), Some(0));
    assert!(main.process.said().trim_end().ends_with("stopped"));
}

#[tokio::test]
async fn a_signal_while_a_node_starts_ends_it_well() {
    let world = World::new();
    let data = world.path("data");
    std::fs::create_dir(&data).unwrap();
    // A disk that is slow: the node waits for its key until somebody writes it into the pipe.
    let key = data.join("ed25519_private.key");
    assert!(Command::new("mkfifo").arg(&key).status().unwrap().success());
    let dir = world.text("data");
    let args = ["-server", "-host", "127.0.0.1", "-port", "0", "-data-dir", &dir];
    let mut main = world.relay("main", &args);
    eventually("it has come to its data", async || data.join("lock").exists().then_some(())).await;
    main.terminate();
    let write = format!("printf %s {} > '{}'", "07".repeat(32), key.display());
    let _writer = Process::start(Path::new("sh"), &["-c".into(), write], world.path("writer.log"));
    assert_eq!(main.ended().await.code(), Some(0), "{}", main.said());
    assert!(main.said().trim_end().ends_with("stopped"), "{}", main.said());
}

/// In this process, because no flag shortens the ten seconds that calls have to end.
#[tokio::test]
async fn calls_that_outlast_the_shutdown_are_told_so() {
    let world = World::new();
    let upstream = SlowUpstream::start().await;
    let at = format!("127.0.0.1:{}", free_port());
    let file = world.file("slow.toml", &upstream.service());
    let (_, port) = at.split_once(':').unwrap();
    let args = [&file, "-server", "-host", "127.0.0.1", "-port", port, "-node-id", "relay-a"];
    let Parsed::Run(args) = parse_args(args.map(String::from)) else { panic!("well-formed arguments") };
    let read = |file: &str| std::fs::read_to_string(file);
    let mut config = Launch::from_args(*args, read, &mut rand::make_rng::<Rng>()).unwrap().config;
    config.timing.drain = Duration::from_millis(50);
    let (shut_down, told) = oneshot::channel::<()>();
    let node = tokio::spawn(relay_node::run(config, Env::production(world.path("data")), async move {
        let _ = told.await;
    }));
    eventually("it listens", async || tokio::net::TcpStream::connect(&at).await.ok()).await;
    let caller = at.clone();
    let under_way = tokio::spawn(async move { remote_call(&caller, slow()).await });
    upstream.called().await;

    shut_down.send(()).unwrap();
    let error = under_way.await.unwrap()["error"].take();
    assert_eq!((&error["code"], &error["data"]["retryable"]), (&json!(-32011), &json!(false)), "{error}");
    assert_eq!(error["message"], "relay-a stopped before the answer came; the call may have run");
    node.await.unwrap().unwrap();
}
