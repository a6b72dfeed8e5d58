//! `cargo ci determinism`: a run depends on its scenario and its seed, and on nothing else: not on what ran before it
//! in the same process, and not on what runs beside it.

use std::num::NonZeroUsize;
use std::thread;
use std::time::Instant;

use relay_sim::execute::{Execution, Verdict};
use relay_sim::report::report;
use relay_sim::trace::first_divergence;

use crate::runs::{Unit, side_by_side};
use crate::table::{Table, seconds};
use crate::{Refusal, Session, plan};

/// Events of a run that can be kept twice to find the first that differs: 48 bytes each, so at most 1.5 GiB a run.
const TRACE_EVENTS_MAX: u64 = 33_000_000;

/// Side by side means at least two, however few cores there are.
const JOBS_MIN: NonZeroUsize = NonZeroUsize::new(2).expect("two is not zero");

/// Runs the plan's scenarios three times; prints what differs, and returns the exit code.
pub(crate) fn run(session: &Session) -> Result<u8, Refusal> {
    let entries = session.plan.entries.iter();
    let units: Vec<Unit> = entries
        .flat_map(|entry| {
            let seeds = entry.determinism.clone().into_iter().flatten();
            seeds.map(|seed| Unit { scenario: entry.scenario.clone(), seed })
        })
        .collect();
    if units.is_empty() {
        return Err(Refusal(format!(
            "{} asks for no run to be compared: give one `determinism`",
            plan::FILE
        )));
    }
    let started = Instant::now();
    let outcome = compare(&units, session.jobs, &Unit::run);
    let mut table = Table::new(["", "scenario", "seed", "events", "trace hash"]);
    for (unit, print) in units.iter().zip(&outcome.prints) {
        let same = !outcome.differences.iter().any(|difference| difference.unit == unit.command());
        let hash = format!("{:016x}", print.hash);
        let name = unit.scenario.name.clone();
        table.row(same, [name, unit.seed.to_string(), print.events.to_string(), hash]);
    }
    println!("determinism: in order, in reverse order, and side by side\n{table}");
    for Difference { unit, pass, what } in &outcome.differences {
        eprintln!("not deterministic: {unit}, {pass}");
        eprintln!("  {}", what.trim_end().replace('\n', "\n  "));
    }
    let (runs, wrong) = (units.len() * 3, outcome.differences.len());
    println!("determinism: {runs} runs, {wrong} differences, {}", seconds(started.elapsed()));
    Ok(if wrong == 0 { 0 } else { Verdict::NotDeterministic.exit_code() })
}

/// What two runs of the same unit have in common.
#[derive(Clone, PartialEq, Eq)]
struct Print {
    hash: u64,
    events: u64,
    report: String,
}

impl Print {
    fn of(run: &Execution) -> Self {
        let report = report(run, String::new(), None).to_json_pretty();
        Print { hash: run.trace.hash(), events: run.trace.count(), report }
    }
}

/// A run that did not come out as the first time.
struct Difference {
    /// The command that runs it.
    unit: String,
    /// In which pass.
    pass: &'static str,
    /// The first event that differs, or the first line of the report.
    what: String,
}

struct Outcome {
    prints: Vec<Print>,
    differences: Vec<Difference>,
}

/// How a unit is run; `true` where its events are to be kept.
type Run<'a> = &'a (dyn Fn(&Unit, bool) -> Execution + Sync);

fn compare(units: &[Unit], jobs: NonZeroUsize, run: Run<'_>) -> Outcome {
    let print = |unit: &Unit| Print::of(&run(unit, false));
    let prints: Vec<Print> = units.iter().map(print).collect();
    let mut reverse: Vec<Print> = units.iter().rev().map(print).collect();
    reverse.reverse();
    let mut beside = Vec::new();
    side_by_side(units, jobs.max(JOBS_MIN), print, |_, print| beside.push(print));

    let mut differences = Vec::new();
    for (at, unit) in units.iter().enumerate() {
        for (pass, again) in [("run in reverse order", &reverse[at]), ("run side by side", &beside[at])] {
            if prints[at] != *again {
                let what = where_they_part(unit, &prints[at], again, run);
                differences.push(Difference { unit: unit.command(), pass, what });
                break;
            }
        }
    }
    Outcome { prints, differences }
}

