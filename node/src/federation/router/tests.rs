//! Routers in small federations: what becomes of calls.

mod announcements;
mod balance;
mod breakers;
mod overload;
mod random;
mod world;

use std::time::Duration;

use serde_json::value::RawValue;

use self::world::World;
use crate::federation::Failure;
use crate::wire::{
    Body, DEFAULT_TTL, Frame, Header, NodeAddress, NodeId, NodeKind, Request, Response, payload,
};

const SECOND: Duration = Duration::from_secs(1);
const NANO: Duration = Duration::from_nanos(1);

/// More than the delay with which changes are announced.
const ANNOUNCED: Duration = Duration::from_millis(100);

/// relay-a with alice (blog) and bob (shop, slow), relay-b with carol (shop, slow), and everything announced.
fn two_mains() -> World {
    let mut world = World::default();
    world.main("relay-a", &[]);
    world.main("relay-b", &[]);
    world.connect("relay-b", "relay-a");
    world.home_at("alice", "relay-a", &["blog"]);
    world.home_at("bob", "relay-a", &["shop", "slow"]);
    world.home_at("carol", "relay-b", &["shop", "slow"]);
    world.advance(ANNOUNCED);
    world
}

fn header(message_id: &str, source: &str, path: &[&str]) -> Header {
    Header {
        message_id: message_id.into(),
        correlation_id: None,
        timestamp: String::new(),
        source: NodeAddress { kind: NodeKind::Home, id: source.parse().unwrap(), main_relay: None },
        destination: None,
        path: path.iter().map(|id| id.parse().unwrap()).collect(),
        ttl: DEFAULT_TTL,
        priority: None,
        trace: None,
        traceparent: None,
    }
}

fn request(header: Header, service: &str) -> Frame {
    let body =
        Request { service: service.into(), method: "get".into(), call: None, timeout: None, dry_run: false };
    Frame { header, body: Body::Request(body) }
}

fn to(id: &str) -> Option<NodeAddress> {
    Some(NodeAddress { kind: NodeKind::Home, id: id.parse().unwrap(), main_relay: None })
}

fn plain_call(target: &str, service: &str) -> crate::federation::Call {
    crate::federation::Call {
        target: Some(target.parse().unwrap()),
        service: service.into(),
        method: "get".into(),
        params: None,
        timeout: None,
        priority: None,
        trace: false,
        dry_run: false,
        traceparent: None,
    }
}

#[test]
fn a_call_to_a_home_of_the_same_main_makes_two_hops() {
    let mut world = two_mains();
    for target in ["bob", "bob@relay-a"] {
        let (by, path) = world.served("alice", Some(target), "shop");
        assert_eq!((by.as_str(), path), ("bob", vec!["alice".into(), "relay-a".into(), "bob".into()]));
    }
    let (by, path) = world.served("relay-a", Some("bob"), "shop");
    assert_eq!((by.as_str(), path.len()), ("bob", 2), "a Main's own client is one hop away");
}

#[test]
fn a_call_to_a_home_of_another_main_makes_three_hops_and_the_path_says_so() {
    let mut world = two_mains();
    for target in ["carol", "carol@relay-b"] {
        let (by, path) = world.served("alice", Some(target), "shop");
        assert_eq!(
            (by.as_str(), path),
            ("carol", ["alice", "relay-a", "relay-b", "carol"].map(String::from).into())
        );
    }
    let asked: Vec<_> = world
        .sent
        .iter()
        .filter_map(|(from, to, frame)| match frame.body {
            Body::Request(_) => Some((*from, *to, frame.header.path.len(), frame.header.ttl)),
            _ => None,
        })
        .take(3)
        .collect();
    let expected = [("alice", "relay-a", 1, 9), ("relay-a", "relay-b", 2, 8), ("relay-b", "carol", 3, 7)];
    assert_eq!(asked, expected);
}

#[test]
fn the_registry_knows_better_than_the_address_where_a_home_is_now() {
    let mut world = two_mains();
    let (by, _) = world.served("alice", Some("bob@relay-b"), "shop");
    assert_eq!(by, "bob");
    let (by, _) = world.served("alice", Some("carol@relay-a"), "shop");
    assert_eq!(by, "carol");
}

