use super::*;
use relay_chaos::plan::Family;

fn campaign() -> Campaign {
    Campaign {
        duration: Duration::from_secs(600),
        appetite: Appetite { failure_rate: "10%".parse().unwrap(), families: Family::all().collect() },
        source: World::Drawn(Bounds { mains: 3, homes: 6 }),
    }
}

#[test]
fn the_plans_of_500_seeds_are_scenarios() {
    let campaign = campaign();
    for seed in 0..500 {
        let drawn = campaign.draw(seed).unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
        assert_eq!(drawn.scenario.faults.len(), drawn.plan.faults.len(), "seed {seed}");
        for (read, written) in drawn.scenario.faults.iter().zip(&drawn.plan.faults) {
            let read = read.clone().map(|set| set.selector().clone());
            assert_eq!(&read, written, "seed {seed}: what is written is what is read");
        }
        assert_eq!(drawn.scenario.run.seed, seed);
        let again = campaign.draw(seed).unwrap();
        assert_eq!(again.scenario.source.text, drawn.scenario.source.text, "seed {seed}");
    }
}

#[test]
fn everything_that_was_drawn_stands_at_the_top() {
    let drawn = campaign().draw(3).unwrap();
    let notes: Vec<&str> = notes(&drawn.scenario).collect();
    for name in [
        "seed 3",
        "Mains:",
        "Homes:",
        "network:",
        "settings:",
        "cpu:",
        "peers:",
        "loads:",
        "families on:",
        "host-time under faults:",
        "faults:",
        "phases: forms until 20s, safety until 7m, liveness until 10m",
    ] {
        assert!(notes.iter().any(|line| line.contains(name)), "{name} in {notes:?}");
    }
}

#[test]
fn a_federation_does_not_change_with_the_families_that_are_allowed() {
    let all = campaign();
    let mut one = campaign();
    one.appetite.families = vec!["kill".parse().unwrap()];
    for seed in 0..20 {
        let (all, one) = (all.draw(seed).unwrap().scenario, one.draw(seed).unwrap().scenario);
        assert_eq!(all.topology, one.topology);
        assert_eq!(all.loads, one.loads);
        assert_eq!(all.network, one.network);
    }
}

/// Nobody who calls by service offers it: it would answer itself, and nothing would cross the network.
fn crosses(scenario: &Scenario) -> bool {
    let offers = |service: &str, host| scenario.offering(service).any(|it| it == host);
    let mut by_service = scenario.loads.iter().filter(|load| load.target == crate::scenario::Target::Service);
    by_service.all(|load| load.from.hosts().iter().all(|host| !offers(&load.call.service, *host)))
}

#[test]
fn calls_by_service_cross_the_network() {
    for seed in 0..200 {
        let drawn = campaign().draw(seed).unwrap();
        assert!(crosses(&drawn.scenario), "seed {seed}: {}", drawn.scenario.source.text);
        let news = drawn.scenario.loads.iter().find(|load| load.name == "after-heal").unwrap();
        assert!(!news.from.hosts().is_empty() && news.target == crate::scenario::Target::Service);
    }
    let lonely = Campaign { source: World::Drawn(Bounds { mains: 2, homes: 1 }), ..campaign() };
    assert!((0..20).all(|seed| crosses(&lonely.draw(seed).unwrap().scenario)), "then Mains call");
    let drawn = campaign().draw(3).unwrap();
    let run = crate::execute::execute(&drawn.scenario, &crate::execute::Settings::default());
    let place = drawn.scenario.loads.iter().position(|load| load.name == "after-heal").unwrap();
    let stats = &run.record.loads[place];
    assert!(stats.succeeded > 0, "{}", drawn.scenario.source.text);
    let paths = stats.samples.slowest.iter().map(|sample| sample.outcome.path().len());
    assert!(paths.clone().all(|nodes| nodes > 1), "{:?}", paths.collect::<Vec<_>>());
}

const BASE: &str = r#"
name = "mine"
duration = "3m"
[[service]]
name = "echo"
kind = "echo"
[[main]]
name = "hub"
[[home]]
name = "h"
count = 2
main = "hub"
services = ["echo"]
[[load]]
name = "calls"     # as ever
from = "h-*"
to = "h-*"
service = "echo"
method = "echo"
rate = "2/s"
start = "5s"
stop = "2m"
[load.gates]
p99 = "1ms"
[[fault]]
at = "1m"
kind = "crash"
host = "hub"
[gates]
success = "100%"
"#;

