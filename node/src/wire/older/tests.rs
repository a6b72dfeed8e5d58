//! The table of the translation, round trips, and hostile input.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::env::UnixTime;
use crate::federation::{CallError, Failure};
use crate::wire::{
    Body, Frame, Header, Heartbeat, NodeAddress, NodeId, NodeKind, Request, Response, payload,
};

const LIMIT: usize = 64 * 1024;

fn id(text: &str) -> NodeId {
    text.parse().unwrap()
}

fn translator() -> Translator {
    Translator::new(id("relay-a"), id("node1"), "p2p-7".into())
}

fn now() -> UnixTime {
    UnixTime(Duration::from_secs(1_767_323_045))
}

fn take(translator: &mut Translator, message: &Value) -> Taken {
    translator.take_in(&message.to_string()).unwrap_or_else(|rejected| panic!("{rejected:?} for {message}"))
}

fn put(translator: &mut Translator, frame: Frame) -> Value {
    let text = translator.put_out(frame, now(), LIMIT).unwrap().expect("this wire has it");
    serde_json::from_str(&text).unwrap()
}

fn rejected(text: &str) -> String {
    translator().take_in(text).unwrap_err().error.to_string()
}

/// The frame by which the router ends a call.
fn response(
    to: &Header,
    outcome: Result<Box<serde_json::value::RawValue>, CallError>,
    path: &[&str],
) -> Frame {
    let mut header = to.clone();
    header.message_id = "answer-1".into();
    header.correlation_id = Some(to.message_id.clone());
    header.destination = Some(to.source.clone());
    header.path = path.iter().map(|node| id(node)).collect();
    Frame { header, body: Body::Response(Response::new(outcome)) }
}

fn call(to: &str, more: &Value) -> Value {
    let mut message = json!({
        "type": "server_call", "id": "11", "from": "node1", "to": to,
        "data": { "call": { "server_name": "echo", "method": "say", "args": ["hi"], "timeout": 2.5 }, "response_id": "22" },
    });
    for (key, value) in more.as_object().unwrap() {
        message[key] = value.clone();
    }
    message
}

#[test]
fn the_shortest_ping_gets_its_pong() {
    let mut translator = translator();
    let taken = take(&mut translator, &json!({ "type": "ping", "from": "node1", "to": "node2" }));
    let heartbeat = taken.frame.unwrap();
    assert_eq!(
        (heartbeat.body, heartbeat.header.source.id),
        (Body::Heartbeat(Heartbeat::default()), id("node1"))
    );
    let pong = put(&mut translator, taken.reply.unwrap());
    assert_eq!(
        (&pong["type"], &pong["from"], &pong["to"]),
        (&json!("pong"), &json!("relay-a"), &json!("node1"))
    );
    assert_eq!(pong["data"], json!({ "timestamp": null, "pong_time": 1_767_323_045 }));
    assert_eq!(pong["timestamp"], "2026-01-02T03:04:05.000Z");
    assert_eq!(translator.owed(), 0);
}

#[test]
fn a_pong_says_which_ping_it_answers() {
    let mut translator = translator();
    let ping =
        json!({ "type": "ping", "id": "9", "from": "node1", "to": "relay-a", "data": { "timestamp": 17 } });
    let reply = take(&mut translator, &ping).reply.unwrap();
    let pong = put(&mut translator, reply);
    assert_eq!((&pong["reply_to"], &pong["data"]["timestamp"]), (&json!("9"), &json!(17)));
}

#[test]
fn a_heartbeat_of_ours_is_a_ping_and_their_pong_is_one() {
    let mut translator = translator();
    let heartbeat = Frame { header: caller("relay-a", &[]), body: Body::Heartbeat(Heartbeat::default()) };
    let ping = put(&mut translator, heartbeat);
    assert_eq!((&ping["type"], &ping["to"]), (&json!("ping"), &json!("node1")));
    let taken =
        take(&mut translator, &json!({ "type": "pong", "from": "node1", "to": "relay-a", "data": null }));
    assert!(matches!(taken.frame.unwrap().body, Body::Heartbeat(_)));
    assert!(taken.reply.is_none());
}

