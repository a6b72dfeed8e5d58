//! Who may come in: keys, lists, tokens, callers.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use ed25519_dalek::SigningKey;
use futures_util::{SinkExt, StreamExt};
use hyper::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite;

use crate::http::{get, remote_call, send, send_with};
use crate::websocket::{HOMES, Next, OURS, PEERS, Raw};
use crate::world::{Relay, World, eventually, fixed, lists};

const ECHO: &str = "[[service]]\nname = \"echo\"\nkind = \"echo\"\n";

fn stranger() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

/// The words of a refusal over the link, which then closes.
async fn refusal(link: &mut Raw, answer: &Value) -> String {
    assert_eq!((&answer["type"], &answer["data"]["code"]), (&json!("error"), &json!(-32008)), "{answer}");
    assert!(matches!(link.next().await, Next::Closed(_)), "and the link is closed");
    answer["data"]["message"].as_str().expect("words").to_owned()
}

#[tokio::test]
async fn a_home_is_known_by_its_key_until_its_operator_says_otherwise() {
    let world = World::new();
    let main = world.main("relay-a", &[]).await;
    let first = Raw::home(&main.at, "alice.home", "echo").await;
    lists(&main, &["echo@alice.home local"]).await;
    // The same node again takes the place of the older session.
    let _second = Raw::home(&main.at, "alice.home", "news").await;
    lists(&main, &["news@alice.home local"]).await;
    drop(first);

    let mut other = Raw::dial(&main.at, HOMES, "alice.home", OURS).await.unwrap().with_key(stranger());
    let answer = other.prove("home").await;
    let words = refusal(&mut other, &answer).await;
    assert!(words.contains("another key than the one that relay-a knows it by"), "{words}");
    lists(&main, &["news@alice.home local"]).await;

    // The line that it prints is what lets it in, without a restart.
    let line = words.rsplit_once(": ").expect("the line stands at the end").1;
    world.file("relay-a/trusted_keys", &format!("# alice has a new machine\n{line}\n"));
    let mut other = Raw::dial(&main.at, HOMES, "alice.home", OURS).await.unwrap().with_key(stranger());
    assert_eq!(other.prove("home").await["type"], "proof");
    let mut former = Raw::dial(&main.at, HOMES, "alice.home", OURS).await.unwrap();
    let answer = former.prove("home").await;
    refusal(&mut former, &answer).await;

    // A list that cannot be read does not open what it closed.
    world.file("relay-a/trusted_keys", &line[..20]);
    let mut former = Raw::dial(&main.at, HOMES, "alice.home", OURS).await.unwrap();
    let answer = former.prove("home").await;
    refusal(&mut former, &answer).await;
    assert!(main.process.said().contains("trusted_keys cannot be used"), "{}", main.process.said());
}

/// What an operator of this relay is answered.
async fn as_operator(world: &World, main: &Relay, name: &str, method: Method, path: &str) -> (u16, Value) {
    let token = fs::read_to_string(world.path(name).join("admin_token")).unwrap();
    let answer = send_with(&main.at, method, path, String::new(), Some(&token)).await.unwrap();
    (answer.status().as_u16(), serde_json::from_str(answer.body()).unwrap())
}

