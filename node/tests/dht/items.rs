//! Items are put, found, replaced, and outlive the nodes that keep them.

use std::collections::BTreeSet;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use relay_node::dht::{
    BUCKET_SIZE, Event, Found, GetRequest, Id, Item, MutableItem, PutRequest, StoreReport,
};

use crate::network::{Network, Weather, report_of};

const MINUTE: Duration = Duration::from_secs(60);

fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

fn item(number: u8, seq: i64) -> MutableItem {
    let value = format!("5:{seq:05}").into_bytes();
    MutableItem::sign(&key(number), b"", seq, value).unwrap()
}

fn put(network: &mut Network, from: usize, item: MutableItem) -> StoreReport {
    let request = PutRequest::of(Item::Mutable(item));
    report_of(network.command(from, |dht, now| dht.put(request, now)))
}

/// Nodes that are not among those closest to `target`.
fn outsiders(network: &Network, target: &Id) -> Vec<usize> {
    let closest = network.closest(target);
    network.numbers().into_iter().filter(|number| !closest.contains(number)).collect()
}

fn get(network: &mut Network, from: usize, request: GetRequest) -> Found {
    match network.command(from, |dht, now| dht.get(request, now)) {
        Event::Got { found, .. } => found,
        other => panic!("{other:?}"),
    }
}

fn get_item(network: &mut Network, from: usize, number: u8) -> Found {
    let request = GetRequest::of_key(&key(number).verifying_key().to_bytes(), b"");
    get(network, from, GetRequest { repair: false, ..request })
}

#[test]
fn an_item_is_kept_by_the_closest_and_found_from_everywhere() {
    let mut network = Network::joined(1, Weather::FAIR, 60);
    let item = item(1, 1);
    let report = put(&mut network, 7, item.clone());
    let closest: BTreeSet<usize> = network.closest(&item.target()).into_iter().collect();
    assert!(network.numbers_of(&report.taken).is_superset(&closest), "{report:?}");
    assert_eq!((report.refused.len(), report.silent.len(), report.newer), (0, 0, None));
    for from in network.numbers() {
        let found = get_item(&mut network, from, 1);
        assert_eq!(found.item, Some(Item::Mutable(item.clone())));
        assert!(found.holders >= BUCKET_SIZE - 1 && found.liars == 0, "{found:?}");
    }
}

#[test]
fn an_item_without_a_key_is_found_by_its_hash() {
    let mut network = Network::joined(2, Weather::FAIR, 20);
    let item = Item::immutable(b"d4:name5:relaye".to_vec()).unwrap();
    let request = PutRequest::of(item.clone());
    let report = report_of(network.command(3, |dht, now| dht.put(request, now)));
    assert!(report.taken.len() >= BUCKET_SIZE);
    let found = get(&mut network, 17, GetRequest::of_target(item.target()));
    assert_eq!(found.item, Some(item));
    let none = get(&mut network, 17, GetRequest::of_target(Id::from_bytes([1; 20])));
    assert_eq!((none.item, none.holders), (None, 0));
    assert!(none.asked >= BUCKET_SIZE);
}

#[test]
fn two_nodes_are_enough() {
    for (putter, getter) in [(0, 1), (1, 0), (0, 0)] {
        let mut network = Network::joined(10, Weather::FAIR, 2);
        let report = put(&mut network, putter, item(1, 1));
        assert_eq!((report.taken.len(), report.kept_here), (1, true));
        assert_eq!(get_item(&mut network, getter, 1).item, Some(Item::Mutable(item(1, 1))));
        assert_eq!(put(&mut network, getter, item(1, 0)).newer, Some(item(1, 1)));
        let immutable = Item::immutable(b"i1e".to_vec()).unwrap();
        network.command(putter, |dht, now| dht.put(PutRequest::of(immutable.clone()), now));
        let found = get(&mut network, getter, GetRequest::of_target(immutable.target()));
        assert_eq!(found.item, Some(immutable));
    }
}

#[test]
fn the_newest_version_wins_and_an_older_one_is_not_put() {
    let mut network = Network::joined(3, Weather::FAIR, 30);
    let from = outsiders(&network, &item(1, 1).target());
    put(&mut network, from[0], item(1, 1));
    assert!(put(&mut network, from[1], item(1, 5)).taken.len() >= BUCKET_SIZE);
    assert_eq!(get_item(&mut network, 9, 1).item, Some(Item::Mutable(item(1, 5))));
    let late = put(&mut network, from[2], item(1, 4));
    assert_eq!((late.taken.len(), late.refused.len(), late.newer), (0, 0, Some(item(1, 5))));
    // The same again is refreshed.
    assert!(put(&mut network, from[2], item(1, 5)).taken.len() >= BUCKET_SIZE);
    // Another value of the same version is not.
    let other = MutableItem::sign(&key(1), b"", 5, b"5:other".to_vec()).unwrap();
    let refused = put(&mut network, from[2], other).refused;
    assert!(refused.len() >= BUCKET_SIZE);
    assert!(refused.iter().all(|(_, refusal)| refusal.code.number() == 302), "{refused:?}");
}