#[test]
fn a_call_by_name_goes_to_the_nearest_and_takes_turns() {
    let mut world = two_mains();
    for _ in 0..3 {
        assert_eq!(world.served("alice", None, "shop").0, "bob", "a local instance before a federated one");
    }
    world.home_at("dave", "relay-a", &["shop"]);
    let by: Vec<String> = (0..4).map(|_| world.served("alice", None, "shop").0).collect();
    assert_eq!(by.iter().filter(|name| *name == "bob").count(), 2, "{by:?}");
    assert!(by[0] != by[1] && by[1] != by[2], "in turn: {by:?}");

    world.main("relay-c", &[]);
    world.connect("relay-c", "relay-a");
    world.home_at("erin", "relay-c", &["shop"]);
    world.cut("bob", "relay-a");
    world.cut("dave", "relay-a");
    world.advance(ANNOUNCED);
    let by: Vec<String> = (0..4).map(|_| world.served("alice", None, "shop").0).collect();
    assert_eq!(by.iter().filter(|name| *name == "carol").count(), 2, "{by:?}");
    assert_eq!(by.iter().filter(|name| *name == "erin").count(), 2, "{by:?}");

    world.cut("relay-c", "relay-a");
    for _ in 0..3 {
        assert_eq!(world.served("alice", None, "shop").0, "carol", "a Main that is down is passed over");
    }
    assert_eq!(world.served("bob", None, "shop"), ("bob".into(), vec!["bob".into()]), "its own before all");
    world.main("relay-d", &["shop"]);
    world.home_at("frank", "relay-d", &["shop"]);
    assert_eq!(world.served("relay-d", None, "shop").0, "relay-d", "a Main's own before its Homes'");
}

#[test]
fn what_is_unknown_is_not_found_and_says_which() {
    let mut world = two_mains();
    let error = world.refusal("alice", Some("nonexistent.home"), "fake");
    assert_eq!(error.code, -32002);
    assert!(error.message.starts_with("service not found"), "{}", error.message);
    assert_eq!(error.data.node.as_ref().map(NodeId::as_str), Some("relay-a"));
    assert_eq!(error.data.path.iter().map(NodeId::as_str).collect::<Vec<_>>(), ["alice", "relay-a"]);
    assert_eq!(world.refusal("alice", Some("nobody@relay-x"), "fake").code, -32002);
    assert_eq!(world.refusal("alice", None, "fake").code, -32001);
    for node in ["alice", "bob", "carol"] {
        let error = world.refusal("alice", Some(node), "fake");
        assert_eq!(error.code, -32001, "{node} is there and does not offer it");
        assert!(error.message.contains(node) && !error.data.retryable, "{}", error.message);
    }
}

#[test]
fn a_peer_that_is_down_is_no_route_at_once() {
    let mut world = two_mains();
    world.cut("relay-b", "relay-a");
    for target in ["carol", "carol@relay-b", "unlisted@relay-b"] {
        let error = world.refusal("alice", Some(target), "shop");
        assert_eq!((error.code, error.data.retryable), (-32003, true), "{target}: {}", error.message);
        assert!(error.message.contains("relay-b"), "{}", error.message);
    }
    world.cut("bob", "relay-a");
    world.advance(ANNOUNCED);
    let error = world.refusal("alice", None, "shop");
    assert_eq!(error.code, -32003, "its only instance is behind relay-b: {}", error.message);
    let error = world.refusal("bob", Some("alice"), "blog");
    assert_eq!(error.code, -32003);
    assert!(error.message.contains("not connected to a Main"), "{}", error.message);
}

#[test]
fn a_message_id_that_is_in_use_is_refused() {
    let mut world = two_mains();
    let call = || request(Header { destination: to("bob"), ..header("m1", "alice", &["alice"]) }, "slow");
    world.inject("alice", "relay-a", call());
    assert_eq!(world.held.len(), 1);
    world.inject("alice", "relay-a", call());
    assert_eq!(world.held.len(), 1, "it runs once");
    let errors = world.errors("relay-a", "alice");
    assert_eq!(errors.len(), 1);
    assert!(errors[0].code == -32009 && errors[0].message.contains("m1"), "{errors:?}");
}

