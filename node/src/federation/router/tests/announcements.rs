//! What Mains tell each other, and what becomes of it.

use std::time::Duration;

use super::world::{TTL, World};
use super::{ANNOUNCED, NANO, header, two_mains};
use crate::federation::Remembered;
use crate::wire::{Announced, Body, Frame, NodeKind, Registration, ServiceOffer};

#[test]
fn a_new_peer_gets_everything_and_later_what_changed() {
    let mut world = two_mains();
    let before = world.discoveries("relay-a", "relay-b");
    assert!(before[0].full, "the first is the full list");
    world.home_at("dave", "relay-a", &["news"]);
    assert_eq!(world.federated("relay-b", "news"), [""; 0], "changes gather for a moment");
    world.advance(ANNOUNCED);
    let after = world.discoveries("relay-a", "relay-b");
    let news = after.last().unwrap();
    assert!(!news.full && news.removed.is_empty(), "{news:?}");
    assert_eq!(news.services.iter().map(|service| service.name.as_str()).collect::<Vec<_>>(), ["news"]);
    assert_eq!(news.version, before.last().unwrap().version + 1);
    assert_eq!(world.federated("relay-b", "news"), ["dave"]);
    assert!(world.discoveries("relay-b", "relay-a").iter().all(|sent| !sent.want_full), "nothing was missed");
    world.cut("dave", "relay-a");
    world.advance(ANNOUNCED);
    assert_eq!(world.federated("relay-b", "news"), [""; 0], "a Home that is gone is gone everywhere");
    assert_eq!(world.refusal("carol", Some("dave"), "news").code, -32002);
}

#[test]
fn a_home_that_registers_anew_all_the_time_does_not_fill_the_links_between_mains() {
    let mut world = two_mains();
    let before = world.discoveries("relay-a", "relay-b").len();
    for round in 0..100 {
        let offers = (0..2_000).map(|number| ServiceOffer {
            name: format!("service-{round}-{number}"),
            methods: vec!["x".repeat(100)],
            balance: None,
        });
        let registration = Registration { services: offers.collect(), ..Registration::default() };
        let header = header(&format!("r{round}"), "alice", &["alice"]);
        world.inject("alice", "relay-a", Frame { header, body: Body::Registration(registration) });
        world.advance(Duration::from_millis(20));
    }
    // Two seconds, in each of which some two megabytes go out; the last announcement may have begun just then.
    let sent = world.discoveries("relay-a", "relay-b").split_off(before);
    let bytes: usize = sent.iter().map(|sent| serde_json::to_string(sent).unwrap().len()).sum();
    assert!(bytes < 6 * 1024 * 1024, "{bytes}");
    world.advance(Duration::from_secs(2));
    assert_eq!(world.federated("relay-b", "service-99-1999"), ["alice"]);
    assert_eq!(world.federated("relay-b", "service-98-0"), [""; 0]);
}

#[test]
fn a_main_announces_only_what_hangs_on_it() {
    let mut world = two_mains();
    world.main("relay-c", &[]);
    world.connect("relay-c", "relay-b");
    world.advance(ANNOUNCED);
    assert_eq!(world.federated("relay-c", "shop"), ["carol"], "bob is relay-a's to announce");
}

#[test]
fn a_missed_announcement_is_noticed_at_the_next_and_at_a_heartbeat() {
    for by_heartbeat in [false, true] {
        let mut world = two_mains();
        world.mute("relay-a", "relay-b", true);
        world.home_at("dave", "relay-a", &["news"]);
        world.advance(ANNOUNCED);
        assert_eq!(world.federated("relay-b", "news"), [""; 0], "it was lost");
        world.mute("relay-a", "relay-b", false);
        if by_heartbeat {
            world.heartbeat("relay-a", "relay-b");
        } else {
            world.home_at("erin", "relay-a", &["news"]);
            world.advance(ANNOUNCED);
        }
        world.settle();
        assert!(world.discoveries("relay-b", "relay-a").iter().any(|sent| sent.want_full));
        let expected: &[&str] = if by_heartbeat { &["dave"] } else { &["dave", "erin"] };
        assert_eq!(world.federated("relay-b", "news"), expected);
        assert_eq!(world.federated("relay-b", "blog"), ["alice"]);
    }
}

#[test]
fn entries_of_a_silent_main_live_exactly_their_time() {
    let mut world = World::default();
    world.main("relay-a", &[]);
    world.main("relay-b", &["news"]);
    world.connect("relay-b", "relay-a");
    world.settle();
    world.advance(ANNOUNCED);
    world.advance(TTL / 2);
    world.heartbeat("relay-b", "relay-a");
    world.settle();
    let confirmed = world.now;
    world.cut("relay-b", "relay-a");
    world.advance(TTL - NANO);
    assert_eq!(
        world.federated("relay-a", "news"),
        ["relay-b"],
        "confirmed {confirmed:?}, now {:?}",
        world.now
    );
    assert_eq!(world.refusal("relay-a", Some("relay-b"), "news").code, -32003);
    world.advance(NANO);
    assert_eq!(world.federated("relay-a", "news"), [""; 0]);
    assert_eq!(world.refusal("relay-a", None, "news").code, -32001, "nobody is known to offer it any more");
}

