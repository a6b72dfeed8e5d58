//! `docs/troubleshooting.md` shows what is really seen: the problems that one machine can have are made here, and the
//! document must have the very words.

use hyper::Method;
use serde_json::{Value, json};

use crate::dht_command::dht;
use crate::http::{SlowUpstream, post_rpc, send, text};
use crate::krpc::dht_at;
use crate::websocket::{HOMES, Raw};
use crate::world::{Relay, World, eventually, fixed, free_port, free_udp_port, lists};

const DOCUMENT: &str = include_str!("../../docs/troubleshooting.md");

/// A line without what differs from run to run: times, numbers, keys, and where files lie.
fn shape(line: &str) -> String {
    let line = line.trim_start_matches(|c: char| c.is_ascii_digit() || "-:.TZ ".contains(c));
    let mut shaped = String::new();
    for word in line.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && c != '…') {
        let (text, end) = match word.char_indices().last() {
            Some((at, end)) if !end.is_ascii_alphanumeric() && end != '…' => word.split_at(at),
            _ => (word, ""),
        };
        let digits = text.chars().any(|c| c.is_ascii_digit());
        let is_key = text.len() >= 8 && text.trim_end_matches('…').chars().all(|c| c.is_ascii_hexdigit());
        shaped.push_str(if digits || is_key { "#" } else { text });
        shaped.push_str(end);
    }
    shaped
}

/// Fails unless the document shows this line.
fn shown(line: &str) {
    let line = shape(line);
    assert!(DOCUMENT.lines().any(|shown| shape(shown) == line), "troubleshooting.md does not show\n{line}");
}

/// The line of a log or an output that has these words.
fn line_with<'a>(said: &'a str, words: &str) -> &'a str {
    said.lines().find(|line| line.contains(words)).unwrap_or_else(|| panic!("{words} in {said}"))
}

/// The error object that a call with these params is answered with, as it was written.
async fn error(at: &str, params: Value) -> String {
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "remote_call", "params": params });
    let (_, reply) = post_rpc(at, &call.to_string()).await;
    error_in(&reply)
}

fn error_in(reply: &str) -> String {
    let (_, rest) = reply.split_once("\"error\":").unwrap_or_else(|| panic!("{reply}"));
    rest.rsplit_once(",\"id\":").expect("every reply has an id").0.to_owned()
}

#[test]
fn the_shape_of_a_line_has_its_words_and_none_of_its_numbers() {
    let one = "2026-11-20T16:43:38.256445Z  WARN a: refused: b.home 0a1b2c3d4e5f from=127.0.0.1:55406";
    assert_eq!(shape(one), "WARN a: refused: b.home # from=#.#.#.#:#");
    assert_eq!(shape("WARN a: refused: b.home dece6ed2… from=127.0.0.1:1"), shape(one));
    assert_ne!(shape("WARN a: refused: c.home dece6ed2… from=127.0.0.1:1"), shape(one));
}

#[tokio::test]
async fn what_a_start_and_a_link_can_meet_is_shown_as_it_is() {
    let world = World::new();
    let main = world.main("relay-a.com", &[]).await;
    let port = main.port();
    let other = world.text("other");
    let mut taken =
        world.relay("taken", &["-server", "-host", "127.0.0.1", "-port", &port, "-data-dir", &other]);
    taken.ended().await;
    shown(&line_with(&taken.said(), "cannot listen").replace("127.0.0.1", "0.0.0.0"));
    let dir = world.text("relay-a.com");
    let mut twice = world.relay("twice", &["-server", "-host", "127.0.0.1", "-port", "0", "-data-dir", &dir]);
    twice.ended().await;
    shown(&line_with(&twice.said(), "in use by").replace(&dir, "relay-data/relay-a.com"));

    let nobody = format!("ws://127.0.0.1:{}", free_port());
    let mut alone = world.home("bob.home", &nobody, &fixed("news", "get = 1"), &[]).await;
    alone.process.says("cannot connect to the Main").await;
    shown(line_with(&alone.process.said(), "cannot connect to the Main"));
    let call = json!({ "service_name": "x", "method": "get" });
    shown(&error(&alone.at, call).await);

    let alice = world.home("alice.home", &main.url(), &fixed("news", "get = 1"), &[]).await;
    lists(&main, &["news@alice.home local"]).await;
    drop(alice);
    std::fs::remove_dir_all(world.path("alice.home")).unwrap();
    let mut alice = world.home("alice.home", &main.url(), &fixed("news", "get = 1"), &[]).await;
    alice.process.says("shows another key").await;
    shown(line_with(&alice.process.said(), "shows another key"));

    assert!(Raw::dial(&main.at, HOMES, "older.home", None).await.is_err());
    shown(line_with(&main.process.said(), "takes only relays that prove a key"));
    let add = send(&main.at, Method::POST, "/registry/peers/add", "{}".into()).await.unwrap();
    shown(add.body());
}

