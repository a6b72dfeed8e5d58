//! Round trips and hostile input for every message family.

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;
use crate::federation::{Failure, Policy};

fn node_id() -> impl Strategy<Value = NodeId> {
    "[a-zA-Z0-9._-]{1,20}".prop_map(|text| text.parse().unwrap())
}

fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9._-]{1,20}"
}

fn address() -> impl Strategy<Value = NodeAddress> {
    (any::<bool>(), node_id(), proptest::option::of(node_id())).prop_map(|(main, id, main_relay)| {
        NodeAddress { kind: if main { NodeKind::Main } else { NodeKind::Home }, id, main_relay }
    })
}

fn hop_time() -> impl Strategy<Value = HopTime> {
    (node_id(), any::<u64>()).prop_map(|(node, micros)| HopTime { node, micros })
}

fn json() -> impl Strategy<Value = Box<RawValue>> {
    // Not `null`: as a field's value it reads as an absent field.
    prop_oneof![Just("7"), Just("[1,2,{\"a\":\"\\u00e9\"}]"), Just("{\"x\":1.5e3}"), Just("\"text\"")]
        .prop_map(|text| RawValue::from_string(text.to_owned()).unwrap())
}

prop_compose! {
    fn header()(
        message_id in "[a-z0-9-]{1,40}",
        correlation_id in "[a-z0-9-]{1,40}",
        source in address(),
        destination in address(),
        path in proptest::collection::vec(node_id(), 0..4),
        ttl: u32,
        priority: Option<i64>,
        trace in proptest::option::of(proptest::collection::vec(hop_time(), 0..4)),
        traceparent in proptest::option::of("[0-9a-f-]{55}"),
    ) -> Header {
        Header {
            message_id: message_id.into(),
            correlation_id: Some(correlation_id.into()),
            timestamp: "2026-01-02T03:04:05.678Z".into(),
            source,
            destination: Some(destination),
            path,
            ttl,
            priority,
            trace,
            traceparent,
        }
    }
}

fn body() -> impl Strategy<Value = Body> {
    let policy = proptest::option::of(proptest::sample::select(&Policy::ALL[..]));
    let offer = (name(), proptest::collection::vec("[a-z]{1,8}", 0..3), policy)
        .prop_map(|(name, methods, balance)| ServiceOffer { name, methods, balance });
    let peer = || node_id().prop_map(|id| PeerAddress { id, address: "ws://127.0.0.1:8080".into() });
    let policy = proptest::option::of(proptest::sample::select(&Policy::ALL[..]));
    let announced = (name(), node_id(), policy).prop_map(|(name, node_id, balance)| Announced {
        name,
        node_id,
        node_type: NodeKind::Home,
        methods: vec![],
        balance,
    });
    let withdrawn = (name(), node_id()).prop_map(|(name, node_id)| Withdrawn { name, node_id });
    prop_oneof![
        (
            proptest::collection::vec(offer, 0..4),
            proptest::collection::vec(peer(), 0..3),
            any::<Option<u16>>()
        )
            .prop_map(|(services, peers, listen_port)| Body::Registration(Registration {
                services,
                peers,
                listen_port,
                tls: listen_port.is_some_and(|port| port % 2 == 1),
                public_key: Some("00".repeat(32)),
                boot: Some("7".into()),
                address: None,
                identity: listen_port.map(|port| PeerIdentity {
                    peer_id: Hex([7; 20]),
                    dht_node_id: (port % 3 == 0).then_some(Hex([8; 20])),
                    public_key: Hex([9; 32]),
                    node_type: if port % 5 == 0 { NodeType::Private } else { NodeType::Public },
                    is_relay: port % 2 == 0,
                    topic: "remote-network-mesh".into(),
                    dht_port: Some(port),
                    seen_as: Some([198, 51, 100, (port % 256) as u8].into()),
                }),
            })),
        any::<Option<u64>>().prop_map(|registry_version| Body::Heartbeat(Heartbeat { registry_version })),
        (
            name(),
            "[a-z_]{1,20}",
            proptest::option::of(json()),
            proptest::option::of(any::<u32>()),
            any::<bool>()
        )
            .prop_map(|(service, method, call, millis, dry_run)| Body::Request(Request {
                service,
                method,
                call,
                timeout: millis.map(|millis| std::time::Duration::from_millis(millis.into())),
                dry_run,
            })),
        (".{0,30}", any::<u64>())
            .prop_map(|(reason, return_after_ms)| Body::Goodbye(Goodbye { reason, return_after_ms })),
        Just(Body::Cancel(Cancel)),
        any::<[[u8; 32]; 2]>()
            .prop_map(|[key, nonce]| Body::Challenge(Challenge { public_key: Hex(key), nonce: Hex(nonce) })),
        (any::<[[u8; 32]; 5]>(), any::<bool>()).prop_map(|([key, nonce, a, b, c], secret)| {
            let pair = |one: [u8; 32], two: [u8; 32]| {
                Hex(std::array::from_fn(|at| if at < 32 { one[at] } else { two[at - 32] }))
            };
            Body::Proof(Proof {
                public_key: Hex(key),
                nonce: Hex(nonce),
                signature: pair(a, b),
                secret: secret.then(|| pair(b, c)),
            })
        }),
        json().prop_map(|result| Body::Response(Response::new(Ok(result)))),
        (
            any::<[bool; 2]>(),
            any::<u64>(),
            proptest::collection::vec(announced, 0..4),
            proptest::collection::vec(withdrawn, 0..4),
            proptest::collection::vec(peer(), 0..3)
        )
            .prop_map(|([want_full, full], version, services, removed, peers)| {
                Body::Discovery(Discovery { want_full, full, version, services, removed, peers })
            }),
        proptest::collection::vec((any::<[u8; 20]>(), any::<Option<[u8; 20]>>(), any::<bool>()), 0..5)
            .prop_map(|peers| {
                let peers = peers.into_iter().map(|(id, dht, is_relay)| SharedPeer {
                    peer_id: Hex(id),
                    dht_node_id: dht.map(Hex),
                    public_key: Hex([1; 32]),
                    is_relay,
                });
                Body::KnownPeers(SharedPeers { peers: peers.collect() })
            }),
        (any::<i64>(), ".{0,30}").prop_map(|(code, message)| Body::Error(ErrorReport { code, message })),
    ]
}

