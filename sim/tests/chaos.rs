//! `relay-sim chaos`, `load`, `shrink`, `likelihood`, and what `replay` can do with a capsule: as their users meet them.

#![expect(clippy::disallowed_methods, reason = "tests of the command line start processes and read files")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use relay_sim::execute::{Execution, Settings, execute};
use relay_sim::scenario::Scenario;
use relay_sim::trace::{Keep, Kind, Trace};

fn relay_sim(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_relay-sim")).args(args).current_dir(folder).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A busy federation with twenty faults. One of them breaks the gate of one load, and needs two hosts for that.
fn planted() -> String {
    let mut text = r#"
name = "planted"
duration = "10m"
[network]
latency = "20ms"
jitter = "5ms"
[[service]]
name = "echo"
kind = "echo"
[[service]]
name = "shop"
kind = "http"
[[main]]
name = "main"
count = 3
[[home]]
name = "home-a"
count = 2
main = "main-1"
services = ["echo"]
[[home]]
name = "home-b"
count = 3
main = "main-2"
services = ["echo", "shop"]
[[home]]
name = "victim"
main = "main-3"
services = ["echo"]
[[load]]
name = "everyone"
from = "home-*"
by = "service"
service = "echo"
method = "get"
rate = "1 per 20s"
start = "5s"
[[load]]
name = "shopping"
from = "home-*"
by = "service"
service = "shop"
method = "buy"
rate = "1 per 30s"
start = "5s"
[[load]]
name = "late"
from = "main-*"
to = "victim"
service = "echo"
method = "get"
rate = "1 per 5s"
start = "8m"
[load.gates]
availability = "100%"
"#
    .to_owned();
    let harmless = [
        ("partition", "hosts = \"home-a-1\"\nlasts = \"10s\""),
        ("crash", "host = \"home-b-2\"\ndown = \"10s\""),
        ("stop", "host = \"home-a-2\"\ndown = \"5s\""),
        ("link", "from = \"home-*\"\nto = \"main-*\"\nlatency = \"100ms\"\nlasts = \"10s\""),
    ];
    for number in 0..19 {
        let (kind, rest) = harmless[number % harmless.len()];
        text += &format!("[[fault]]\nat = \"{}s\"\nkind = \"{kind}\"\n{rest}\n", 30 + 20 * number);
    }
    text + "[[fault]]\nat = \"7m\"\nkind = \"crash\"\nhosts = \"victim\"\n"
}

/// A folder with the planted scenario and its capsule.
fn with_capsule() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("planted.toml"), planted()).unwrap();
    let run = relay_sim(folder.path(), &["run", "planted.toml"]);
    assert_eq!(run.status.code(), Some(1), "{}", stderr(&run));
    folder
}

const CAPSULE: &str = "capsules/planted-1.capsule.json";

#[test]
fn chaos_tells_each_seed_and_what_all_of_them_covered() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["chaos", "--seeds", "1..4", "--duration", "5m", "--mains", "2", "--homes", "3"];
    let first = relay_sim(folder.path(), &args);
    assert_eq!(first.status.code(), Some(0), "{}{}", stdout(&first), stderr(&first));
    let text = stdout(&first);
    assert_eq!(text.lines().filter(|line| line.starts_with("✓ seed")).count(), 4, "{text}");
    for word in ["4 passed, 0 failed", "families on", "faults ", "calls ", "convergence", "speed"] {
        assert!(text.contains(word), "{word} in {text}");
    }
    let rows =
        |text: &str| text.lines().take_while(|line| !line.starts_with("speed")).map(str::to_owned).collect();
    let (first, again): (Vec<String>, Vec<String>) =
        (rows(&text), rows(&stdout(&relay_sim(folder.path(), &args))));
    assert_eq!(first, again, "the same seeds, the same runs");
}

#[test]
fn one_seed_is_told_with_all_that_was_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["chaos", "--seed", "3", "--duration", "5m", "--families", "kill,stop", "--check-determinism"];
    let run = relay_sim(folder.path(), &args);
    assert_eq!(run.status.code(), Some(0), "{}{}", stdout(&run), stderr(&run));
    let text = stdout(&run);
    for word in [
        "from seed 3",
        "Mains:",
        "loads:",
        "families on:",
        "phases:",
        "trace hash",
        "a second run did the same",
    ] {
        assert!(text.contains(word), "{word} in {text}");
    }
    assert!(!text.contains("partition"), "only the families that are allowed: {text}");
}

