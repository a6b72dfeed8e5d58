//! What a scenario asks of its engine: what the reference engine cannot do is said before a run, not found in it.

use std::time::Duration;

use relay_chaos::{ClockTrouble, Direction, FaultKind, JitterShape, LinkChange, LinkQuality, quantity};

use crate::engine::Engine;
use crate::scenario::{CallMetric, Load, Metric, MetricGate, Scenario};

/// Turmoil walks all pairs of hosts in each tick: with more hosts, hours pass for minutes.
const TURMOIL_HOSTS_MAX: usize = 100;

/// Turmoil knows no bandwidth. What a scenario says of it matters where it is less than this.
const TURMOIL_BITS_PER_SECOND_MIN: u64 = 10_000_000;

/// What is lost is sent again, late. Where more is lost, streams are about to be given up, which turmoil does not do.
const TURMOIL_LOSS_MAX: f64 = 0.3;

/// Turmoil moves time by milliseconds, and a call takes some of them at each end.
const TURMOIL_LATENCY_GATE_MIN: Duration = Duration::from_millis(20);

/// Why a scenario cannot run on an engine: each thing in it that only the event engine does. Empty where it can.
pub fn obstacles(scenario: &Scenario, engine: Engine) -> Vec<String> {
    match engine {
        Engine::Event => Vec::new(),
        Engine::Turmoil => needs_event_engine(scenario),
    }
}

/// Each thing in a scenario that only the event engine does, in words.
pub fn needs_event_engine(scenario: &Scenario) -> Vec<String> {
    let mut found = Vec::new();
    let hosts = &scenario.topology.hosts;
    if hosts.len() > TURMOIL_HOSTS_MAX {
        found.push(format!("{} hosts (at most {TURMOIL_HOSTS_MAX})", hosts.len()));
    }
    if let Some((_, host)) = hosts.iter().find(|(_, host)| !host.machine.per_message.is_zero()) {
        found.push(format!("CPU time, on {}", host.name));
    }
    for (_, host) in hosts.iter() {
        if !host.machine.per_sync.is_zero() {
            found.push(format!("a disk that takes time, on {}", host.name));
        }
        if host.machine.clock != ClockTrouble::default() {
            found.push(format!("a clock of its own, on {}", host.name));
        }
    }
    if let Some(home) = home_in_dht(scenario) {
        found.push(format!("datagrams from behind a NAT: the DHT, on {home}"));
    }
    let network = &scenario.network;
    let plain = LinkQuality::default();
    let whole = LinkChange {
        loss: Some(network.default.loss),
        bandwidth: Some(network.default.bandwidth).filter(|bandwidth| *bandwidth != plain.bandwidth),
        shape: Some(network.default.shape),
        queue: network.default.queue,
        duplicate: Some(network.default.duplicate),
        reorder: Some(network.default.reorder),
        corrupt: Some(network.default.corrupt),
        ..LinkChange::default()
    };
    links(&whole, false, "of every link", &mut found);
    for rule in &network.rules {
        links(&rule.change, rule.one_way, &format!("of links from {} to {}", rule.from, rule.to), &mut found);
    }
    for fault in &scenario.faults {
        match &fault.what {
            FaultKind::Partition(it) if it.direction == Direction::Both => {}
            FaultKind::Partition(_) => found.push(format!("a partition in one direction: {fault}")),
            FaultKind::Link(it) => {
                links(&it.change, it.one_way, &format!("in the fault {fault}"), &mut found);
            }
            FaultKind::Crash(it) if it.at_disk_operation.is_some() => {
                found.push(format!("a power cut at a disk operation: {fault}"));
            }
            FaultKind::Crash(_) | FaultKind::Stop(_) | FaultKind::Expiry(_) => {}
            // Whatever was not taught to turmoil.
            other => found.push(format!("the fault kind {}: {fault}", other.name())),
        }
    }
    let shortest = scenario.loads.iter().filter_map(shortest_latency_gate);
    let latency = &scenario.gates.latency;
    let of_all = [latency.p50, latency.p90, latency.p99, latency.p999, latency.max];
    let by_name = scenario.gates.asked.gates.iter().filter_map(latency_limit);
    if let Some(gate) = shortest.chain(of_all.into_iter().flatten()).chain(by_name).min()
        && gate < TURMOIL_LATENCY_GATE_MIN
    {
        found.push(format!("time in less than milliseconds: a latency gate of {}", text(gate)));
    }
    found
}

/// A Home that is a node of the DHT, from the start or by an upgrade.
fn home_in_dht(scenario: &Scenario) -> Option<&str> {
    let joins = scenario.topology.upgrades.iter().filter(|upgrade| upgrade.change.dht == Some(true));
    let later: Vec<_> = joins.flat_map(|upgrade| &upgrade.batches).collect();
    let mut homes = scenario.topology.hosts.iter().filter(|(_, host)| !host.is_main());
    let found =
        homes.find(|(index, host)| host.dht || later.iter().any(|batch| batch.hosts.contains(*index)));
    found.map(|(_, host)| host.name.as_str())
}

