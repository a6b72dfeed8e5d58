//! Relays in the DHT: ports, restarts, what they publish, and whom they know.

use std::net::UdpSocket;

use hyper::Method;
use serde_json::{Value, json};

use crate::dht_command::{dht, three_mains};
use crate::http::{get, send};
use crate::krpc::dht_at;
use crate::world::{Relay, World, eventually, fixed, free_port, free_udp_port};

/// Logs that tell what is kept for a restart.
const LOGGED: [&str; 2] = ["-log-level", "relay_node::metadata=debug,info"];

async fn status(relay: &Relay) -> Value {
    get(&relay.at, "/dht/status").await
}

async fn peer_id(relay: &Relay) -> String {
    status(relay).await["peer_id"].as_str().expect("it has one").to_owned()
}

/// The status and the body of a route that may refuse.
async fn ask(relay: &Relay, path: &str) -> (u16, Value) {
    let answer = send(&relay.at, Method::GET, path, String::new()).await.expect("the relay answers");
    let body = serde_json::from_str(answer.body()).expect("the API speaks JSON");
    (answer.status().as_u16(), body)
}

#[tokio::test]
async fn a_default_port_that_is_taken_is_passed_over_and_a_given_one_is_an_error() {
    let world = World::new();
    // Whoever has it by now: it is taken.
    let _holder = UdpSocket::bind("127.0.0.1:30609");
    let main = world.main("relay-a", &[]).await;
    let listen = status(&main).await["listen"][0].as_str().unwrap().to_owned();
    assert!(listen.starts_with("127.0.0.1:") && listen != "127.0.0.1:30609", "{listen}");
    assert!(main.process.said().contains(&format!("the DHT listens on UDP {listen}")));

    let holder = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port().to_string();
    let dir = world.text("refused");
    let args = ["-server", "-host", "127.0.0.1", "-port", "0", "-data-dir", &dir, "-dht-port", &port];
    let mut refused = world.relay("refused", &args);
    assert_eq!(refused.ended().await.code(), Some(1));
    let said = refused.said();
    assert!(said.contains(&format!("cannot listen on UDP 127.0.0.1:{port} for the DHT")), "{said}");
    assert!(said.contains("-dht-port") && said.contains("-dht off"), "{said}");
    drop(holder);
    let given = world.main("relay-b", &["-dht-port", &port]).await;
    assert_eq!(status(&given).await["listen"], json!([format!("127.0.0.1:{port}")]));
}

#[tokio::test]
async fn without_the_dht_its_routes_say_so() {
    let world = World::new();
    let main = world.main("relay-a", &["-dht", "off"]).await;
    assert_eq!(ask(&main, "/dht/status").await, (200, json!({ "enabled": false })));
    for path in ["/dht/peers", &format!("/dht/peers/{}", "00".repeat(20))] {
        let (code, answer) = ask(&main, path).await;
        assert_eq!(code, 503);
        assert!(answer["error"].as_str().unwrap().contains("-dht off"), "{answer}");
    }
    assert!(!main.process.said().contains("UDP"), "{}", main.process.said());
    // A Home of it is a Home as before.
    let _home = world.home("alice.home", &main.url(), &fixed("news", "get = 1"), &[]).await;
    crate::world::lists(&main, &["news@alice.home local"]).await;
}