#[test]
fn chaos_over_a_scenario_of_ones_own_leaves_a_capsule_that_replays() {
    let folder = tempfile::tempdir().unwrap();
    // No call to it can succeed, in the liveness phase either.
    let broken = "kind = \"http\"\nupstream = { failure_rate = \"100%\" }";
    let own = planted().split("[[fault]]").next().unwrap().replace("kind = \"http\"", broken);
    fs::write(folder.path().join("own.toml"), own).unwrap();
    let run = relay_sim(
        folder.path(),
        &["chaos", "--scenario", "own.toml", "--seeds", "1..2", "--families", "kill"],
    );
    assert_eq!(run.status.code(), Some(1), "{}{}", stdout(&run), stderr(&run));
    assert!(stdout(&run).contains("failure     gate success: seeds 1, 2"), "{}", stdout(&run));
    assert!(stderr(&run).contains("cargo sim chaos --seed 1"), "{}", stderr(&run));
    let replay = relay_sim(folder.path(), &["replay", "capsules/planted-chaos-1-1.capsule.json"]);
    assert_eq!(replay.status.code(), Some(1));
    assert!(stdout(&replay).contains("event by event"), "{}", stdout(&replay));
}

#[test]
fn a_planted_failure_among_twenty_shrinks_to_a_few_lines_that_fail_the_same() {
    let folder = with_capsule();
    let shrink = relay_sim(folder.path(), &["shrink", CAPSULE, "--jobs", "2"]);
    assert_eq!(shrink.status.code(), Some(0), "{}", stderr(&shrink));
    let text = stdout(&shrink);
    assert!(text.contains("gate late: availability"), "{text}");
    assert!(text.contains("20 → 1 faults") && text.contains("3 → 1 loads"), "{text}");
    let small = fs::read_to_string(folder.path().join("capsules/planted-1.small.toml")).unwrap();
    assert!(small.starts_with("# Shrunk from planted.toml with seed 1"), "{small}");
    assert!(small.contains("Nothing more can be left out"), "{small}");
    let scenario = Scenario::load("small.toml", &small).unwrap();
    assert_eq!(
        (scenario.faults.len(), scenario.topology.hosts.len(), scenario.loads.len()),
        (1, 2, 1),
        "{small}"
    );
    assert!(small.lines().count() < 40, "{small}");
    let run = relay_sim(folder.path(), &["run", "capsules/planted-1.small.toml"]);
    assert_eq!(run.status.code(), Some(1), "{}", stdout(&run));
    assert!(stderr(&run).contains("gate late: availability"), "{}", stderr(&run));

    let out = relay_sim(folder.path(), &["shrink", CAPSULE, "--out", "half.toml", "--time-limit", "0s"]);
    assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));
    let half = fs::read_to_string(folder.path().join("half.toml")).unwrap();
    assert!(half.contains("time for shrinking was up") && Scenario::load("half.toml", &half).is_ok());
}

#[test]
fn groups_and_parameters_shrink_to_a_scenario_that_stands_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let text = r#"
name = "short-hand"
duration = "5m"
[params]
homes = { default = 4, min = 2 }
[groups]
shaky = ["main-1", "main-1/*"]
[[service]]
name = "echo"
kind = "echo"
[[main]]
name = "main"
count = 2
[[home]]
name = "home"
count = "${homes}"
main = "mains"
fallback = "mains"
services = ["echo"]
[[load]]
name = "everyone"
from = "homes"
to = "homes"
service = "echo"
method = "echo"
rate = "1/s"
start = "10s"
[[fault]]
at = "1m"
every = "1m"
times = 2
kind = "crash"
host = "main-1"
down = "20s"
[[gate]]
name = "too-strict"
metric = "latency"
of = ["homes", "!@shaky"]
at_most = "1us"
"#;
    fs::write(folder.path().join("short.toml"), text).unwrap();
    let run = relay_sim(folder.path(), &["run", "short.toml", "--set", "homes=3"]);
    assert_eq!(run.status.code(), Some(1), "{}", stderr(&run));
    let shrink = relay_sim(folder.path(), &["shrink", "capsules/short-hand-1.capsule.json", "--jobs", "2"]);
    assert_eq!(shrink.status.code(), Some(0), "{}{}", stdout(&shrink), stderr(&shrink));
    assert!(stdout(&shrink).contains("5 → 3 hosts"), "{}", stdout(&shrink));
    let small = fs::read_to_string(folder.path().join("capsules/short-hand-1.small.toml")).unwrap();
    assert!(!small.contains("params") && !small.contains("--set"), "{small}");
    let run = relay_sim(folder.path(), &["run", "capsules/short-hand-1.small.toml"]);
    assert_eq!(run.status.code(), Some(1), "{}", stdout(&run));
}

