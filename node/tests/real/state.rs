//! What survives: a kill at the worst moment, a restart, and what does not.

use std::fs;

use hyper::Method;
use serde_json::{Value, json};

use crate::http::{get, remote_call, send_with};
use crate::world::{Relay, World, eventually, fixed, free_port, lists};

/// Changes the peers of relay-a, as its operator may.
async fn change(world: &World, main: &Relay, method: Method, path: &str, body: &Value) {
    let token = fs::read_to_string(world.path("relay-a/admin_token")).expect("made at the first start");
    let response = send_with(&main.at, method, path, body.to_string(), Some(&token)).await;
    let response = response.expect("the relay answers");
    assert_eq!(response.status(), 200, "{}", response.body());
}

async fn add(world: &World, main: &Relay, node: &str, address: &str) {
    let body = json!({ "node_id": node, "address": address });
    change(world, main, Method::POST, "/registry/peers/add", &body).await;
}

async fn remove(world: &World, main: &Relay, node: &str) {
    change(world, main, Method::DELETE, "/registry/peers/remove", &json!({ "node_id": node })).await;
}

#[tokio::test]
async fn a_kill_right_after_the_answer_takes_neither_an_added_nor_a_removed_peer_back() {
    let world = World::new();
    let port = free_port().to_string();
    let b = world.main("relay-b", &[]).await;
    let _bob = world.home("bob.home", &b.url(), &fixed("shop", "get = 1"), &[]).await;
    lists(&b, &["shop@bob.home local"]).await;

    let mut a = world.main("relay-a", &["-port", &port]).await;
    add(&world, &a, "relay-b", &b.at).await;
    a.process.kill();
    let mut a = world.main("relay-a", &["-port", &port]).await;
    lists(&a, &["shop@bob.home federated"]).await;

    remove(&world, &a, "relay-b").await;
    a.process.kill();
    // Not even its configuration brings it back.
    let mut a = world.main("relay-a", &["-port", &port, "-peers", &b.url()]).await;
    a.process.says("this peer is left out: relay-b was removed from the peers of this node").await;
    eventually("nobody dials it any more", async || {
        (get(&a.at, "/federation/peers").await["peers"][0]["state"] == "left-out").then_some(())
    })
    .await;
    add(&world, &a, "relay-b", &b.at).await;
    lists(&a, &["shop@bob.home federated"]).await;
    a.process.kill();
    let a = world.main("relay-a", &["-port", &port]).await;
    lists(&a, &["shop@bob.home federated"]).await;
}

#[tokio::test]
async fn who_was_added_by_address_alone_is_removed_by_its_id() {
    let world = World::new();
    let port = free_port().to_string();
    let b = world.main("relay-b", &[]).await;
    let mut a = world.main("relay-a", &["-port", &port]).await;
    change(&world, &a, Method::POST, "/federation/peers/add", &json!({ "url": b.url() })).await;
    a.process.kill();
    let mut a = world.main("relay-a", &["-port", &port]).await;
    a.process.says("connected to the peer").await;
    remove(&world, &a, "relay-b").await;
    a.process.kill();
    let a = world.main("relay-a", &["-port", &port]).await;
    assert_eq!(get(&a.at, "/registry/peers").await, json!({}), "it is not even dialled");
}

#[tokio::test]
async fn a_main_that_restarts_alone_still_knows_the_federation() {
    let world = World::new();
    let port = free_port().to_string();
    let mut b = world.main("relay-b", &[]).await;
    let mut bob = world.home("bob.home", &b.url(), &fixed("shop", "get = 1"), &[]).await;
    let args = ["-port", &port, "-peers", &b.url()];
    let mut a = world.main("relay-a", &args).await;
    lists(&a, &["shop@bob.home federated"]).await;
    b.process.kill();
    bob.process.kill();
    a.process.terminate();
    assert!(a.process.ended().await.success());

    let a = world.main("relay-a", &args).await;
    let registry = get(&a.at, "/federation/registry").await;
    let entry = &registry["services"][0];
    assert_eq!(
        (&entry["name"], &entry["main_relay"], &entry["methods"], &entry["reachable"]),
        (&json!("shop"), &json!("relay-b"), &json!(["get"]), &json!(false)),
        "{registry}"
    );
    let call = json!({ "service_name": "shop", "method": "get" });
    let error = remote_call(&a.at, call).await["error"].take();
    assert_eq!((&error["code"], &error["data"]["retryable"]), (&json!(-32003), &json!(true)), "{error}");
}

#[tokio::test]
async fn a_damaged_database_is_refused_and_left_as_it_is() {
    let world = World::new();
    let mut main = world.main("relay-a", &[]).await;
    main.process.terminate();
    assert!(main.process.ended().await.success());
    let database = world.path("relay-a/relay.db");
    let mut bytes = fs::read(&database).unwrap();
    assert!(!bytes.is_empty(), "closed in good order, it is all in one file");
    bytes[..64].fill(b'x');
    fs::write(&database, &bytes).unwrap();

    let dir = world.text("relay-a");
    let mut refused = world.relay("relay-a", &["-server", "-port", "0", "-data-dir", &dir]);
    assert_eq!(refused.ended().await.code(), Some(65), "{}", refused.said());
    for words in ["relay.db", "is damaged", "Restore it from a backup, or move"] {
        assert!(refused.said().contains(words), "{words}: {}", refused.said());
    }
    assert_eq!(fs::read(&database).unwrap(), bytes);
    fs::remove_file(&database).unwrap();
    world.main("relay-a", &[]).await;
}
