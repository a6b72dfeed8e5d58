//! What a relay makes of links that misbehave.

use serde_json::json;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::http::{get, remote_call};
use crate::websocket::{HOMES, Next, PEERS, Raw};
use crate::world::{Relay, World, eventually, free_port, lists};

const ECHO: &str = "[[service]]\nname = \"echo\"\nkind = \"echo\"\n";

/// A Main that offers `echo` itself.
async fn echoing(world: &World, more: &[&str]) -> Relay {
    let file = world.file("echo.toml", ECHO);
    let args: Vec<&str> = std::iter::once(file.as_str()).chain(more.iter().copied()).collect();
    world.main("relay-a", &args).await
}

#[tokio::test]
async fn what_is_no_message_is_answered_in_words_and_the_link_goes_on() {
    let world = World::new();
    let main = echoing(&world, &[]).await;
    let mut home = Raw::home(&main.at, "odd.home", "odd").await;
    let head = r#""source_node":{"type":"home","id":"odd.home"}"#;
    let cases = [
        (Message::text("hello"), None, "not a federation message: expected value at line 1 column 1"),
        (Message::text("{}"), None, "a message needs the field `type`"),
        (
            Message::text(format!(r#"{{"type":"gossip","message_id":"m3",{head}}}"#)),
            Some("m3"),
            "unknown message type `gossip`; known are registration, heartbeat",
        ),
        (
            Message::text(r#"{"type":"heartbeat","message_id":"m4"}"#),
            Some("m4"),
            "a message needs the field `source_node`",
        ),
        (
            Message::text(format!(r#"{{"type":"request","message_id":"m5",{head}}}"#)),
            Some("m5"),
            "a request needs the field `server_name`",
        ),
        (Message::binary(vec![0, 159, 146, 150]), None, "binary frames are not spoken here, send text"),
    ];
    for (frame, id, words) in cases {
        home.send_frame(frame).await;
        let answer = home.message().await;
        assert_eq!((&answer["type"], &answer["data"]["code"]), (&json!("error"), &json!(-32009)), "{answer}");
        let said = answer["data"]["message"].as_str().unwrap();
        assert!(said.contains(words), "{said}");
        assert_eq!(answer["correlation_id"], json!(id), "{said}");
    }
    let answer = home.call("m7", "echo", &json!(["still here"])).await;
    assert_eq!(answer, json!({ "success": true, "result": ["still here"] }));
    lists(&main, &["echo@relay-a local", "odd@odd.home local"]).await;
    let said = main.process.said();
    let line = said.lines().find(|line| line.contains("unknown message type")).unwrap();
    assert!(line.contains("odd.home"), "the log says who sent it: {line}");
}

#[tokio::test]
async fn a_link_that_sends_nothing_else_is_closed_with_the_reason() {
    let world = World::new();
    let main = echoing(&world, &[]).await;
    let mut home = Raw::home(&main.at, "odd.home", "odd").await;
    let mut other = Raw::home(&main.at, "good.home", "good").await;
    for _ in 0..10 {
        home.send_frame(Message::text("noise")).await;
    }
    let closed = loop {
        match home.next().await {
            Next::Message(answer) => assert_eq!(answer["data"]["code"], -32009),
            Next::Closed(frame) => break frame.expect("a reason"),
        }
    };
    assert_eq!(closed.code, CloseCode::Policy);
    assert!(closed.reason.starts_with("10 malformed messages, the last: not a federation"), "{closed:?}");
    lists(&main, &["echo@relay-a local", "good@good.home local"]).await;
    assert_eq!(other.call("m1", "echo", &json!(1)).await["result"], 1);
}

#[tokio::test]
async fn a_message_over_the_limit_closes_its_link_and_no_other() {
    let world = World::new();
    let main = echoing(&world, &["-max-message-bytes", "4096"]).await;
    let mut other = Raw::home(&main.at, "good.home", "good").await;
    let mut home = Raw::home(&main.at, "large.home", "large").await;
    home.send(&json!({ "type": "heartbeat", "padding": "x".repeat(5_000) })).await;
    let Next::Closed(Some(frame)) = home.next().await else { panic!("closed with a reason") };
    assert_eq!(frame.code, CloseCode::Policy);
    assert!(frame.reason.contains("4096"), "{frame:?}");
    assert_eq!(other.call("m1", "echo", &json!("fine")).await["result"], "fine");
    lists(&main, &["echo@relay-a local", "good@good.home local"]).await;
}

#[tokio::test]
async fn a_call_or_an_answer_over_the_limit_fails_at_once_and_the_links_stay() {
    let world = World::new();
    let limit = ["-max-message-bytes", "4096"];
    let main = echoing(&world, &limit).await;
    let long = format!(
        "{ECHO}[[service]]\nname = \"news\"\nkind = \"static\"\n[service.answers]\nlong = \"{}\"\nshort = 1\n",
        "x".repeat(4_000)
    );
    let alice = world.home("alice.home", &main.url(), &long, &limit).await;
    lists(&main, &["echo@alice.home local", "echo@relay-a local", "news@alice.home local"]).await;

    let args = "x".repeat(3_900);
    let call = json!({ "node_id": "alice.home", "server_name": "echo", "method": "say", "args": args });
    let error = remote_call(&main.at, call).await["error"].take();
    assert_eq!((&error["code"], &error["data"]["node"]), (&json!(-32009), &json!("relay-a")), "{error}");
    let words = error["message"].as_str().unwrap();
    assert!(words.contains("links take at most 4096") && words.contains("-max-message-bytes"), "{words}");

    let call = json!({ "service_name": "news", "method": "long" });
    let error = remote_call(&main.at, call).await["error"].take();
    assert_eq!((&error["code"], &error["data"]["node"]), (&json!(-32009), &json!("alice.home")), "{error}");

    let call = json!({ "service_name": "news", "method": "short" });
    assert_eq!(remote_call(&main.at, call).await["result"], 1);
    assert!(!alice.process.said().contains("lost the Main"));
}

#[tokio::test]
async fn another_version_is_refused_with_the_one_that_is_spoken() {
    let world = World::new();
    let main = echoing(&world, &[]).await;
    let newer = Some(("Sec-WebSocket-Protocol", "relay.9"));
    let Err(tungstenite::Error::Http(response)) = Raw::dial(&main.at, HOMES, "new.home", newer).await else {
        panic!("refused over HTTP");
    };
    assert_eq!(response.status(), 400);
    assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "relay.1");
    let words = String::from_utf8_lossy(response.body().as_deref().unwrap_or_default()).into_owned();
    assert_eq!(
        words,
        "no common version: you offer relay.9, this relay speaks relay.1; offer that as well\n"
    );

    let both = Some(("Sec-WebSocket-Protocol", "relay.9, relay.1"));
    Raw::dial(&main.at, HOMES, "new.home", both).await.expect("one in common is enough");
    let main = world.main("relay-b", &["-allow-legacy"]).await;
    let mut older = Raw::dial(&main.at, HOMES, "older.home", None).await.expect("older relays offer none");
    older.send(&older.registration("home", "old")).await;
    assert_eq!(older.message().await["type"], "registration");
}

#[tokio::test]
async fn a_link_begins_with_the_right_registration_or_not_at_all() {
    let world = World::new();
    let main = echoing(&world, &["-allow-legacy"]).await;
    let heartbeat = |id: &str| json!({ "type": "heartbeat", "message_id": "h1", "source_node": { "type": "home", "id": id } });
    let named = Some(("X-Relay-Node-ID", "somebody.home"));
    for (path, header, kind, words) in [
        (PEERS, None, Some("home"), "takes a main relay, a home relay connects to /ws/federation"),
        (HOMES, None, Some("main"), "takes a home relay, a main relay connects to /ws/peers"),
        (HOMES, None, None, "expected a registration, not a heartbeat"),
        (HOMES, named, Some("home"), "the header X-Relay-Node-ID says somebody.home, its message odd.home"),
    ] {
        let mut odd = Raw::dial(&main.at, path, "odd.home", header).await.unwrap();
        let first = kind.map_or_else(|| heartbeat("odd.home"), |kind| odd.registration(kind, "odd"));
        odd.send(&first).await;
        let answer = odd.message().await;
        assert_eq!((&answer["type"], &answer["data"]["code"]), (&json!("error"), &json!(-32009)), "{answer}");
        assert!(answer["data"]["message"].as_str().unwrap().contains(words), "{answer}");
        assert!(matches!(odd.next().await, Next::Closed(_)), "and the link is closed");
    }
    let mut odd = Raw::dial(&main.at, HOMES, "odd.home", None).await.unwrap();
    odd.send_frame(Message::text("hello")).await;
    let answer = odd.message().await;
    assert!(answer["data"]["message"].as_str().unwrap().contains("not a federation message"), "{answer}");
    assert_eq!(get(&main.at, "/health").await["links"], 0);
    lists(&main, &["echo@relay-a local"]).await;
}

#[tokio::test]
async fn an_id_has_one_owner_among_homes_and_mains() {
    let world = World::new();
    let main = echoing(&world, &["-allow-legacy"]).await;
    let _peer = world.main("relay-b", &["-peers", &main.url()]).await;
    eventually("the two are connected", async || {
        (get(&main.at, "/health").await["links"] == 1).then_some(())
    })
    .await;
    for name in ["relay-a", "relay-b"] {
        let mut home = Raw::dial(&main.at, HOMES, name, None).await.unwrap();
        home.send(&home.registration("home", "echo")).await;
        let answer = home.message().await;
        let said = answer["data"]["message"].as_str().unwrap();
        assert!(said.contains(&format!("{name} is the id of a Main; give this Home another")), "{said}");
        assert!(matches!(home.next().await, Next::Closed(_)));
    }
    lists(&main, &["echo@relay-a local"]).await;
}

#[tokio::test]
async fn a_main_that_is_told_to_dial_itself_leaves_that_out() {
    let world = World::new();
    let port = free_port().to_string();
    let itself = format!("ws://127.0.0.1:{port}");
    let mut main = world.main("relay-a", &["-port", &port, "-peers", &itself]).await;
    main.process.says("this peer is left out").await;
    let peers = get(&main.at, "/federation/peers").await["peers"].take();
    assert_eq!((&peers[0]["status"], &peers[1]), (&json!("down"), &json!(null)), "{peers}");
    let why = peers[0]["last_error"].as_str().unwrap();
    assert!(why.contains("this node's own id: it is this node itself, or another with the same"), "{why}");
    assert_eq!(get(&main.at, "/health").await["links"], 0);
    assert!(!main.process.said().contains(" connected"), "it never hung on itself");
}

#[tokio::test]
async fn nobody_speaks_for_another_home() {
    let world = World::new();
    let main = echoing(&world, &[]).await;
    let mut mallory = Raw::home(&main.at, "mallory.home", "odd").await;
    let forged = json!({
        "type": "request",
        "message_id": "m1",
        "source_node": { "type": "home", "id": "alice.home" },
        "routing_path": ["mallory.home"],
        "server_name": "echo",
        "method": "say",
    });
    mallory.send(&forged).await;
    let answer = mallory.message().await;
    assert_eq!(answer["data"]["error"]["code"], -32009, "{answer}");
    let words = answer["data"]["error"]["message"].as_str().unwrap();
    assert!(words.contains("source_node is alice.home, but this link is mallory.home's"), "{words}");
}
