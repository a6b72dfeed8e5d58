//! Nodes find each other, and find each other again.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use relay_node::dht::{Event, Family, Id, OPERATIONS_MAX};

use crate::network::{Network, Weather};

const MINUTE: Duration = Duration::from_secs(60);

/// Of how many lookups from anywhere the result is exactly the closest nodes there are.
fn exact_lookups(network: &mut Network, lookups: usize) -> usize {
    let numbers = network.numbers();
    (0..lookups)
        .filter(|at| {
            let target = Id::random(network.rng());
            let from = numbers[at * 7 % numbers.len()];
            let Event::Found { closest, .. } = network.command(from, |dht, now| dht.find_node(target, now))
            else {
                panic!("a lookup ends as one")
            };
            let found = network.numbers_of(&closest);
            // A node does not count itself.
            let expected: BTreeSet<usize> = network.closest(&target).into_iter().collect();
            expected.iter().all(|number| *number == from || found.contains(number))
        })
        .count()
}

#[test]
fn nodes_that_join_find_each_other() {
    for (seed, weather, count) in [(1, Weather::FAIR, 3), (2, Weather::FAIR, 10), (3, Weather::FAIR, 60)] {
        let mut network = Network::joined(seed, weather, count);
        assert_eq!(exact_lookups(&mut network, 60), 60, "{count} nodes");
    }
}

#[test]
fn they_do_so_where_datagrams_are_lost() {
    let mut network = Network::joined(4, Weather::ROUGH, 60);
    let exact = exact_lookups(&mut network, 60);
    assert!(exact >= 50, "{exact} of 60");
}

#[test]
fn a_hundred_at_once_through_one_way_in_do_too() {
    let mut network = Network::new(5, Weather::FAIR);
    let first = network.add(None);
    let entry = network.host(first).address;
    for _ in 0..100 {
        network.add(Some(entry));
    }
    network.run(2 * MINUTE);
    assert_eq!(exact_lookups(&mut network, 40), 40);
}

#[test]
fn who_is_alone_goes_on_trying() {
    let mut network = Network::new(6, Weather::FAIR);
    let later: SocketAddr = "10.1.0.1:30609".parse().unwrap();
    let early = network.add(Some(later));
    network.run(10 * MINUTE);
    let joined = |event: &Event| matches!(event, Event::Joined { family: Family::V4, contacts: 0 });
    let tries = network.host(early).events.iter().filter(|event| joined(event)).count();
    assert!((8..60).contains(&tries), "{tries} tries in ten minutes");
    network.add(None);
    network.run(2 * MINUTE);
    assert_eq!(network.host(early).dht.contact_count(), 1);
}

#[test]
fn nodes_that_cannot_be_asked_are_nobodys_contacts() {
    let mut network = Network::joined(7, Weather::FAIR, 12);
    let entry = network.any_address();
    let home = network.add_with(entry, |config| config.read_only = true);
    network.run(5 * MINUTE);
    let address = network.host(home).address;
    for number in network.numbers().into_iter().filter(|number| *number != home) {
        assert!(network.host(number).dht.contacts().iter().all(|contact| contact.address != address));
    }
    assert!(network.host(home).dht.contact_count() >= 8);
}

#[test]
fn tables_forget_who_is_gone() {
    let mut network = Network::joined(8, Weather::FAIR, 40);
    (0..20).for_each(|number| network.remove(number));
    network.run(40 * MINUTE);
    for number in network.numbers() {
        for contact in network.host(number).dht.closest_known(&Id::from_bytes([1; 20])) {
            assert!(network.numbers_of([&contact]).len() == 1, "{contact:?} is gone");
        }
    }
    assert_eq!(exact_lookups(&mut network, 40), 40);
}

#[test]
fn two_halves_of_a_network_find_together_again() {
    let mut network = Network::joined(9, Weather::FAIR, 40);
    // Some know the way in that all came by; it is on one side.
    let entry = network.host(0).address;
    let late: Vec<usize> = (0..20).map(|_| network.add(Some(entry))).collect();
    network.run(5 * MINUTE);
    for number in network.numbers() {
        network.host_mut(number).side = u8::from(number >= 30);
    }
    network.run(120 * MINUTE);
    for number in network.numbers() {
        network.host_mut(number).side = 0;
    }
    assert_eq!(late.len(), 20);
    network.run(10 * MINUTE);
    assert_eq!(exact_lookups(&mut network, 40), 40);
}

#[test]
fn both_families_are_found_through_either() {
    let mut network = Network::new(10, Weather::FAIR);
    let both = |config: &mut relay_node::dht::Config| config.v6 = config.v4;
    let first = network.add_with(None, both);
    let entry = network.host(first).address;
    for _ in 0..9 {
        network.add_with(Some(entry), both);
    }
    network.run(5 * MINUTE);
    // The network in memory gives every host one address, so all of the other family stays unknown; nothing breaks.
    for number in network.numbers() {
        let dht = &network.host(number).dht;
        assert!(dht.id(Family::V4).is_some() && dht.id(Family::V6).is_some());
        assert_eq!(dht.contacts().len(), 9);
    }
    let six: Vec<usize> = {
        let mut only = |entry| {
            network.add_with(entry, |config| {
                config.v6 = config.v4.take();
            })
        };
        let first = only(None);
        let entry = format!("[fd00::{first:x}]:30609").parse().ok();
        std::iter::once(first).chain((0..9).map(|_| only(entry))).collect()
    };
    network.run(5 * MINUTE);
    for number in six {
        let dht = &network.host(number).dht;
        assert_eq!((dht.id(Family::V4), dht.contact_count()), (None, 9));
    }
}

#[test]
fn contacts_of_before_lead_back_in() {
    let mut network = Network::joined(11, Weather::FAIR, 30);
    let known = network.host(5).dht.contacts();
    network.remove(5);
    let back = network.add(None);
    network.run(Duration::from_secs(1));
    assert_eq!(network.host(back).dht.contact_count(), 0);
    let now = network.now;
    let asked = network.host_mut(back).dht.meet(&known, now);
    assert!(asked > 8 && asked <= 16, "{asked}");
    network.drain(back);
    network.run(2 * MINUTE);
    assert!(network.host(back).dht.contact_count() > 8);
    assert_eq!(exact_lookups(&mut network, 20), 20);
}

#[test]
fn there_is_an_end_to_what_is_begun() {
    let mut network = Network::joined(12, Weather::FAIR, 20);
    let now = network.now;
    let dht = &mut network.host_mut(0).dht;
    let begun =
        (0..OPERATIONS_MAX + 9).filter(|n| dht.find_node(Id::from_bytes([*n as u8; 20]), now).is_ok());
    assert_eq!(begun.count(), OPERATIONS_MAX);
    network.drain(0);
    network.run(MINUTE);
    let found = |event: &&Event| matches!(event, Event::Found { .. });
    assert_eq!(network.host(0).events.iter().filter(found).count(), OPERATIONS_MAX);
    assert_eq!(network.host(0).dht.queries_under_way(), 0);
}