#[tokio::test]
async fn an_operator_sees_whom_a_main_knows_and_has_it_forget_one() {
    let world = World::new();
    let mut main = world.main("relay-a", &[]).await;
    let port = main.port();
    for node in ["carol.home", "alice.home", "bob.home"] {
        let mut raw = Raw::dial(&main.at, HOMES, node, OURS).await.unwrap();
        assert_eq!(raw.prove("home").await["type"], "proof");
    }
    for path in ["/federation/pins", "/federation/pins/alice.home"] {
        let method = if path.ends_with("home") { Method::DELETE } else { Method::GET };
        assert_eq!(send(&main.at, method, path, String::new()).await.unwrap().status(), 401, "{path}");
    }
    let list = async |main: &Relay, query: &str| {
        let (status, page) =
            as_operator(&world, main, "relay-a", Method::GET, &format!("/federation/pins{query}")).await;
        assert_eq!(status, 200, "{page}");
        let pins = page["pins"].as_array().unwrap().clone();
        let nodes: Vec<String> = pins.iter().map(|pin| pin["node_id"].as_str().unwrap().to_owned()).collect();
        (nodes, page["total"].clone(), page["next"].clone(), pins)
    };
    let (nodes, total, next, _) = list(&main, "?limit=2").await;
    assert_eq!((nodes.join(" ").as_str(), total, next), ("alice.home bob.home", json!(3), json!("bob.home")));
    let (nodes, total, next, pins) = list(&main, "?limit=2&after=bob.home").await;
    assert_eq!((nodes.join(" ").as_str(), total, next), ("carol.home", json!(3), Value::Null));
    assert_eq!((&pins[0]["role"], &pins[0]["first_seen"]), (&json!("home"), &pins[0]["last_seen"]));
    assert_eq!(pins[0]["public_key"].as_str().unwrap().len(), 64);

    // Alice has lost her key. Her operator is believed, her new machine is not: not before she is forgotten.
    let another = async |main: &Relay| {
        let mut raw = Raw::dial(&main.at, HOMES, "alice.home", OURS).await.unwrap().with_key(stranger());
        raw.prove("home").await
    };
    assert_eq!(another(&main).await["type"], "error");
    let forget = "/federation/pins/alice.home";
    let (status, answer) = as_operator(&world, &main, "relay-a", Method::DELETE, forget).await;
    assert_eq!((status, &answer), (200, &json!({ "node_id": "alice.home", "forgotten": true })));
    let (status, answer) = as_operator(&world, &main, "relay-a", Method::DELETE, forget).await;
    assert_eq!(status, 404);
    let words = answer["error"].as_str().unwrap();
    assert!(words.contains("relay-a has pinned no key of alice.home"), "{words}");
    // What was acknowledged is on disk.
    main.process.kill();
    let main = world.main("relay-a", &["-port", &port]).await;
    assert_eq!(list(&main, "").await.0, ["bob.home", "carol.home"]);
    assert_eq!(another(&main).await["type"], "proof");
    let (nodes, _, _, pins) = list(&main, "?limit=1").await;
    assert_eq!(nodes, ["alice.home"]);
    let theirs = hex::encode(stranger().verifying_key().as_bytes());
    assert_eq!(pins[0]["public_key"], json!(theirs));
}

#[tokio::test]
async fn a_list_that_could_not_be_read_since_the_start_lets_nobody_in() {
    let world = World::new();
    fs::create_dir(world.path("relay-a")).unwrap();
    world.file("relay-a/trusted_keys", "alice.home of-no-use");
    let main = world.main("relay-a", &[]).await;
    let mut bob = Raw::dial(&main.at, HOMES, "bob.home", OURS).await.unwrap();
    let answer = bob.prove("home").await;
    let words = answer["data"]["message"].as_str().unwrap();
    assert!(words.contains("cannot read trusted_keys now"), "{answer}");
    let said = main.process.said();
    assert!(said.contains("trusted_keys cannot be used, so nobody is let in until it can: line 1"), "{said}");
    world.file("relay-a/trusted_keys", "# nobody yet");
    let mut bob = Raw::dial(&main.at, HOMES, "bob.home", OURS).await.unwrap();
    assert_eq!(bob.prove("home").await["type"], "proof");
}