#[test]
fn a_call_becomes_a_request_and_its_response_the_server_response() {
    let mut translator = translator();
    let asked = call("bob.home@relay-b", &json!({ "route": ["node1"], "ttl": 9, "reply_to": "33" }));
    let Frame { header, body: Body::Request(request) } = take(&mut translator, &asked).frame.unwrap() else {
        panic!("a request");
    };
    assert_eq!((request.service.as_str(), request.method.as_str()), ("echo", "say"));
    assert_eq!(request.timeout, Some(Duration::from_millis(2_500)));
    assert_eq!(request.params().unwrap().unwrap().get(), "[\"hi\"]");
    assert_eq!(header.destination.clone().unwrap().to_string(), "bob.home@relay-b");
    assert_eq!((header.path.clone(), header.ttl), (vec![id("node1")], 9));
    assert_eq!(header.source.id, id("node1"));

    let answer = put(&mut translator, response(&header, Ok(payload(&["hi"])), &["bob.home", "relay-b"]));
    assert_eq!((&answer["type"], &answer["to"]), (&json!("server_response"), &json!("node1")));
    assert_eq!(answer["reply_to"], "33");
    assert_eq!(
        answer["data"],
        json!({ "success": true, "result": ["hi"], "node_id": "bob.home", "response_id": "22" })
    );
    assert_eq!(translator.owed(), 0);
}

#[test]
fn a_failure_is_told_in_words_with_the_node_that_says_so() {
    let mut translator = translator();
    let header = take(&mut translator, &call("", &json!({}))).frame.unwrap().header;
    assert_eq!(header.destination, None, "this node stands for the federation");
    let error = Failure::NoSuchService { service: "echo".into() }.at(&id("relay-b"), &[]);
    let answer = put(&mut translator, response(&header, Err(error), &["relay-a"]));
    assert_eq!(answer["reply_to"], "11", "the call's id where it says nothing else");
    assert_eq!(
        answer["data"],
        json!({
            "success": false, "error": "service not found: no node offers `echo`",
            "node_id": "relay-b", "response_id": "22",
        })
    );
}

#[test]
fn an_answer_over_the_limit_goes_as_a_failure() {
    let mut translator = translator();
    let header = take(&mut translator, &call("relay-a", &json!({}))).frame.unwrap().header;
    let frame = response(&header, Ok(payload(&"x".repeat(5_000))), &["relay-a"]);
    let text = translator.put_out(frame, now(), 4_096).unwrap().unwrap();
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&answer["data"]["success"], &answer["data"]["response_id"]), (&json!(false), &json!("22")));
    assert!(answer["data"]["error"].as_str().unwrap().contains("at most 4096"), "{answer}");
}

#[test]
fn what_is_wrong_with_a_call_reaches_its_caller() {
    for (data, words) in [
        (json!({ "response_id": "22" }), "a server_call needs the field `data.call`"),
        (json!({ "response_id": "22", "call": {} }), "a server_call needs the field `data.call.server_name`"),
        (
            json!({ "response_id": "22", "call": { "server_name": "a b", "method": "m" } }),
            "`data.call.server_name` is not valid",
        ),
        (
            json!({ "response_id": "22", "call": { "server_name": "a" } }),
            "a server_call needs the field `data.call.method`",
        ),
        (
            json!({ "response_id": "22", "call": { "server_name": "a", "method": "m", "timeout": -1 } }),
            "`data.call.timeout` is not valid: -1 is not over 0 seconds",
        ),
        (json!({ "response_id": "22", "call": 7 }), "`data` is not valid"),
    ] {
        let mut translator = translator();
        let message = call("relay-a", &json!({ "data": data }));
        let Rejected { answering, error } = translator.take_in(&message.to_string()).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        let report = crate::wire::ErrorReport { code: -32009, message: error.to_string() };
        let mut header = caller("relay-a", &[]);
        header.correlation_id = answering.map(Into::into);
        let answer = put(&mut translator, Frame { header, body: Body::Error(report) });
        assert_eq!(answer["type"], "server_response", "{answer}");
        assert_eq!(
            (&answer["data"]["success"], &answer["data"]["response_id"]),
            (&json!(false), &json!("22"))
        );
        assert!(answer["data"]["error"].as_str().unwrap().contains(words), "{answer}");
        assert_eq!(translator.owed(), 0);
    }
}

