//! Where a Main's peers come from, and what it says of them.

use std::collections::BTreeMap;
use std::fs;

use hyper::Method;
use serde_json::{Value, json};

use crate::http::{get, send_with};
use crate::name_server;
use crate::tls::Authority;
use crate::world::{Relay, World, eventually};

/// What a Main says of its one peer, once it is connected to it.
async fn connected(main: &Relay) -> Value {
    eventually("the peer is connected", async || {
        let peers = get(&main.at, "/federation/peers").await;
        let peer = peers["peers"][0].clone();
        (peer["state"] == "connected").then_some(peer)
    })
    .await
}

#[tokio::test]
async fn peers_come_from_a_file() {
    let world = World::new();
    let a = world.main("relay-a", &[]).await;
    let file = world.file("peers.txt", &format!("# the hubs\n\n{}  # the first\n", a.url()));
    let b = world.main("relay-b", &["-peers-file", &file]).await;
    let peer = connected(&b).await;
    assert_eq!((&peer["node_id"], &peer["address"]), (&json!("relay-a"), &json!(a.url())));
    assert_eq!(peer["sources"], json!(["file"]));
    let peer = connected(&a).await;
    assert_eq!((&peer["node_id"], &peer["sources"]), (&json!("relay-b"), &json!(["inbound"])));

    let file = world.file("broken.txt", "ws://127.0.0.1:1\nrelay-b.com\n");
    let mut refused = world.relay("refused", &["-server", "-port", "0", "-peers-file", &file]);
    assert_eq!(refused.ended().await.code(), Some(64));
    let words = format!("-peers-file: {file}, line 2: `relay-b.com` is not a URL");
    assert!(refused.said().contains(&words), "{}", refused.said());
}

#[tokio::test]
async fn peers_come_from_dns() {
    let world = World::new();
    let authority = Authority::new("the relays' own");
    let ca = authority.file(&world, "ca.pem");
    let (certificate, key) = authority.files(&world, "relay-s", &["secure.fed.test"]);
    let plain = world.main("relay-p", &[]).await;
    let secure = world.main("relay-s", &["-tls-cert", &certificate, "-tls-key", &key]).await;
    let port = |relay: &Relay| relay.port().parse::<u16>().unwrap();
    let names = BTreeMap::from([
        ("_relay._tcp.fed.test".to_owned(), vec![("plain.fed.test".to_owned(), port(&plain))]),
        ("_relays._tcp.fed.test".to_owned(), vec![("secure.fed.test".to_owned(), port(&secure))]),
    ]);
    let name_server = name_server::start(names).await.to_string();
    let by_name = async |node: &str, name: &str| {
        world.main(node, &["-peers-srv", name, "-dns", &name_server, "-tls-ca", &ca]).await
    };
    let a = by_name("relay-a", "_relay._tcp.fed.test").await;
    let peer = connected(&a).await;
    assert_eq!((&peer["node_id"], &peer["sources"]), (&json!("relay-p"), &json!(["dns"])));
    assert_eq!(peer["address"], json!(format!("ws://plain.fed.test:{}", plain.port())));
    let b = by_name("relay-b", "_relays._tcp.fed.test").await;
    let peer = connected(&b).await;
    assert_eq!((&peer["node_id"], &peer["sources"]), (&json!("relay-s"), &json!(["dns"])));
    assert_eq!(peer["address"], json!(format!("wss://secure.fed.test:{}", secure.port())));
    let mut lost = by_name("relay-c", "_relay._tcp.elsewhere.test").await;
    lost.process.says("_relay._tcp.elsewhere.test has no such records").await;
    assert_eq!(get(&lost.at, "/health").await["status"], "ok");
}

#[tokio::test]
async fn a_peer_is_added_by_its_url() {
    let world = World::new();
    let a = world.main("relay-a", &[]).await;
    let b = world.main("relay-b", &[]).await;
    let token = fs::read_to_string(world.path("relay-b/admin_token")).unwrap();
    let add = async |body: Value, token: Option<&str>| {
        let path = "/federation/peers/add";
        let answer = send_with(&b.at, Method::POST, path, body.to_string(), token).await.unwrap();
        (answer.status().as_u16(), serde_json::from_str::<Value>(answer.body()).unwrap())
    };
    let url = json!({ "url": a.url() });
    assert_eq!(add(url.clone(), None).await.0, 401);
    for (body, words) in [
        (json!({}), "the field `url` is missing: ws://HOST:PORT or wss://HOST:PORT"),
        (json!({ "url": "relay-b.com" }), "`url`: `relay-b.com` is not a URL"),
        (json!({ "url": 7 }), "the body is no JSON object"),
    ] {
        let (status, answer) = add(body, Some(&token)).await;
        assert!(status == 400 && answer["error"].as_str().unwrap().starts_with(words), "{answer}");
    }
    assert_eq!(add(url.clone(), Some(&token)).await, (200, json!({ "url": a.url(), "added": true })));
    let peer = connected(&b).await;
    assert_eq!((&peer["node_id"], &peer["sources"]), (&json!("relay-a"), &json!(["api"])));
    assert_eq!(add(url, Some(&token)).await, (200, json!({ "url": a.url(), "added": false })));
}

#[tokio::test]
async fn the_health_of_a_peer_can_be_seen() {
    let world = World::new();
    let a = world.main("relay-a", &[]).await;
    let mut b = world.main("relay-b", &["-peers", &a.url()]).await;
    connected(&b).await;
    let peer = eventually("the round trip is known", async || {
        let peers = get(&a.at, "/federation/peers").await;
        let peer = peers["peers"][0].clone();
        assert_eq!(peers["health_check"], json!({ "heartbeat_seconds": 30.0, "down_after_seconds": 60.0 }));
        peer["round_trip_ms"].is_number().then_some(peer)
    })
    .await;
    assert!(peer["last_heard_seconds"].is_u64(), "{peer}");
    assert_eq!((&peer["sources"], &peer["failures"]), (&json!(["inbound"]), &json!(0)));
    b.process.kill();
    let peer = eventually("it is gone, and not forgotten", async || {
        let peer = get(&a.at, "/federation/peers").await["peers"][0].take();
        (peer["state"] == "gone").then_some(peer)
    })
    .await;
    assert_eq!((&peer["node_id"], &peer["status"]), (&json!("relay-b"), &json!("down")));
    assert_eq!((&peer["last_heard_seconds"], &peer["connected_seconds"]), (&Value::Null, &Value::Null));
}
