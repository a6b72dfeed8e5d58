//! The `relay-sim` command as its users meet it: real processes, exit codes, files.

#![expect(clippy::disallowed_methods, reason = "tests of the command line start processes and read files")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const GOOD: &str = r#"
duration = "30s"
[[service]]
name = "echo"
kind = "echo"
[[main]]
name = "main"
[[home]]
name = "home"
count = 2
main = "main"
services = ["echo"]
[[load]]
name = "calls"
from = "home-*"
to = "home-*"
service = "echo"
method = "echo"
rate = "2/s"
start = "5s"
[gates]
convergence = "5s"
success = "100%"
max_hops = 2
"#;

fn relay_sim(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_relay-sim")).args(args).current_dir(folder).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    folder
}

#[test]
fn a_good_run_prints_its_gates_its_hash_and_its_speed_and_writes_its_report() {
    let folder = folder(&[("good.toml", GOOD)]);
    let first = relay_sim(folder.path(), &["run", "good.toml", "--report", "out"]);
    assert_eq!(first.status.code(), Some(0), "{}", stderr(&first));
    let text = stdout(&first);
    for word in [
        "good · seed",
        "convergence",
        "success",
        "100%",
        "one-outcome",
        "trace hash",
        "virtual seconds per wall",
    ] {
        assert!(text.contains(word), "{word} in {text}");
    }
    let json = fs::read_to_string(folder.path().join("out/report.json")).unwrap();
    assert_eq!(relay_reports::Report::from_json(&json).unwrap().run.scenario.name, "good");
    assert!(
        fs::read_to_string(folder.path().join("out/report.html"))
            .unwrap()
            .to_lowercase()
            .starts_with("<!doctype html>")
    );
    assert!(!folder.path().join("capsules").exists(), "nothing failed");

    let second = relay_sim(folder.path(), &["run", "good.toml", "--check-determinism"]);
    let hash = |text: &str| text.lines().find(|line| line.starts_with("trace hash")).unwrap().to_owned();
    assert_eq!(hash(&text), hash(&stdout(&second)), "two processes, one hash");
    let other = relay_sim(folder.path(), &["run", "good.toml", "--seed", "99"]);
    assert_ne!(hash(&text), hash(&stdout(&other)), "another seed, another hash");
}

#[test]
fn a_failed_gate_says_what_how_to_see_it_again_and_leaves_a_capsule_that_replays() {
    let bad = GOOD.replace("max_hops = 2", "max_hops = 1");
    let folder = folder(&[("strict.toml", &bad)]);
    let run = relay_sim(folder.path(), &["run", "strict.toml", "--seed", "7"]);
    assert_eq!(run.status.code(), Some(1));
    let words = stderr(&run);
    for word in ["gate max_hops: 2, must be ≤ 1", "seed 7", "--seed 7", "capsules/strict-7.capsule.json"] {
        assert!(words.contains(word), "{word} in {words}");
    }
    fs::remove_file(folder.path().join("strict.toml")).unwrap();
    let replay = relay_sim(folder.path(), &["replay", "capsules/strict-7.capsule.json"]);
    assert_eq!(replay.status.code(), Some(1));
    assert!(stdout(&replay).contains("event by event"), "{}", stdout(&replay));
}

#[test]
fn several_seeds_end_in_a_summary_and_the_worst_exit_code() {
    let bad = GOOD.replace("[gates]", "[gates]\np50 = \"1ms\"");
    let folder = folder(&[("a/good.toml", GOOD), ("a/strict.toml", &bad), ("a/notes.txt", "no scenario")]);
    let run = relay_sim(folder.path(), &["run", "a", "--seeds", "1..4", "--jobs", "2"]);
    let text = stdout(&run);
    let row = |name: &str| text.lines().find(|line| line.contains(name)).unwrap_or_default().to_owned();
    assert!(row("good").contains('✓'), "{text}");
    assert!(row("strict").contains('✗'), "{text}");
    assert_eq!(run.status.code(), Some(1), "{text}");
    assert_eq!(fs::read_dir(folder.path().join("capsules")).unwrap().count(), 4, "one for each failed run");
}

#[test]
fn wrong_usage_and_wrong_scenarios_end_with_64_and_words() {
    let typo = GOOD.replace("rate =", "rat =");
    let folder = folder(&[("typo.toml", &typo), ("empty/readme.md", ""), ("no.capsule.json", "{}")]);
    let refused = |args: &[&str]| {
        let output = relay_sim(folder.path(), args);
        assert_eq!(output.status.code(), Some(64), "{args:?}: {}", stderr(&output));
        stderr(&output)
    };
    let words = refused(&["run", "typo.toml"]);
    assert!(words.contains("typo.toml:") && words.contains("rate"), "{words}");
    assert!(refused(&["check", "typo.toml"]).contains("typo.toml:"));
    assert!(refused(&["run", "missing.toml"]).contains("missing.toml"));
    assert!(refused(&["run", "empty"]).contains("no scenario"));
    assert!(refused(&["run", "typo.toml", "--seeds", "5..1"]).contains("5..1"));
    assert!(refused(&["run", "typo.toml", "--sed", "1"]).contains("--seed"));
    assert!(refused(&["replay", "no.capsule.json"]).contains("no capsule"));
    assert!(refused(&[]).contains("Usage"));
    assert_eq!(relay_sim(folder.path(), &["--help"]).status.code(), Some(0));
}

