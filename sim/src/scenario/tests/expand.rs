//! Parameters, templates, phases, repeated faults, groups and selectors, written out.

use std::time::Duration;

use super::super::{Load, Parameter, Phase, Scenario};
use super::{BASE, LOAD, problems};

fn read(text: &str) -> Scenario {
    read_with(text, &[])
}

fn read_with(text: &str, set: &[(&str, &str)]) -> Scenario {
    let set: Vec<_> = set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Scenario::load_with("x.toml", text, &set).unwrap_or_else(|error| panic!("{}", problems(&error)))
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The names of the hosts that a load's `from` stands for.
fn callers(load: &Load, scenario: &Scenario) -> Vec<String> {
    load.from.hosts().iter().map(|host| scenario.topology.hosts.get(*host).name.clone()).collect()
}

const PARAMS: &str = r#"
description = "${homes} Homes, $${not} one, losing ${loss}"
duration = "${minutes}m"
[params]
homes = { default = 6, min = 1, about = "so many Homes" }
loss = "0.1%"
minutes = 3
tls = false
[network]
loss = "${loss}"
[[main]]
name = "main"
tls = "${tls}"
[[home]]
name = "home"
count = "${homes}"
main = ["main"]
"#;

#[test]
fn parameters_stand_wherever_a_value_may() {
    let scenario = read(PARAMS);
    assert_eq!(scenario.description, "6 Homes, ${not} one, losing 0.1%");
    assert_eq!((scenario.run.duration, scenario.topology.hosts.len()), (secs(180), 7));
    let set = read_with(PARAMS, &[("homes", "100"), ("tls", "true"), ("minutes", "5"), ("minutes", "4")]);
    assert_eq!((set.run.duration, set.topology.hosts.len()), (secs(240), 101));
    assert!(set.topology.hosts.iter().any(|(_, host)| host.tls), "it keeps its type");
    let homes = Parameter { name: "homes".into(), value: "100".into(), is_set: true };
    assert_eq!(set.source.parameters[0], homes);
    let loss = Parameter { name: "loss".into(), value: "0.1%".into(), is_set: false };
    assert_eq!(set.source.parameters[1], loss);
}

#[test]
fn own_keys_win_over_those_of_templates_and_early_templates_over_late_ones() {
    let text = r#"
        [template.load]
        use = "calls"
        rate = "1/s"
        from = "home-1"
        [template.load.gates]
        p99 = "1s"
        p50 = "1s"
        [template.calls]
        rate = "9/s"
        to = "home-*"
        service = "echo"
        method = "echo"
        [template.big]
        rate = "8/s"
        payload = "4KiB"
        [[load]]
        name = "a"
        use = ["load", "big"]
        [load.gates]
        p50 = "50ms"
    "#;
    let scenario = read(&format!("{BASE}{text}"));
    let [load] = scenario.loads.as_slice() else { panic!("one load") };
    let super::super::Arrival::Open { rate, .. } = load.arrival else { panic!("an open load") };
    assert_eq!((rate.to_string(), load.call.payload.bytes()), ("1/s".into(), 4096));
    assert_eq!(
        (load.gates.latency.p99, load.gates.latency.p50),
        (Some(secs(1)), Some(Duration::from_millis(50)))
    );
}

#[test]
fn times_count_from_the_start_of_their_phase() {
    let text = r#"rate = "1/s"
        phase = "storm"
        stop = "30s"
        [[phase]]
        name = "calm"
        lasts = "2m"
        [[phase]]
        name = "storm"
        lasts = "1m"
        [[load]]
        name = "all-along"
        from = "home-1"
        by = "service"
        service = "echo"
        method = "echo"
        phase = "storm"
        callers = 1
        kind = "closed"
        [[fault]]
        phase = "storm"
        kind = "stop"
        host = "main-a"
        at = "5s"
        down = "10s"
        [[fault]]
        phase = "storm"
        kind = "partition"
        hosts = "home-1"
        lasts = "1s"
        every = "20s"
    "#;
    let scenario = read(&format!("{BASE}{LOAD}{text}"));
    let storm = Phase { name: "storm".into(), start: secs(120), end: secs(180) };
    assert_eq!((scenario.run.phases.last(), scenario.run.duration), (Some(&storm), secs(180)));
    let times: Vec<_> = scenario.loads.iter().map(|load| (load.start, load.stop)).collect();
    assert_eq!(times, [(secs(120), secs(150)), (secs(120), secs(180))]);
    let at: Vec<_> = scenario.faults.iter().map(|fault| fault.at).collect();
    assert_eq!(at, [secs(120), secs(125), secs(140), secs(160)]);
}

#[test]
fn faults_repeat_so_many_times_or_until_a_time() {
    let fault = |more: &str| {
        let text = format!(
            "{BASE}[[fault]]\nat = \"1m\"\nkind = \"crash\"\nhost = \"home-1\"\ndown = \"1s\"\nevery = \"2m\"\n{more}"
        );
        read(&text).faults.iter().map(|fault| fault.at.as_secs() / 60).collect::<Vec<_>>()
    };
    assert_eq!(fault(""), [1, 3, 5, 7, 9], "to the end of the run");
    assert_eq!(fault("times = 2"), [1, 3]);
    assert_eq!(fault("until = \"5m\""), [1, 3]);
    assert_eq!(fault("until = \"5m1s\""), [1, 3, 5]);
}

#[test]
fn a_profile_is_placed_where_its_load_is() {
    let text = r#"start = "10s"
        profile = [
            { kind = "constant", rate = "1/s", lasts = "10s" },
            { kind = "ramp", to = "5/s", lasts = "20s" },
            { kind = "steps", rates = ["5/s", "9/s"], each = "30s" },
            { kind = "burst", calls = 3, every = "1s", lasts = "5s" },
            { kind = "wave", low = "1/s", high = "2/s", period = "1m", lasts = "1m" },
            { kind = "pause" },
        ]
    "#;
    let at = |scenario: &Scenario| {
        let super::super::Arrival::Profile(profile) = &scenario.loads[0].arrival else { panic!("a profile") };
        let ends = profile.segments.iter().map(|segment| segment.window.to.as_secs());
        (ends.collect::<Vec<_>>(), profile.segments[1].shape, scenario.loads[0].stop)
    };
    let rate = |text: &str| Some(text.parse().unwrap());
    let shape = super::super::Shape::Ramp(rate("1/s"), rate("5/s"));
    let to_the_end = at(&read(&format!("{BASE}{LOAD}{text}")));
    assert_eq!(to_the_end, (vec![20, 40, 70, 100, 105, 165, 600], shape, secs(600)));
    let text = text.replace("{ kind = \"pause\" }", "{ kind = \"pause\", lasts = \"15s\" }");
    assert_eq!(at(&read(&format!("{BASE}{LOAD}{text}"))).2, secs(180), "the load ends with its profile");
    let few = format!("{BASE}{LOAD}{text}\n[gates]\nmin_calls = 1080");
    read(&few);
    let many = few.replace("1080", "1200");
    assert!(Scenario::load("x.toml", &many).is_err(), "the calls of a profile are known");
}

#[test]
fn selectors_name_hosts_by_kind_group_main_and_what_they_are_not() {
    let hosts = r#"
        [groups]
        edge = ["main-b/*", "@corner"]
        corner = "home-1"
        [[main]]
        name = "main-b"
        peers = "!main-c"
        [[main]]
        name = "main-c"
        peers = ["mains"]
        [[home]]
        name = "far"
        count = 2
        main = ["mains", "!main-a", "!main-c"]
        services = ["echo"]
    "#;
    let from = |selector: &str| {
        let load = LOAD.replace("from = \"home-*\"", &format!("from = {selector}"));
        let scenario = read(&format!("{BASE}{load}rate = \"1/s\"\n{hosts}"));
        callers(&scenario.loads[0], &scenario).join(" ")
    };
    assert_eq!(from("\"homes\""), "home-1 home-2 far-1 far-2");
    assert_eq!(from("\"mains\""), "main-a main-b main-c");
    assert_eq!(from("\"main-a/*\""), "home-1 home-2");
    assert_eq!(from("\"main-*/*-2\""), "home-2 far-2");
    assert_eq!(from("\"@edge\""), "home-1 far-1 far-2");
    assert_eq!(from("\"!mains\""), "home-1 home-2 far-1 far-2");
    assert_eq!(from("[\"!@edge\", \"homes\"]"), "home-2");
    assert_eq!(from("[\"!main-b/*\", \"!mains\"]"), "home-1 home-2");
    let named = read(&format!(
        "{BASE}{LOAD}rate = \"1/s\"\n{hosts}\n[[home]]\nname = \"homes\"\nmain = \"main-a\"\n"
    ));
    assert_eq!(named.topology.hosts.matching("homes").unwrap().len(), 1, "a host of that name goes first");
    let set = named.topology.hosts.select(&relay_chaos::Selector::new(["!far-*", "homes", "@edge"]));
    assert_eq!(set.hosts().len(), 2);
}