#[tokio::test]
async fn peers_are_listed_page_by_page() {
    let world = World::new();
    let a = world.main("relay-a", &[]).await;
    let b = world.main("relay-b", &["-peers", &a.url()]).await;
    let home = world.home("alice.home", &b.url(), &fixed("news", "get = 1"), &[]).await;
    let mut expected = vec![(peer_id(&b).await, true), (peer_id(&home).await, false)];
    expected.sort();
    // The one it is linked with, and the one that it is told of.
    let all = eventually("it knows both others", async || {
        let all = get(&a.at, "/dht/peers").await;
        (all["total"] == 2).then_some(all)
    })
    .await;
    let line = |peer: &Value| (peer["peer_id"].as_str().unwrap().to_owned(), peer["is_relay"] == true);
    let lines: Vec<_> = all["peers"].as_array().unwrap().iter().map(line).collect();
    assert_eq!((lines, &all["next"]), (expected.clone(), &Value::Null), "itself it does not list");
    let first = get(&a.at, "/dht/peers?limit=1").await;
    assert_eq!((line(&first["peers"][0]), &first["total"]), (expected[0].clone(), &json!(2)));
    let next = first["next"].as_str().unwrap();
    assert_eq!(next, expected[0].0);
    let second = get(&a.at, &format!("/dht/peers?limit=1&after={next}")).await;
    assert_eq!((line(&second["peers"][0]), &second["next"]), (expected[1].clone(), &Value::Null));
    for (path, code, words) in [
        ("/dht/peers?after=7", 400, "`after`: an id is 40 hexadecimal digits"),
        ("/dht/peers?limit=many", 400, "`limit` is `many`"),
        ("/dht/peers?limit=1001", 400, "from 1 to 1000"),
        ("/dht/peers?page=2", 400, "`page=2` says nothing here"),
        ("/dht/peers/7", 400, "`7` is no peer id"),
        (&format!("/dht/peers/{}", "00".repeat(20)), 404, "has published nothing"),
    ] {
        let (answered, answer) = ask(&a, path).await;
        assert_eq!(answered, code, "{path}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains(words), "{path}: {answer}");
    }
}

#[tokio::test]
async fn what_a_home_publishes_names_its_main_and_then_the_other() {
    let world = World::new();
    let mut a = world.main("relay-a", &[]).await;
    let b = world.main("relay-b", &["-peers", &a.url()]).await;
    let home = world.home("alice.home", &a.url(), &fixed("news", "get = 1"), &["-fallback", &b.url()]).await;
    let (way, peer) = (dht_at(&b).await.to_string(), peer_id(&home).await);
    let published = async |relay: &Relay| {
        let relay_id = peer_id(relay).await;
        eventually("what the Home publishes names its Main", async || {
            let got = dht(&["get", &peer, "-json", "-bootstrap", &way]);
            let metadata = got.json()["item"]["metadata"].clone();
            (metadata["connected_relay"] == relay_id.as_str()).then_some(metadata)
        })
        .await
    };
    let before = published(&a).await;
    assert_eq!((&before["node_type"], &before["is_relay"]), (&json!("private"), &json!(false)));
    assert_eq!((&before["using_relay"], &before["relay_address"]), (&json!(true), &json!(a.url())));
    let (code, looked_up) = ask(&b, &format!("/dht/peers/{peer}")).await;
    assert_eq!((code, &looked_up["connectable"], &looked_up["metadata"]), (200, &json!(true), &before));

    a.process.kill();
    let after = published(&b).await;
    assert_eq!(after["relay_address"], b.url());
    let sequence = |metadata: &Value| metadata["sequence"].as_i64().expect("a number");
    assert!(sequence(&after) > sequence(&before), "a change is a new version");
    assert_ne!(after["relay_session_id"], before["relay_session_id"]);
}

#[tokio::test]
async fn a_killed_relay_finds_its_way_back_without_being_told() {
    let world = World::new();
    let [a, b, c] = three_mains(&world).await;
    let port = free_udp_port().to_string();
    let way = dht_at(&a).await.to_string();
    let args = [&["-dht-port", &port, "-dht-bootstrap", &way][..], &LOGGED].concat();
    let mut main = world.main("relay-d", &args).await;
    eventually("it knows the others", async || (status(&main).await["contacts"] == 3).then_some(())).await;
    main.process.says("contacts of the DHT are kept for a restart contacts=3").await;
    let ids = status(&main).await["dht_node_id"].clone();
    main.process.kill();
    drop(a);
    let again = world.main("relay-d", &["-dht-port", &port]).await;
    eventually("it is back", async || (status(&again).await["contacts"] == 2).then_some(())).await;
    assert_eq!(status(&again).await["dht_node_id"], ids, "under its old id");
    // And takes part: what it is told to keep is found elsewhere.
    let put = dht(&["put", "still here", "-json", "-bootstrap", &format!("127.0.0.1:{port}")]).json();
    let target = put["target"].as_str().unwrap();
    for main in [&b, &c] {
        let got = dht(&["get", target, "-bootstrap", &dht_at(main).await.to_string()]);
        assert!(got.code == 0 && got.out.ends_with("still here\n"), "{}{}", got.out, got.err);
    }
}

#[tokio::test]
async fn known_peers_and_what_was_looked_up_survive_a_kill() {
    let world = World::new();
    let b = world.main("relay-b", &[]).await;
    let peer = peer_id(&b).await;
    let port = free_port().to_string();
    let mut a =
        world.main("relay-a", &[&["-port", port.as_str(), "-peers", &b.url()][..], &LOGGED].concat()).await;
    let path = format!("/dht/peers/{peer}");
    let first = eventually("it is looked up", async || {
        let (code, answer) = ask(&a, &path).await;
        (code == 200).then_some(answer)
    })
    .await;
    let (_, again) = ask(&a, &path).await;
    assert_eq!((&again["cached"], &again["metadata"]), (&json!(true), &first["metadata"]));
    let line = get(&a.at, "/dht/peers").await["peers"][0].clone();
    assert_eq!((&line["peer_id"], &line["source"]), (&json!(peer), &json!("link")));
    a.process.says("kept for a restart peers=1 cached=1").await;
    a.process.kill();
    drop(b);
    let after = world.main("relay-a", &["-port", &port]).await;
    let lines = get(&after.at, "/dht/peers").await;
    assert_eq!(lines["total"], 1, "{lines}");
    for key in ["peer_id", "public_key", "is_relay", "source", "first_seen"] {
        assert_eq!(lines["peers"][0][key], line[key], "{key}");
    }
    let (code, cached) = ask(&after, &path).await;
    assert_eq!((code, &cached["cached"], &cached["metadata"]), (200, &json!(true), &first["metadata"]));
}
