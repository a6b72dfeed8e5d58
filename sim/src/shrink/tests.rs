use super::*;
use crate::scenario::Scenario;

const LARGE: &str = r#"name = "large"
duration = "10m"

[network]
latency = "5ms"

[[service]]
name = "echo"
kind = "echo"

[[service]]
name = "shop"
kind = "http"

[[main]]
name = "main-a"
tls = true

[[main]]
name = "main-b"

[[home]]
name = "home-a"
count = 3
main = "main-a"
fallback = ["main-b"]
services = ["echo", "shop"]

[[home]]
name = "home-b"
main = ["main-b", "main-a"]
services = ["echo"]

[[load]]
name = "calls"
from = "home-*"
to = ["home-a-1", "home-b"]
service = "echo"
method = "echo"
rate = "1/s"

[[load]]
name = "shopping"
from = "home-*"
by = "service"
service = "shop"
method = "buy"
rate = "1/s"
[load.gates]
success = "100%"

[[fault]]
at = "2m"
kind = "partition"
hosts = ["main-b", "home-b"]
lasts = "90s"

# This one matters.
[[fault]]
at = "4m"
kind = "crash"
hosts = ["main-a", "main-b"]
down = "60s"

[[fault]]
at = "6m"
kind = "stop"
host = "home-a-2"
down = "10s"

[gates]
convergence = "20s"
success = "100%"
"#;

/// Proves by looking at the model.
struct Looks<F> {
    fails: F,
    tried: usize,
    limit: usize,
}

impl<F: Fn(&Scenario) -> bool> Prover for Looks<F> {
    fn first_that_fails(&mut self, texts: &[String]) -> Verdict {
        for (number, text) in texts.iter().enumerate() {
            self.tried += 1;
            if self.tried > self.limit {
                return Verdict::Stop;
            }
            if Scenario::load("small.toml", text).is_ok_and(|scenario| (self.fails)(&scenario)) {
                return Verdict::Fails(number);
            }
        }
        Verdict::NoneFails
    }

    fn step(&mut self, _: &str, _: Size) {}
}

fn small(fails: impl Fn(&Scenario) -> bool) -> (Shrunk, Scenario) {
    let mut prover = Looks { fails, tried: 0, limit: 10_000 };
    let shrunk = shrink(LARGE, &mut prover).unwrap();
    let scenario = Scenario::load("small.toml", &shrunk.text).unwrap();
    assert!((prover.fails)(&scenario));
    (shrunk, scenario)
}

/// Whether a host called so crashes.
fn crashes(scenario: &Scenario, name: &str) -> bool {
    let host = scenario.topology.hosts.find(name);
    scenario.faults.iter().any(|fault| {
        fault.what.name() == "crash" && host.is_some_and(|host| fault.what.hosts().contains(host))
    })
}

#[test]
fn one_crash_of_one_main_is_all_that_is_left() {
    let (shrunk, scenario) = small(|scenario| crashes(scenario, "main-a"));
    assert!(shrunk.is_minimal);
    assert_eq!((scenario.faults.len(), scenario.topology.hosts.len(), scenario.loads.len()), (1, 1, 0));
    assert!(
        scenario.faults[0].active().end.unwrap() - scenario.faults[0].at < std::time::Duration::from_secs(1)
    );
    assert!(scenario.run.duration < std::time::Duration::from_secs(60), "{}", shrunk.text);
    assert!(shrunk.text.contains("# This one matters."), "comments stay: {}", shrunk.text);
    assert!(size_of(&shrunk.text).lines < 12, "{}", shrunk.text);
}

#[test]
fn what_is_needed_together_stays_and_whose_main_is_gone_moves() {
    let (_, scenario) = small(|scenario| {
        crashes(scenario, "main-b")
            && scenario.loads.iter().any(|load| load.name == "shopping")
            && scenario.offering("shop").count() > 1
    });
    let hosts: Vec<&str> = scenario.topology.hosts.iter().map(|(_, host)| host.name.as_str()).collect();
    assert_eq!(hosts, ["main-b", "home-a-1", "home-a-2"]);
    assert_eq!((scenario.faults.len(), scenario.loads.len()), (1, 1));
}

