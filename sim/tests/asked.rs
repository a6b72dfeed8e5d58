//! What a scenario asks for by name, in whole runs: gates that hold and gates that do not, failures that are expected,
//! things that must happen.

use std::sync::Arc;

use relay_sim::execute::{Execution, Settings, Verdict, execute};
use relay_sim::scenario::Scenario;

/// Two Homes at one Main, which is gone in the storm.
const BASE: &str = r#"
[[phase]]
name = "calm"
lasts = "30s"
[[phase]]
name = "storm"
lasts = "30s"
[[phase]]
name = "after"
lasts = "1m"
[[service]]
name = "echo"
kind = "echo"
[[main]]
name = "main-a"
[[home]]
name = "home"
count = 2
main = "main-a"
services = ["echo"]
[[load]]
name = "calls"
from = "homes"
to = "homes"
service = "echo"
method = "echo"
rate = "5/s"
start = "5s"
[[fault]]
phase = "storm"
kind = "crash"
host = "main-a"
down = "20s"
"#;

fn run(first: &str, rest: &str, settings: Settings) -> Execution {
    let text = format!("{first}\n{BASE}{rest}");
    let scenario = Scenario::load("asked.toml", &text)
        .unwrap_or_else(|error| panic!("{:?}", miette::Report::new(error)));
    execute(&Arc::new(scenario), &Settings { seed: Some(3), ..settings })
}

/// The gates that do not hold.
fn failing(run: &Execution) -> Vec<String> {
    run.gates.iter().filter(|gate| !gate.holds).map(relay_sim::gates::Gate::title).collect()
}

const GATES: &str = r#"
[[gate]]
name = "calm-latency"
metric = "latency"
aggregate = "p99"
phase = "calm"
at_most = "200ms"
[[gate]]
name = "storm-fails"
metric = "availability"
phase = "storm"
at_most = "50%"
[[gate]]
name = "calls-go-on"
metric = "call_rate"
window = "5s"
from = "6s"
at_least = "9/s"
[[gate]]
name = "links"
metric = 'relay_links{kind="home"}'
of = "main-a"
aggregate = "max"
equals = 2
[[gate]]
name = "came-back"
metric = "relay_reconnects_total"
of = "homes"
aggregate = "increase"
phase = "after"
at_most = 0
"#;

#[test]
fn gates_on_metrics_hold_where_they_should() {
    let run = run("", GATES, Settings::default());
    assert_eq!(failing(&run), Vec::<String>::new(), "{:#?}", run.gates);
    assert_eq!((run.gates.len(), run.verdict()), (5, Verdict::Passed));
}

#[test]
fn gates_on_metrics_fail_where_they_should() {
    let strict = GATES
        .replace("at_most = \"200ms\"", "at_most = \"20ms\"")
        .replace("at_most = \"50%\"", "at_most = \"1%\"")
        .replace("at_least = \"9/s\"", "at_least = \"11/s\"")
        .replace("equals = 2", "equals = 3");
    let run = run("", &strict, Settings::default());
    assert_eq!(failing(&run), ["calm-latency", "storm-fails", "calls-go-on", "links"]);
    assert_eq!(run.verdict(), Verdict::GateFailed);
}

#[test]
fn a_run_may_be_expected_to_fail_a_gate_and_must_then() {
    let strict = GATES.replace("equals = 2", "equals = 3");
    let expected = |names: &str| run(&format!("expect_failure = [{names}]"), &strict, Settings::default());
    let fails = expected("\"gate:links\"");
    assert_eq!((failing(&fails), fails.verdict()), (Vec::new(), Verdict::Passed));
    let does_not = expected("\"gate:links\", \"gate:calls-go-on\"");
    assert_eq!((failing(&does_not), does_not.verdict()), (vec!["calls-go-on".into()], Verdict::GateFailed));
    let another = expected("\"gate:calls-go-on\"");
    assert_eq!(failing(&another), ["calls-go-on", "links"]);
    let unproven = GATES.replacen("phase = \"calm\"", "phase = \"calm\"\nfrom = \"1s\"\nto = \"4s\"", 1);
    let unproven = run("expect_failure = [\"gate:calm-latency\"]", &unproven, Settings::default());
    assert_eq!(failing(&unproven), ["calm-latency"], "nobody called so early");
    let invariant = expected("\"gate:links\", \"invariant:one-outcome\"");
    assert_eq!(failing(&invariant), ["violated one-outcome"], "an invariant that holds is not violated");
}

#[test]
fn calls_that_must_fail_are_asked_for_and_spare_the_others() {
    // The Main is gone, and everyone knows: nothing is wrong with the calls' own relays.
    let text = r#"
[gates]
success = "100%"
[[expect]]
codes = [-32003]
phase = "storm"
from = "1s"
to = "19s"
at_least = "99%"
[[expect]]
load = "calls"
codes = [-32001]
"#;
    let run = run("", text, Settings::default());
    assert_eq!(failing(&run), ["calls: fail with -32001"], "{:#?}", run.gates);
}

#[test]
fn what_never_happens_proves_nothing() {
    let text = r#"
[[sometimes]]
what = "restart"
of = "main-a"
[[sometimes]]
what = "call-refused"
code = -32003
[[sometimes]]
what = "reconnect"
times = 2
[[sometimes]]
what = "metric"
metric = 'relay_links{kind="home"}'
above = 1
of = "main-a"
[[sometimes]]
what = "fallback"
"#;
    let alone = run("", text, Settings::default());
    assert_eq!((failing(&alone), alone.verdict()), (vec!["sometimes fallback".into()], Verdict::GateFailed));
    let one_of_many = run("", text, Settings { is_one_of_many: true, ..Settings::default() });
    assert_eq!((failing(&one_of_many), one_of_many.verdict()), (Vec::new(), Verdict::Passed));
    let seen: Vec<bool> = one_of_many.sometimes.iter().map(|gate| gate.holds).collect();
    assert_eq!(seen, [true, true, true, true, false]);
}

#[test]
fn a_profile_and_its_gates_repeat_event_by_event() {
    let text = GATES.replace("at_least = \"9/s\"", "at_least = \"1/s\"");
    let profile = "profile = [{ kind = \"wave\", low = \"1/s\", high = \"9/s\", period = \"30s\" }]\npacing = \"poisson\"";
    let text = format!("{BASE}{text}").replace("rate = \"5/s\"", profile);
    let scenario = Arc::new(Scenario::load("profile.toml", &text).unwrap());
    let twice = [(); 2].map(|()| execute(&scenario, &Settings { seed: Some(9), ..Settings::default() }));
    let calls = twice[0].record.calls.total();
    // Ten a second of two hosts for 115 s.
    assert!((900..1_400).contains(&calls), "{calls}");
    assert_eq!(twice[0].trace.hash(), twice[1].trace.hash());
    assert_eq!(twice[0].gates, twice[1].gates);
}
