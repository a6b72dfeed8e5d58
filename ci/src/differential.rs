//! `cargo ci differential`: the same scenario with the same seed on both engines. They differ in every delay and in every
//! choice; what is asked of a run must come out alike all the same, gate by gate and invariant by invariant.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use relay_sim::capability::obstacles;
use relay_sim::cli::runs::{Unit, side_by_side};
use relay_sim::engine::Engine;
use relay_sim::execute::Execution;
use relay_sim::scenario::Scenario;

use crate::plan::Entry;
use crate::table::{Table, seconds};
use crate::{Refusal, Session};

/// Turmoil walks all pairs of hosts in each millisecond.
const HOSTS_MAX: usize = 20;

/// Reasons named for a scenario that turmoil cannot run.
const REASONS_MAX: usize = 2;

/// Virtual time of a scenario, in seconds: at 9 hosts, turmoil takes a second for each hundred.
const DURATION_SECONDS_MAX: u64 = 15 * 60;

/// Runs each scenario of the plan that turmoil can run, with the first of its seeds, on both engines; prints what came
/// of it, and returns the exit code.
pub(crate) fn run(session: &Session) -> Result<u8, Refusal> {
    let started = Instant::now();
    let mut skipped = Vec::new();
    let mut units = Vec::new();
    for entry in &session.plan.entries {
        match why_not(entry) {
            Some(reason) => skipped.push((&entry.file, reason)),
            None => units.push(Unit { scenario: entry.scenario.clone(), seed: *entry.seeds.start() }),
        }
    }
    if units.is_empty() {
        let why: Vec<String> = skipped.iter().map(|(file, reason)| format!("  {file}: {reason}")).collect();
        return Err(Refusal(format!("nothing can be compared on both engines:\n{}", why.join("\n"))));
    }
    let mut outcomes = Vec::new();
    side_by_side(&units, session.jobs, Both::of, |_, both| outcomes.push(both));
    let titles =
        ["", "scenario", "seed", "hosts", "event", "turmoil", "gates and invariants", "turmoil seconds"];
    let mut table = Table::new(titles);
    for (unit, both) in units.iter().zip(&outcomes) {
        let hosts = unit.scenario.topology.hosts.len();
        table.row(
            both.differences.is_empty(),
            [
                unit.scenario.name.clone(),
                unit.seed.to_string(),
                hosts.to_string(),
                both.event.to_owned(),
                both.turmoil.to_owned(),
                format!("{} compared", both.compared),
                format!("{:.1}", both.turmoil_took.as_secs_f64()),
            ],
        );
    }
    println!("differential: the same seed on both engines\n{table}");
    for (file, reason) in &skipped {
        println!("skipped: {file}: {reason}");
    }
    let mut wrong = 0;
    for (unit, both) in units.iter().zip(&outcomes).filter(|(_, both)| !both.differences.is_empty()) {
        wrong += 1;
        eprintln!("the engines differ: {} with seed {}", unit.scenario.name, unit.seed);
        both.differences.iter().for_each(|difference| eprintln!("  {difference}"));
        for engine in Engine::ALL {
            eprintln!("  see: {}", unit.command_on(engine));
        }
    }
    let (runs, took) = (units.len(), seconds(started.elapsed()));
    println!("differential: {runs} scenarios on both engines, {wrong} differ, {took}");
    Ok(u8::from(wrong > 0))
}

