//! What a file says of the DHT.

use std::time::Duration;

use super::super::{DhtGates, HostIndex, LookupMetric, Metric, Scenario, StrangerKind};
use super::BASE;

fn read(rest: &str) -> Scenario {
    Scenario::load("x.toml", &format!("{BASE}{rest}"))
        .unwrap_or_else(|error| panic!("{}", super::problems(&error)))
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn nobody_is_in_it_unless_the_file_says_so() {
    let scenario = read("");
    assert!(!scenario.uses_dht() && scenario.topology.hosts.iter().all(|(_, host)| !host.dht));
    let scenario = read("[dht]\non = true\n[[home]]\nname = \"old\"\nmain = \"main-a\"\ndht = false\n");
    let inside: Vec<bool> = scenario.topology.hosts.iter().map(|(_, host)| host.dht).collect();
    assert_eq!(inside, [true, true, true, false]);
    let upgrade = "[[upgrade]]\nname = \"a\"\nat = \"1m\"\nhosts = \"homes\"\ndht = true\n";
    let scenario = read(upgrade);
    assert!(scenario.uses_dht());
    assert_eq!(scenario.topology.upgrades[0].change.dht, Some(true));
}

#[test]
fn its_settings_and_those_who_look_things_up() {
    let scenario = read(
        r#"
        [dht]
        on = true
        republish = "10m"
        cache_ttl = "1m"
        bootstrap = "main-a"
        [probe]
        dht = "5s"
        [[phase]]
        name = "warm"
        lasts = "5m"
        [[phase]]
        name = "hot"
        lasts = "5m"
        [[lookup]]
        name = "pairs"
        from = "homes"
        to = "*"
        pairs = 20
        every = "30s"
        phase = "hot"
        start = "10s"
        connects = true
        [gates]
        discovery = "75s"
        resolution = "99%"
        stale = 0
        [[gate]]
        name = "warm-cache"
        metric = "cache_hits"
        lookup = "pairs"
        phase = "hot"
        at_least = "80%"
        "#,
    );
    let plan = &scenario.topology.dht;
    assert_eq!(plan.settings.cache_ttl(), secs(60));
    assert_eq!((plan.settings.republish, plan.settings.discovery), (Some(secs(600)), None));
    assert_eq!((plan.bootstrap.as_slice(), scenario.run.dht_interval), ([HostIndex(0)].as_slice(), secs(5)));
    let [pairs] = plan.lookups.as_slice() else { panic!("one") };
    assert_eq!((pairs.pairs, pairs.every, pairs.connects), (20, Some(secs(30)), true));
    assert_eq!((pairs.over.from, pairs.over.to), (secs(310), secs(600)), "counted from the phase");
    let resolution = "99%".parse().ok();
    let gates = DhtGates { discovery: Some(secs(75)), resolution, stale: Some(0), ..DhtGates::default() };
    assert_eq!(scenario.gates.dht, gates);
    assert_eq!(scenario.gates.asked.gates[0].metric, Metric::Lookups(LookupMetric::CacheHits, Some(0)));
}

#[test]
fn strangers_and_what_was_there_before() {
    let scenario = read(
        r#"
        [[stranger]]
        name = "sybil"
        kind = "sybil"
        count = 3
        near = "home-*"
        bootstrap = "main-a"
        start = "20s"
        [broadcast]
        hosts = "*"
        beside = "1m"
        "#,
    );
    let plan = &scenario.topology.dht;
    let [sybils] = plan.strangers.as_slice() else { panic!("one group") };
    assert_eq!((sybils.kind, sybils.count, sybils.near.len()), (StrangerKind::Sybil, 3, 2));
    let broadcast = plan.broadcast.as_ref().unwrap();
    assert_eq!((broadcast.every, broadcast.beside), (secs(300), secs(60)));
    assert_eq!(broadcast.hosts.hosts().len(), 3);
}
