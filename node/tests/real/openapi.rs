//! `openapi.json` and running nodes agree: every operation is called, every answer is checked against the document, and
//! every answer in the document is seen.

use std::collections::{BTreeMap, BTreeSet};

use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, UPGRADE};
use hyper::{Method, Request};
use serde_json::{Value, json};

use crate::dht_command::dht;
use crate::http::{SlowUpstream, ask, get, remote_call, send};
use crate::krpc::dht_at;
use crate::schema;
use crate::world::{Relay, World, eventually, lists};

const ECHO: &str = "[[service]]\nname = \"echo\"\nkind = \"echo\"\n";
const RPC_TOKEN: &str = "calls need this token";
const METHODS: [&str; 3] = ["get", "post", "delete"];

/// The document, and which of its answers have been seen.
struct Api {
    document: Value,
    seen: BTreeSet<(String, String, u16)>,
}

/// An operation of the document.
#[derive(Clone)]
struct Operation {
    path: String,
    method: String,
    described: Value,
}

/// What is sent.
#[derive(Clone, Default)]
struct Sent {
    body: String,
    token: Option<String>,
    query: &'static str,
    /// In place of `{peer_id}` in the path; the id of nobody where it is not given.
    peer: Option<String>,
    /// What stands for the node in the path, where it has one; nobody's id where it is empty.
    node: &'static str,
    /// It asks for a WebSocket, and offers this subprotocol; none where it is empty.
    offers: Option<&'static str>,
}

impl Api {
    fn read() -> Self {
        let document = serde_json::from_str(include_str!("../../openapi.json")).expect("JSON");
        Api { document, seen: BTreeSet::new() }
    }

    fn operations(&self, kind: &str) -> Vec<Operation> {
        let mut all = Vec::new();
        for (path, item) in self.document["paths"].as_object().unwrap() {
            for (method, described) in item.as_object().unwrap() {
                assert!(METHODS.contains(&method.as_str()), "{method} {path}");
                if described["x-relay-on"].as_array().unwrap().iter().any(|on| on == kind) {
                    let described = described.clone();
                    all.push(Operation { path: path.clone(), method: method.clone(), described });
                }
            }
        }
        all
    }

    fn operation(&self, method: &str, path: &str) -> Operation {
        let described = self.document["paths"][path][method].clone();
        assert!(described.is_object(), "{method} {path}");
        Operation { path: path.into(), method: method.into(), described }
    }

    /// What is wrong with a value by one of the document's schemas.
    fn errors(&self, schema: &Value, value: &Value) -> Vec<String> {
        let mut whole = self.document.clone();
        let document = whole.as_object_mut().unwrap();
        document.retain(|key, _| key == "components");
        let components = document.remove("components").unwrap();
        // The schema is the root, and references lead from there.
        let mut root = schema.clone();
        root.as_object_mut().unwrap().insert("$defs".into(), components);
        let text = root.to_string().replace("#/components/", "#/$defs/");
        schema::errors(&serde_json::from_str(&text).unwrap(), value)
    }

    /// Sends a request, checks the answer against the document, and gives it.
    async fn call(&mut self, relay: &Relay, operation: &Operation, sent: &Sent) -> (u16, Value) {
        let Operation { path, method, described } = operation;
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        let node = if sent.node.is_empty() { "nobody.home" } else { sent.node };
        let nobody = "00".repeat(20);
        let peer = sent.peer.as_deref().unwrap_or(&nobody);
        let at = path.replace("{node_id}", node).replace("{peer_id}", peer);
        let mut request = Request::builder().method(method).uri(format!("{at}{}", sent.query));
        request = request.header(HOST, &relay.at);
        if let Some(token) = &sent.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(subprotocol) = sent.offers {
            request = request.header(CONNECTION, "Upgrade").header(UPGRADE, "websocket");
            request = request.header("Sec-WebSocket-Version", "13");
            request = request.header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
            if !subprotocol.is_empty() {
                request = request.header("Sec-WebSocket-Protocol", subprotocol);
            }
        }
        let answer = ask(&relay.at, request.body(sent.body.clone()).unwrap()).await.unwrap();
        let (status, body) = (answer.status().as_u16(), answer.body());
        let what = format!("{} {path} → {status} {body}", operation.method);
        let told = &described["responses"][status.to_string()];
        assert!(told.is_object(), "not in the document: {what}");
        self.seen.insert((operation.method.clone(), path.clone(), status));
        for (name, header) in told["headers"].as_object().into_iter().flatten() {
            assert!(header["required"] == false || answer.headers().contains_key(name), "{name}: {what}");
        }
        let Some(content) = told["content"].as_object() else {
            assert_eq!(body, "", "the document has no content: {what}");
            return (status, Value::Null);
        };
        let (media, content) = content.iter().next().unwrap();
        assert_eq!(answer.headers()[CONTENT_TYPE], media.as_str(), "{what}");
        let value = match media.as_str() {
            "application/json" => {
                serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {what}"))
            }
            _ => json!(body),
        };
        let errors = self.errors(&content["schema"], &value);
        assert!(errors.is_empty(), "{errors:#?}: {what}");
        (status, value)
    }
}