#[test]
fn a_scenario_of_ones_own_keeps_its_federation_and_gets_other_faults() {
    let scenario = Scenario::load("mine.toml", BASE).unwrap();
    let base = Base::new(scenario).unwrap();
    let campaign = Campaign { source: World::Given(Box::new(base)), ..campaign() };
    let drawn = campaign.draw(5).unwrap();
    let scenario = &drawn.scenario;
    assert_eq!(scenario.name, "mine-chaos-5");
    assert_eq!(scenario.topology.hosts.len(), 3);
    let names: Vec<&str> = scenario.loads.iter().map(|load| load.name.as_str()).collect();
    assert_eq!(names, ["calls", "calls-after-heal"]);
    assert_eq!(scenario.loads[0].gates, crate::scenario::LoadGates::default(), "its own would not hold");
    assert!(scenario.loads[1].start > drawn.plan.phases.heal);
    assert!(scenario.loads[1].gates.availability.is_some());
    assert!(scenario.source.text.contains("# as ever"), "comments stay");
    assert!(scenario.faults.iter().all(|fault| fault.active().end.is_some()), "the old fault is gone");

    let quiet = BASE.split("[[load]]").next().unwrap();
    let error = Base::new(Scenario::load("quiet.toml", quiet).unwrap()).unwrap_err();
    assert!(error.to_string().contains("no [[load]]"), "{error}");
}

/// Every scenario of the repository.
#[expect(clippy::disallowed_methods, reason = "the test is about files")]
fn all_scenarios() -> Vec<Scenario> {
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")];
    let mut scenarios = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().expect("the folder is readable") {
            let path = entry.expect("the entry is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "toml") {
                let text = std::fs::read_to_string(&path).expect("the file is readable");
                scenarios.push(Scenario::load(&path.display().to_string(), &text).unwrap());
            }
        }
    }
    scenarios
}

#[test]
fn chaos_and_load_go_over_every_scenario_of_the_repository() {
    let closed = ClosedLoop {
        calls: 100,
        callers: 5,
        payload: relay_chaos::ByteSize::from_bytes(64),
        duration: Duration::from_secs(60),
    };
    let mut count = 0;
    // Where nothing is offered there is nothing to call.
    let offering = |scenario: &Scenario| !scenario.topology.services.is_empty();
    for scenario in all_scenarios().into_iter().filter(offering) {
        count += 1;
        let (file, set) = (scenario.source.name.clone(), scenario.source.set().collect::<Vec<_>>());
        let text = closed.over(&scenario).unwrap_or_else(|error| panic!("{file}: {error}"));
        let over = Scenario::load_with("load.toml", &text, &settings_left(&set, &text));
        let over = over.unwrap_or_else(|error| panic!("load over {file}: {:?}", miette::Report::new(error)));
        let base = Base::new(scenario).unwrap_or_else(|error| panic!("{file}: {error}"));
        let campaign = Campaign { source: World::Given(Box::new(base)), ..campaign() };
        let drawn = campaign.draw(1).unwrap_or_else(|error| panic!("chaos over {file}: {error:?}"));
        for scenario in [&over, &*drawn.scenario] {
            let asked = &scenario.gates.asked;
            assert!(asked.gates.is_empty() && asked.sometimes.is_empty(), "{file}");
            assert!(asked.expected.is_empty() && asked.failures.is_empty(), "{file}");
            assert!(scenario.topology.upgrades.is_empty(), "{file}");
        }
        assert!(drawn.scenario.loads.iter().any(|load| load.name.ends_with("-after-heal")), "{file}");
    }
    assert!(count > 20, "{count} scenarios");
}

#[test]
fn a_drawn_run_with_a_crash_puts_durability_to_the_test() {
    let mut campaign = campaign();
    campaign.duration = Duration::from_secs(300);
    campaign.appetite.families = vec!["kill".parse().unwrap()];
    let drawn = (1..50)
        .map(|seed| campaign.draw(seed).unwrap())
        .find(|drawn| drawn.plan.faults.iter().any(|fault| fault.what.name() == "crash"))
        .expect("some seed has a crash");
    let run = crate::execute::execute(&drawn.scenario, &crate::execute::Settings::default());
    let mut results = run.record.invariants.results();
    let (_, findings) = results.find(|(it, _)| it.name() == "restart-durability").unwrap();
    assert!(findings.checked > 0, "nothing was checked");
}
