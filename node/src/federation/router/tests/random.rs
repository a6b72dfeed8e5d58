//! Whatever happens to a small federation, in whatever order: nothing panics, and each call ends once, in time.

use std::time::Duration;

use proptest::prelude::*;

use super::world::{CALL_TIMEOUT, Name, World};
use crate::env::Instant;
use crate::federation::CallId;
use crate::wire::{Body, MAX_HOPS};

const NODES: [Name; 6] = ["relay-a", "relay-b", "relay-c", "alice", "bob", "carol"];

/// Who may be connected to whom; bob wanders between two Mains.
const WIRES: [(Name, Name); 7] = [
    ("relay-b", "relay-a"),
    ("relay-c", "relay-b"),
    ("relay-a", "relay-c"),
    ("alice", "relay-a"),
    ("bob", "relay-a"),
    ("bob", "relay-b"),
    ("carol", "relay-c"),
];

const TARGETS: [Option<&str>; 7] =
    [None, Some("alice"), Some("bob@relay-a"), Some("carol@relay-c"), Some("relay-b"), Some("nobody"), None];

const SERVICES: [&str; 4] = ["shop", "blog", "slow", "nothing"];

#[derive(Clone, Debug)]
enum Event {
    Up(usize),
    UpOlder(usize),
    Down(usize),
    Mute(usize, bool),
    Call { from: usize, target: usize, service: usize, millis: Option<u64> },
    Carry(usize),
    Finish,
    Heartbeats,
    Drain(usize),
    Pass(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let wire = || 0..WIRES.len();
    prop_oneof![
        4 => wire().prop_map(Event::Up),
        1 => wire().prop_map(Event::UpOlder),
        3 => wire().prop_map(Event::Down),
        1 => (wire(), any::<bool>()).prop_map(|(wire, muted)| Event::Mute(wire, muted)),
        8 => (0..NODES.len(), 0..TARGETS.len(), 0..SERVICES.len(), proptest::option::of(1u64..5_000))
            .prop_map(|(from, target, service, millis)| Event::Call { from, target, service, millis }),
        6 => (1usize..30).prop_map(Event::Carry),
        3 => Just(Event::Finish),
        1 => Just(Event::Heartbeats),
        1 => (0..NODES.len() * 8).prop_map(Event::Drain),
        4 => prop_oneof![0u64..50, 0u64..3_000, 0u64..700_000].prop_map(Event::Pass),
    ]
}

fn federation() -> World {
    let mut world = World::default();
    world.main("relay-a", &["slow"]);
    world.main("relay-b", &[]);
    world.main("relay-c", &["blog"]);
    world.home("alice", &["blog"]);
    world.home("bob", &["shop", "slow"]);
    world.home("carol", &["shop", "slow"]);
    for (from, to) in [WIRES[0], WIRES[1], WIRES[2], WIRES[3], WIRES[4], WIRES[6]] {
        world.connect(from, to);
    }
    world.advance(Duration::from_millis(100));
    world
}

struct Made {
    from: Name,
    id: CallId,
    deadline: Instant,
}

fn happen(world: &mut World, made: &mut Vec<Made>, event: &Event) {
    match event {
        Event::Up(wire) => world.connect(WIRES[*wire].0, WIRES[*wire].1),
        Event::UpOlder(wire) => world.connect_older(WIRES[*wire].0, WIRES[*wire].1),
        Event::Down(wire) => world.cut(WIRES[*wire].0, WIRES[*wire].1),
        Event::Mute(wire, muted) => world.mute(WIRES[*wire].0, WIRES[*wire].1, *muted),
        Event::Call { from, target, service, millis } => {
            let timeout = millis.map(Duration::from_millis);
            let from = NODES[*from];
            let deadline = world.now + timeout.unwrap_or(CALL_TIMEOUT);
            let id = world.start(from, TARGETS[*target], SERVICES[*service], timeout);
            made.push(Made { from, id, deadline });
        }
        Event::Carry(messages) => {
            for _ in 0..*messages {
                world.step();
            }
        }
        Event::Finish => world.finish_one(),
        Event::Heartbeats => {
            for (one, other) in WIRES {
                world.heartbeat(one, other);
                world.heartbeat(other, one);
            }
        }
        // Most draws leave all nodes as they are: a federation that drains is a quiet one.
        Event::Drain(node) => {
            if let Some(node) = NODES.get(*node) {
                world.router(node).drain();
            }
        }
        Event::Pass(millis) => world.advance(Duration::from_millis(*millis)),
    }
}

proptest! {
    #[test]
    fn each_call_ends_once_and_by_its_deadline(events in proptest::collection::vec(event(), 1..80)) {
        let mut world = federation();
        let mut made = Vec::new();
        for event in &events {
            happen(&mut world, &mut made, event);
        }
        // A call that was still on its way starts the clocks of the nodes that it then reaches.
        world.settle();
        world.advance(CALL_TIMEOUT);
        for Made { from, id, deadline } in made {
            let Some((at, answer)) = world.ended(from, id) else {
                return Err(TestCaseError::fail(format!("{id:?} of {from} never ended")));
            };
            prop_assert!(at <= deadline, "{id:?} of {from} ended at {at:?}, after its deadline {deadline:?}");
            prop_assert!(answer.path.len() <= MAX_HOPS + 1, "{:?}", answer.path);
        }
        for (from, to, frame) in &world.sent {
            if let Body::Request(_) = frame.body {
                let path = &frame.header.path;
                prop_assert!(path.len() <= MAX_HOPS, "{from} sends {to} a call with the path {path:?}");
                prop_assert!(path.iter().all(|node| node.as_str() != *to), "a loop: {path:?} to {to}");
            }
        }
        for name in NODES {
            prop_assert_eq!(world.router(name).in_flight(), 0, "{} still holds calls", name);
        }
    }
}