#[test]
fn an_answer_counts_only_over_the_link_that_was_asked() {
    let mut world = two_mains();
    let id = world.start("alice", Some("bob"), "slow", None);
    world.settle();
    let asked = |world: &World| {
        let mut requests = world.sent.iter().filter(|(_, _, frame)| matches!(frame.body, Body::Request(_)));
        requests.next_back().map(|(_, _, frame)| frame.header.message_id.clone()).unwrap()
    };
    let forged = |message_id: crate::wire::SmolStr, from: &str| {
        let header = Header {
            correlation_id: Some(message_id),
            destination: to("alice"),
            ..header("forged", from, &[from])
        };
        Frame { header, body: Body::Response(Response::new(Ok(payload(&"forged")))) }
    };
    let message_id = asked(&world);
    world.inject("carol", "relay-b", forged(message_id.clone(), "carol"));
    world.inject("relay-b", "relay-a", forged(message_id.clone(), "bob"));
    world.inject("alice", "relay-a", forged(message_id, "alice"));
    assert!(world.answer("alice", id).is_none(), "nobody but bob may answer");
    world.finish_one();
    world.settle();
    assert_eq!(world.answer("alice", id).unwrap().outcome.unwrap().get(), "\"bob\"");
}

#[test]
fn nobody_speaks_for_another() {
    let mut world = two_mains();
    world.inject("alice", "relay-a", request(header("m1", "bob", &["alice"]), "shop"));
    world.inject("alice", "relay-a", request(header("m2", "alice", &["bob"]), "shop"));
    world.inject("alice", "relay-a", request(header("m3", "alice", &[]), "shop"));
    let errors = world.errors("relay-a", "alice");
    assert_eq!(errors.iter().map(|error| error.code).collect::<Vec<_>>(), [-32009; 3]);
    assert!(errors[0].message.contains("source_node is bob, but this link is alice's"), "{errors:?}");
    assert!(errors[1].message.contains("routing_path does not end with alice"), "{errors:?}");
}

#[test]
fn which_main_a_caller_is_behind_is_not_its_own_word() {
    let mut world = two_mains();
    // A service that takes `*@relay-x` only would take all of these.
    let claim = |kind, id: &str| NodeAddress {
        kind,
        id: id.parse().unwrap(),
        main_relay: Some("relay-x".parse().unwrap()),
    };
    for (message_id, from, source, seen) in [
        ("m1", "alice", claim(NodeKind::Home, "alice"), "alice@relay-a"),
        ("m2", "alice", claim(NodeKind::Main, "alice"), "alice@relay-a"),
        ("m3", "relay-b", claim(NodeKind::Home, "carol"), "carol@relay-b"),
        ("m4", "relay-b", claim(NodeKind::Main, "relay-b"), "relay-b"),
    ] {
        let header = Header { source, destination: to("bob"), ..header(message_id, "alice", &[from]) };
        world.inject(from, "relay-a", request(header, "slow"));
        let (_, delivery) = world.held.pop_back().expect("the call arrives");
        assert_eq!(delivery.caller.map(|caller| caller.to_string()).as_deref(), Some(seen));
    }
}

#[test]
fn no_call_goes_further_than_three_hops_or_twice_through_a_node() {
    let mut world = two_mains();
    world.main("relay-c", &[]);
    world.connect("relay-c", "relay-b");
    world.settle();
    for (case, call) in [
        ("four nodes behind it", header("m1", "x", &["x", "y", "z", "relay-a"])),
        ("three behind it and a Home to go", header("m2", "x", &["x", "y", "relay-a"])),
        ("been here", header("m3", "x", &["relay-b", "relay-a"])),
        ("ttl used up", Header { ttl: 0, ..header("m4", "x", &["x", "relay-a"]) }),
    ] {
        world.inject("relay-a", "relay-b", request(Header { destination: to("carol"), ..call }, "shop"));
        let error = world.errors("relay-b", "relay-a").pop();
        assert_eq!(error.as_ref().map(|error| error.code), Some(-32006), "{case}: {error:?}");
        world.sent.clear();
    }
    let transit = Header { destination: to("relay-c"), ..header("m5", "alice", &["alice", "relay-a"]) };
    world.inject("relay-a", "relay-b", request(transit, "shop"));
    let error = world.errors("relay-b", "relay-a").pop().unwrap();
    assert_eq!(error.code, -32002, "a Main only delivers what another Main sent: {error:?}");
}

