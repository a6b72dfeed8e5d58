//! Peers and clients of the mesh before the hubs, as they meet a Main.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::Method;
use relay_node::config::{Config, Limits, MainRole, NodeIdSource, PeerLists, Role, Timing, Tokens};
use relay_node::env::Env;
use relay_node::federation::TrustPolicy;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{self, Message};

use crate::http::{get, post_rpc, remote_call, send};
use crate::websocket::{Next, Raw};
use crate::world::{Relay, World, eventually, fixed, free_port, lists};

const ECHO: &str = "[[service]]\nname = \"echo\"\nkind = \"echo\"\n";

async fn older(at: &str, name: &'static str) -> Raw {
    Raw::dial(at, &format!("/ws/p2p?node_id={name}"), name, None).await.expect("older peers are taken")
}

fn call(to: &str, service: &str, response_id: &str) -> Value {
    json!({
        "type": "server_call", "id": "c1", "from": "node1", "to": to, "timestamp": "2026-01-02T03:04:05Z", "ttl": 9,
        "data": { "call": { "server_name": service, "method": "say", "args": ["hi"], "timeout": 30 }, "response_id": response_id },
    })
}

/// Tells of services and waits for ours.
async fn sync(peer: &mut Raw, name: &str, services: &[&str]) -> Value {
    let message =
        json!({ "type": "registry_sync", "from": name, "to": "relay-a", "data": { "servers": services } });
    peer.send(&message).await;
    let ours = peer.message().await;
    assert_eq!((&ours["type"], &ours["from"]), (&json!("registry_sync"), &json!("relay-a")), "{ours}");
    ours["data"]["servers"].clone()
}