#[test]
fn on_turmoil_the_same_seed_gives_the_same_run_and_the_report_and_the_capsule_say_so() {
    let bad = GOOD.replace("max_hops = 2", "max_hops = 1");
    let folder = folder(&[("good.toml", GOOD), ("bad.toml", bad.as_str())]);
    let run = |file| relay_sim(folder.path(), &["run", file, "--engine", "turmoil", "--report", "out"]);
    let first = run("good.toml");
    assert_eq!(first.status.code(), Some(0), "{}", stdout(&first));
    assert!(stdout(&first).contains("on turmoil · passed"));
    let hash = |text: &str| text.lines().find(|line| line.starts_with("trace hash")).map(str::to_owned);
    assert!(hash(&stdout(&first)).is_some());
    assert_eq!(hash(&stdout(&first)), hash(&stdout(&run("good.toml"))));
    let report = fs::read_to_string(folder.path().join("out/report.json")).unwrap();
    assert!(report.contains(r#""engine": "turmoil""#) && report.contains("--engine turmoil"));

    let failed = run("bad.toml");
    assert_eq!(failed.status.code(), Some(1));
    assert!(stderr(&failed).contains("bad.toml --seed 1 --engine turmoil"), "{}", stderr(&failed));
    let replayed = relay_sim(folder.path(), &["replay", "capsules/bad-1.capsule.json"]);
    assert_eq!(replayed.status.code(), Some(1));
    let told = stdout(&replayed);
    assert!(told.contains("on turmoil") && told.contains("the trace hash is the capsule's"), "{told}");
}

#[test]
fn what_turmoil_cannot_do_is_refused_before_the_run() {
    let slow = GOOD.replace("[[main]]", "[network]\nbandwidth = \"1Mbit/s\"\nloss = \"50%\"\n[[main]]");
    let folder = folder(&[("slow.toml", slow.as_str())]);
    let refused = relay_sim(folder.path(), &["run", "slow.toml", "--engine", "turmoil"]);
    assert_eq!(refused.status.code(), Some(64));
    let words = stderr(&refused);
    assert!(words.contains("slow needs the event engine, not turmoil"), "{words}");
    assert!(words.contains("bandwidth 1Mbit/s") && words.contains("loss 50%"), "{words}");
    let unknown = relay_sim(folder.path(), &["run", "slow.toml", "--engine", "steam"]);
    assert_eq!(unknown.status.code(), Some(64));
    assert!(stderr(&unknown).contains("there are event and turmoil"), "{}", stderr(&unknown));
}

#[test]
fn several_runs_have_an_index_and_lists_and_compare_finds_what_got_worse() {
    let folder = folder(&[("good.toml", GOOD)]);
    let run = |out: &str| relay_sim(folder.path(), &["run", "good.toml", "--seeds", "1..2", "--report", out]);
    for out in ["before", "after"] {
        assert_eq!(run(out).status.code(), Some(0));
    }
    let read = |file: &str| fs::read_to_string(folder.path().join(file)).unwrap();
    assert!(read("before/index.html").contains("href=\"./good-2/report.html\""));
    assert!(read("before/summary.md").starts_with("## ✓ Simulation: all 2 runs passed"));
    assert_eq!(read("before/junit.xml").matches("<testsuite ").count(), 2);

    let compare = |rest: &[&str]| relay_sim(folder.path(), &[&["compare", "before", "after"], rest].concat());
    let same = compare(&[]);
    assert_eq!(same.status.code(), Some(0), "{}", stderr(&same));
    assert!(stdout(&same).contains("compared 2 pairs of runs: 2 are the same, 0 got worse"));

    let file = folder.path().join("after/good-2/report.json");
    let mut report = relay_reports::Report::from_json(&read("after/good-2/report.json")).unwrap();
    let p99 = report.checks.metrics.iter_mut().find(|metric| metric.name == "p99").unwrap();
    p99.value = p99.value * 13 / 10;
    fs::write(file, report.to_json_pretty()).unwrap();
    let worse = compare(&[]);
    assert_eq!(worse.status.code(), Some(1));
    for word in ["good, seed 2", "p99", "1.30×", "1 got worse"] {
        assert!(stdout(&worse).contains(word), "{word} in {}", stdout(&worse));
    }
    assert_eq!(compare(&["--tolerance", "40%"]).status.code(), Some(0));
    assert_eq!(compare(&["--tolerance", "much"]).status.code(), Some(64));
    let none = relay_sim(folder.path(), &["compare", "before", "capsules"]);
    assert_eq!(none.status.code(), Some(64), "there is nothing to compare with");
}

#[test]
fn a_run_that_is_worse_than_its_baseline_fails() {
    let strict =
        r#"{"scenario": "good", "seeds": "1", "metrics": {"p99": {"worst": "1 ms", "tolerance": "1 %"}}}"#;
    let folder = folder(&[
        ("good.toml", GOOD),
        ("strict/good.json", strict),
        ("loose/good.json", &strict.replace("1 ms", "1 min")),
        ("empty/other.json", strict),
    ]);
    let run = |baselines: &str| relay_sim(folder.path(), &["run", "good.toml", "--baselines", baselines]);
    let failed = run("strict");
    assert_eq!(failed.status.code(), Some(1));
    assert!(stderr(&failed).contains("the baseline is 1 ms and allows 1 % more"), "{}", stderr(&failed));
    assert_eq!(run("loose").status.code(), Some(0));
    assert_eq!(run("empty").status.code(), Some(0), "it has no baseline");
    assert_eq!(run("nowhere").status.code(), Some(64));
}