#[test]
fn no_step_makes_a_scenario_ask_for_more() {
    let original = Scenario::load("large.toml", LARGE).unwrap();
    let longest =
        |scenario: &Scenario| scenario.faults.iter().map(|it| it.active().end.unwrap() - it.at).max();
    small(|scenario| {
        assert!(longest(scenario) <= longest(&original));
        assert!(scenario.run.duration <= original.run.duration);
        let home = scenario.topology.hosts.iter().find(|(_, host)| host.name.starts_with("home-a"));
        let mains = scenario.topology.hosts.iter().filter(|(_, host)| host.is_main()).count();
        if let (Some((_, home)), 2) = (home, mains) {
            let crate::scenario::Role::Home { fallback, .. } = &home.role else { panic!("a Home") };
            assert_eq!(fallback.len(), 1, "a fallback is not left out while its Main is there");
        }
        scenario.loads.iter().any(|load| load.name == "calls")
    });
}

#[test]
fn a_search_that_is_stopped_keeps_what_it_has() {
    let mut prover = Looks { fails: |scenario: &Scenario| crashes(scenario, "main-a"), tried: 0, limit: 3 };
    let shrunk = shrink(LARGE, &mut prover).unwrap();
    assert!(!shrunk.is_minimal);
    assert!(crashes(&Scenario::load("small.toml", &shrunk.text).unwrap(), "main-a"));
}

/// With all the ways to name hosts that there are.
const SHORT_HAND: &str = r#"name = "short-hand"

[params]
homes = { default = 6, min = 2 }
hit = 2
rate = { default = "1/s", type = "rate" }

[groups]
shaky = ["main-1", "main-1/*"]
spared = ["homes", "!@shaky"]
also-spared = ["@spared"]

[template.calls]
service = "echo"
method = "echo"
rate = "${rate}"

[[service]]
name = "echo"
kind = "echo"

[[main]]
name = "main"
count = 3

[[home]]
name = "home"
count = "${homes}"
main = "mains"
fallback = ["mains"]
services = ["echo"]

[[home]]
name = "extra"
main = ["!main-1"]
services = ["echo"]

[[load]]
name = "everyone"
use = "calls"
from = ["homes", "!extra"]
to = ["home-*"]

[[load]]
name = "of-one-main"
use = "calls"
from = "main-2/*"
to = "@also-spared"

[[fault]]
at = "2m"
kind = "crash"
hosts = ["@shaky"]
down = "20s"

[[fault]]
at = "4m"
kind = "crash"
hosts = "main-${hit}"
down = "20s"

[[phase]]
name = "calm"
lasts = "10m"

[[gate]]
name = "spared"
metric = "latency"
load = "of-one-main"
of = ["homes", "!@shaky"]
at_most = "500ms"

[[sometimes]]
what = "restart"
of = "@shaky"

[gates]
success = "99%"
"#;

#[test]
fn who_is_meant_is_looked_up_as_in_any_scenario() {
    let original = Scenario::load("large.toml", SHORT_HAND).unwrap();
    let text = written_out(SHORT_HAND, &original.source.parameters).unwrap();
    assert!(!text.contains("${") && text.contains("count = 6") && text.contains("rate = \"1/s\""), "{text}");
    assert_eq!(size_of(&text).hosts, 10);
    for (name, wanted) in [("main-1", "of-one-main"), ("main-2", "everyone"), ("home-1", "")] {
        let fails = |scenario: &Scenario| {
            crashes(scenario, name)
                && (wanted.is_empty() || scenario.loads.iter().any(|load| load.name == wanted))
        };
        let mut prover = Looks { fails, tried: 0, limit: 100_000 };
        let shrunk = shrink(&text, &mut prover).unwrap();
        let scenario = Scenario::load("small.toml", &shrunk.text).unwrap_or_else(|error| panic!("{error}"));
        assert!(crashes(&scenario, name) && shrunk.is_minimal, "{}", shrunk.text);
        assert_eq!(
            (scenario.faults.len(), scenario.loads.len()),
            (1, usize::from(!wanted.is_empty())),
            "{}",
            shrunk.text
        );
        assert!(scenario.topology.hosts.len() < 6, "{name}: {}", shrunk.text);
        assert!(scenario.gates.asked.gates.is_empty() && scenario.gates.asked.sometimes.is_empty());
        assert!(wanted.is_empty() != shrunk.text.contains("[template"), "{}", shrunk.text);
    }
}

#[test]
fn what_nobody_proved_is_no_result() {
    let mut prover = Looks { fails: |_: &Scenario| false, tried: 0, limit: 10_000 };
    let odd = LARGE.replace("\"main-b\", \"home-b\"", "\"main-b\", \"nobody\"");
    assert_eq!(shrink(&odd, &mut prover).unwrap().text, odd);
}