#[tokio::test]
async fn a_key_that_is_shown_and_not_had_proves_nothing() {
    let world = World::new();
    let main = world.main("relay-a", &[]).await;
    let mut mallory = Raw::dial(&main.at, HOMES, "alice.home", OURS).await.unwrap();
    let proof = mallory.proof("home").await;
    // The proof of one connection is worth nothing on another.
    let mut again = Raw::dial(&main.at, HOMES, "alice.home", OURS).await.unwrap();
    assert_eq!(again.message().await["type"], "challenge");
    again.send(&proof).await;
    let answer = again.message().await;
    let words = refusal(&mut again, &answer).await;
    assert_eq!(
        words,
        "unauthorized: the proof of alice.home does not hold: it does not have the key that it shows"
    );

    // Nor does it let another node in, or one of the other kind.
    for (field, value) in [("id", "bob.home"), ("type", "main")] {
        let mut other = Raw::dial(&main.at, HOMES, "alice.home", OURS).await.unwrap();
        let mut proof = other.proof("home").await;
        proof["source_node"][field] = json!(value);
        other.send(&proof).await;
        let answer = other.message().await;
        assert_eq!(answer["type"], "error", "{answer}");
    }
    // Nobody registers before the proof, and nobody else after it.
    let mut hasty = Raw::dial(&main.at, HOMES, "alice.home", OURS).await.unwrap();
    assert_eq!(hasty.message().await["type"], "challenge");
    hasty.send(&hasty.registration("home", "echo")).await;
    let answer = hasty.message().await;
    assert_eq!(answer["data"]["message"], "malformed message: expected a proof, not a registration");
    let mut turncoat = Raw::dial(&main.at, HOMES, "alice.home", OURS).await.unwrap();
    assert_eq!(turncoat.prove("home").await["type"], "proof");
    let mut registration = turncoat.registration("home", "echo");
    registration["source_node"]["id"] = json!("bob.home");
    turncoat.send(&registration).await;
    let answer = turncoat.message().await;
    let words = answer["data"]["message"].as_str().unwrap();
    assert!(words.contains("alice.home has proven its key, and the registration is bob.home's"), "{words}");
    assert_eq!(get(&main.at, "/health").await["links"], 0);
}

#[tokio::test]
async fn a_main_may_take_listed_homes_only() {
    let world = World::new();
    let main = world.main("relay-a", &["-listed-homes-only"]).await;
    let mut alice = world.home("alice.home", &main.url(), ECHO, &[]).await;
    let said = alice.process.says("takes only Homes that it has a key of").await;
    let line = said.rsplit_once(": ").expect("the line stands at the end").1.to_owned();
    let key = get(&alice.at, "/health").await["public_key"].as_str().unwrap().to_owned();
    // Behind the words stands the URL that was dialled, as in every log line.
    assert!(line.starts_with(&format!("alice.home {key}")), "{line}");
    world.file("relay-a/trusted_keys", &format!("alice.home {key}"));
    // It comes in at its next attempt.
    lists(&main, &["echo@alice.home local"]).await;
}

#[tokio::test]
async fn a_home_knows_its_main_again() {
    let world = World::new();
    let main = world.main("relay-a", &[]).await;
    let port = main.port();
    let mut alice = world.home("alice.home", &main.url(), ECHO, &[]).await;
    lists(&main, &["echo@alice.home local"]).await;
    drop(main);
    fs::remove_dir_all(world.path("relay-a")).unwrap();
    // Somebody else under the same name and address.
    let main = world.main("relay-a", &["-port", &port]).await;
    alice.process.says("relay-a shows another key than the one that alice.home knows it by").await;
    assert_eq!(get(&main.at, "/health").await["links"], 0);
}

#[tokio::test]
async fn older_relays_come_in_only_where_that_is_allowed_and_under_no_id_with_a_key() {
    let world = World::new();
    let main = world.main("relay-a", &[]).await;
    for path in [HOMES, PEERS, "/ws/p2p?node_id=old.home"] {
        let Err(tungstenite::Error::Http(response)) = Raw::dial(&main.at, path, "old.home", None).await
        else {
            panic!("{path} is refused over HTTP");
        };
        let words = String::from_utf8_lossy(response.body().as_deref().unwrap_or_default()).into_owned();
        assert_eq!(response.status(), 403);
        assert!(words.contains("-allow-legacy lets older ones in"), "{words}");
    }
    let main = world.main("relay-b", &["-allow-legacy"]).await;
    drop(Raw::home(&main.at, "alice.home", "echo").await);
    let mut older = Raw::dial(&main.at, HOMES, "alice.home", None).await.unwrap();
    older.send(&older.registration("home", "echo")).await;
    let answer = older.message().await;
    let words = refusal(&mut older, &answer).await;
    assert!(words.contains("knows alice.home by a key"), "{words}");
    let mut peer = Raw::dial(&main.at, "/ws/p2p?node_id=alice.home", "alice.home", None).await.unwrap();
    let Next::Closed(Some(frame)) = peer.next().await else { panic!("closed with a reason") };
    assert!(frame.reason.contains("knows alice.home by a key"), "{}", frame.reason);
}