#[tokio::test]
async fn what_a_call_can_meet_is_shown_as_it_is() {
    let world = World::new();
    let a = world.main("relay-a.com", &[]).await;
    let mut b = world.main("relay-b.com", &["-peers", &a.url()]).await;
    let slow = SlowUpstream::start().await;
    let broken =
        slow.service().replace("slow_service", "shop_service").replace(&slow.url, "http://127.0.0.1:9/rpc");
    let alice = world.home("alice.home", &a.url(), &format!("{}{broken}", slow.service()), &[]).await;
    let _bob = world.home("bob.home", &b.url(), &fixed("news_service", "get = 1"), &[]).await;
    let all =
        ["news_service@bob.home federated", "shop_service@alice.home local", "slow_service@alice.home local"];
    lists(&a, &all).await;
    lists(
        &b,
        &[
            "news_service@bob.home local",
            "shop_service@alice.home federated",
            "slow_service@alice.home federated",
        ],
    )
    .await;

    shown(
        &error(&a.at, json!({ "service_name": "nothing", "method": "get" }))
            .await
            .replace("nothing", "news_service"),
    );
    let nobody = json!({ "node_id": "nobody.home", "server_name": "news_service", "method": "get" });
    shown(&error(&a.at, nobody).await.replace("nobody.home", "bob.home"));
    let shop = json!({ "service_name": "shop_service", "method": "get" });
    shown(&error(&b.at, shop).await);
    let shop = json!({ "node_id": "alice.home", "server_name": "shop_service", "method": "get" });
    for _ in 0..4 {
        error(&a.at, shop.clone()).await;
    }
    shown(&error(&a.at, shop).await);
    // Which node is first to say so is a matter of milliseconds.
    let late = error(&b.at, json!({ "service_name": "slow_service", "method": "get", "timeout": 0.5 })).await;
    let late: Value = serde_json::from_str(&late).unwrap();
    let words = shape(late["message"].as_str().unwrap());
    assert!(words.contains("the call may have run") && shape(DOCUMENT).contains(&words), "{words}");

    let args = "x".repeat(1_048_400);
    shown(&error(&alice.at, json!({ "service_name": "news_service", "method": "get", "args": args })).await);
    let (_, too_large) = post_rpc(&alice.at, &"x".repeat(1_100_000)).await;
    shown(&error_in(&too_large));

    b.process.kill();
    let by_node = json!({ "node_id": "bob.home", "server_name": "news_service", "method": "get" });
    eventually("the link is gone", async || {
        error(&alice.at, by_node.clone()).await.contains("no link to").then_some(())
    })
    .await;
    shown(&error(&alice.at, by_node).await);
    shown(&error(&alice.at, json!({ "service_name": "news_service", "method": "get" })).await);
}

#[tokio::test]
async fn the_data_is_damaged() {
    let world = World::new();
    let mut main = world.main("relay-a", &[]).await;
    main.process.terminate();
    assert!(main.process.ended().await.success());
    let database = world.path("relay-a/relay.db");
    let mut bytes = std::fs::read(&database).unwrap();
    bytes[..64].fill(b'x');
    std::fs::write(&database, &bytes).unwrap();
    let dir = world.text("relay-a");
    let mut refused = world.relay("relay-a", &["-server", "-port", "0", "-data-dir", &dir]);
    assert_eq!(refused.ended().await.code(), Some(65));
    // The document does not know where the data directory is.
    shown(&line_with(&refused.said(), "is damaged").replace(&format!("{dir}/"), ""));
}

#[tokio::test]
async fn what_the_dht_can_meet_is_shown_as_it_is() {
    let world = World::new();
    let nobody = "00".repeat(20);
    let look_up = async |main: &Relay| {
        let path = format!("/dht/peers/{nobody}");
        send(&main.at, Method::GET, &path, String::new()).await.unwrap().into_body()
    };
    let a = world.main("relay-a.com", &[]).await;
    shown(&look_up(&a).await);
    let _b = world.main("relay-b.com", &["-peers", &a.url()]).await;
    let published_nothing = eventually("the other answers", async || {
        let answer = look_up(&a).await;
        answer.contains("has published nothing").then_some(answer)
    })
    .await;
    shown(&published_nothing);
    let off = world.main("relay-c.com", &["-dht", "off"]).await;
    shown(&look_up(&off).await);

    let port = dht_at(&a).await.port().to_string();
    let dir = world.text("taken");
    let args = ["-server", "-host", "127.0.0.1", "-port", "0", "-data-dir", &dir, "-dht-port", &port];
    let mut taken = world.relay("taken", &args);
    taken.ended().await;
    shown(line_with(&taken.said(), "cannot listen on UDP"));
    let way = format!("127.0.0.1:{}", free_udp_port());
    shown(dht(&["find", &nobody, "-bootstrap", &way]).err.trim_end());

    let alone = world.home("bob.home", "ws://127.0.0.1:9", &fixed("news", "get = 1"), &[]).await;
    let status = text(&alone.at, "/dht/status").await;
    assert!(
        status.contains(DOCUMENT.lines().find(|line| line.contains("waits-for-relay")).unwrap()),
        "{status}"
    );
}
