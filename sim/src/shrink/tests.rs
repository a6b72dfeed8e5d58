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