#[tokio::test]
async fn an_older_relay_that_is_dialled_goes_by_no_id_with_a_key_either() {
    let world = World::new();
    let mut main = world.main("relay-a", &["-allow-legacy"]).await;
    let mut known = Raw::dial(&main.at, PEERS, "relay-b", OURS).await.unwrap();
    assert_eq!(known.prove("main").await["type"], "proof");
    drop(known);

    // It answers without the subprotocol, as if it could prove nothing, and gives itself out as that node.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let impostor = async {
        let introduce = async |id: &str| {
            // The first time it is offered our subprotocol, the second time none.
            drop(tokio_tungstenite::accept_async(listener.accept().await.unwrap().0).await);
            let (stream, _) = listener.accept().await.unwrap();
            let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
            let source = json!({ "type": "main", "id": id });
            let introduction = json!({ "type": "registration", "message_id": "r1", "source_node": source });
            socket.send(tungstenite::Message::text(introduction.to_string())).await.unwrap();
            socket
        };
        let mut refused = introduce("relay-b").await;
        while let Some(Ok(_)) = refused.next().await {}
        // Under a name of its own it is an older relay like any other.
        introduce("old-main").await
    };
    let add = async {
        let body = json!({ "node_id": "relay-b", "address": address }).to_string();
        send(&main.at, Method::POST, "/registry/peers/add", body).await.unwrap();
        main.process.says("is not trusted: unauthorized: relay-a knows relay-b by a key").await
    };
    let (words, _older) = tokio::join!(add, impostor);
    assert!(words.contains("so it must prove it"), "{words}");
    main.process.says("connected to the peer peer=old-main").await;
}

#[tokio::test]
async fn routes_that_change_a_relay_need_the_token_that_it_made() {
    let world = World::new();
    let main = world.main("relay-a", &[]).await;
    let file = world.path("relay-a/admin_token");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let token = fs::read_to_string(&file).unwrap();
    let body = json!({ "node_id": "relay-b", "address": "127.0.0.1:1" }).to_string();
    let add = async |token: Option<&str>| {
        let response =
            send_with(&main.at, Method::POST, "/registry/peers/add", body.clone(), token).await.unwrap();
        (response.status().as_u16(), response.into_body())
    };
    let (status, words) = add(None).await;
    assert!(
        status == 401 && words.contains("admin_token in the data directory of relay-a"),
        "{status} {words}"
    );
    assert_eq!(add(Some("wrong")).await.0, 401);
    assert_eq!(add(Some(&token)).await.0, 200);

    // The operator's own token, from a file.
    let given = world.file("token", "a token of my own\n");
    let main = world.main("relay-b", &["-admin-token-file", &given]).await;
    let add = async |token: &str| {
        send_with(&main.at, Method::POST, "/registry/peers/add", body.clone(), Some(token))
            .await
            .unwrap()
            .status()
    };
    assert_eq!(
        (add(&token).await.as_u16(), add("a token of my own").await.as_u16()),
        (401, 400),
        "400: it is itself"
    );
    assert!(!world.path("relay-b/admin_token").exists());
}