#[test]
fn a_draining_node_takes_no_new_calls_and_ends_those_under_way() {
    let mut world = two_mains();
    let id = world.start("alice", Some("bob"), "slow", None);
    world.settle();
    world.router("relay-a").drain();
    let error = world.refusal("alice", Some("bob"), "shop");
    assert_eq!((error.code, error.data.retryable), (-32011, true));
    assert_eq!(error.data.node.as_ref().map(NodeId::as_str), Some("relay-a"));
    assert_eq!(world.refusal("relay-a", Some("bob"), "shop").code, -32011);
    assert_eq!(world.router("relay-a").in_flight(), 1);
    world.finish_one();
    world.settle();
    assert!(world.answer("alice", id).unwrap().outcome.is_ok());
    assert_eq!(world.router("relay-a").in_flight(), 0);
}

#[test]
fn a_call_without_an_answer_times_out_once_and_in_time() {
    let mut world = two_mains();
    let id = world.start("alice", Some("carol"), "slow", Some(2 * SECOND));
    world.settle();
    // Each of three hops keeps a twentieth for the way back, so that carol can say it herself.
    let at_carol = Duration::from_millis(2_000 * 19 * 19 * 19 / 20 / 20 / 20);
    world.advance(at_carol - NANO);
    assert!(world.answer("alice", id).is_none());
    world.advance(NANO);
    let error = world.answer("alice", id).unwrap().outcome.unwrap_err();
    assert_eq!((error.code, error.data.retryable), (-32004, false));
    assert_eq!(error.data.node.as_ref().map(NodeId::as_str), Some("carol"), "the hop that failed");
    world.advance(SECOND);
    for node in ["alice", "relay-a", "relay-b", "carol"] {
        assert_eq!(world.router(node).in_flight(), 0, "{node} has forgotten it");
    }
    assert!(world.held.is_empty(), "carol's service is told to stop");
}

#[test]
fn a_link_lost_under_a_call_fails_it_as_one_that_may_have_run() {
    for (one, other) in [("carol", "relay-b"), ("relay-b", "relay-a"), ("alice", "relay-a")] {
        let mut world = two_mains();
        let id = world.start("alice", Some("carol"), "slow", None);
        world.settle();
        world.cut(one, other);
        world.settle();
        let error = world.answer("alice", id).expect("at once").outcome.unwrap_err();
        assert_eq!((error.code, error.data.retryable), (-32003, false), "{one}: {}", error.message);
        assert!(error.message.contains("may have run"), "{}", error.message);
    }
}

#[test]
fn a_home_that_moves_is_called_where_it_is_now() {
    let mut world = two_mains();
    world.cut("carol", "relay-b");
    world.connect("carol", "relay-a");
    world.advance(ANNOUNCED);
    let (by, path) = world.served("alice", Some("carol@relay-b"), "shop");
    assert_eq!((by.as_str(), path.len()), ("carol", 3));
    assert_eq!(world.federated("relay-a", "shop"), [""; 0], "relay-b lists it no more");
}

#[test]
fn an_answer_that_is_no_outcome_is_an_error_of_the_one_that_sent_it() {
    let mut world = two_mains();
    let id = world.start("alice", Some("bob"), "slow", None);
    world.settle();
    let (_, _, asked) = world.sent.iter().rev().find(|(from, ..)| *from == "relay-a").unwrap();
    let header = Header {
        correlation_id: Some(asked.header.message_id.clone()),
        destination: to("alice"),
        ..header("odd", "bob", &["bob"])
    };
    let data = RawValue::from_string("{\"weather\":\"fine\"}".into()).unwrap();
    world.inject("bob", "relay-a", Frame { header, body: Body::Response(Response { data, waited: None }) });
    assert_eq!(world.answer("alice", id).unwrap().outcome.unwrap_err().code, -32009);
}

