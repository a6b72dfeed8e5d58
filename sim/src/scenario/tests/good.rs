//! What right texts mean.

use std::fmt::Write;
use std::time::Duration;

use relay_chaos::{Direction, Fault, FaultKind, LinkQuality, Partition, Selector};

use super::super::{
    Arrival, Gates, HostIndex, Machine, Nat, NatKind, NodeId, NodeSettings, Pacing, ReconnectGates, Role,
    Scenario, ServiceKind, Target, Topology,
};
use super::{BASE, LOAD};

fn read(text: &str) -> Scenario {
    Scenario::load("scenarios/my-file.toml", text)
        .unwrap_or_else(|error| panic!("{}", super::problems(&error)))
}

fn names(topology: &Topology, hosts: &[HostIndex]) -> Vec<String> {
    hosts.iter().map(|index| topology.hosts.get(*index).name.clone()).collect()
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_single_main_is_a_scenario() {
    let text = "[[main]]\nname = \"a\"\n";
    let scenario = read(text);
    assert_eq!(scenario.name, "my-file", "the stem of the file");
    assert_eq!((scenario.run.duration, scenario.run.seed), (secs(600), 1));
    assert_eq!(scenario.run.probe_interval, secs(1));
    assert_eq!(scenario.network.default, LinkQuality::default());
    assert_eq!(scenario.node, NodeSettings::default());
    assert_eq!(scenario.gates, Gates::default());
    assert!(scenario.loads.is_empty() && scenario.faults.is_empty() && scenario.topology.services.is_empty());
    assert_eq!(
        (scenario.source.name.as_str(), scenario.source.text.as_str()),
        ("scenarios/my-file.toml", text)
    );
}

#[test]
fn mains_come_first_and_counts_are_numbered() {
    let text = "[[home]]\nname = \"h\"\ncount = 3\nmain = \"m-*\"\nfallback = \"m-*\"\n[[main]]\nname = \"m\"\ncount = 2\n";
    let topology = read(text).topology;
    let all: Vec<_> = topology.hosts.iter().map(|(_, host)| host.name.as_str()).collect();
    assert_eq!(all, ["m-1", "m-2", "h-1", "h-2", "h-3"]);
    assert_eq!(topology.hosts.find("h-1"), Some(HostIndex(2)));
    assert_eq!(topology.hosts.find("h"), None);
}

#[test]
fn homes_take_several_mains_in_turn_and_fall_back_to_the_others() {
    let text = "[[main]]\nname = \"m\"\ncount = 3\n[[home]]\nname = \"h\"\ncount = 4\nmain = \"m-*\"\nfallback = [\"m-3\", \"m-*\"]\n";
    let topology = read(text).topology;
    let connected: Vec<_> = topology
        .hosts
        .iter()
        .filter_map(|(_, host)| match &host.role {
            Role::Home { main, fallback } => {
                Some((names(&topology, &[*main]).concat(), names(&topology, fallback).join(" ")))
            }
            Role::Main { .. } => None,
        })
        .collect();
    let expected = [("m-1", "m-3 m-2"), ("m-2", "m-3 m-1"), ("m-3", "m-1 m-2"), ("m-1", "m-3 m-2")];
    assert_eq!(connected, expected.map(|(main, fallback)| (main.to_owned(), fallback.to_owned())));
}

#[test]
fn a_main_peers_with_those_before_it_or_with_whom_it_names() {
    let text = "[[main]]\nname = \"a\"\n[[main]]\nname = \"b\"\n[[main]]\nname = \"c\"\n[[main]]\nname = \"d\"\npeers = [\"b\", \"d\"]\n[[main]]\nname = \"e\"\npeers = []\n";
    let topology = read(text).topology;
    let peers: Vec<_> = topology
        .hosts
        .iter()
        .filter_map(|(_, host)| match &host.role {
            Role::Main { peers, .. } => Some(names(&topology, peers).concat()),
            Role::Home { .. } => None,
        })
        .collect();
    assert_eq!(peers, ["", "a", "ab", "b", ""]);
}

#[test]
fn services_of_each_kind() {
    let text = r#"
        [[service]]
        name = "blog"
        kind = "static"
        [service.answers]
        list = ["first", 2, 0x10, true, { a = 1.5 }, 2026-01-02]
        [[service]]
        name = "shop"
        kind = "http"
        methods = ["buy"]
        upstream = { latency = "7ms", failure_rate = "1%" }
        [[main]]
        name = "m"
        services = ["shop"]
    "#;
    let scenario = read(text);
    let [blog, shop] = scenario.topology.services.as_slice() else { panic!("two services") };
    assert_eq!(blog.methods, ["list"]);
    let ServiceKind::Static(answers) = &blog.kind else { panic!("static") };
    assert_eq!(answers["list"], serde_json::json!(["first", 2, 16, true, { "a": 1.5 }, "2026-01-02"]));
    assert_eq!(shop.methods, ["buy"]);
    let ServiceKind::Http(upstream) = shop.kind else { panic!("http") };
    assert_eq!(upstream.latency, Duration::from_millis(7));
    assert_eq!(upstream.failure_rate.to_string(), "1%");
    assert_eq!(scenario.offering("shop").collect::<Vec<_>>(), [HostIndex(0)]);
    assert_eq!(scenario.offering("blog").count(), 0);
    assert_eq!(scenario.offering("nothing").count(), 0);
}

#[test]
fn loads_of_each_kind() {
    let open = format!("{BASE}{LOAD}rate = \"6/m\"\npacing = \"poisson\"\nstart = \"5s\"\n");
    let closed = "[[load]]\nname = \"c\"\nkind = \"closed\"\ncallers = 10\ncalls = 500\nthink = \"100ms\"\nfrom = \"main-a\"\nby = \"service\"\nservice = \"echo\"\nmethod = \"x\"\nstop = \"1m\"\n";
    let scenario = read(&format!("{open}{closed}"));
    let [open, closed] = scenario.loads.as_slice() else { panic!("two loads") };
    let Arrival::Open { rate, pacing: Pacing::Poisson } = open.arrival else { panic!("open, poisson") };
    assert_eq!(rate.interval(), secs(10));
    assert_eq!((open.start, open.stop), (secs(5), secs(600)));
    assert_eq!((open.call.timeout, open.call.payload.bytes()), (secs(10), 64));
    let Target::Node(to) = &open.target else { panic!("by node") };
    assert_eq!(names(&scenario.topology, to.hosts()), ["home-1", "home-2"]);
    let think = Duration::from_millis(100);
    assert_eq!(closed.arrival, Arrival::Closed { callers: 10, think, calls: Some(500) });
    assert_eq!((&closed.target, closed.stop), (&Target::Service, secs(60)));
}

#[test]
fn the_last_link_rule_that_names_a_value_wins() {
    let text = r#"
        [network]
        latency = "1ms"
        [[link]]
        from = "home-*"
        to = "main-a"
        latency = "2ms"
        loss = "1%"
        [[link]]
        from = "home-2"
        to = "*"
        one_way = true
        latency = "3ms"
    "#;
    let scenario = read(&format!("{BASE}{text}"));
    let quality = |from: &str, to: &str| {
        let find = |name| scenario.topology.hosts.find(name).expect("a host");
        let quality = scenario.network.quality(find(from), find(to));
        (quality.latency.as_millis(), quality.loss.to_string())
    };
    assert_eq!(quality("home-1", "home-2"), (1, "0%".to_owned()));
    assert_eq!(quality("home-1", "main-a"), (2, "1%".to_owned()));
    assert_eq!(quality("main-a", "home-2"), (2, "1%".to_owned()), "both ways, and the second one way");
    assert_eq!(quality("home-2", "main-a"), (3, "1%".to_owned()), "value by value");
}

#[test]
fn settings_and_gates() {
    let text = format!(
        "{BASE}{LOAD}rate = \"1/s\"\n[node]\nheartbeat = \"3s\"\ndrain = \"0s\"\n[gates]\nconvergence = \"20s\"\nsuccess = \"99.9%\"\np99 = \"1s\"\nmax_hops = 3\nmin_calls = 1000\n"
    );
    let scenario = read(&text);
    assert_eq!((scenario.node.heartbeat, scenario.node.drain), (Some(secs(3)), Some(Duration::ZERO)));
    assert_eq!(scenario.node.backoff_cap, None, "left to the node");
    assert_eq!(scenario.gates.convergence, Some(secs(20)));
    assert_eq!(scenario.gates.success.map(|share| share.to_string()), Some("99.9%".to_owned()));
    assert_eq!((scenario.gates.latency.p99, scenario.gates.latency.p50), (Some(secs(1)), None));
    assert_eq!((scenario.gates.max_hops, scenario.gates.min_calls), (Some(3), Some(1000)));
}

#[test]
fn a_load_has_a_priority_and_gates_of_its_own() {
    let gates = "goodput = \"9/s\"\navailability = \"90%\"\np90 = \"1s\"\nfails_within = \"2s\"\nfails_with = [-32007, -32003]\n";
    let text = format!(
        "{BASE}{LOAD}rate = \"10/s\"\npriority = -2\n[load.gates]\n{gates}[gates]\nreconnects = 0\nreconnects_per_second = 9\n"
    );
    let scenario = read(&text);
    let [load] = scenario.loads.as_slice() else { panic!("one load") };
    assert_eq!(load.call.priority, -2);
    assert_eq!(load.gates.goodput.map(|rate| rate.to_string()).as_deref(), Some("9/s"));
    assert_eq!((load.gates.latency.p90, load.gates.fails_within), (Some(secs(1)), Some(secs(2))));
    assert_eq!(load.gates.fails_with.as_deref(), Some([-32007, -32003].as_slice()));
    assert_eq!((load.gates.success, load.gates.availability.is_some()), (None, true));
    let ReconnectGates { total, per_second } = scenario.gates.reconnects;
    assert_eq!((total, per_second), (Some(0), Some(9)));
}

#[test]
fn a_generated_node_id_and_a_late_start() {
    let text = format!(
        "{BASE}[[home]]\nname = \"late\"\nmain = \"main-a\"\nnode_id = \"generated\"\nstart = \"20s\"\n"
    );
    let topology = read(&text).topology;
    let late = topology.hosts.get(topology.hosts.find("late").expect("it is there"));
    assert_eq!((late.node_id, late.start), (NodeId::Generated, secs(20)));
}

#[test]
fn messages_cost_what_the_host_says_or_else_what_all_do() {
    let text = format!(
        "[host]\ncpu = \"100us per message\"\ncores = 2\n{BASE}[[home]]\nname = \"slow\"\nmain = \"main-a\"\ncpu = \"1ms per message\"\n[[home]]\nname = \"free\"\nmain = \"main-a\"\ncpu = \"0s per message\"\n"
    );
    let hosts = read(&text).topology.hosts;
    let machine = |name| hosts.get(hosts.find(name).expect("it is there")).machine;
    let micros = |per_message, cores| Machine {
        per_message: Duration::from_micros(per_message),
        cores,
        ..Machine::default()
    };
    assert_eq!((machine("main-a"), machine("home-1")), (micros(100, 2), micros(100, 2)));
    assert_eq!((machine("slow"), machine("free")), (micros(1_000, 2), micros(0, 2)));
    assert_eq!(read(BASE).topology.hosts.get(HostIndex(0)).machine, Machine::default());
}

#[test]
fn faults_come_in_the_order_of_time() {
    let text = format!(
        "{BASE}[[fault]]\nat = \"5m\"\nkind = \"stop\"\nhost = \"main-a\"\n[[fault]]\nat = \"1m\"\nkind = \"crash\"\nhosts = [\"home-1\", \"home-2\"]\ndown = \"10s\"\n"
    );
    let faults = read(&text).faults;
    let words: Vec<_> = faults.iter().map(|fault| format!("{}s: {fault}", fault.at.as_secs())).collect();
    assert_eq!(
        words,
        ["60s: crash of home-1 and home-2 (kill), down for 10s", "300s: stop of main-a, down for good"]
    );
}

#[test]
fn a_rolling_restart_takes_one_host_after_the_other() {
    let text = format!(
        "{BASE}[[fault]]\nat = \"1m\"\nkind = \"rolling-restart\"\nhosts = \"home-*\"\ndown = \"10s\"\npause = \"20s\"\n"
    );
    let words: Vec<_> =
        read(&text).faults.iter().map(|fault| format!("{}s: {fault}", fault.at.as_secs())).collect();
    assert_eq!(words, ["60s: stop of home-1, down for 10s", "90s: stop of home-2, down for 10s"]);
}

#[test]
fn a_partition_that_flaps_is_cut_and_whole_in_turn() {
    let text = format!(
        "{BASE}[[fault]]\nat = \"1m\"\nkind = \"partition\"\nhosts = \"home-1\"\nlasts = \"25s\"\ncut = \"3s\"\nwhole = \"8s\"\n"
    );
    let cuts: Vec<_> = read(&text).faults.iter().map(Fault::active).collect();
    let cuts: Vec<_> = cuts.iter().map(|it| (it.start.as_secs(), it.end.unwrap().as_secs())).collect();
    assert_eq!(cuts, [(60, 63), (71, 74), (82, 85)]);
}

#[test]
fn a_fault_that_was_written_reads_the_same() {
    let hosts = Selector::new(["main-a"]);
    let from = Some(Selector::new(["home-1", "home-2"]));
    let partition = Partition { hosts, from, direction: Direction::Out, lasts: secs(90) };
    let written = Fault { at: secs(60), what: FaultKind::Partition(partition) };
    let text = format!("{BASE}[[fault]]\n{}", toml::to_string(&written).expect("it can be written"));
    let [read] = <[_; 1]>::try_from(read(&text).faults).expect("one fault");
    assert_eq!(read.map(|set| set.selector().clone()), written);
}

#[test]
fn a_main_may_speak_tls_and_its_certificate_expire() {
    let text = "[[main]]\nname = \"a\"\ntls = true\n[[main]]\nname = \"b\"\n[[fault]]\nat = \"1m\"\nkind = \"certificate-expires\"\nhost = \"a\"\nlasts = \"2m\"\n";
    let scenario = read(text);
    let tls: Vec<_> = scenario.topology.hosts.iter().map(|(_, host)| host.tls).collect();
    assert_eq!(tls, [true, false]);
    assert_eq!(scenario.faults[0].to_string(), "certificates of a expired, 2m");
    assert_eq!(scenario.faults[0].active().end, Some(secs(180)));
}

#[test]
fn names_stand_for_mains_from_their_time_on() {
    let text = "[[dns]]\nat = \"2m\"\nname = \"_relay._tcp.fed\"\ntargets = []\n[[dns]]\nname = \"_relay._tcp.fed.\"\ntargets = \"m-*\"\n[[main]]\nname = \"m\"\ncount = 2\n[[main]]\nname = \"n\"\npeers_srv = \"_relay._tcp.fed\"\n[[main]]\nname = \"o\"\npeers = \"n\"\npeers_srv = \"_relay._tcp.fed\"\n";
    let topology = read(text).topology;
    let dns: Vec<_> = topology
        .dns
        .iter()
        .map(|it| (it.at, it.name.as_str(), names(&topology, &it.targets).join(" ")))
        .collect();
    assert_eq!(
        dns,
        [(secs(0), "_relay._tcp.fed", "m-1 m-2".to_owned()), (secs(120), "_relay._tcp.fed", String::new())]
    );
    let role = |name| topology.hosts.get(topology.hosts.find(name).unwrap()).role.clone();
    let peers_srv = Some("_relay._tcp.fed".to_owned());
    assert_eq!(role("n"), Role::Main { peers: vec![], peers_srv: peers_srv.clone() });
    assert_eq!(role("o"), Role::Main { peers: vec![topology.hosts.find("n").unwrap()], peers_srv });
}

#[test]
fn selectors_give_each_host_once_in_order() {
    let hosts = read(BASE).topology.hosts;
    let select = |patterns: &[&str]| hosts.select(&Selector::new(patterns.iter().copied()));
    let all = select(&["home-2", "home-*", "main-a"]);
    assert_eq!(all.hosts(), [HostIndex(0), HostIndex(1), HostIndex(2)]);
    assert_eq!(all.to_string(), "home-2, home-* and main-a");
    assert!(all.contains(HostIndex(1)) && !select(&["home-2"]).contains(HostIndex(1)));
    assert!(select(&["nobody", "[", "x-*"]).hosts().is_empty());
}

#[test]
fn a_hundred_thousand_homes_are_read_at_once() {
    // In time that grows with the number of hosts; with its square this test would not end.
    let mut text = String::from("[[main]]\nname = \"m\"\ncount = 100\n");
    for group in 0..90 {
        let _ = write!(text, "[[home]]\nname = \"h{group}\"\ncount = 1000\nmain = \"m-*\"\n");
    }
    let scenario = read(&text);
    assert_eq!(scenario.topology.hosts.len(), 90_100);
    assert_eq!(scenario.topology.hosts.select(&Selector::from("h7-*")).hosts().len(), 1000);
}

#[test]
fn faults_of_the_network_are_read_as_they_are_written() {
    let text = format!(
        "{BASE}{}",
        r#"
[[fault]]
at = "1m"
kind = "link"
from = "home-1"
to = "main-a"
one_way = true
shape = "pareto"
queue = "64KiB"
duplicate = "1%"
reorder = "2%"
corrupt = "3%"
lasts = "10s"
[[fault]]
at = "2m"
kind = "streams"
from = "home-*"
to = "main-a"
trouble = "stall"
share = "50%"
lasts = "5s"
[[fault]]
at = "3m"
kind = "streams"
from = "home-*"
to = "main-a"
trouble = "reset"
[[fault]]
at = "4m"
kind = "nat"
hosts = "home-1"
change = "move"
[[fault]]
at = "5m"
kind = "dns"
hosts = "home-*"
answer = "silence"
lasts = "30s"
[[fault]]
at = "6m"
kind = "descriptors"
hosts = "main-a"
limit = 10
"#
    );
    let faults = read(&text).faults;
    let words: Vec<String> = faults.iter().map(Fault::to_string).collect();
    assert_eq!(
        words,
        [
            "links of home-1 to main-a: pareto jitter, queue 64KiB, 1% duplicated, 2% reordered, 3% corrupted, 10s",
            "50% of streams between home-* and main-a stall, 5s",
            "streams between home-* and main-a are reset",
            "NAT of home-1 gets another address",
            "name servers do not answer home-*, 30s",
            "at most 10 file descriptors on main-a",
        ]
    );
    let ends: Vec<_> = faults.iter().map(|fault| fault.active().end.map(|end| end.as_secs())).collect();
    assert_eq!(ends, [Some(70), Some(125), Some(180), Some(240), Some(330), None]);
}

#[test]
fn a_home_says_what_nat_it_is_behind() {
    let text = format!(
        "{BASE}[[home]]\nname = \"mobile\"\nmain = \"main-a\"\nnat = \"symmetric\"\nnat_mapping = \"30s\"\nhairpin = true\n"
    );
    let topology = read(&text).topology;
    let nat = |name: &str| topology.hosts.get(topology.hosts.find(name).unwrap()).nat;
    assert_eq!(nat("home-1"), Nat::default());
    assert_eq!(nat("mobile"), Nat { kind: NatKind::Symmetric, mapping: secs(30), hairpin: true });
}
