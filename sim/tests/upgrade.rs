//! Configurations that change while the federation runs.

use std::sync::Arc;

use relay_sim::execute::{Execution, Settings, Verdict, execute};
use relay_sim::scenario::Scenario;

const BASE: &str = r#"
duration = "5m"
[node]
drain = "2s"
[[service]]
name = "echo"
kind = "echo"
[[service]]
name = "shop"
kind = "http"
[[main]]
name = "main"
count = 2
[[home]]
name = "home"
count = 4
main = "mains"
services = ["echo"]
[[load]]
name = "calls"
from = "homes"
to = "homes"
service = "echo"
method = "echo"
rate = "2/s"
start = "10s"
timeout = "3s"
[gates]
convergence = "20s"
success = "100%"
"#;

fn run(rest: &str, seed: u64) -> Execution {
    let text = format!("{BASE}{rest}");
    let scenario = Scenario::load("upgrade.toml", &text)
        .unwrap_or_else(|error| panic!("{:?}", miette::Report::new(error)));
    execute(&Arc::new(scenario), &Settings { seed: Some(seed), ..Settings::default() })
}

fn failing(run: &Execution) -> Vec<String> {
    run.gates.iter().filter(|gate| !gate.holds).map(relay_sim::gates::Gate::title).collect()
}

/// The lines of the timeline that speak of upgrades.
fn story(run: &Execution) -> Vec<String> {
    let lines = run.record.timeline.kept.iter().filter(|line| line.kind == "upgrade");
    lines.map(|line| format!("{} {}", line.at.as_secs(), line.text)).collect()
}

const NEW_SERVICE: &str = r#"
[[upgrade]]
name = "open-the-shop"
at = "1m"
hosts = "homes"
batch = "50%"
down = "4s"
pause = "20s"
services = ["echo", "shop"]
[[load]]
name = "shopping"
from = "home-1"
to = ["home-3", "home-4"]
service = "shop"
method = "buy"
rate = "2/s"
start = "10s"
expect = [{ codes = [-32001], to = "84s", at_least = "90%" }]
[load.gates]
success = "100%"
[[gate]]
name = "the-shop-is-open"
metric = "success"
load = "shopping"
from = "2m"
at_least = "100%"
[[sometimes]]
what = "restart"
times = 4
[[sometimes]]
what = "upgrade-done"
"#;

#[test]
fn hosts_come_back_with_another_configuration_batch_by_batch() {
    let run = run(NEW_SERVICE, 1);
    assert_eq!((failing(&run), run.verdict()), (Vec::new(), Verdict::Passed), "{:#?}", run.gates);
    assert_eq!(
        story(&run),
        [
            "60 stop of home-1 and home-2, down for 4s",
            "84 stop of home-3 and home-4, down for 4s",
            "108 open-the-shop: every host has it",
        ]
    );
}

#[test]
fn a_crash_after_an_upgrade_starts_the_new_configuration() {
    let text = format!(
        "{NEW_SERVICE}[[fault]]\nat = \"150s\"\nkind = \"crash\"\nhost = \"home-3\"\ndown = \"5s\"\n"
    );
    let run = run(&text.replace("times = 4", "times = 5"), 2);
    assert_eq!(failing(&run), Vec::<String>::new(), "{:#?}", run.gates);
}

/// A limit that is far too low, found out by the errors of those who have it.
const MISTAKE: &str = r#"
[[upgrade]]
name = "strict"
at = "1m"
hosts = "mains"
down = "3s"
pause = "40s"
abort_on = "few-refusals"
[upgrade.node]
home_calls_per_second = 1
[[gate]]
name = "few-refusals"
metric = "availability"
window = "30s"
from = "20s"
at_least = "80%"
[[sometimes]]
what = "upgrade-aborted"
[[gate]]
name = "well-in-the-end"
metric = "availability"
from = "3m"
at_least = "99%"
"#;

fn mistake(on_abort: &str) -> Execution {
    let text = MISTAKE.replace("abort_on =", &format!("on_abort = \"{on_abort}\"\nabort_on ="));
    run(&text, 3)
}

#[test]
fn an_upgrade_that_breaks_its_gate_goes_no_further() {
    let run = mistake("stop");
    let story = story(&run);
    assert_eq!(story[0], "60 stop of main-1, down for 3s");
    assert!(story[1].contains("strict goes no further: the gate few-refusals does not hold"), "{story:?}");
    assert_eq!(story.len(), 2, "main-2 is spared: {story:?}");
    let failing = failing(&run);
    assert!(
        failing.contains(&"few-refusals".to_owned()) && failing.contains(&"well-in-the-end".to_owned()),
        "{failing:?}"
    );
}

#[test]
fn an_upgrade_that_is_rolled_back_leaves_all_well() {
    let run = mistake("roll-back");
    let story = story(&run);
    assert!(story[1].contains("strict goes back: the gate few-refusals does not hold"), "{story:?}");
    assert!(story[2].contains("strict goes back: stop of main-1"), "{story:?}");
    let failing = failing(&run);
    assert!(!failing.contains(&"well-in-the-end".to_owned()), "{failing:?}: {:#?}", run.gates);
    assert!(!failing.contains(&"convergence".to_owned()), "{failing:?}");
}

#[test]
fn an_upgrade_repeats_event_by_event() {
    let hash = |on_abort| mistake(on_abort).trace.hash();
    assert_eq!(hash("roll-back"), hash("roll-back"));
}

/// Homes are moved to the second Main, which breaks a gate that nobody can hold.
const MOVE: &str = r#"
[[upgrade]]
name = "move"
at = "1m"
hosts = ["home-1", "home-3"]
down = "4s"
pause = "30s"
main = "main-2"
[[gate]]
name = "where-they-are"
metric = 'relay_links{kind="home"}'
of = "main-2"
aggregate = "last"
equals = 4
"#;

#[test]
fn homes_move_to_another_main_and_are_expected_there() {
    let run = run(MOVE, 4);
    assert_eq!(failing(&run), Vec::<String>::new(), "{:#?}", run.gates);
}

#[test]
fn homes_go_back_where_the_move_is_given_up() {
    let text = MOVE
        .replace("pause = \"30s\"", "pause = \"30s\"\nabort_on = \"impossible\"\non_abort = \"roll-back\"")
        + "[[gate]]\nname = \"impossible\"\nmetric = \"availability\"\nwindow = \"20s\"\nfrom = \"70s\"\nat_most = \"1%\"\n";
    let text = text.replace("equals = 4", "equals = 2");
    let run = run(&text, 5);
    let story = story(&run);
    assert!(story.iter().any(|line| line.contains("move goes back: stop of home-1")), "{story:?}");
    assert_eq!(failing(&run), ["impossible"], "{:#?}", run.gates);
}

/// All who dial them hear of it in the same rollout.
const ENCRYPT: &str = r#"
[[upgrade]]
name = "encrypt"
at = "1m"
hosts = "*"
batch = "50%"
down = "4s"
pause = "10s"
tls = true
"#;

#[test]
fn mains_begin_to_speak_tls_and_all_who_dial_them_follow() {
    let calls = "[[load]]\nname = \"hubs\"\nfrom = \"mains\"\nto = \"homes\"\nservice = \"echo\"\n\
                 method = \"echo\"\nrate = \"2/s\"\nstart = \"3m\"\n[load.gates]\navailability = \"100%\"\n";
    let run = run(&format!("{ENCRYPT}{calls}"), 6);
    assert_eq!(failing(&run), Vec::<String>::new(), "{:#?}", run.gates);
}