proptest! {
    #[test]
    fn every_family_round_trips(header in header(), body in body()) {
        let frame = Frame { header, body };
        let text = encode(frame.clone());
        prop_assert_eq!(decode(&text).unwrap(), frame);
    }

    #[test]
    fn the_quick_reader_takes_what_we_write(header in header(), body in body()) {
        let plain = header.trace.is_none() && header.priority.is_none_or(|priority| priority >= 0);
        let is_call = plain && matches!(body, Body::Request(_) | Body::Response(_));
        let text = encode(Frame { header, body });
        prop_assert_eq!(quick::read(&text).is_some(), is_call, "{}", text);
    }

    #[test]
    fn both_readers_agree(header in header(), body in body(), at: prop::sample::Index, put in "[ -~]{0,3}", out in 0..3usize) {
        // What is left after a change somewhere: the quick reader leaves it alone, or reads what the general one reads.
        let mut text = encode(Frame { header: Header { trace: None, ..header }, body });
        let at = at.index(text.len());
        let end = (at + out).min(text.len());
        if text.is_char_boundary(at) && text.is_char_boundary(end) {
            text.replace_range(at..end, &put);
        }
        if let Some(envelope) = quick::read(&text) {
            let general = envelope::read(&text).map_err(WireError::Json).and_then(frame);
            prop_assert_eq!(frame(envelope), general, "{}", text);
        }
    }

    #[test]
    fn arbitrary_text_never_panics(text in ".{0,400}") {
        let _ = decode(&text);
        let _ = salvage_message_id(&text);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn a_damaged_message_never_panics(header in header(), body in body(), at: prop::sample::Index, byte: u8) {
        let mut bytes = encode(Frame { header, body }).into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = decode(&String::from_utf8_lossy(&bytes));
        bytes.truncate(at);
        let _ = decode(&String::from_utf8_lossy(&bytes));
    }
}

fn refusal(text: &str) -> String {
    decode(text).unwrap_err().to_string()
}

const HEAD: &str = r#""message_id":"m1","source_node":{"type":"home","id":"alice.home"}"#;

#[test]
fn refusals_say_what_is_wrong() {
    assert!(refusal("hello").starts_with("not a federation message: expected value at line 1 column 1"));
    assert!(refusal("[]").starts_with("not a federation message"));
    assert_eq!(refusal("{}"), "a message needs the field `type`");
    assert_eq!(refusal(r#"{"type":"heartbeat"}"#), "a message needs the field `message_id`");
    assert_eq!(
        refusal(r#"{"type":"heartbeat","message_id":"1"}"#),
        "a message needs the field `source_node`"
    );
    assert!(
        refusal(&format!(r#"{{"type":"gossip",{HEAD}}}"#))
            .starts_with("unknown message type `gossip`; known are")
    );
    assert_eq!(
        refusal(&format!(r#"{{"type":"request",{HEAD}}}"#)),
        "a request needs the field `server_name`"
    );
    assert_eq!(
        refusal(&format!(r#"{{"type":"request",{HEAD},"server_name":"shop"}}"#)),
        "a request needs the field `method`"
    );
    assert!(
        refusal(&format!(r#"{{"type":"request",{HEAD},"server_name":"a b","method":"m"}}"#))
            .contains("`server_name`")
    );
    assert_eq!(
        refusal(&format!(r#"{{"type":"response",{HEAD},"data":{{}}}}"#)),
        "a response needs the field `correlation_id`"
    );
    assert!(
        refusal(&format!(r#"{{"type":"registration",{HEAD},"data":{{"services":7}}}}"#)).contains("`data`")
    );
    for (field, words) in [
        (r#""ttl":-1"#, "not a federation message: `ttl`: invalid value: integer `-1`, expected u32"),
        (r#""ttl":"10""#, "not a federation message: `ttl`: invalid type: string \"10\", expected u32"),
        (
            r#""routing_path":["a",7]"#,
            "not a federation message: `routing_path[1]`: invalid type: integer `7`",
        ),
        (
            r#""data":{"registry_version":"x"}"#,
            "`data` is not valid: `registry_version`: invalid type: string \"x\"",
        ),
        (r#""data":7"#, "`data` is not valid: invalid type: integer `7`, expected struct Heartbeat"),
    ] {
        let said = refusal(&format!(r#"{{"type":"heartbeat",{HEAD},{field}}}"#));
        assert!(said.starts_with(words) && !said.contains("at line"), "{said}");
    }
    let long = vec!["\"n\""; 17].join(",");
    assert!(
        refusal(&format!(r#"{{"type":"heartbeat",{HEAD},"routing_path":[{long}]}}"#))
            .contains("`routing_path`")
    );
}

#[test]
fn what_is_unknown_is_ignored_and_what_is_absent_has_its_default() {
    let frame =
        decode(&format!(r#"{{"type":"heartbeat",{HEAD},"color":"green","data":{{"mood":1}}}}"#)).unwrap();
    assert_eq!(frame.header.ttl, DEFAULT_TTL);
    assert!(frame.header.path.is_empty());
    assert_eq!(frame.body, Body::Heartbeat(Heartbeat::default()));
}

#[test]
fn a_balance_that_is_not_known_reads_as_none() {
    for (text, expected) in [
        (r#","balance":"round-robin""#, Some(Policy::RoundRobin)),
        (r#","balance":"by-moon-phase""#, None),
        (r#","balance":7"#, None),
        (r#","balance":null"#, None),
        ("", None),
    ] {
        let text =
            format!(r#"{{"type":"registration",{HEAD},"data":{{"services":[{{"name":"shop"{text}}}]}}}}"#);
        let frame = decode(&text).unwrap();
        let Body::Registration(registration) = &frame.body else { panic!("a registration") };
        assert_eq!(registration.services[0].balance, expected, "{text}");
        assert_eq!(encode(frame).contains("balance"), expected.is_some());
    }
}

#[test]
fn null_reads_as_empty() {
    let text = format!(
        r#"{{"type":"registration",{HEAD},"routing_path":null,"timestamp":null,"data":{{"services":null,"peers":null}}}}"#
    );
    assert_eq!(decode(&text).unwrap().body, Body::Registration(Registration::default()));
    let text = format!(r#"{{"type":"service_discovery",{HEAD},"data":{{"services":null,"removed":null}}}}"#);
    assert_eq!(decode(&text).unwrap().body, Body::Discovery(Discovery::default()));
}

#[test]
fn a_request_of_an_older_json_rpc_is_refused() {
    let text = format!(
        r#"{{"type":"request",{HEAD},"server_name":"s","method":"m","jsonrpc_request":{{"jsonrpc":"1.0","method":"m"}}}}"#
    );
    let Body::Request(request) = decode(&text).unwrap().body else { panic!("a request") };
    assert!(request.params().unwrap_err().to_string().contains("only 2.0"));
}

#[test]
fn an_outcome_survives_the_way_back() {
    let id: NodeId = "relay-a".parse().unwrap();
    let error = Failure::NoSuchNode { node: id.clone() }.at(&id, std::slice::from_ref(&id));
    let response = Response::new(Err(error.clone()));
    assert_eq!(response.outcome().unwrap().unwrap_err(), error);
    let response = Response::new(Ok(payload(&[1, 2])));
    assert_eq!(response.outcome().unwrap().unwrap().get(), "[1,2]");
}

/// The message of test case 1.2.1 of the migration plan. It has an id and a time as every message on the wire does.
#[test]
fn the_request_of_the_plan_reads_and_writes_back() {
    let text = r#"{"type":"request","message_id":"m1","timestamp":"2026-01-02T03:04:05.678Z","source_node":{"type":"home","id":"alice.home","main_relay":"relay.com"},"destination_node":{"type":"home","id":"bob.home","main_relay":"relay.com"},"routing_path":[],"ttl":10,"server_name":"blog_service","method":"get_posts"}"#;
    let frame = decode(text).unwrap();
    assert_eq!(frame.header.source.to_string(), "alice.home@relay.com");
    let destination = frame.header.destination.as_ref().unwrap();
    assert_eq!((destination.kind, destination.to_string().as_str()), (NodeKind::Home, "bob.home@relay.com"));
    let Body::Request(request) = &frame.body else { panic!("a request") };
    assert_eq!((request.service.as_str(), request.method.as_str()), ("blog_service", "get_posts"));
    assert_eq!(frame.header.ttl, 10);
    assert_eq!(encode(frame), text);
}