#[test]
fn who_compares_and_swaps_loses_no_others_version() {
    let mut network = Network::joined(4, Weather::FAIR, 30);
    let from = outsiders(&network, &item(1, 3).target());
    put(&mut network, from[0], item(1, 3));
    let mut swap = |from: usize, cas: i64, seq: i64| {
        let request = PutRequest { cas: Some(cas), ..PutRequest::of(Item::Mutable(item(1, seq))) };
        report_of(network.command(from, |dht, now| dht.put(request, now)))
    };
    let wrong = swap(from[1], 2, 4);
    assert!(wrong.taken.is_empty() && wrong.refused.len() >= BUCKET_SIZE);
    assert!(wrong.refused.iter().all(|(_, refusal)| refusal.code.number() == 301));
    assert!(swap(from[1], 3, 4).taken.len() >= BUCKET_SIZE);
}

#[test]
fn who_has_a_version_is_not_sent_it_again() {
    let mut network = Network::joined(5, Weather::FAIR, 30);
    let from = outsiders(&network, &item(1, 3).target());
    put(&mut network, from[0], item(1, 3));
    let request = |newer_than| GetRequest {
        newer_than: Some(newer_than),
        repair: false,
        ..GetRequest::of_target(item(1, 3).target())
    };
    let same = get(&mut network, from[9], request(3));
    assert!(same.item.is_none() && same.holders >= BUCKET_SIZE, "{} holders", same.holders);
    assert_eq!(get(&mut network, from[9], request(2)).item, Some(Item::Mutable(item(1, 3))));
}

#[test]
fn reading_repairs() {
    let mut network = Network::joined(6, Weather::FAIR, 60);
    put(&mut network, 0, item(1, 3));
    let target = item(1, 3).target();
    let first = network.closest(&target);
    first[..6].iter().for_each(|number| network.remove(*number));
    network.run(MINUTE);
    let reader = *network.numbers().last().unwrap();
    let request = GetRequest::of_key(&key(1).verifying_key().to_bytes(), b"");
    let found = get(&mut network, reader, request);
    assert!(found.item.is_some() && found.holders <= 3, "{found:?}");
    network.run(MINUTE);
    let holders = network
        .closest(&target)
        .iter()
        .filter(|n| network.host(**n).dht.kept_item(&target).is_some())
        .count();
    assert!(holders >= 7, "{holders}");
}

#[test]
fn an_item_that_nobody_puts_again_is_forgotten() {
    let mut network = Network::joined(7, Weather::FAIR, 20);
    put(&mut network, 0, item(1, 3));
    network.run(119 * MINUTE);
    assert!(get_item(&mut network, 5, 1).item.is_some());
    network.run(3 * MINUTE);
    assert_eq!(get_item(&mut network, 5, 1).item, None);
    assert!(network.numbers().iter().all(|number| network.host(*number).dht.kept() == (0, 0)));
}

#[test]
fn items_are_put_and_found_where_datagrams_are_lost() {
    let mut network = Network::joined(8, Weather::ROUGH, 50);
    let mut taken = 0;
    for number in 0..10 {
        taken += put(&mut network, usize::from(number), item(number, 1)).taken.len();
    }
    assert!(taken >= 70, "{taken} of 80");
    for number in 0..10 {
        let found = get_item(&mut network, 49 - usize::from(number), number);
        assert_eq!(found.item, Some(Item::Mutable(item(number, 1))));
    }
}

#[test]
fn peers_find_each_other_under_a_topic() {
    let mut network = Network::joined(9, Weather::FAIR, 40);
    let topic = Id::hash(&[b"remote-network-mesh"]);
    for (number, port) in [(3, Some(30_906)), (4, None)] {
        let report = report_of(network.command(number, |dht, now| dht.announce(topic, port, now)));
        assert!(report.taken.len() >= BUCKET_SIZE);
    }
    let Event::Peers { peers, .. } = network.command(30, |dht, now| dht.get_peers(topic, now)) else {
        panic!()
    };
    let peers: Vec<String> = peers.iter().map(ToString::to_string).collect();
    assert_eq!(peers, ["10.1.0.3:30906", "10.1.0.4:30609"]);
}
