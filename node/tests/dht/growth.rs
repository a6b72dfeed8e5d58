//! What things cost as a network grows. The whole curve is the benchmark's business.

use std::time::Duration;

use relay_node::dht::{Event, Id};

use crate::network::{Network, Weather};

/// Queries of a lookup, on average of `lookups` from anywhere.
fn queries_per_lookup(network: &mut Network, lookups: usize) -> f64 {
    let numbers = network.numbers();
    let mut queries = 0;
    for at in 0..lookups {
        let target = Id::random(network.rng());
        let from = numbers[at * 13 % numbers.len()];
        let Event::Found { cost, .. } = network.command(from, |dht, now| dht.find_node(target, now)) else {
            panic!("a lookup ends as one")
        };
        queries += cost.queries;
    }
    f64::from(queries) / lookups as f64
}

#[test]
fn a_lookup_grows_with_the_logarithm() {
    let costs: Vec<(usize, f64)> = [16, 48, 144]
        .map(|count| (count, queries_per_lookup(&mut Network::joined(1, Weather::FAIR, count), 30)))
        .to_vec();
    // Eight answers are needed anyway; each doubling adds one query at most, where a linear cost would double.
    for (count, cost) in &costs {
        let bound = 8.0 + 1.5 * (*count as f64).log2();
        assert!(*cost <= bound, "{cost} queries with {count} nodes, at most {bound}: {costs:?}");
    }
}

#[test]
fn a_quiet_network_says_little() {
    let mut network = Network::joined(2, Weather::FAIR, 40);
    network.run(Duration::from_secs(1_800));
    let (_, before) = network.sent;
    network.run(Duration::from_secs(3_600));
    let bytes = (network.sent.1 - before) / 40;
    assert!(bytes < 150_000, "{bytes} bytes per node and hour");
}

#[test]
fn the_same_seed_is_the_same_network() {
    let run = |seed| {
        let network = Network::joined(seed, Weather::ROUGH, 30);
        let contacts: Vec<_> = network.numbers().iter().map(|n| network.host(*n).dht.contacts()).collect();
        (network.sent, contacts)
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3).0, run(4).0);
}
