//! Gates on the DHT hold where all is well, and fail where it is not.

use std::collections::BTreeMap;
use std::sync::Arc;

use relay_sim::execute::{Execution, Settings, execute};
use relay_sim::scenario::Scenario;

/// Three relays that look each other up.
const THREE: &str = r#"
duration = "10m"
[dht]
on = true
[[main]]
name = "main"
count = 2
[[home]]
name = "home"
main = "main-1"
fallback = "main-2"
[[lookup]]
name = "everyone"
from = "*"
to = "*"
pairs = 12
every = "20s"
start = "1m"
connects = true
[[gate]]
name = "warm-cache"
metric = "cache_hits"
from = "5m"
at_least = "80%"
[[gate]]
name = "reach"
metric = "reach"
at_least = "100%"
[[gate]]
name = "bytes"
metric = "metadata_bytes"
at_most = 10000000
[gates]
discovery = "30s"
resolution = "100%"
stale = 0
"#;

fn run(text: &str) -> Execution {
    let scenario =
        Scenario::load("three.toml", text).unwrap_or_else(|error| panic!("{:?}", miette::Report::new(error)));
    let run = execute(&Arc::new(scenario), &Settings::default());
    assert!(run.halt.is_none() && run.panics.is_empty(), "{:?} {:?}", run.halt, run.panics);
    run
}

/// Whether each gate holds.
fn gates(run: &Execution) -> BTreeMap<String, bool> {
    run.gates.iter().map(|gate| (gate.title(), gate.holds)).collect()
}

#[test]
fn where_all_is_well_every_gate_holds() {
    let run = run(THREE);
    assert!(run.gates.iter().all(|gate| gate.holds), "{:?}", run.gates);
    let stats = &run.record.dht.lookups[0];
    assert!(stats.due > 300 && stats.right == stats.due && stats.hits > 0, "{} {}", stats.due, stats.right);
    assert_eq!(run.record.reconnects.total, 0, "who looks up and connects is no relay that comes back");
    let (_, findings) = run.record.invariants.results().find(|(it, _)| it.name() == "no-stale-read").unwrap();
    assert_eq!((findings.checked, findings.violated), (stats.given, 0));
}

#[test]
fn a_cache_that_forgets_at_once_is_no_cache() {
    let forgetful =
        gates(&run(&THREE.replace("on = true", "on = true\ncache_ttl = \"1s\"\ncache_cleanup = \"1s\"")));
    assert!(!forgetful["warm-cache"] && forgetful["resolution"], "{forgetful:?}");
}

#[test]
fn who_is_cut_off_finds_nothing_and_nobody() {
    let cut = "[[fault]]\nat = \"90s\"\nkind = \"partition\"\nhosts = \"home\"\nlasts = \"8m\"\n";
    let cut = gates(&run(&format!("{}{cut}", THREE.replace("discovery = \"30s\"", "discovery = \"1s\""))));
    for gate in ["resolution", "reach", "discovery"] {
        assert!(!cut[gate], "{gate} {cut:?}");
    }
}

/// The older way beside relays, which go over to the DHT one after the other.
const ROLLOUT: &str = r#"
duration = "50m"
[[main]]
name = "main"
count = 2
[[home]]
name = "home"
count = 6
main = "main-*"
fallback = "main-*"
[broadcast]
hosts = "*"
every = "30s"
beside = "12m"
[[upgrade]]
name = "to-the-dht"
at = "16m"
hosts = "*"
batch = "25%"
pause = "2m"
dht = true
[[lookup]]
name = "who-connects"
from = "*"
to = "*"
pairs = 24
every = "1m"
start = "1m"
connects = true
[[gate]]
name = "reached-at-last"
metric = "reach"
from = "48m"
at_least = "100%"
[gates]
bytes_saved = "50%"
disk_saved = "30%"
"#;

#[test]
fn the_older_way_is_heard_before_and_costs_more() {
    let run = run(ROLLOUT);
    let rollout = &run.record.dht.rollout;
    let (before, after) = rollout.bytes().unwrap();
    assert!(run.gates.iter().all(|gate| gate.holds), "{:?}", run.gates);
    assert!(before > 2 * after, "{before} {after}");
    let [(tried, made), _] = rollout.reach().unwrap();
    assert_eq!(tried, made, "all are reached before the upgrade");
}