#[test]
fn an_answer_with_an_endless_path_harms_nobody_on_its_way() {
    let mut world = two_mains();
    let id = world.start("alice", Some("carol"), "slow", None);
    world.settle();
    let (_, _, asked) = world.sent.iter().rev().find(|(from, ..)| *from == "relay-b").unwrap();
    let header = Header {
        correlation_id: Some(asked.header.message_id.clone()),
        destination: to("alice"),
        ..header("odd", "carol", &["x"; crate::wire::MAX_PATH_ENTRIES])
    };
    let response = Response::new(Ok(payload(&1)));
    world.inject("carol", "relay-b", Frame { header, body: Body::Response(response) });
    let error = world.answer("alice", id).expect("at once").outcome.unwrap_err();
    assert_eq!(error.code, -32009, "{error:?}");
    assert_eq!(error.data.node.as_ref().map(NodeId::as_str), Some("relay-b"), "who saw it says so");
}

#[test]
fn what_could_not_be_sent_ends_its_call_in_words_that_are_short() {
    let mut world = two_mains();
    let id = world.start("relay-a", Some("bob"), "slow", None);
    let (_, _, asked) = world.sent.last().cloned().unwrap();
    let link = world.link_to("relay-a", "bob").unwrap();
    world.not_sent("relay-a", link, &asked.header, Failure::TooLarge { bytes: 2, limit: 1 });
    let error = world.answer("relay-a", id).unwrap().outcome.unwrap_err();
    assert_eq!((error.code, error.data.retryable), (-32009, false), "{}", error.message);

    let response = Header {
        correlation_id: Some("m1".into()),
        destination: to("alice"),
        timestamp: "x".repeat(1_000_000),
        ..header("odd", "carol", &["carol", "relay-b"])
    };
    let too_large = Failure::TooLarge { bytes: 2, limit: 1 };
    let instead = world.router("relay-b").instead_of(&response, too_large, Default::default());
    let text = crate::wire::encode(instead.clone());
    assert!(text.len() < 1_000, "the other's words are not carried on: {} bytes", text.len());
    assert_eq!(
        (instead.header.correlation_id.as_deref(), instead.header.destination),
        (Some("m1"), to("alice"))
    );
    let Body::Response(instead) = instead.body else { panic!("a response") };
    let error = instead.outcome().unwrap().unwrap_err();
    assert_eq!((error.code, error.data.node.as_ref().map(NodeId::as_str)), (-32009, Some("relay-b")));
    assert_eq!(error.data.path.iter().map(NodeId::as_str).collect::<Vec<_>>(), ["relay-b", "carol"]);
}

#[test]
fn calls_that_a_closing_node_gives_up_end_in_words() {
    let mut world = two_mains();
    let through = world.start("alice", Some("carol"), "slow", None);
    let own = world.start("relay-a", Some("bob"), "slow", None);
    world.settle();
    world.abandon("relay-a");
    world.settle();
    for (from, id) in [("alice", through), ("relay-a", own)] {
        let error = world.answer(from, id).expect("at once").outcome.unwrap_err();
        assert_eq!((error.code, error.data.retryable), (-32011, false), "{}", error.message);
        assert_eq!(error.message, "relay-a stopped before the answer came; the call may have run");
    }
    assert_eq!(world.router("relay-a").in_flight(), 0);
}

#[test]
fn a_home_and_a_main_do_not_share_an_id() {
    let mut world = two_mains();
    let mut refusal = |id: &str| world.router("relay-a").taken_by_a_main(&id.parse().unwrap());
    for main in ["relay-a", "relay-b"] {
        assert!(refusal(main).unwrap().to_string().contains("give this Home another with -node-id"));
    }
    assert_eq!(refusal("alice"), None, "a Home that comes back is no stranger");

    // The Home was there before the Main of that id was ever heard of.
    world.home_at("relay-c", "relay-a", &["news"]);
    world.advance(ANNOUNCED);
    assert_eq!(world.federated("relay-b", "news"), ["relay-c"]);
    world.main("relay-c", &["weather"]);
    world.connect("relay-c", "relay-a");
    world.advance(ANNOUNCED);
    assert_eq!(world.federated("relay-b", "news"), [""; 0], "what hung here under that id is gone");
    assert_eq!(world.refusal("alice", Some("relay-c"), "news").code, -32001);
    assert_eq!(world.served("alice", Some("relay-c"), "weather").0, "relay-c");
}

