//! `cargo ci determinism`: a run depends on its scenario and its seed, and on nothing else: not on what ran before it
//! in the same process, and not on what runs beside it.

use std::num::NonZeroUsize;
use std::time::Instant;

use relay_sim::cli::parting::{Print, where_they_part};
use relay_sim::cli::runs::{Unit, side_by_side};
use relay_sim::execute::{Execution, Verdict};
use relay_sim::trace::Keep;

use crate::table::{Table, seconds};
use crate::{Refusal, Session, plan};

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

/// How a unit is run, and which of its events are kept.
type Run<'a> = &'a (dyn Fn(&Unit, Keep) -> Execution + Sync);

fn compare(units: &[Unit], jobs: NonZeroUsize, run: Run<'_>) -> Outcome {
    let print = |unit: &Unit| Print::of(&run(unit, Keep::Nothing));
    let prints: Vec<Print> = units.iter().map(print).collect();
    let mut reverse: Vec<Print> = units.iter().rev().map(print).collect();
    reverse.reverse();
    let mut beside = Vec::new();
    side_by_side(units, jobs.max(JOBS_MIN), print, |_, print| beside.push(print));

    let mut differences = Vec::new();
    for (at, unit) in units.iter().enumerate() {
        for (pass, again) in [("run in reverse order", &reverse[at]), ("run side by side", &beside[at])] {
            if prints[at] != *again {
                let what = where_they_part(&prints[at], again, |keep| run(unit, keep));
                differences.push(Difference { unit: unit.command(), pass, what });
                break;
            }
        }
    }
    Outcome { prints, differences }
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
        let planted = |unit: &Unit, keep: Keep| {
            let seed = unit.seed + count.fetch_add(1, Ordering::Relaxed);
            Unit { seed, ..unit.clone() }.run(keep)
        };
        let outcome = compare(&units(), JOBS_MIN, &planted);
        assert_eq!(outcome.differences.len(), 2);
        let Difference { unit, pass, what } = &outcome.differences[0];
        assert_eq!(
            (unit.as_str(), *pass),
            ("cargo sim run scenarios/small.toml --seed 1", "run in reverse order")
        );
        assert!(what.contains("the runs part at event") && what.contains("second"), "{what}");
    }

    #[test]
    fn a_run_that_minds_company_only_is_caught_side_by_side() {
        // Wrong from the fifth run on: two in order and two in reverse order are well.
        let count = AtomicU64::new(0);
        let planted = |unit: &Unit, keep: Keep| {
            let late = count.fetch_add(1, Ordering::Relaxed);
            let seed = if late >= 4 { unit.seed + late } else { unit.seed };
            Unit { seed, ..unit.clone() }.run(keep)
        };
        let outcome = compare(&units(), JOBS_MIN, &planted);
        assert_eq!(outcome.differences.len(), 2);
        assert_eq!(outcome.differences[0].pass, "run side by side");
    }
}