fn examples(content: &Value) -> Vec<Value> {
    let all = content["application/json"]["examples"].as_object();
    all.into_iter().flatten().map(|(_, example)| example["value"].clone()).collect()
}

/// A Main with a token for calls, which offers `echo`.
async fn guarded(world: &World, name: &str, more: &[&str]) -> Relay {
    let token = world.file("rpc_token", RPC_TOKEN);
    let echo =
        world.file("echo.toml", "[[service]]\nname = \"echo\"\nkind = \"echo\"\nbalance = \"random\"\n");
    let more = [&[echo.as_str(), "-rpc-token-file", &token, "-max-message-bytes", "4096"], more].concat();
    world.main(name, &more).await
}

/// The token that an operation wants from this relay, if any.
fn wanted(world: &World, relay: &str, operation: &Operation) -> Option<String> {
    let schemes = operation.described["security"].as_array()?.last()?.as_object()?;
    match schemes.keys().next()?.as_str() {
        "rpcToken" => Some(RPC_TOKEN.to_owned()),
        "adminToken" => Some(std::fs::read_to_string(world.path(relay).join("admin_token")).unwrap()),
        other => panic!("there is no scheme {other}"),
    }
}

#[test]
fn every_example_of_the_document_is_as_the_document_says() {
    let api = Api::read();
    let mut count = 0;
    for operation in api.operations("main").into_iter().chain(api.operations("home")) {
        let bodies = operation.described["responses"].as_object().unwrap().values();
        for part in bodies.chain([&operation.described["requestBody"]]) {
            for (_, content) in part["content"].as_object().into_iter().flatten() {
                let given = content["examples"].as_object().expect("each content has an example");
                for (name, example) in given {
                    let errors = api.errors(&content["schema"], &example["value"]);
                    assert!(errors.is_empty(), "{} {name}: {errors:#?}", operation.path);
                    count += 1;
                }
            }
        }
    }
    assert!(count > 30, "{count}");
}

#[tokio::test]
async fn the_document_has_the_routes_that_the_node_has() {
    let world = World::new();
    let api = Api::read();
    let main = world.main("relay-a", &[]).await;
    let home = world.home("alice.home", &main.url(), ECHO, &[]).await;
    for (relay, kind) in [(&main, "main"), (&home, "home")] {
        let nothing = send(&relay.at, Method::GET, "/nothing", String::new()).await.unwrap();
        assert_eq!(nothing.status(), 404);
        let problem: Value = serde_json::from_str(nothing.body()).unwrap();
        assert_eq!(api.errors(&json!({ "$ref": "#/components/schemas/Problem" }), &problem), [""; 0]);
        let listed = problem["error"].as_str().unwrap().split_once("there are: ").unwrap().1;
        let listed: BTreeSet<String> =
            listed.split(", ").map(|route| route.replace("WebSocket ", "GET ")).collect();
        let described = api.operations(kind);
        let described: BTreeSet<String> =
            described.iter().map(|it| format!("{} {}", it.method.to_uppercase(), it.path)).collect();
        assert_eq!(listed, described, "{kind}");
    }
}

