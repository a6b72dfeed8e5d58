//! Instances and peers that fail, and what calls do about it.

use std::time::Duration;

use super::world::World;
use super::{ANNOUNCED, SECOND, two_mains};

/// Calls of alice to carol's slow shop, each given up on after a second without an answer from anybody.
fn unanswered(world: &mut World, calls: usize) {
    for _ in 0..calls {
        world.start("alice", Some("carol"), "slow", Some(SECOND));
        world.settle();
        world.advance(SECOND);
    }
}

#[test]
fn an_instance_that_fails_again_and_again_is_left_alone_for_a_while() {
    let mut world = two_mains();
    unanswered(&mut world, 5);
    let error = world.refusal("alice", Some("carol"), "slow");
    assert_eq!((error.code, error.data.retryable), (-32005, true), "{}", error.message);
    assert!(error.message.contains("carol"), "{}", error.message);
    assert_eq!(world.served("alice", Some("carol"), "shop").0, "carol", "her other service is well");
    world.advance(31 * SECOND);
    let id = world.start("alice", Some("carol"), "slow", None);
    world.settle();
    assert_eq!(world.refusal("alice", Some("carol"), "slow").code, -32005, "one probe at a time");
    world.finish_one();
    world.settle();
    assert!(world.answer("alice", id).unwrap().outcome.is_ok());
    let id = world.start("alice", Some("carol"), "slow", None);
    world.settle();
    world.finish_one();
    world.settle();
    assert!(world.answer("alice", id).unwrap().outcome.is_ok(), "and it is closed again");
}

#[test]
fn a_silent_peer_is_charged_itself_and_not_the_instances_behind_it() {
    let mut world = two_mains();
    world.mute("relay-a", "relay-b", true);
    unanswered(&mut world, 5);
    let error = world.refusal("alice", Some("carol"), "shop");
    assert_eq!(error.code, -32005, "{}", error.message);
    assert!(error.message.contains("relay-b"), "the hop that failed: {}", error.message);
    world.mute("relay-a", "relay-b", false);
    world.heartbeat("relay-b", "relay-a");
    world.settle();
    assert_eq!(world.served("alice", Some("carol"), "shop").0, "carol", "a sign of life is enough");
}

/// A Main that lost power and is back before anybody has noticed.
#[test]
fn calls_that_a_dead_link_has_swallowed_are_not_charged_to_the_next_one() {
    let mut world = two_mains();
    world.advance(60 * SECOND);
    world.mute("relay-a", "relay-b", true);
    unanswered(&mut world, 3);
    for _ in 0..5 {
        world.start("alice", Some("carol"), "slow", Some(2 * SECOND));
        world.settle();
    }
    world.mute("relay-a", "relay-b", false);
    world.connect("relay-b", "relay-a");
    world.settle();
    world.advance(3 * SECOND);
    assert_eq!(world.served("alice", Some("carol"), "shop").0, "carol");
}

#[test]
fn callers_in_a_hurry_do_not_cut_two_mains_off() {
    let mut world = two_mains();
    // Their time is up at relay-a while the calls are still on their way.
    for _ in 0..30 {
        world.start("alice", Some("carol"), "shop", Some(Duration::from_millis(1)));
        world.step();
        world.now = world.now + Duration::from_millis(1);
        world.time_out("relay-a");
    }
    assert_eq!(world.served("bob", Some("carol"), "shop").0, "carol", "nobody else has to do with it");
    // Nor longer ones, while the other Main is heard.
    for _ in 0..30 {
        world.start("alice", Some("carol"), "slow", Some(SECOND));
        world.settle();
        world.now = world.now + Duration::from_millis(1);
        assert_eq!(world.served("carol", Some("bob"), "shop").0, "bob");
        world.now = world.now + SECOND;
        world.time_out("relay-a");
    }
    assert_eq!(world.served("bob", Some("carol"), "shop").0, "carol");
}

#[test]
fn what_was_known_of_an_instance_is_forgotten_when_it_comes_back() {
    let mut world = two_mains();
    unanswered(&mut world, 5);
    assert_eq!(world.refusal("alice", Some("carol"), "slow").code, -32005);
    world.cut("carol", "relay-b");
    world.connect("carol", "relay-b");
    world.advance(ANNOUNCED);
    let id = world.start("alice", Some("carol"), "slow", None);
    world.settle();
    world.finish_one();
    world.settle();
    assert!(world.answer("alice", id).unwrap().outcome.is_ok());
}

#[test]
fn calls_by_name_go_around_an_instance_whose_breaker_is_open() {
    let mut world = two_mains();
    world.home_at("dave", "relay-a", &["slow"]);
    for _ in 0..5 {
        world.start("alice", Some("bob"), "slow", Some(SECOND));
        world.settle();
        world.advance(SECOND);
    }
    for _ in 0..6 {
        let id = world.start("alice", None, "slow", None);
        world.settle();
        world.finish_one();
        world.settle();
        assert_eq!(world.answer("alice", id).unwrap().outcome.unwrap().get(), "\"dave\"");
    }
}