#[tokio::test]
async fn calls_need_a_token_where_the_operator_wants_one() {
    let world = World::new();
    let given = world.file("token", "calls need this token");
    let echo = world.file("echo.toml", ECHO);
    let main = world.main("relay-a", &[&echo, "-rpc-token-file", &given]).await;
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "remote_call", "params": { "service_name": "echo", "method": "say", "args": ["hi"] } });
    let post = async |token: Option<&str>| {
        let response = send_with(&main.at, Method::POST, "/rpc", call.to_string(), token).await.unwrap();
        let challenge = response.headers().contains_key("www-authenticate");
        (response.status().as_u16(), challenge, serde_json::from_str::<Value>(response.body()).unwrap())
    };
    let (status, challenge, body) = post(None).await;
    assert_eq!((status, challenge, &body["error"]["code"]), (401, true, &json!(-32008)), "{body}");
    assert_eq!(body["error"]["data"], json!({ "node": "relay-a", "path": [], "retryable": false }));
    assert_eq!(post(Some("calls need that token")).await.0, 401);
    let (status, _, body) = post(Some("calls need this token")).await;
    assert_eq!((status, &body["result"]), (200, &json!(["hi"])), "{body}");
    assert_eq!(send(&main.at, Method::GET, "/health", String::new()).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_service_has_its_callers() {
    let world = World::new();
    let a = world.main("relay-a", &[]).await;
    let b = world.main("relay-b", &["-peers", &a.url()]).await;
    let vault = fixed("vault", "open = true")
        .replace("[service.answers]", "allow = [\"alice.home@relay-a\", \"relay-b\"]\n[service.answers]");
    let owner = world.home("owner.home", &b.url(), &vault, &[]).await;
    let alice = world.home("alice.home", &a.url(), ECHO, &[]).await;
    let bob = world.home("bob.home", &b.url(), &ECHO.replace("echo\"\nkind", "echo2\"\nkind"), &[]).await;
    let everything = ["echo2@bob.home federated", "echo@alice.home local", "vault@owner.home federated"];
    lists(&a, &everything).await;
    eventually("bob and owner are connected", async || {
        (get(&b.at, "/federation/health").await["connected_homes"] == 2).then_some(())
    })
    .await;
    let open = async |from: &Relay| {
        remote_call(&from.at, json!({ "service_name": "vault", "method": "open" })).await
    };
    assert_eq!(open(&alice).await["result"], true);
    assert_eq!(open(&owner).await["result"], true, "its own clients always may");
    assert_eq!(open(&b).await["result"], true, "clients of relay-b call as relay-b");
    for (caller, name) in [(&bob, "bob.home@relay-b"), (&a, "relay-a")] {
        let refused = open(caller).await["error"].take();
        assert_eq!(
            (&refused["code"], &refused["data"]["node"]),
            (&json!(-32008), &json!("owner.home")),
            "{refused}"
        );
        assert_eq!(refused["data"]["retryable"], false);
        let words = refused["message"].as_str().unwrap();
        assert!(words.contains(&format!("{name} may not call `vault`")), "{words}");
    }
    // Refusals are answers: they open no breaker.
    for _ in 0..6 {
        assert_eq!(open(&bob).await["error"]["code"], -32008);
    }
    assert_eq!(open(&alice).await["result"], true);
}

#[tokio::test]
async fn the_command_line_says_what_a_secret_needs() {
    let world = World::new();
    let short = world.file("short", "guess me");
    for (args, words) in [
        (vec!["-server", "-peer-secret-file", &short], "holds fewer than 16 characters"),
        (vec!["-server", "-rpc-token-file", "/nowhere"], "cannot read /nowhere"),
        (
            vec!["-connect", "ws://a:1", "-peer-secret-file", &short],
            "-peer-secret-file and -connect contradict",
        ),
        (vec!["-connect", "ws://a:1", "-listed-homes-only"], "-listed-homes-only and -connect contradict"),
    ] {
        let mut process = world.relay("wrong", &args);
        let ended = process.ended().await;
        assert_eq!(ended.code(), Some(64), "{}", process.said());
        assert!(process.said().contains(words), "{}", process.said());
    }
}

#[tokio::test]
async fn a_killed_main_still_knows_whom_it_has_let_in() {
    let world = World::new();
    let mut main = world.main("relay-a", &[]).await;
    let port = main.port();
    let mut alice = Raw::dial(&main.at, HOMES, "alice.home", OURS).await.unwrap();
    assert_eq!(alice.prove("home").await["type"], "proof");
    // It has been let in, so its key is on disk.
    main.process.kill();
    let main = world.main("relay-a", &["-port", &port]).await;
    let mut other = Raw::dial(&main.at, HOMES, "alice.home", OURS).await.unwrap().with_key(stranger());
    let answer = other.prove("home").await;
    refusal(&mut other, &answer).await;
    Raw::home(&main.at, "alice.home", "echo").await;
}