/// Runs twice more, keeping every event, first one after the other, then at the same time.
fn where_they_part(unit: &Unit, first: &Print, second: &Print, run: Run<'_>) -> String {
    if (first.hash, first.events) == (second.hash, second.events) {
        let (left, right) = (first.report.lines(), second.report.lines());
        let lines = left.zip(right).enumerate().find(|(_, (left, right))| left != right);
        return match lines {
            Some((at, (left, right))) => format!(
                "the events are the same, the reports part at line {}:\n> first   {left}\n> second  {right}",
                at + 1
            ),
            None => "the events are the same, one report is longer than the other".into(),
        };
    }
    let hashes = format!(
        "trace hash {:016x} after {} events, then {:016x} after {}",
        first.hash, first.events, second.hash, second.events
    );
    if first.events.max(second.events) > TRACE_EVENTS_MAX {
        return format!(
            "{hashes}; that is too many events to keep: shorten the scenario's `duration` to see which"
        );
    }
    let alone = (run(unit, true), run(unit, true));
    let divergence = first_divergence(&alone.0.trace, &alone.1.trace).or_else(|| {
        drop(alone);
        let (left, right) = thread::scope(|scope| {
            let other = scope.spawn(|| run(unit, true));
            let one = run(unit, true);
            (one, other.join().expect("a run's panics are caught"))
        });
        first_divergence(&left.trace, &right.trace)
    });
    match divergence {
        Some(divergence) => format!("{hashes}\n{divergence}"),
        None => format!("{hashes}; four more runs did not differ: the difference comes and goes"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use relay_sim::scenario::Scenario;

    use super::*;

    const SCENARIO: &str = r#"
        duration = "20s"
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
    "#;

    fn units() -> Vec<Unit> {
        let scenario = Arc::new(Scenario::load("scenarios/small.toml", SCENARIO).unwrap());
        [1, 2].map(|seed| Unit { scenario: Arc::clone(&scenario), seed }).into()
    }

    #[test]
    fn equal_runs_do_not_differ() {
        let outcome = compare(&units(), JOBS_MIN, &Unit::run);
        assert!(outcome.differences.is_empty());
        assert_ne!(outcome.prints[0].hash, outcome.prints[1].hash, "seeds make a difference");
    }

    #[test]
    fn a_run_that_depends_on_what_ran_before_is_caught_with_its_first_event() {
        let count = AtomicU64::new(0);
        let planted = |unit: &Unit, record: bool| {
            let seed = unit.seed + count.fetch_add(1, Ordering::Relaxed);
            Unit { seed, ..unit.clone() }.run(record)
        };
        let outcome = compare(&units(), JOBS_MIN, &planted);
        assert_eq!(outcome.differences.len(), 2);
        let Difference { unit, pass, what } = &outcome.differences[0];
        assert_eq!(
            (unit.as_str(), *pass),
            ("cargo sim run scenarios/small.toml --seed 1", "run in reverse order")
        );
        assert!(what.contains("the runs part at event") && what.contains("> second"), "{what}");
    }

    #[test]
    fn a_run_that_minds_company_only_is_caught_side_by_side() {
        // Wrong from the fifth run on: two in order and two in reverse order are well.
        let count = AtomicU64::new(0);
        let planted = |unit: &Unit, record: bool| {
            let late = count.fetch_add(1, Ordering::Relaxed);
            let seed = if late >= 4 { unit.seed + late } else { unit.seed };
            Unit { seed, ..unit.clone() }.run(record)
        };
        let outcome = compare(&units(), JOBS_MIN, &planted);
        assert_eq!(outcome.differences.len(), 2);
        assert_eq!(outcome.differences[0].pass, "run side by side");
    }

    #[test]
    fn a_report_that_differs_alone_is_shown_by_line() {
        let print = |report: &str| Print { hash: 1, events: 2, report: report.into() };
        let unit = &units()[0];
        let what = where_they_part(unit, &print("a\nb\nc"), &print("a\nx\nc"), &Unit::run);
        assert!(what.contains("line 2") && what.contains("> second  x"), "{what}");
    }

    #[test]
    fn what_comes_and_goes_is_called_so() {
        let print = |hash| Print { hash, events: 2, report: String::new() };
        let what = where_they_part(&units()[0], &print(1), &print(2), &Unit::run);
        assert!(what.contains("comes and goes"), "{what}");
        let many = |hash| Print { events: TRACE_EVENTS_MAX + 1, ..print(hash) };
        assert!(where_they_part(&units()[0], &many(1), &many(2), &Unit::run).contains("too many events"));
    }
}
