//! `--trace`, and what becomes of many runs after Ctrl-C: real processes and files.

#![expect(clippy::disallowed_methods, reason = "tests of the command line start processes and read files")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A federation whose Main is shut out for a while; the gate does not hold.
const STRICT: &str = r#"
duration = "40s"
[network]
jitter = "2ms"
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
[[fault]]
at = "20s"
kind = "crash"
host = "main"
down = "5s"
[gates]
max_hops = 1
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

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("strict.toml"), STRICT).unwrap();
    folder
}

/// The trace hash and the number of events, as they are printed.
fn hash_line(output: &Output) -> String {
    stdout(output).lines().find(|line| line.starts_with("trace hash")).unwrap().to_owned()
}

#[test]
fn every_event_is_a_line_of_the_file_and_two_traces_of_one_seed_are_the_same_bytes() {
    let folder = folder();
    let run = |args: &[&str]| relay_sim(folder.path(), &[&["run", "strict.toml"], args].concat());
    let read = |file: &str| fs::read_to_string(folder.path().join(file)).unwrap();
    let plain = run(&[]);
    let (one, other) = (run(&["--trace", "deep/one.tsv"]), run(&["--trace", "other.tsv"]));
    assert_eq!(one.status.code(), Some(1), "{}", stderr(&one));
    assert_eq!(hash_line(&plain), hash_line(&one), "the trace changes nothing");
    assert!(stdout(&one).contains("trace       deep/one.tsv"), "{}", stdout(&one));
    let text = read("deep/one.tsv");
    assert!(text == read("other.tsv"), "the same seed, the same bytes");
    assert_eq!(other.status.code(), Some(1));

    let lines: Vec<&str> = text.lines().collect();
    let (last, events) = (lines[lines.len() - 1], lines.len() - 2);
    let mut words = hash_line(&plain);
    words.retain(|c| !"()".contains(c));
    let words: Vec<&str> = words.split_whitespace().collect();
    assert_eq!(last, format!("# {} events, trace hash {}", words[3], words[2]));
    assert_eq!(events.to_string(), words[3], "a line for each");
    assert!(lines[1..=events].iter().all(|line| line.split('\t').count() == 8));
    let has = |cells: &[&str]| lines.iter().any(|line| cells.iter().all(|cell| line.contains(cell)));
    assert!(has(&["\thome-1\t", "\tSegmentSent\t", " to main\t"]), "who is at the other end");
    assert!(has(&["20.000000000\t", "\tNote\t", "fault: crash of main"]));
    assert!(has(&["\tRefuse\t", "is refused"]), "what came of a dial");
    assert!(!text.contains("somebody") && !text.contains("\t?"), "everything has a name");

    let capsule = "capsules/strict-1.capsule.json";
    let replayed = relay_sim(folder.path(), &["replay", capsule, "--trace", "again.tsv"]);
    assert_eq!(replayed.status.code(), Some(1));
    assert!(text == read("again.tsv"), "a replay tells the same");
    let stopped = relay_sim(folder.path(), &["replay", capsule, "--until", "10s", "--trace", "part.tsv"]);
    assert_eq!(stopped.status.code(), Some(0), "{}", stderr(&stopped));
    let before = |text: &str| {
        text.lines().take_while(|line| !line.starts_with("10.")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(before(&text), before(&read("part.tsv")), "and the same until it is stopped");
}

#[test]
fn on_turmoil_a_trace_is_written_as_well() {
    let folder = folder();
    let args = ["run", "strict.toml", "--engine", "turmoil", "--trace", "t.tsv"];
    let output = relay_sim(folder.path(), &args);
    let text = fs::read_to_string(folder.path().join("t.tsv")).unwrap();
    let hash = hash_line(&output).split_whitespace().nth(2).unwrap().to_owned();
    assert!(text.trim_end().ends_with(&format!("trace hash {hash}")), "{hash}");
}

#[test]
fn a_trace_that_cannot_be_written_is_told_and_the_verdict_with_it() {
    let folder = folder();
    let refused = |args: &[&str]| {
        let output = relay_sim(folder.path(), args);
        assert_eq!(output.status.code(), Some(64), "{args:?}: {}", stderr(&output));
        (stdout(&output), stderr(&output))
    };
    let (out, why) = refused(&["run", "strict.toml", "--seeds", "1..3", "--trace", "t.tsv"]);
    assert!(why.contains("--trace t.tsv holds one run, and 3 are asked for") && out.is_empty(), "{why}");
    assert!(!folder.path().join("t.tsv").exists());
    let (out, why) = refused(&["run", "strict.toml", "--trace", "strict.toml/t.tsv"]);
    assert!(why.contains("cannot write the trace to strict.toml/t.tsv") && out.is_empty(), "{why}");
    // A disk that is full, where the system has one.
    if Path::new("/dev/full").exists() {
        let (out, why) = refused(&["run", "strict.toml", "--trace", "/dev/full"]);
        assert!(why.contains("cannot write the trace to /dev/full") && why.contains("gate failed"), "{why}");
        assert!(why.contains("max_hops") && out.contains("gate failed"), "it is judged all the same: {out}");
        assert_eq!(fs::read_dir(folder.path().join("capsules")).unwrap().count(), 1);
    }
}

/// Starts so many runs that they do not come to their end, sends the signal once some are done, and waits.
fn cut_short(folder: &Path, args: &[&str], signal: &str) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relay-sim"));
    let command = command.args(args).current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut running = command.spawn().unwrap();
    let mut out = BufReader::new(running.stdout.take().unwrap());
    let mut told = String::new();
    for _ in 0..2 {
        out.read_line(&mut told).unwrap();
    }
    let id = running.id().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    out.read_to_string(&mut told).unwrap();
    (running.wait().unwrap().code(), told)
}

#[test]
fn ctrl_c_keeps_what_was_done_and_says_that_it_is_not_all() {
    let folder = folder();
    let chaos = ["chaos", "--seeds", "1..100000", "--duration", "5m", "--report", "out", "--jobs", "2"];
    let run = ["run", "strict.toml", "--seeds", "1..1000000", "--report", "out-run", "--jobs", "2"];
    for (args, signal, code, out, all) in
        [(&chaos[..], "-INT", 130, "out", "100,000"), (&run[..], "-TERM", 143, "out-run", "1,000,000")]
    {
        let (exit, told) = cut_short(folder.path(), args, signal);
        assert_eq!(exit, Some(code), "{told}");
        let read = |file: &str| fs::read_to_string(folder.path().join(out).join(file)).unwrap();
        let line = told.lines().find(|line| line.starts_with("cut short ")).unwrap();
        let done: usize = line.split_whitespace().nth(3).unwrap().parse().unwrap();
        assert!(done > 0, "{told}");
        let junit = read("junit.xml");
        assert_eq!(
            junit.matches("<testsuite ").count(),
            done + 1,
            "those that were done, and what is missing"
        );
        assert!(junit.contains(&format!("<error message=\"cut short after {done} of {all} runs\"")));
        assert!(read("summary.md").contains(&format!("cut short after {done} of {all} runs")));
        assert!(read("index.html").contains(&format!("cut short after {done} of {all} runs")));
        let pages = fs::read_dir(folder.path().join(out)).unwrap();
        let pages = pages.filter(|entry| entry.as_ref().unwrap().path().join("report.html").exists());
        assert_eq!(pages.count(), done, "a page for each");
    }
}

#[test]
fn capsules_of_two_scenarios_of_one_name_stay_apart() {
    let folder = folder();
    for (place, gate) in [("x", "max_hops = 1"), ("y", "p50 = \"1us\"")] {
        fs::create_dir(folder.path().join(place)).unwrap();
        let text = STRICT.replace("max_hops = 1", gate);
        fs::write(folder.path().join(place).join("same.toml"), text).unwrap();
    }
    for round in 0..2 {
        for (place, gate, number) in [("x", "max_hops", ""), ("y", "p50", "-2")] {
            let run = relay_sim(folder.path(), &["run", &format!("{place}/same.toml"), "--seed", "3"]);
            let capsule = format!("capsules/same-3{number}.capsule.json");
            let why = stderr(&run);
            assert!(why.contains(&format!("again: cargo sim run {place}/same.toml --seed 3")), "{why}");
            assert!(why.contains(&format!("or:    cargo sim replay {capsule}")), "round {round}: {why}");
            let replayed = relay_sim(folder.path(), &["replay", &capsule]);
            let told = stdout(&replayed);
            assert!(told.contains(gate) && told.contains("event by event"), "{told}");
        }
    }
    assert_eq!(fs::read_dir(folder.path().join("capsules")).unwrap().count(), 2);
}