fn shortest_latency_gate(load: &Load) -> Option<Duration> {
    let latency = &load.gates.latency;
    [latency.p50, latency.p90, latency.p99, latency.p999, latency.max].into_iter().flatten().min()
}

/// The limit of a gate on the metric `latency`; one that no latency reaches is as good as none.
fn latency_limit(gate: &MetricGate) -> Option<Duration> {
    let is_latency = matches!(gate.metric, Metric::Calls(CallMetric::Latency, _));
    is_latency.then(|| Duration::try_from_secs_f64(gate.limit.value).ok()).flatten()
}

/// What of these values of links only the event engine knows.
fn links(change: &LinkChange, one_way: bool, whose: &str, found: &mut Vec<String>) {
    if one_way && (change.latency.is_some() || change.jitter.is_some()) {
        found.push(format!("latency in one direction, {whose}"));
    }
    if let Some(bandwidth) = change.bandwidth
        && bandwidth.bits_per_second() < TURMOIL_BITS_PER_SECOND_MIN
    {
        found.push(format!("bandwidth {bandwidth}, {whose}"));
    }
    if let Some(loss) = change.loss
        && loss.as_f64() > TURMOIL_LOSS_MAX
    {
        found.push(format!("loss {loss}, {whose}"));
    }
    if let Some(shape) = change.shape
        && shape != JitterShape::Uniform
    {
        found.push(format!("jitter of the shape {}, {whose}", shape.as_str()));
    }
    if let Some(queue) = change.queue {
        found.push(format!("a queue of {queue}, {whose}"));
    }
    for (what, share) in
        [("duplicate", change.duplicate), ("reorder", change.reorder), ("corrupt", change.corrupt)]
    {
        if let Some(share) = share
            && share.as_f64() > 0.0
        {
            found.push(format!("{what} {share}, {whose}"));
        }
    }
}

fn text(duration: Duration) -> String {
    quantity::duration::format(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn obstacles_of(text: &str) -> Vec<String> {
        let hosts = r#"
            [[service]]
            name = "echo"
            kind = "echo"
            [[main]]
            name = "main-a"
            [[main]]
            name = "main-b"
            [[home]]
            name = "home"
            count = 2
            main = "main-a"
            services = ["echo"]
            [[load]]
            name = "calls"
            from = "home-*"
            to = "home-*"
            service = "echo"
            method = "echo"
            rate = "1/s"
        "#;
        let scenario = Scenario::load("test.toml", &format!("duration = \"1m\"\n{text}\n{hosts}"));
        let scenario = scenario.unwrap_or_else(|error| panic!("{:?}", miette::Report::new(error)));
        assert!(obstacles(&scenario, Engine::Event).is_empty());
        obstacles(&scenario, Engine::Turmoil)
    }

    #[test]
    fn what_both_engines_do_is_no_obstacle() {
        let found = obstacles_of(
            r#"
            [network]
            latency = "5ms"
            loss = "0.1%"
            [[fault]]
            at = "10s"
            kind = "partition"
            hosts = "main-a"
            lasts = "5s"
            [[fault]]
            at = "20s"
            kind = "crash"
            host = "main-b"
            how = "power-cut"
            down = "5s"
            [[fault]]
            at = "30s"
            kind = "link"
            from = "main-a"
            to = "main-b"
            latency = "50ms"
            lasts = "5s"
            "#,
        );
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn each_thing_that_needs_the_event_engine_is_named() {
        for (text, expected) in [
            ("[network]\nbandwidth = \"1Mbit/s\"", "bandwidth 1Mbit/s, of every link"),
            ("[network]\nloss = \"40%\"", "loss 40%, of every link"),
            (
                "[[link]]\nfrom = \"main-a\"\nto = \"main-b\"\none_way = true\nlatency = \"9ms\"",
                "one direction",
            ),
            (
                "[[fault]]\nat = \"1s\"\nkind = \"partition\"\nhosts = \"main-a\"\ndirection = \"in\"\nlasts = \"5s\"",
                "a partition in one direction",
            ),
            ("[gates]\np50 = \"2ms\"", "a latency gate of 2ms"),
            ("[dht]\non = true", "the DHT, on home-1"),
            ("[[upgrade]]\nname = \"a\"\nat = \"5s\"\nhosts = \"home-2\"\ndht = true", "the DHT, on home-2"),
            (
                "[[gate]]\nname = \"quick\"\nmetric = \"latency\"\naggregate = \"p99\"\nat_most = \"3ms\"",
                "a latency gate of 3ms",
            ),
        ] {
            let found = obstacles_of(text);
            assert!(found.len() == 1 && found[0].contains(expected), "{text}: {found:?}");
        }
    }
}