#[test]
fn refusals_say_what_is_wrong() {
    assert!(rejected("hello").starts_with("not a mesh message: expected value at line 1 column 1"));
    assert!(rejected("[]").starts_with("not a mesh message"));
    assert_eq!(rejected("{}"), "a mesh message needs the field `type`");
    assert!(
        rejected(r#"{"type":"gossip","from":"a"}"#)
            .starts_with("unknown message type `gossip`; the older mesh has")
    );
    assert_eq!(rejected(r#"{"type":"ping"}"#), "a ping needs the field `from`");
    assert_eq!(
        rejected(r#"{"type":"ping","from":"a","data":[1]}"#),
        "`data` is not valid: it must be an object"
    );
    assert!(rejected(r#"{"type":"ping","from":"a","ttl":1.5}"#).starts_with("not a mesh message"));
    let long = vec!["\"n\""; 17].join(",");
    assert!(rejected(&format!(r#"{{"type":"ping","from":"a","route":[{long}]}}"#)).contains("`route`"));
    assert!(rejected(&format!(r#"{{"type":"ping","from":"{}"}}"#, "x".repeat(1_025))).contains("1025 bytes"));
    assert_eq!(
        rejected(r#"{"type":"route_message","from":"node1"}"#),
        "a route_message needs the field `data.original_message`"
    );
    assert!(
        rejected(r#"{"type":"server_response","from":"node1","data":{"response_id":"x"}}"#)
            .contains("none that this node gave")
    );
    assert!(
        rejected(r#"{"type":"registry_sync","from":"node1","data":{"servers":7}}"#)
            .contains("`data.servers`")
    );
    assert!(rejected(&call("a b", &json!({})).to_string()).contains("`to` is not valid"));
}

fn wrap(message: &Value, times: usize) -> Value {
    (0..times).fold(message.clone(), |inner, _| {
        json!({ "type": "route_message", "from": "node1", "to": "relay-a", "data": { "original_message": inner }, "ttl": 8 })
    })
}

#[test]
fn a_wrapped_call_is_answered_to_its_maker_by_the_way_it_came() {
    let mut translator = translator();
    let from_afar = call("relay-a", &json!({ "from": "node0", "route": ["node0", "node1"] }));
    let header = take(&mut translator, &wrap(&from_afar, 2)).frame.unwrap().header;
    assert_eq!(header.path, [id("node0"), id("node1")], "hops in the mesh count");
    assert_eq!(header.source.id, id("node1"), "which answers for what is behind it");
    let answer = put(&mut translator, response(&header, Ok(payload(&1)), &["relay-a"]));
    assert_eq!((&answer["type"], &answer["to"]), (&json!("route_message"), &json!("node1")));
    let original = &answer["data"]["original_message"];
    assert_eq!((&original["type"], &original["to"]), (&json!("server_response"), &json!("node0")));
    assert_eq!((&original["data"]["response_id"], &original["data"]["result"]), (&json!("22"), &json!(1)));
}

#[test]
fn wrappings_are_bounded() {
    let ping = json!({ "type": "ping", "from": "node1", "to": "relay-a" });
    assert!(take(&mut translator(), &wrap(&ping, MAX_WRAPPINGS)).frame.is_some());
    assert!(rejected(&wrap(&ping, MAX_WRAPPINGS + 1).to_string()).contains("wrapped over 4 times"));
}

#[test]
fn loops_and_used_up_journeys_end_here() {
    for (more, words) in
        [(json!({ "route": ["relay-a", "node1"] }), "loop"), (json!({ "ttl": -1 }), "hop limit")]
    {
        for times in [0, 1] {
            let mut translator = translator();
            let taken = take(&mut translator, &wrap(&call("bob.home", &more), times));
            assert!(taken.frame.is_none());
            let answer = put(&mut translator, taken.reply.unwrap());
            assert_eq!(answer["data"]["response_id"], "22", "{answer}");
            assert!(answer["data"]["error"].as_str().unwrap().starts_with(words), "{answer}");
        }
    }
}

#[test]
fn what_only_neighbours_say_is_not_carried_on() {
    for kind in ["ping", "registry_sync"] {
        let mut translator = translator();
        let message = json!({ "type": kind, "from": "node0", "to": "node9" });
        let taken = take(&mut translator, &wrap(&message, 1));
        assert!(taken.frame.is_none() && !taken.syncs);
        let answer = put(&mut translator, taken.reply.unwrap());
        let original = &answer["data"]["original_message"];
        assert_eq!((&original["type"], &original["to"]), (&json!("error"), &json!("node0")));
        assert!(original["data"]["message"].as_str().unwrap().contains("not to node9"), "{answer}");
    }
}

#[test]
fn one_peer_cannot_have_us_remember_without_end() {
    let mut translator = translator();
    for _ in 0..MAX_OWED_ANSWERS {
        assert!(take(&mut translator, &call("", &json!({}))).frame.is_some());
    }
    let taken = take(&mut translator, &call("", &json!({})));
    assert!(taken.frame.is_none());
    let answer = put(&mut translator, taken.reply.unwrap());
    assert!(answer["data"]["error"].as_str().unwrap().starts_with("overloaded"), "{answer}");
    assert_eq!(translator.owed(), MAX_OWED_ANSWERS);
}

fn offers(data: &Value) -> Vec<String> {
    let sync = json!({ "type": "registry_sync", "from": "node1", "to": "relay-a", "data": data });
    let taken = take(&mut translator(), &sync);
    assert!(taken.syncs);
    match taken.frame.unwrap().body {
        Body::Registration(registration) => {
            registration.services.into_iter().map(|offer| offer.name).collect()
        }
        other => vec![format!("no list but a {}", other.kind())],
    }
}

#[test]
fn a_peer_registers_what_it_serves_itself() {
    let by_name = json!({ "servers": {
        "blog": { "name": "blog", "node_id": "node1", "methods": ["get"], "is_local": true },
        "shop": { "name": "shop", "node_id": "node5", "methods": null },
        "blog@node7": { "name": "blog", "node_id": "node7" },
        "bare": null,
    } });
    assert_eq!(offers(&by_name), ["bare", "blog"], "not what others serve");
    assert_eq!(offers(&json!({ "servers": ["a", { "name": "b" }] })), ["a", "b"]);
    assert!(offers(&json!({ "servers": [] })).is_empty(), "it has none any more");
    assert_eq!(offers(&json!({})), ["no list but a heartbeat"], "it only asks");
}

#[test]
fn a_list_that_says_nothing_new_goes_no_further() {
    let mut translator = translator();
    let mut kinds = Vec::new();
    for servers in [json!(["a"]), json!(["a"]), json!(["a", "b"]), json!([])] {
        let sync = json!({ "type": "registry_sync", "from": "node1", "data": { "servers": servers } });
        kinds.push(take(&mut translator, &sync).frame.unwrap().body.kind());
    }
    assert_eq!(kinds, ["registration", "heartbeat", "registration", "registration"]);
}

fn listed(name: &str, node: &str) -> Listed {
    Listed { name: name.into(), node_id: id(node), methods: vec!["get".into()], is_local: true }
}

#[test]
fn our_list_has_every_instance_and_reads_back() {
    let ours = [listed("blog", "node1"), listed("blog", "bob.home"), listed("shop", "bob.home")];
    let text = translator().sync(&ours, now());
    let sync: Value = serde_json::from_str(&text).unwrap();
    let keys: Vec<&String> = sync["data"]["servers"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["blog", "blog@bob.home", "shop"]);
    // Another adapter takes out of it what the sender serves itself.
    let mut other = Translator::new(id("relay-b"), id("bob.home"), "x".into());
    let Body::Registration(read) = other.take_in(&text).unwrap().frame.unwrap().body else {
        panic!("a list")
    };
    let names: Vec<&str> = read.services.iter().map(|offer| offer.name.as_str()).collect();
    assert_eq!(names, ["blog", "shop"]);
}

fn caller(source: &str, path: &[&str]) -> Header {
    Header {
        message_id: "17-4".into(),
        correlation_id: None,
        timestamp: String::new(),
        source: NodeAddress { kind: NodeKind::Home, id: id(source), main_relay: Some(id("relay-b")) },
        destination: Some(NodeAddress { kind: NodeKind::Home, id: id("node1"), main_relay: None }),
        path: path.iter().map(|node| id(node)).collect(),
        ttl: 8,
        priority: Some(-5),
        trace: Some(Vec::new()),
        traceparent: None,
    }
}

fn request(params: &str) -> Request {
    let call = format!(r#"{{"jsonrpc":"2.0","method":"get","params":{params}}}"#);
    Request {
        service: "blog".into(),
        method: "get".into(),
        call: Some(serde_json::value::RawValue::from_string(call).unwrap()),
        timeout: Some(Duration::from_millis(7_500)),
        dry_run: false,
    }
}

#[test]
fn a_call_of_ours_goes_out_with_a_list_of_arguments() {
    for (params, args) in [("[1,2]", json!([1, 2])), ("{\"a\":1}", json!([{ "a": 1 }])), ("null", json!([]))]
    {
        let frame =
            Frame { header: caller("alice", &["alice", "relay-a"]), body: Body::Request(request(params)) };
        let message = put(&mut translator(), frame);
        assert_eq!((&message["type"], &message["to"]), (&json!("server_call"), &json!("node1")));
        assert_eq!(
            (&message["from"], &message["ttl"]),
            (&json!("relay-a"), &json!(8)),
            "older nodes answer `from`"
        );
        assert_eq!(message["route"], json!(["alice", "relay-a"]));
        assert_eq!(
            message["data"]["call"],
            json!({ "server_name": "blog", "method": "get", "args": args, "timeout": 7.5 })
        );
    }
}

#[test]
fn a_call_that_does_not_fit_fails_at_once() {
    let big = request(&format!("[\"{}\"]", "x".repeat(5_000)));
    let frame = Frame { header: caller("alice", &["alice"]), body: Body::Request(big) };
    let Unsent { header, failure } = *translator().put_out(frame, now(), 4_096).unwrap_err();
    assert_eq!(header.message_id, "17-4");
    assert!(matches!(failure, Failure::TooLarge { limit: 4_096, .. }));
    let mut odd = request("[]");
    odd.call = Some(payload(&json!({ "jsonrpc": "1.0", "method": "get" })));
    let frame = Frame { header: caller("alice", &["alice"]), body: Body::Request(odd) };
    assert!(matches!(translator().put_out(frame, now(), LIMIT).unwrap_err().failure, Failure::Malformed(_)));
}

/// Sends a call of ours out and gives the frame that this answer to it becomes.
fn answered(data: &Value) -> Frame {
    let mut translator = translator();
    let frame = Frame { header: caller("alice", &["alice", "relay-a"]), body: Body::Request(request("[]")) };
    let sent = put(&mut translator, frame);
    let mut answer = json!({ "type": "server_response", "from": "node1", "to": "relay-a", "data": data });
    answer["data"]["response_id"] = sent["data"]["response_id"].clone();
    take(&mut translator, &answer).frame.unwrap()
}

#[test]
fn an_older_answer_finds_its_caller() {
    let Frame { header, body: Body::Response(response) } =
        answered(&json!({ "success": true, "result": [1], "node_id": "node1" }))
    else {
        panic!("a response");
    };
    assert_eq!(header.correlation_id.as_deref(), Some("17-4"));
    assert_eq!(header.destination.unwrap().to_string(), "alice@relay-b");
    assert_eq!(header.path, [id("node1")]);
    assert_eq!((header.priority, header.trace), (Some(-5), Some(Vec::new())), "as its request");
    assert_eq!(response.outcome().unwrap().unwrap().get(), "[1]");
}

#[test]
fn an_older_failure_has_code_node_and_path() {
    for (data, code, words) in [
        (json!({ "success": false, "error": "out of ink" }), -32010, "service failed: out of ink"),
        (json!({ "success": false }), -32010, "no reason"),
        (json!({ "error": { "code": 7 } }), -32010, "an error object"),
        (
            json!({ "success": false, "error": "server blog not found" }),
            -32001,
            "node1 does not offer `blog`",
        ),
    ] {
        let Body::Response(response) = answered(&data).body else { panic!("a response") };
        let error = response.outcome().unwrap().unwrap_err();
        assert_eq!(error.code, code, "{data}");
        assert!(error.message.contains(words), "{}", error.message);
        assert_eq!(error.data.node, Some(id("node1")));
        assert_eq!(error.data.path, [id("alice"), id("relay-a"), id("node1")]);
    }
}

fn text() -> impl Strategy<Value = String> {
    ".{0,20}"
}

fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9._-]{1,20}"
}

prop_compose! {
    fn message()(
        kind in proptest::sample::select(&Kind::ALL[..]),
        id in text(),
        from in ".{1,20}",
        to in text(),
        data in proptest::option::of(proptest::sample::select(&["{}", r#"{"a":[1.5e3]}"#][..])),
        timestamp in text(),
        route in proptest::collection::vec(text(), 0..4),
        ttl: i64,
        reply_to in text(),
    ) -> Message {
        let data = data.map(|data| serde_json::value::RawValue::from_string(data.to_owned()).unwrap());
        Message { kind, id, from, to, data, timestamp, route, ttl, reply_to }
    }
}

proptest! {
    #[test]
    fn every_type_round_trips(message in message()) {
        prop_assert_eq!(Message::decode(&message.encode()).unwrap(), message);
    }

    #[test]
    fn every_caller_is_found_again(
        main: bool, source in name(), relay in proptest::option::of(name()),
        path in proptest::collection::vec(name(), 1..4), priority: Option<i64>, traced: bool,
        message_id in ".{1,40}",
    ) {
        let caller = super::call::Caller {
            source: NodeAddress {
                kind: if main { NodeKind::Main } else { NodeKind::Home },
                id: id(&source),
                main_relay: relay.map(|relay| id(&relay)),
            },
            path: path.iter().map(|node| id(node)).collect(),
            priority,
            traced,
            message_id,
        };
        prop_assert_eq!(super::call::Caller::read(&caller.write()).unwrap(), caller);
    }

    #[test]
    fn whatever_comes_in_is_owed_at_most_one_answer_and_never_panics(
        texts in proptest::collection::vec(prop_oneof![".{0,200}", message().prop_map(|it| it.encode())], 0..8)
    ) {
        let mut translator = translator();
        for text in texts {
            let before = translator.owed();
            let (replies, answering) = match translator.take_in(&text) {
                Ok(taken) => (usize::from(taken.reply.is_some()), None),
                Err(rejected) => (usize::from(rejected.answering.is_some()), rejected.answering),
            };
            prop_assert!(translator.owed() <= before + 1);
            prop_assert!(replies <= 1);
            if let Some(key) = answering {
                let mut header = caller("relay-a", &[]);
                header.correlation_id = Some(key.into());
                let report = crate::wire::ErrorReport { code: -32009, message: "no".into() };
                translator.put_out(Frame { header, body: Body::Error(report) }, now(), LIMIT).unwrap();
                prop_assert_eq!(translator.owed(), before);
            }
        }
    }

    #[test]
    fn a_damaged_message_never_panics(at: prop::sample::Index, byte: u8, times in 0_usize..3) {
        let mut bytes = wrap(&call("bob.home", &json!({ "route": ["node1"] })), times).to_string().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = translator().take_in(&String::from_utf8_lossy(&bytes));
        bytes.truncate(at);
        let _ = translator().take_in(&String::from_utf8_lossy(&bytes));
    }
}