#[tokio::test]
async fn every_operation_answers_as_the_document_says() {
    let mut api = Api::read();
    let world = World::new();
    let main = guarded(&world, "relay-a.com", &[]).await;
    let other = guarded(&world, "relay-c.com", &["-peers", &main.url(), "-allow-legacy"]).await;
    let alice = world.home("alice.home", &main.url(), ECHO, &[]).await;
    lists(&main, &["echo@alice.home local", "echo@relay-a.com local", "echo@relay-c.com federated"]).await;
    let nowhere = world.home("alone.home", "ws://127.0.0.1:9", ECHO, &[]).await;

    for (relay, name, kind) in
        [(&main, "relay-a.com", "main"), (&other, "relay-c.com", "main"), (&alice, "alice.home", "home")]
    {
        for operation in api.operations(kind) {
            call_in_all_ways(&mut api, &world, relay, name, &operation).await;
        }
    }
    api.call(&nowhere, &api.operation("get", "/ready"), &Sent::default()).await;
    sockets(&mut api, &main, &other).await;
    in_the_dht(&mut api, &world, &main).await;
    while_it_closes(&mut api).await;

    let mut described = BTreeSet::new();
    for operation in api.operations("main") {
        // A disk that does not work is not to be had here.
        let statuses = operation.described["responses"].as_object().unwrap().keys().filter(|it| *it != "500");
        for status in statuses {
            described.insert((operation.method.clone(), operation.path.clone(), status.parse().unwrap()));
        }
    }
    let unseen: Vec<_> = described.difference(&api.seen).collect();
    assert!(unseen.is_empty(), "in the document and never seen: {unseen:?}");
}

/// With and without a token, with the examples and with nonsense, with the right method and with another.
async fn call_in_all_ways(api: &mut Api, world: &World, relay: &Relay, name: &str, operation: &Operation) {
    let token = wanted(world, name, operation).filter(|_| name != "alice.home");
    // Clients on this machine need no admin token where the older mesh is let in.
    let is_open = name == "relay-c.com" && operation.path.starts_with("/registry/");
    let bodies = examples(&operation.described["requestBody"]["content"]);
    if let Some(token) = &token {
        for wrong in [None, Some("another token".to_owned())] {
            let (status, answer) =
                api.call(relay, operation, &Sent { token: wrong, ..Sent::default() }).await;
            assert!((status == 401) != is_open, "{status} {answer}");
        }
        assert_ne!(token, "another token");
    }
    let sent = |body: String| Sent { body, token: token.clone(), ..Sent::default() };
    for body in &bodies {
        let (status, answer) = api.call(relay, operation, &sent(body.to_string())).await;
        assert!(status < 300, "{body}: {status} {answer}");
    }
    if operation.path == "/registry/peers/remove" {
        let (status, again) = api.call(relay, operation, &sent(bodies[0].to_string())).await;
        assert_eq!(status, 404, "it is gone by now: {again}");
    }
    if operation.path.starts_with("/federation/pins") {
        return pins(api, relay, operation, token).await;
    }
    if bodies.is_empty() {
        let peer = get(&relay.at, "/dht/status").await["peer_id"].as_str().map(str::to_owned);
        let (status, _) = api.call(relay, operation, &Sent { peer, ..Sent::default() }).await;
        assert!(status == 200 || operation.path.starts_with("/ws/"), "{status}");
    } else {
        for nonsense in ["", "{", "[]", "7", "{\"node_id\":7}", &"x".repeat(5_000)] {
            let (status, answer) = api.call(relay, operation, &sent(nonsense.to_owned())).await;
            let in_words = answer["error"].is_string() || answer["error"]["message"].is_string();
            assert!(status != 204 && in_words, "{nonsense}: {status} {answer}");
        }
    }
    let right = operation.method.to_uppercase();
    let wrong = if right == "GET" { Method::DELETE } else { Method::GET };
    if !operation.path.starts_with("/ws/") && token.is_none() {
        let path = operation.path.replace("{peer_id}", "7");
        let answer = send(&relay.at, wrong, &path, String::new()).await.unwrap();
        assert_eq!(answer.status(), 405, "{}", answer.body());
        let problem: Value = serde_json::from_str(answer.body()).unwrap();
        assert!(problem["error"].as_str().unwrap().contains(&format!("takes {right}")), "{problem}");
    }
}

/// The keys that a Main knows: pages of them, and one that is forgotten.
async fn pins(api: &mut Api, relay: &Relay, operation: &Operation, token: Option<String>) {
    let sent = |node, query| Sent { token: token.clone(), node, query, ..Sent::default() };
    if operation.method == "get" {
        assert_eq!(api.call(relay, operation, &sent("", "")).await.0, 200);
        assert_eq!(api.call(relay, operation, &sent("", "?limit=1")).await.0, 200);
        let (status, answer) = api.call(relay, operation, &sent("", "?limit=0")).await;
        assert!(status == 400 && answer["error"].as_str().unwrap().contains("`limit` is `0`"), "{answer}");
        return;
    }
    assert_eq!(api.call(relay, operation, &sent("a%20b", "")).await.0, 400);
    let (status, answer) = api.call(relay, operation, &sent("", "")).await;
    assert!(status == 404 && answer["error"].as_str().unwrap().contains("no key of nobody.home"), "{answer}");
    // Only its own Main knows it.
    let (status, _) = api.call(relay, operation, &sent("alice.home", "")).await;
    assert!(status == 200 || status == 404, "{status}");
}