#[tokio::test]
async fn an_old_ping_gets_its_pong() {
    let world = World::new();
    let main = world.main("node2", &["-allow-legacy"]).await;
    let mut node1 = older(&main.at, "node1").await;
    node1.send_frame(Message::text(r#"{"type":"ping","from":"node1","to":"node2"}"#)).await;
    let pong = node1.message().await;
    assert_eq!(
        (&pong["type"], &pong["from"], &pong["to"]),
        (&json!("pong"), &json!("node2"), &json!("node1"))
    );
}

#[tokio::test]
async fn an_old_call_reaches_any_node_and_its_response_comes_back() {
    let world = World::new();
    let a = world.main("relay-a", &["-allow-legacy"]).await;
    let b = world.main("relay-b", &["-allow-legacy", "-peers", &a.url()]).await;
    let _alice = world.home("alice.home", &a.url(), ECHO, &[]).await;
    let news = fixed("news", "say = \"fine weather\"");
    let _bob = world.home("bob.home", &b.url(), &news, &[]).await;
    lists(&a, &["echo@alice.home local", "news@bob.home federated"]).await;
    let mut node1 = older(&a.at, "node1").await;
    for (to, service, node, result) in [
        ("alice.home", "echo", "alice.home", json!(["hi"])),
        ("relay-a", "echo", "alice.home", json!(["hi"])),
        ("bob.home@relay-b", "news", "bob.home", json!("fine weather")),
        ("relay-a", "news", "bob.home", json!("fine weather")),
    ] {
        node1.send(&call(to, service, "r-7")).await;
        let answer = node1.message().await;
        assert_eq!(
            (&answer["type"], &answer["to"]),
            (&json!("server_response"), &json!("node1")),
            "{answer}"
        );
        assert_eq!(answer["reply_to"], "c1");
        assert_eq!(
            answer["data"],
            json!({ "success": true, "result": result, "node_id": node, "response_id": "r-7" }),
            "{service} at {to}"
        );
    }
    node1.send(&call("nobody.home", "echo", "r-8")).await;
    let data = node1.message().await["data"].take();
    assert_eq!((&data["success"], &data["response_id"]), (&json!(false), &json!("r-8")));
    assert!(data["error"].as_str().unwrap().starts_with("service not found"), "{data}");

    let wrapped = json!({ "type": "route_message", "from": "node1", "to": "relay-a",
        "data": { "original_message": call("alice.home", "echo", "r-9") } });
    node1.send(&wrapped).await;
    assert_eq!(node1.message().await["data"]["result"], json!(["hi"]));
}

#[tokio::test]
async fn what_an_older_peer_serves_is_called_from_the_whole_federation() {
    let world = World::new();
    let a = world.main("relay-a", &["-allow-legacy"]).await;
    let b = world.main("relay-b", &["-allow-legacy", "-peers", &a.url()]).await;
    let bob = world.home("bob.home", &b.url(), ECHO, &[]).await;
    lists(&a, &["echo@bob.home federated"]).await;
    let mut node1 = older(&a.at, "node1").await;
    let ours = sync(&mut node1, "node1", &["blog"]).await;
    assert_eq!((&ours["echo"]["node_id"], &ours["echo"]["is_local"]), (&json!("bob.home"), &json!(false)));
    assert_eq!(ours["blog"], json!(null), "its own does not come back to it");
    lists(&a, &["blog@node1 local", "echo@bob.home federated"]).await;
    lists(&b, &["blog@node1 federated", "echo@bob.home local"]).await;

    let serve = async {
        let call = node1.message().await;
        assert_eq!((&call["type"], &call["from"]), (&json!("server_call"), &json!("relay-a")), "{call}");
        assert_eq!(call["data"]["call"]["server_name"], "blog");
        assert_eq!(call["data"]["call"]["args"], json!([1]));
        let data = json!({ "success": true, "result": "post", "node_id": "node1", "response_id": call["data"]["response_id"] });
        node1
            .send(&json!({ "type": "server_response", "from": "node1", "to": "relay-a", "data": data }))
            .await;
    };
    let params = json!({ "service_name": "blog", "method": "get", "args": [1], "trace": true });
    let (reply, ()) = tokio::join!(remote_call(&bob.at, params), serve);
    assert_eq!(reply["result"], "post", "{reply}");
    assert_eq!(reply["trace"]["path"], json!(["bob.home", "relay-b", "relay-a", "node1"]));

    let fail = async {
        let call = node1.message().await;
        let data =
            json!({ "success": false, "error": "out of ink", "response_id": call["data"]["response_id"] });
        node1
            .send(&json!({ "type": "server_response", "from": "node1", "to": "relay-a", "data": data }))
            .await;
    };
    let params = json!({ "node_id": "node1", "server_name": "blog", "method": "get" });
    let (reply, ()) = tokio::join!(remote_call(&bob.at, params), fail);
    assert_eq!((&reply["error"]["code"], &reply["error"]["data"]["node"]), (&json!(-32010), &json!("node1")));
    assert_eq!(reply["error"]["message"], "service failed: out of ink");

    drop(node1);
    lists(&b, &["echo@bob.home local"]).await;
}

#[tokio::test]
async fn older_peers_call_each_other_through_a_main() {
    let world = World::new();
    let a = world.main("relay-a", &["-allow-legacy"]).await;
    let (mut node1, mut node2) = (older(&a.at, "node1").await, older(&a.at, "node2").await);
    sync(&mut node2, "node2", &["blog"]).await;
    node1.send(&call("node2", "blog", "r-1")).await;
    let asked = node2.message().await;
    assert_eq!(asked["route"], json!(["node1", "relay-a"]));
    let data = json!({ "success": true, "result": 3, "node_id": "node2", "response_id": asked["data"]["response_id"] });
    node2.send(&json!({ "type": "server_response", "from": "node2", "to": "relay-a", "data": data })).await;
    let answer = node1.message().await;
    assert_eq!(
        answer["data"],
        json!({ "success": true, "result": 3, "node_id": "node2", "response_id": "r-1" })
    );
}

#[tokio::test]
async fn garbage_is_answered_in_words_and_the_session_stays() {
    let world = World::new();
    let file = world.file("echo.toml", ECHO);
    let main = world.main("relay-a", &["-allow-legacy", &file]).await;
    let mut node1 = older(&main.at, "node1").await;
    for (frame, words) in [
        (Message::text("hello"), "not a mesh message: expected value at line 1 column 1"),
        (Message::text(r#"{"type":"gossip","from":"node1"}"#), "unknown message type `gossip`"),
        (Message::text(r#"{"type":"ping"}"#), "a ping needs the field `from`"),
        (Message::text(r#"{"type":"server_call","from":"node1"}"#), "needs the field `data.call`"),
        (Message::binary(vec![0, 159]), "binary frames are not spoken here"),
    ] {
        node1.send_frame(frame).await;
        let answer = node1.message().await;
        let said = answer["data"]["message"].as_str().or(answer["data"]["error"].as_str());
        assert!(said.is_some_and(|said| said.contains(words)), "{words}: {answer}");
    }
    let looped = json!({ "type": "ping", "from": "node1", "to": "relay-a", "route": ["relay-a", "node1"] });
    node1.send(&looped).await;
    assert!(node1.message().await["data"]["message"].as_str().unwrap().starts_with("loop"));
    node1.send(&call("relay-a", "echo", "r-1")).await;
    assert_eq!(node1.message().await["data"]["result"], json!(["hi"]));
}

#[tokio::test]
async fn an_older_peer_says_who_it_is() {
    let world = World::new();
    let main = world.main("relay-a", &["-allow-legacy"]).await;
    let alice = world.home("alice.home", &main.url(), ECHO, &[]).await;
    lists(&main, &["echo@alice.home local"]).await;
    for (path, status, words) in [
        ("/ws/p2p", 400, "say who you are: /ws/p2p?node_id=ID"),
        ("/ws/p2p?node_id=", 400, "say who you are"),
        ("/ws/p2p?node_id=a%20b", 400, "has the character '%'"),
        ("/ws/p2p?node_id=relay-a", 409, "relay-a is the id of a Main"),
        ("/ws/p2p?node_id=alice.home", 409, "alice.home is connected as a Home"),
    ] {
        let Err(tungstenite::Error::Http(response)) = Raw::dial(&main.at, path, "x", None).await else {
            panic!("{path} is refused over HTTP");
        };
        assert_eq!(response.status(), status, "{path}");
        let said = String::from_utf8_lossy(response.body().as_deref().unwrap_or_default()).into_owned();
        assert!(said.contains(words), "{said}");
    }
    let plain = send(&main.at, Method::GET, "/ws/p2p?node_id=node1", String::new()).await.unwrap();
    assert_eq!(plain.status(), 400);
    lists(&main, &["echo@alice.home local"]).await;
    assert_eq!(send(&alice.at, Method::GET, "/ws/p2p?node_id=x", String::new()).await.unwrap().status(), 404);
}

/// In this process, where heartbeats can be quicker than any operator would have them.
#[tokio::test]
async fn a_silent_older_peer_is_pinged_and_closed_and_one_that_answers_stays() {
    let dir = tempfile::tempdir().unwrap();
    let at = format!("127.0.0.1:{}", free_port());
    let config = Config {
        role: Role::Main(MainRole {
            listen: at.parse().unwrap(),
            tls: false,
            address: None,
            peers: vec![],
            listed: PeerLists::default(),
            balance: BTreeMap::new(),
        }),
        node_id: NodeIdSource::Given("relay-a".parse().unwrap()),
        services: vec![],
        timing: Timing {
            heartbeat: Duration::from_millis(100),
            unhealthy_after: Duration::from_secs(2),
            ..Timing::default()
        },
        limits: Limits::default(),
        trust: TrustPolicy { allow_legacy: true, ..TrustPolicy::default() },
        tokens: Tokens::default(),
        dht: None,
    };
    let env = Env::production(dir.path().to_path_buf());
    tokio::spawn(relay_node::run(config, env, std::future::pending()));
    eventually("it listens", async || tokio::net::TcpStream::connect(&at).await.ok()).await;
    let mut silent = older(&at, "node0").await;
    let mut lively = older(&at, "node1").await;
    let told = sync(&mut lively, "node1", &["blog"]).await;
    assert_eq!(told, json!({}));
    let mut pings = 0;
    let ended = loop {
        match silent.next().await {
            Next::Message(message) => {
                assert_eq!(message["type"], "ping", "it has not synced and is told no services: {message}");
                pings += 1;
            }
            Next::Closed(frame) => break frame,
        }
        // One answer for each of its pings is enough to stay.
        let message = lively.message().await;
        assert_eq!(message["type"], "ping", "nothing has changed: {message}");
        lively.send(&json!({ "type": "pong", "from": "node1", "to": "relay-a" })).await;
    };
    assert!(pings > 0 && ended.is_none(), "a silent link ends without a word: {ended:?}");
    let mut other = older(&at, "node2").await;
    sync(&mut other, "node2", &["shop"]).await;
    loop {
        let message = lively.message().await;
        if message["type"] == "registry_sync" {
            let servers = message["data"]["servers"].as_object().unwrap();
            assert_eq!(servers.keys().collect::<Vec<_>>(), ["shop"], "told at the next heartbeat");
            break;
        }
        lively.send(&json!({ "type": "pong", "from": "node1", "to": "relay-a" })).await;
    }
}

async fn ask(main: &Relay, method: Method, path: &str, body: &Value) -> (u16, Value) {
    let response = send(&main.at, method, path, body.to_string()).await.expect("the relay answers");
    (response.status().as_u16(), serde_json::from_str(response.body()).expect("the API speaks JSON"))
}

#[tokio::test]
async fn the_routes_of_the_older_mesh() {
    let world = World::new();
    let a = world.main("relay-a", &["-allow-legacy"]).await;
    let b = world.main("relay-b", &["-allow-legacy"]).await;
    let _alice = world.home("alice.home", &a.url(), ECHO, &[]).await;
    let _bob = world.home("bob.home", &b.url(), ECHO, &[]).await;
    lists(&a, &["echo@alice.home local"]).await;
    lists(&b, &["echo@bob.home local"]).await;
    assert_eq!(get(&a.at, "/registry/peers").await, json!({}));

    let add = json!({ "node_id": "relay-b", "address": b.at });
    let (status, reply) = ask(&a, Method::POST, "/registry/peers/add", &add).await;
    assert_eq!((status, &reply["status"]), (200, &json!("success")), "{reply}");
    let (status, reply) = ask(&a, Method::POST, "/registry/peers/add", &add).await;
    assert_eq!(status, 200);
    assert!(reply["message"].as_str().unwrap().ends_with("is dialled already"), "{reply}");
    lists(&a, &["echo@alice.home local", "echo@bob.home federated"]).await;

    let mut node1 = older(&a.at, "node1").await;
    sync(&mut node1, "node1", &["blog"]).await;
    let servers = get(&a.at, "/registry/servers").await;
    let keys: Vec<&String> = servers.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["blog", "echo", "echo@bob.home"]);
    assert_eq!(servers["echo"]["node_id"], "alice.home", "local first");
    assert_eq!(
        (&servers["echo"]["is_local"], &servers["echo@bob.home"]["is_local"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(servers["echo"]["node_address"], json!(a.url()));
    let peers = get(&a.at, "/registry/peers").await;
    assert_eq!(
        (&peers["relay-b"]["is_healthy"], &peers["relay-b"]["server_count"]),
        (&json!(true), &json!(1)),
        "{peers}"
    );
    assert_eq!((&peers["node1"]["is_healthy"], &peers["node1"]["server_count"]), (&json!(true), &json!(1)));
    let health = get(&a.at, "/registry/health").await;
    for (field, value) in [
        ("status", json!("healthy")),
        ("node_id", json!("relay-a")),
        ("node_address", json!(a.url())),
        ("server_count", json!(3)),
        ("peer_count", json!(2)),
    ] {
        assert_eq!(health[field], value, "{field}");
    }
    assert!(health["timestamp"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn a_removed_peer_stays_away_until_it_is_added_again() {
    let world = World::new();
    let a = world.main("relay-a", &["-allow-legacy"]).await;
    let b = world.main("relay-b", &["-allow-legacy", "-peers", &a.url()]).await;
    let _bob = world.home("bob.home", &b.url(), ECHO, &[]).await;
    lists(&a, &["echo@bob.home federated"]).await;
    let remove = json!({ "node_id": "relay-b" });
    let (status, reply) = ask(&a, Method::DELETE, "/registry/peers/remove", &remove).await;
    assert_eq!((status, &reply["status"]), (200, &json!("success")), "{reply}");
    eventually("relay-b hears why", async || {
        let peers = get(&b.at, "/federation/peers").await;
        let why = peers["peers"][0]["last_error"].as_str()?.to_owned();
        why.contains("relay-b was removed from the peers here").then_some(())
    })
    .await;
    assert_eq!(get(&a.at, "/registry/peers").await, json!({}), "nobody dials it");
    assert_eq!(get(&a.at, "/health").await["links"], 0);
    let (status, reply) = ask(&a, Method::DELETE, "/registry/peers/remove", &remove).await;
    assert_eq!(status, 404);
    assert!(reply["error"].as_str().unwrap().contains("no peer of this node"), "{reply}");

    let add = json!({ "node_id": "relay-b", "address": b.url() });
    assert_eq!(ask(&a, Method::POST, "/registry/peers/add", &add).await.0, 200);
    lists(&a, &["echo@bob.home federated"]).await;

    let mut node1 = older(&a.at, "node1").await;
    sync(&mut node1, "node1", &[]).await;
    let remove = json!({ "node_id": "node1" });
    assert_eq!(ask(&a, Method::DELETE, "/registry/peers/remove", &remove).await.0, 200);
    let again = Raw::dial(&a.at, "/ws/p2p?node_id=node1", "node1", None).await;
    let Err(tungstenite::Error::Http(response)) = again.map(|_| ()) else { panic!("kept out") };
    assert_eq!(response.status(), 403);
}

#[tokio::test]
async fn what_is_wrong_with_a_peer_is_said() {
    let world = World::new();
    let main = world.main("relay-a", &["-allow-legacy"]).await;
    for (body, words) in [
        ("", "the body is no JSON object"),
        ("[]", "the body is no JSON object"),
        ("{}", "`node_id` is missing"),
        (r#"{"node_id":"a b"}"#, "has the character ' '"),
        (r#"{"node_id":"b"}"#, "`address` is missing: HOST:PORT or ws://HOST:PORT"),
        (r#"{"node_id":"b","address":"ftp://b:1"}"#, "has the scheme `ftp`"),
        (r#"{"node_id":"b","address":""}"#, "is not a URL"),
        (r#"{"node_id":"relay-a","address":"127.0.0.1:1"}"#, "relay-a is this node's own id"),
    ] {
        let response = send(&main.at, Method::POST, "/registry/peers/add", body.to_owned()).await.unwrap();
        assert_eq!(response.status(), 400, "{body}");
        assert!(response.body().contains(words), "{body}: {}", response.body());
    }
    let wrong = send(&main.at, Method::POST, "/registry/peers/remove", "{}".into()).await.unwrap();
    assert_eq!(wrong.body(), r#"{"error":"/registry/peers/remove takes DELETE, not POST"}"#);
    assert_eq!(get(&main.at, "/registry/peers").await, json!({}), "nothing of that is dialled");
}

#[tokio::test]
async fn json_rpc_methods_may_be_named_after_services() {
    let world = World::new();
    let main = world.main("relay-a", &["-allow-legacy"]).await;
    let alice = world.home("alice.home", &main.url(), ECHO, &[]).await;
    let bob = world.home("bob.home", &main.url(), &fixed("news", "say = 7"), &[]).await;
    lists(&main, &["echo@alice.home local", "news@bob.home local"]).await;
    for (at, method, code, result) in [
        (&main.at, "echo.say", None, json!(["hi"])),
        (&alice.at, "echo.say", None, json!(["hi"])),
        (&bob.at, "echo.say", None, json!(["hi"])),
        (&alice.at, "news.say", None, json!(7)),
        (&main.at, "shop.say", Some(-32001), json!(null)),
        (&main.at, "say", Some(-32601), json!(null)),
    ] {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": ["hi"] });
        let (_, reply) = post_rpc(at, &request.to_string()).await;
        let reply: Value = serde_json::from_str(&reply).unwrap();
        assert_eq!((reply["error"]["code"].as_i64(), &reply["result"]), (code, &result), "{method}: {reply}");
    }
}