#[test]
fn a_command_ends_quietly_with_whoever_reads_it() {
    let mut schema = Command::new(env!("CARGO_BIN_EXE_relay-sim"));
    let mut schema = schema.arg("schema").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(schema.stdout.take());
    assert_eq!(stderr(&schema.wait_with_output().unwrap()), "");
}

#[test]
fn a_replay_that_is_stopped_has_no_report() {
    let folder = with_capsule();
    let output = relay_sim(folder.path(), &["replay", CAPSULE, "--until", "2m", "--report", "out"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(stderr(&output).contains("cannot be used with"), "{}", stderr(&output));
}

#[test]
fn a_replay_can_be_stopped_and_told_in_full() {
    let folder = with_capsule();
    let stopped = relay_sim(folder.path(), &["replay", CAPSULE, "--until", "8m30s"]);
    assert_eq!(stopped.status.code(), Some(0), "{}", stderr(&stopped));
    let text = stdout(&stopped);
    for word in [
        "at          8m30s",
        "down        victim",
        "faults      1\n  crash of victim (kill), down for good (for good)",
        "main-1 lists",
        "  shop at home-b-2\n",
        "open calls",
    ] {
        assert!(text.contains(word), "{word} in {text}");
    }
    assert!(!text.contains("echo at victim\n"), "nobody offers it as reachable: {text}");

    let told = relay_sim(folder.path(), &["replay", CAPSULE, "--until", "7m10s", "-v"]);
    let log = stderr(&told);
    let line = |what: &str| {
        log.lines().find(|line| line.contains(what)).unwrap_or_else(|| panic!("{what} in {log}"))
    };
    assert!(line("crash of victim").trim_start().starts_with("420.000000"), "{log}");
    assert!(line("a call failed").contains("expected=true"), "{log}");
    assert!(
        log.lines().any(|line| line.contains(" main-1") && line.contains("home-a-1")),
        "links come up: {log}"
    );

    let late = relay_sim(folder.path(), &["replay", CAPSULE, "--until", "11m"]);
    assert_eq!(late.status.code(), Some(64));
    assert!(stderr(&late).contains("over at 10m"), "{}", stderr(&late));
}

#[test]
fn likelihood_says_from_when_on_a_failure_is_bound_to_come() {
    let folder = with_capsule();
    let args = ["likelihood", CAPSULE, "--points", "4", "--runs", "2", "--report", "out"];
    let output = relay_sim(folder.path(), &args);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    // A crash for good at a set time does not depend on chance.
    assert!(stdout(&output).contains("It comes whatever chance does."), "{}", stdout(&output));
    let json = fs::read_to_string(folder.path().join("out/report.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let points = &json["history"]["likelihood"];
    assert_eq!(points.as_array().unwrap().len(), 4);
    assert_eq!(points[1], serde_json::json!({ "from_ns": 150_000_000_000_u64, "runs": 2, "failed": 2 }));
    let page = fs::read_to_string(folder.path().join("out/report.html")).unwrap();
    assert!(page.contains("likelihood"), "the curve is on the page");
}

#[test]
fn another_seed_from_some_time_on_changes_nothing_before_it_and_everything_after() {
    let scenario = Arc::new(Scenario::load("planted.toml", &planted()).unwrap());
    let at = Duration::from_secs(200);
    let run = |reseed| {
        execute(&scenario, &Settings { record_trace: Keep::All, reseed, ..Settings::default() }).trace
    };
    let (plain, one, other) = (run(None), run(Some((at, 2))), run(Some((at, 3))));
    assert_ne!(plain.hash(), one.hash());
    assert_ne!(one.hash(), other.hash());
    assert_eq!(one.hash(), run(Some((at, 2))).hash());
    let parting = relay_sim::trace::first_divergence(&plain, &one).unwrap();
    assert!(parting.to_string().contains("200."), "{parting}");
    let before = |trace: &Trace| {
        trace.events().iter().copied().take_while(|event| event.at < 200_000_000_000).collect::<Vec<_>>()
    };
    assert!(before(&plain).len() > 1_000);
    assert!(before(&plain) == before(&one), "event by event");
}

/// A Home waits before it dials again, and a load between its calls, by generators that they have from the start. Nothing
/// else is left to chance here.
#[test]
fn another_seed_reaches_relays_and_loads_that_run_already() {
    const TEXT: &str = r#"
duration = "4m"
[[service]]
name = "echo"
kind = "echo"
[[main]]
name = "main"
[[home]]
name = "home"
main = "main"
services = ["echo"]
[[load]]
name = "calls"
from = "main"
to = "home"
service = "echo"
method = "echo"
rate = "1 per 2s"
pacing = "poisson"
[[fault]]
at = "2m"
kind = "crash"
host = "main"
down = "30s"
"#;
    const HOME: u32 = 1;
    let scenario = Arc::new(Scenario::load("test.toml", TEXT).unwrap());
    let run =
        |reseed| execute(&scenario, &Settings { record_trace: Keep::All, reseed, ..Settings::default() });
    let (plain, other) = (run(None), run(Some((Duration::from_secs(100), 2))));
    let crash = Duration::from_secs(120);
    let dials = |run: &Execution| -> Vec<Duration> {
        let dials = run.trace.events().iter().filter(|it| it.kind == Kind::Dial && it.host == HOME);
        dials.map(|it| Duration::from_nanos(it.at)).filter(|at| *at > crash).collect()
    };
    let (first, second) = (dials(&plain), dials(&other));
    assert!(first.len() > 2 && second.len() > 2, "{first:?} {second:?}");
    let apart = first.iter().zip(&second).map(|(one, other)| one.abs_diff(*other)).max().unwrap();
    assert!(apart > Duration::from_millis(50), "the Home's backoff: {first:?} {second:?}");
    let calls = |run: &Execution, after: bool| -> Vec<u64> {
        let buckets = run.record.calls.buckets.iter().enumerate();
        let of = buckets.filter(|(second, _)| (*second >= 101) == after && *second != 100);
        of.map(|(_, it)| it.latency.len() + it.failed_expected + it.failed_unexpected).collect()
    };
    assert_eq!(calls(&plain, false), calls(&other, false));
    assert_ne!(calls(&plain, true), calls(&other, true), "the load's pace");
}

#[test]
fn a_load_makes_as_many_calls_as_are_wanted_and_measures_them() {
    let folder = tempfile::tempdir().unwrap();
    let output =
        relay_sim(folder.path(), &["load", "--calls", "300", "--concurrency", "10", "--report", "out"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    for word in [
        "calls       300, 300 of them succeeded",
        "per virtual second",
        "p99",
        "made 3",
        "made 2",
        "trace hash",
    ] {
        assert!(text.contains(word), "{word} in {text}");
    }
    assert!(folder.path().join("out/report.html").exists());
}

#[test]
fn what_cannot_be_is_refused_with_64_and_words() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("quiet.toml"), "[[main]]\nname = \"main\"").unwrap();
    let refused = |args: &[&str]| {
        let output = relay_sim(folder.path(), args);
        assert_eq!(output.status.code(), Some(64), "{args:?}: {}", stderr(&output));
        stderr(&output)
    };
    assert!(refused(&["chaos", "--duration", "1m"]).contains("at least 300 s"));
    assert!(refused(&["chaos", "--failure-rate", "60%"]).contains("at most 50%"));
    assert!(refused(&["chaos", "--families", "kill,earthquake"]).contains("earthquake"));
    assert!(refused(&["chaos", "--seed", "1", "--seeds", "1..2"]).contains("cannot be used with"));
    assert!(refused(&["chaos", "--scenario", "quiet.toml"]).contains("no [[load]]"));
    assert!(refused(&["chaos", "--scenario", "missing.toml"]).contains("missing.toml"));
    assert!(refused(&["load", "--scenario", "quiet.toml"]).contains("offers a service"));
    assert!(refused(&["load", "--homes", "1"]).contains("--homes"));
    assert!(refused(&["shrink", "missing.json"]).contains("missing.json"));
    assert!(refused(&["likelihood", "quiet.toml"]).contains("no capsule"));
    assert!(refused(&["replay", "quiet.toml", "--until", "soon"]).contains("soon"));
}