async fn sockets(api: &mut Api, main: &Relay, legacy: &Relay) {
    for (relay, path, offers, query, status) in [
        (main, "/ws/federation", "relay.1", "", 101),
        (main, "/ws/peers", "relay.1", "", 101),
        (main, "/ws/federation", "relay.9", "", 400),
        (main, "/ws/federation", "", "", 403),
        (main, "/ws/peers", "", "", 403),
        (main, "/ws/p2p", "", "?node_id=node1", 403),
        (legacy, "/ws/p2p", "", "?node_id=node1", 101),
        (legacy, "/ws/p2p", "", "?node_id=relay-a.com", 409),
        (legacy, "/ws/p2p", "", "?node_id=a%20b", 400),
    ] {
        let operation = api.operation("get", path);
        let (answered, why) =
            api.call(relay, &operation, &Sent { query, offers: Some(offers), ..Sent::default() }).await;
        assert_eq!(answered, status, "{path}{query} {offers}: {why}");
    }
}

/// What the routes of the DHT answer besides.
async fn in_the_dht(api: &mut Api, world: &World, main: &Relay) {
    let (status, peers, peer) = (
        api.operation("get", "/dht/status"),
        api.operation("get", "/dht/peers"),
        api.operation("get", "/dht/peers/{peer_id}"),
    );
    let without = world.main("relay-d.com", &["-dht", "off"]).await;
    let off = api.call(&without, &status, &Sent::default()).await;
    assert_eq!(off, (200, json!({ "enabled": false })));
    for operation in [&peers, &peer] {
        assert_eq!(api.call(&without, operation, &Sent::default()).await.0, 503);
    }
    let sent = |peer: &str| Sent { peer: Some(peer.to_owned()), ..Sent::default() };
    assert_eq!(api.call(main, &peer, &sent("7")).await.0, 400);
    assert_eq!(api.call(main, &peers, &Sent { query: "?after=7", ..Sent::default() }).await.0, 400);
    assert_eq!(api.call(main, &peers, &Sent { query: "?limit=1", ..Sent::default() }).await.0, 200);
    assert_eq!(api.call(main, &peer, &Sent::default()).await.0, 404, "nobody has this id");
    // Something else than metadata under somebody's key.
    let key = world.file("key", &"07".repeat(32));
    let way = dht_at(main).await.to_string();
    let put = dht(&["put", "no metadata", "-key", &key, "-json", "-bootstrap", &way]);
    assert_eq!(put.code, 0, "{}", put.err);
    let target = put.json()["target"].as_str().unwrap().to_owned();
    assert_eq!(api.call(main, &peer, &sent(&target)).await.0, 502);
}

/// What a Main answers while it waits for the last call.
async fn while_it_closes(api: &mut Api) {
    let world = World::new();
    let slow = SlowUpstream::start().await;
    let file = world.file("slow.toml", &slow.service());
    let mut main = world.main("relay-a.com", &[&file]).await;
    let at = main.at.clone();
    let under_way = tokio::spawn(async move {
        remote_call(&at, json!({ "service_name": "slow_service", "method": "get" })).await
    });
    slow.called().await;
    main.process.terminate();
    main.process.says("shutting down").await;
    let mut states = BTreeMap::new();
    for operation in api.operations("main").into_iter().filter(|it| it.method == "get") {
        let offers = operation.path.starts_with("/ws/").then_some("relay.1");
        let sent = Sent { offers, query: "?node_id=x", ..Sent::default() };
        let (status, answer) = api.call(&main, &operation, &sent).await;
        states.insert(operation.path.clone(), (status, answer["status"].as_str().map(str::to_owned)));
    }
    for path in ["/health", "/federation/health", "/registry/health"] {
        assert_eq!(states[path], (200, Some("draining".into())), "{path}");
    }
    for path in ["/ready", "/ws/federation", "/ws/peers", "/ws/p2p"] {
        assert_eq!(states[path].0, 503, "{path}");
    }
    slow.answer();
    assert_eq!(under_way.await.unwrap()["result"], "at last");
    eventually("it has ended", async || {
        tokio::net::TcpStream::connect(&main.at).await.is_err().then_some(())
    })
    .await;
}