/// Why a scenario is not compared, if it is not.
fn why_not(entry: &Entry) -> Option<String> {
    let Scenario { topology, run, .. } = &*entry.scenario;
    let found = obstacles(&entry.scenario, Engine::Turmoil);
    if let Some(reason) = &entry.event_only {
        Some(reason.clone())
    } else if !found.is_empty() {
        let more = match found.len().saturating_sub(REASONS_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let shown = &found[..found.len().min(REASONS_MAX)];
        Some(format!("it needs the event engine for {}{more}", shown.join("; ")))
    } else if topology.hosts.len() > HOSTS_MAX {
        Some(format!("{} hosts, at most {HOSTS_MAX} here", topology.hosts.len()))
    } else if run.duration > Duration::from_secs(DURATION_SECONDS_MAX) {
        let minutes = run.duration.as_secs() / 60;
        Some(format!("{minutes} virtual minutes, at most {} here", DURATION_SECONDS_MAX / 60))
    } else {
        None
    }
}

/// What came of one unit on both engines.
struct Both {
    /// The verdicts, in a word or two.
    event: &'static str,
    turmoil: &'static str,
    /// Gates and invariants that were compared.
    compared: usize,
    /// What came out otherwise, a line each.
    differences: Vec<String>,
    turmoil_took: Duration,
}

impl Both {
    fn of(unit: &Unit) -> Self {
        let event = unit.run_on(Engine::Event, false);
        let started = Instant::now();
        let turmoil = unit.run_on(Engine::Turmoil, false);
        let turmoil_took = started.elapsed();
        let (left, right) = (findings(&event), findings(&turmoil));
        let mut differences = Vec::new();
        for (name, (holds, measured)) in &left {
            match right.get(name) {
                Some((other, _)) if holds == other => {}
                Some((other, found)) => differences.push(format!(
                    "{name}: {} on event ({measured}), {} on turmoil ({found})",
                    word(*holds),
                    word(*other)
                )),
                None => differences.push(format!("{name}: judged on event only")),
            }
        }
        for (run, engine) in [(&event, Engine::Event), (&turmoil, Engine::Turmoil)] {
            // What panics on both has proved nothing either.
            if run.halt.is_some() || !run.panics.is_empty() {
                differences.push(format!("{}: {}", engine, run.verdict().as_str()));
            }
        }
        let more = right.keys().filter(|name| !left.contains_key(*name));
        differences.extend(more.map(|name| format!("{name}: judged on turmoil only")));
        Both {
            event: event.verdict().as_str(),
            turmoil: turmoil.verdict().as_str(),
            compared: left.len(),
            differences,
            turmoil_took,
        }
    }
}

/// What is judged of a run: whether it holds, and what was seen.
fn findings(run: &Execution) -> BTreeMap<String, (bool, String)> {
    let gates = run.gates.iter().map(|gate| {
        (format!("gate {}", gate.title()), (gate.holds, format!("{}, must be {}", gate.measured, gate.limit)))
    });
    let invariants = run.record.invariants.results().map(|(invariant, findings)| {
        let seen = match findings.violations.first() {
            Some(first) => format!("{} times, first: {}", findings.violated, first.text),
            None => "never".to_owned(),
        };
        (format!("invariant {}", invariant.name()), (findings.violated == 0, format!("violated {seen}")))
    });
    let trouble = run.halt.iter().cloned().chain(run.panics.first().map(|panic| panic.message.clone()));
    let trouble: Vec<String> = trouble.collect();
    let went_on = ("the run".to_owned(), (trouble.is_empty(), trouble.join("; ")));
    gates.chain(invariants).chain([went_on]).collect()
}

fn word(holds: bool) -> &'static str {
    if holds { "holds" } else { "does not hold" }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Two Homes that call each other by a Main, all 9 ms apart; `gate` is asked of their calls.
    fn scenario(gate: &str) -> Arc<Scenario> {
        let text = format!(
            r#"
            duration = "20s"
            [network]
            latency = "9ms"
            jitter = "0s"
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
            from = "home-*"
            to = "home-*"
            service = "echo"
            method = "echo"
            rate = "1/s"
            start = "5s"
            [gates]
            {gate}
            "#
        );
        Arc::new(Scenario::load("scenarios/small.toml", &text).unwrap())
    }

    #[test]
    fn engines_that_agree_do_not_differ() {
        let both = Both::of(&Unit { scenario: scenario("success = \"100%\"\np50 = \"100ms\""), seed: 1 });
        assert_eq!((both.event, both.turmoil), ("passed", "passed"));
        assert!(both.differences.is_empty() && both.compared > 4, "{:?}", both.differences);
    }

    #[test]
    fn a_gate_that_holds_on_one_engine_only_is_named_with_both_figures() {
        // Four ways of 9 ms each; on turmoil, the milliseconds of both loopbacks come on top.
        let both = Both::of(&Unit { scenario: scenario("p50 = \"37ms\""), seed: 1 });
        assert_eq!((both.event, both.turmoil), ("passed", "gate failed"));
        assert_eq!(both.differences.len(), 1, "{:?}", both.differences);
        let told = &both.differences[0];
        assert!(
            told.starts_with("gate p50: holds on event (") && told.contains("must be ≤ 37.0 ms"),
            "{told}"
        );
    }

    #[test]
    fn what_is_left_out_is_left_out_with_the_reason() {
        let entry = |gate: &str, event_only: Option<&str>| Entry {
            file: "scenarios/small.toml".into(),
            scenario: scenario(gate),
            seeds: 1..=1,
            determinism: None,
            event_only: event_only.map(str::to_owned),
        };
        assert_eq!(why_not(&entry("", None)), None);
        assert_eq!(why_not(&entry("", Some("it tests the engine"))).unwrap(), "it tests the engine");
        assert!(why_not(&entry("p50 = \"2ms\"", None)).unwrap().contains("latency gate of 2ms"));
    }
}