#[test]
fn a_caller_that_is_gone_is_not_waited_for() {
    let mut world = two_mains();
    world.start("alice", Some("bob"), "slow", None);
    world.settle();
    world.cut("alice", "relay-a");
    world.settle();
    assert_eq!(world.router("relay-a").in_flight(), 0);
    assert_eq!(world.router("bob").in_flight(), 0, "and bob is told");
    assert!(world.held.is_empty(), "his service may stop");
}

#[test]
fn a_client_that_hangs_up_stops_the_work_all_the_way() {
    let mut world = two_mains();
    let id = world.start("alice", Some("carol"), "slow", None);
    world.settle();
    assert_eq!(world.held.len(), 1);
    world.hang_up("alice", id);
    world.settle();
    assert!(world.answer("alice", id).is_none(), "nobody is there to be answered");
    for node in ["alice", "relay-a", "relay-b", "carol"] {
        assert_eq!(world.router(node).in_flight(), 0, "{node}");
    }
    assert!(world.held.is_empty());
    let asked = world
        .sent
        .iter()
        .find(|(from, _, frame)| *from == "relay-b" && matches!(frame.body, Body::Request(_)));
    let message_id = asked.unwrap().2.header.message_id.clone();
    let stray = Header { correlation_id: Some(message_id), ..header("c1", "bob", &[]) };
    world.start("alice", Some("carol"), "slow", None);
    world.settle();
    world.inject("bob", "relay-a", Frame { header: stray, body: Body::Cancel(crate::wire::Cancel) });
    assert_eq!(world.held.len(), 1, "nobody cancels another's call");
}

#[test]
fn a_traced_call_tells_how_long_each_node_waited() {
    let mut world = two_mains();
    let call = crate::federation::Call { trace: true, ..plain_call("carol", "slow") };
    let id = world.start_call("alice", call);
    world.settle();
    world.advance(SECOND);
    world.finish_one();
    world.settle();
    let answer = world.answer("alice", id).unwrap();
    let times: Vec<_> = answer.timing.iter().map(|time| (time.node.as_str(), time.micros)).collect();
    let second = 1_000_000;
    assert_eq!(times, [("alice", second), ("relay-a", second), ("relay-b", second), ("carol", second)]);
    let untraced = world.call("alice", Some("carol"), "shop");
    assert!(untraced.timing.is_empty());
}

#[test]
fn a_dry_run_finds_the_way_and_calls_nobody() {
    let mut world = two_mains();
    let call = crate::federation::Call { trace: true, dry_run: true, ..plain_call("carol", "slow") };
    let id = world.start_call("alice", call.clone());
    world.settle();
    assert!(world.held.is_empty(), "the service is not called");
    let answer = world.answer("alice", id).unwrap();
    assert_eq!(answer.outcome.unwrap().get(), "null");
    assert_eq!(
        answer.path.iter().map(NodeId::as_str).collect::<Vec<_>>(),
        ["alice", "relay-a", "relay-b", "carol"]
    );
    let nowhere = crate::federation::Call { service: "fake".into(), ..call };
    let id = world.start_call("alice", nowhere);
    world.settle();
    assert_eq!(world.answer("alice", id).unwrap().outcome.unwrap_err().code, -32001);
}

#[test]
fn a_closing_main_spreads_its_homes_out() {
    let mut world = World::default();
    world.main("relay-a", &[]);
    world.main("relay-b", &[]);
    world.connect("relay-b", "relay-a");
    let homes: Vec<&'static str> = (0..300).map(|n| &*format!("home-{n}").leak()).collect();
    for home in &homes {
        world.home_at(home, "relay-a", &[]);
    }
    world.sent.clear();
    world.farewells("relay-a");
    let returns: Vec<u64> = world
        .sent
        .iter()
        .filter(|(_, to, _)| to.starts_with("home"))
        .filter_map(|(_, _, frame)| match &frame.body {
            Body::Goodbye(goodbye) => Some(goodbye.return_after_ms),
            _ => None,
        })
        .collect();
    assert_eq!(returns.len(), 300);
    for second in 0..10 {
        let span = second * 1_000..(second + 1) * 1_000_u64;
        assert!(returns.iter().filter(|at| span.contains(*at)).count() <= 100, "in second {second}");
    }
}
