//! Calls that are too many: for a Main, of one Home, and for a way.

use std::num::NonZeroU32;

use super::*;
use crate::federation::intake::Intake;

/// The calls of these ids that were refused as overload, with what was said.
fn refused(
    world: &World,
    from: &'static str,
    ids: &[crate::federation::CallId],
) -> Vec<crate::federation::CallError> {
    let ended = ids.iter().filter_map(|id| world.answer(from, *id)?.outcome.err());
    ended.filter(|error| error.code == -32007).collect()
}

#[test]
fn a_home_that_calls_too_fast_is_refused_with_a_hint_and_others_are_not() {
    let mut world = two_mains();
    world.router("relay-a").intake = Intake::new(NodeKind::Main, NonZeroU32::new(5));
    let ids: Vec<_> = (0..12).map(|_| world.start("alice", Some("bob"), "shop", None)).collect();
    world.settle();
    let refusals = refused(&world, "alice", &ids);
    assert_eq!(refusals.len(), 2, "ten at once, twice what passes in a second");
    let data = &refusals[0].data;
    assert_eq!(data.node.as_ref().map(NodeId::as_str), Some("relay-a"));
    assert_eq!((data.retryable, data.retry_after_ms), (true, NonZeroU32::new(200)), "five pass in a second");
    assert!(world.call("bob", Some("carol"), "shop").outcome.is_ok(), "another Home has its own limit");
    world.advance(Duration::from_millis(200));
    assert!(world.call("alice", Some("bob"), "shop").outcome.is_ok());
    assert_eq!(world.refusal("alice", Some("bob"), "shop").code, -32007);
}

#[test]
fn one_home_cannot_take_all_the_room_for_calls_under_way() {
    let mut world = two_mains();
    let ids: Vec<_> = (0..8_200).map(|_| world.start("alice", Some("carol"), "slow", None)).collect();
    world.settle();
    let refusals = refused(&world, "alice", &ids);
    assert_eq!(refusals.len(), 8, "8,192 of one Home may be under way");
    assert!(refusals.iter().all(|error| error.data.retryable && error.data.retry_after_ms.is_some()));
    assert!(world.call("bob", Some("carol"), "shop").outcome.is_ok());
    // Ended calls make room, however they ended.
    world.hang_up("alice", ids[0]);
    world.settle();
    assert!(world.call("alice", Some("carol"), "shop").outcome.is_ok());
    world.cut("alice", "relay-a");
    world.settle();
    for node in ["alice", "relay-a", "relay-b", "carol"] {
        assert_eq!(world.router(node).in_flight(), 0, "{node}");
        assert_eq!(world.router(node).pending.own(), 0, "{node}");
    }
}

#[test]
fn clients_of_a_node_cannot_take_all_of_it() {
    let mut world = two_mains();
    let ids: Vec<_> = (0..32_770).map(|_| world.start("relay-a", Some("bob"), "slow", None)).collect();
    assert_eq!(refused(&world, "relay-a", &ids).len(), 2, "half of what may be under way in all");
    let pending = &world.router("relay-a").pending;
    assert_eq!((pending.own(), pending.len()), (32_768, 32_768));
}

/// Makes calls of alice in rounds of `way` until `until`, each so long on the way; how many were refused at alice.
fn rounds(world: &mut World, number: usize, way: Duration, service: &str) -> usize {
    let mut refused = 0;
    for _ in 0..number {
        let ids: Vec<_> = (0..100).map(|_| world.start("alice", Some("bob"), service, None)).collect();
        refused += ids.iter().filter(|id| world.answer("alice", **id).is_some()).count();
        world.now = world.now + way;
        world.settle();
    }
    refused
}

#[test]
fn what_waits_too_long_on_the_way_is_refused_where_it_begins() {
    let mut world = two_mains();
    assert_eq!(rounds(&mut world, 10, Duration::from_millis(10), "shop"), 0);
    assert_eq!(rounds(&mut world, 3, Duration::from_millis(300), "shop"), 0, "no time to see it");
    let before = world.sent.len();
    let late = rounds(&mut world, 10, Duration::from_millis(300), "shop");
    assert!(late > 500, "{late} of 1,000");
    let requests = world.sent[before..]
        .iter()
        .filter(|(from, _, frame)| *from == "alice" && matches!(frame.body, Body::Request(_)));
    assert_eq!(requests.count(), 1_000 - late, "what is refused costs the Main nothing");
    // A higher priority still leaves.
    let ids: Vec<_> = (0..200).map(|_| world.start("alice", Some("bob"), "shop", None)).collect();
    let room = ids.iter().filter(|id| world.answer("alice", **id).is_none()).count();
    let urgent = crate::federation::Call {
        target: Some("bob".parse().unwrap()),
        service: "shop".into(),
        method: "get".into(),
        params: None,
        timeout: None,
        priority: Some(1),
        trace: false,
        dry_run: false,
        traceparent: None,
    };
    let id = world.start_call("alice", urgent);
    assert!(room < 200 && world.answer("alice", id).is_none());
    let error = world.answer("alice", *ids.last().unwrap()).unwrap().outcome.unwrap_err();
    assert_eq!((error.code, error.data.node.as_ref().map(NodeId::as_str)), (-32007, Some("alice")));
    assert!(error.data.retry_after_ms.is_some());
}

#[test]
fn a_slow_service_does_not_shut_the_way_to_it() {
    let mut world = two_mains();
    rounds(&mut world, 10, Duration::from_millis(10), "shop");
    for _ in 0..10 {
        let ids: Vec<_> = (0..100).map(|_| world.start("alice", Some("bob"), "slow", None)).collect();
        world.settle();
        world.now = world.now + 2 * SECOND;
        while !world.held.is_empty() {
            world.finish_one();
        }
        world.settle();
        assert!(ids.iter().all(|id| world.answer("alice", *id).unwrap().outcome.is_ok()));
    }
}

#[test]
fn a_service_cannot_shut_the_way_between_two_mains() {
    let mut world = two_mains();
    for _ in 0..100 {
        let id = world.start("alice", Some("carol"), "slow", None);
        world.settle();
        // As if relay-b had said so: to relay-a, that is the neighbour whose word counts.
        let failure = Failure::TooFast { per_second: 1, retry_after: SECOND };
        let error = failure.at(&"relay-b".parse().unwrap(), &[]);
        assert!(error.data.limit.is_some(), "{error:?}");
        let (_, _, asked) = world.sent.iter().rev().find(|(_, to, _)| *to == "carol").unwrap();
        let header = Header {
            destination: Some(asked.header.source.clone()),
            correlation_id: Some(asked.header.message_id.clone()),
            ..header("forged", "carol", &["carol"])
        };
        world.inject("carol", "relay-b", Frame { header, body: Body::Response(Response::new(Err(error))) });
        assert_eq!(world.answer("alice", id).unwrap().outcome.unwrap_err().code, -32007);
        world.now = world.now + NANO;
    }
    let ids: Vec<_> = (0..100).map(|_| world.start("bob", Some("carol"), "slow", None)).collect();
    world.settle();
    assert_eq!(refused(&world, "bob", &ids).len(), 0, "others are not held back by it");
}
