//! Whatever happens to a small federation, in whatever order, and whatever its members say: nothing panics, each call
//! ends once and in time, and what a router sends is always a message that routers understand.

use std::time::Duration;

use proptest::prelude::*;

use super::world::{CALL_TIMEOUT, Name, World};
use crate::env::Instant;
use crate::federation::CallId;
use crate::wire::{
    Announced, Body, Discovery, ErrorReport, Frame, Header, Heartbeat, MAX_HOPS, MAX_PATH_ENTRIES,
    NodeAddress, NodeId, NodeKind, PeerAddress, Registration, Request, Response, ServiceOffer, Withdrawn,
    payload,
};

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
    Call {
        from: usize,
        target: usize,
        service: usize,
        millis: Option<u64>,
    },
    Carry(usize),
    Finish,
    Heartbeats,
    Drain(usize),
    Pass(u64),
    /// One end of a wire, its first or its second, gets this from the other.
    Forge(usize, bool, Box<Frame>),
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

fn forgery() -> impl Strategy<Value = Event> {
    (0..WIRES.len(), any::<bool>(), forged())
        .prop_map(|(wire, backwards, frame)| Event::Forge(wire, backwards, Box::new(frame)))
}

/// Any message from a neighbour that has gone wrong, with ids that are in use among those that are not.
fn forged() -> impl Strategy<Value = Frame> {
    let node = || proptest::sample::select(&NODES[..]).prop_map(|name| name.parse::<NodeId>().unwrap());
    let address = move || {
        (any::<bool>(), node()).prop_map(|(main, id)| {
            let kind = if main { NodeKind::Main } else { NodeKind::Home };
            NodeAddress { kind, id, main_relay: None }
        })
    };
    let message_id = || {
        let counted = (any::<bool>(), node(), 1u64..20);
        counted.prop_map(|(main, node, number)| {
            let kind = if main { NodeKind::Main } else { NodeKind::Home };
            format!("boot-of-{kind}-{node}-{number}")
        })
    };
    let service = || proptest::sample::select(&SERVICES[..]).prop_map(str::to_owned);
    let offers = move || {
        let offer = service().prop_map(|name| ServiceOffer { name, methods: vec![], balance: None });
        proptest::collection::vec(offer, 0..4)
    };
    let announced = (service(), node()).prop_map(|(name, node_id)| Announced {
        name,
        node_id,
        node_type: NodeKind::Home,
        methods: vec![],
        balance: None,
    });
    let withdrawn = (service(), node()).prop_map(|(name, node_id)| Withdrawn { name, node_id });
    let peer = node().prop_map(|id| PeerAddress { id, address: "ws://127.0.0.1:1".into() });
    let body = prop_oneof![
        3 => (service(), proptest::option::of(0u64..60)).prop_map(|(service, timeout_seconds)| {
            Body::Request(Request { service, method: "get".into(), call: None, timeout: timeout_seconds.map(Duration::from_secs), dry_run: false })
        }),
        3 => any::<bool>().prop_map(|lawful| Body::Response(match lawful {
            true => Response::new(Ok(payload(&"forged"))),
            false => Response { data: payload(&[1]), waited: None },
        })),
        1 => offers().prop_map(|services| Body::Registration(Registration { services, ..Default::default() })),
        1 => proptest::option::of(0u64..5)
            .prop_map(|registry_version| Body::Heartbeat(Heartbeat { registry_version })),
        2 => (
            any::<[bool; 2]>(),
            0u64..5,
            proptest::collection::vec(announced, 0..4),
            proptest::collection::vec(withdrawn, 0..4),
            proptest::collection::vec(peer, 0..2),
        )
            .prop_map(|([want_full, full], version, services, removed, peers)| {
                Body::Discovery(Discovery { want_full, full, version, services, removed, peers })
            }),
        1 => Just(Body::Error(ErrorReport { code: -32009, message: "forged".into() })),
    ];
    let destination = proptest::option::of(address());
    let path = proptest::collection::vec(node(), 0..=MAX_PATH_ENTRIES);
    let head = (message_id(), message_id(), address(), destination, path, 0u32..12);
    (head, body).prop_map(|((message_id, correlation_id, source, destination, path, ttl), body)| Frame {
        header: Header {
            message_id: message_id.into(),
            correlation_id: Some(correlation_id.into()),
            timestamp: String::new(),
            source,
            destination: match body {
                // A response without one is no message.
                Body::Response(_) => destination.or_else(|| {
                    Some(NodeAddress { kind: NodeKind::Home, id: "alice".parse().unwrap(), main_relay: None })
                }),
                _ => destination,
            },
            path,
            ttl,
            priority: None,
            trace: None,
            traceparent: None,
        },
        body,
    })
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
        Event::Forge(wire, backwards, frame) => {
            let (one, other) = WIRES[*wire];
            let (from, to) = if *backwards { (other, one) } else { (one, other) };
            world.forge(from, to, (**frame).clone());
        }
    }
}

/// Lets these things happen and all calls end. Gives the federation back where every promise to callers held.
fn live_through(events: &[Event]) -> Result<World, TestCaseError> {
    let mut world = federation();
    let mut made = Vec::new();
    for event in events {
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
    for name in NODES {
        prop_assert_eq!(world.router(name).in_flight(), 0, "{} still holds calls", name);
    }
    Ok(world)
}

proptest! {
    #[test]
    fn each_call_ends_once_and_by_its_deadline(events in proptest::collection::vec(event(), 1..80)) {
        let world = live_through(&events)?;
        for (from, to, frame) in &world.sent {
            if let Body::Request(_) = frame.body {
                let path = &frame.header.path;
                prop_assert!(path.len() <= MAX_HOPS, "{from} sends {to} a call with the path {path:?}");
                prop_assert!(path.iter().all(|node| node.as_str() != *to), "a loop: {path:?} to {to}");
            }
        }
    }

    #[test]
    fn so_it_does_among_neighbours_that_have_gone_wrong(
        events in proptest::collection::vec(prop_oneof![2 => event(), 1 => forgery()], 1..80),
    ) {
        let world = live_through(&events)?;
        for (from, to, frame) in &world.sent {
            if let Body::Request(_) = frame.body {
                let path = &frame.header.path;
                prop_assert!(path.len() <= MAX_HOPS, "{from} sends {to} a call with the path {path:?}");
            }
        }
    }
}