#[test]
fn mains_of_the_older_wire_get_full_lists_often_enough() {
    let mut world = World::default();
    world.main("relay-a", &["blog"]);
    world.main("older", &[]);
    world.connect_older("older", "relay-a");
    world.settle();
    world.home_at("alice", "relay-a", &["news"]);
    world.advance(ANNOUNCED);
    assert_eq!(world.federated("older", "news"), ["alice"]);
    world.advance(2 * TTL);
    let sent = world.discoveries("relay-a", "older");
    assert!(sent.iter().all(|sent| sent.full), "{sent:?}");
    assert!(sent.len() >= 2 + 6, "one each third of the time to live, {} were sent", sent.len());
    assert_eq!(world.federated("older", "blog"), ["relay-a"], "confirmed without versions in heartbeats");
}

#[test]
fn mains_hear_of_their_peers_peers_once() {
    let mut world = World::default();
    for main in ["relay-a", "relay-b", "relay-c"] {
        world.main(main, &[]);
    }
    world.connect("relay-b", "relay-a");
    world.connect("relay-c", "relay-b");
    world.advance(ANNOUNCED);
    let met: Vec<_> =
        world.met.iter().map(|(who, peer)| (*who, peer.id.as_str(), peer.address.as_str())).collect();
    assert_eq!(met.len(), 2, "{met:?}");
    assert!(met.contains(&("relay-c", "relay-a", "ws://relay-a:8080")), "{met:?}");
    assert!(met.contains(&("relay-a", "relay-c", "ws://relay-c:8080")), "{met:?}");
}

#[test]
fn a_list_that_no_message_could_hold_arrives_in_parts() {
    let mut world = World::default();
    world.main("relay-a", &[]);
    world.main("relay-b", &[]);
    let names: Vec<&'static str> =
        (0..4_000).map(|n| &*format!("service-{n}-{}", "x".repeat(80)).leak()).collect();
    world.home_at("alice", "relay-a", &names);
    world.connect("relay-b", "relay-a");
    world.advance(ANNOUNCED);
    let parts = world.discoveries("relay-a", "relay-b");
    assert!(parts.iter().filter(|part| !part.services.is_empty()).count() >= 4);
    let largest = parts.iter().map(|part| serde_json::to_string(part).unwrap().len()).max().unwrap();
    assert!(largest < 256 * 1024, "{largest} bytes");
    for name in names.iter().step_by(499) {
        assert_eq!(world.federated("relay-b", name), ["alice"]);
    }
    assert!(world.discoveries("relay-b", "relay-a").iter().all(|sent| !sent.want_full), "nothing was missed");
    world.heartbeat("relay-a", "relay-b");
    world.settle();
    assert!(world.discoveries("relay-b", "relay-a").iter().all(|sent| !sent.want_full), "the versions agree");
}

/// What relay-a remembers of relay-b after a restart: carol's shop, and one that has gone meanwhile.
fn remembering(expires: Duration) -> World {
    let mut world = World::default();
    world.main("relay-a", &[]);
    let entry = |node: &str, name: &str| Announced {
        name: name.into(),
        node_id: node.parse().unwrap(),
        node_type: NodeKind::Home,
        methods: Vec::new(),
        balance: None,
    };
    let services = vec![entry("carol", "shop"), entry("dave", "gone")];
    let now = world.now;
    let remembered = Remembered { main: "relay-b".parse().unwrap(), expires: now + expires, services };
    world.router("relay-a").restore(vec![remembered], now);
    world
}

#[test]
fn what_is_remembered_is_listed_until_its_main_says_what_is_true_now() {
    let mut world = remembering(TTL / 2);
    assert_eq!(world.federated("relay-a", "shop"), ["carol"]);
    let refusal = world.refusal("relay-a", None, "shop");
    assert!(refusal.data.retryable, "its Main is to be waited for: {refusal:?}");
    world.main("relay-b", &[]);
    world.home_at("carol", "relay-b", &["shop"]);
    world.connect("relay-b", "relay-a");
    world.settle();
    world.advance(ANNOUNCED);
    assert_eq!(world.federated("relay-a", "shop"), ["carol"]);
    assert_eq!(world.federated("relay-a", "gone"), [""; 0]);
    world.advance(TTL * 3 / 4);
    assert_eq!(world.federated("relay-a", "shop"), ["carol"], "it lives as long as any other now");
}

#[test]
fn what_is_remembered_lives_as_long_as_it_would_have_and_never_longer_than_fresh_entries() {
    for (expires, lives) in [(TTL / 2, TTL / 2), (TTL * 5, TTL)] {
        let mut world = remembering(expires);
        world.advance(lives - NANO);
        assert_eq!(world.federated("relay-a", "shop"), ["carol"]);
        world.advance(NANO);
        assert_eq!(world.federated("relay-a", "shop"), [""; 0]);
    }
}
