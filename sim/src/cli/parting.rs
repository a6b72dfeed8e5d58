//! Whether two runs of one scenario and seed did the same, and where they part if they did not.

use std::thread;

use crate::execute::Execution;
use crate::gates::MEMORY_GROWTH;
use crate::report::report;
use crate::trace::{Keep, first_divergence, window_of};

/// How often two more runs are made to find the first event that differs.
const ATTEMPTS: usize = 3;

/// What two runs of the same unit have in common.
#[derive(Clone, PartialEq, Eq)]
pub struct Print {
    /// The trace hash.
    pub hash: u64,
    /// How many events there were.
    pub events: u64,
    /// The hash after each so many events.
    checkpoints: Vec<u64>,
    /// The report, without what the machine had a part in.
    report: String,
}

impl Print {
    /// The print of a run.
    pub fn of(run: &Execution) -> Self {
        let mut report = report(run, String::new(), None);
        // How much memory is live depends a little on what the process did before.
        report.history.series.retain(|series| !series.of_machine);
        for gate in report.checks.gates.iter_mut().filter(|gate| gate.name == MEMORY_GROWTH) {
            (gate.measured, gate.explanation) = Default::default();
        }
        let checkpoints = run.trace.checkpoints().to_vec();
        Print {
            hash: run.trace.hash(),
            events: run.trace.count(),
            checkpoints,
            report: report.to_json_pretty(),
        }
    }
}

/// Says where two runs of one unit part. Their checkpoints say about where; it is run twice more with the events there
/// kept, first one run after the other, then at the same time. `run` runs it, and keeps the events that it is told to.
pub fn where_they_part(first: &Print, second: &Print, run: impl Fn(Keep) -> Execution + Sync) -> String {
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
    let mut window = window_of(&first.checkpoints, &second.checkpoints);
    for attempt in 0..ATTEMPTS {
        let keep = || Keep::Window(window.clone());
        let (left, right) = match attempt {
            0 => (run(keep()), run(keep())),
            _ => thread::scope(|scope| {
                let other = scope.spawn(|| run(keep()));
                let one = run(keep());
                (one, other.join().expect("a run's panics are caught"))
            }),
        };
        if let Some(divergence) = first_divergence(&left.trace, &right.trace) {
            return format!("{hashes}\n{divergence}");
        }
        if left.trace.hash() != right.trace.hash() {
            // This time they have parted elsewhere.
            window = window_of(left.trace.checkpoints(), right.trace.checkpoints());
        }
    }
    format!("{hashes}; {} more runs did not differ: the difference comes and goes", 2 * ATTEMPTS)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::runs::Unit;
    use super::*;
    use crate::scenario::Scenario;

    fn run(keep: Keep) -> Execution {
        let scenario =
            Scenario::load("small.toml", "duration = \"5s\"\n[[main]]\nname = \"main-a\"").unwrap();
        Unit { scenario: Arc::new(scenario), seed: 1 }.run(keep)
    }

    #[test]
    fn a_report_that_differs_alone_is_shown_by_line() {
        let print =
            |report: &str| Print { hash: 1, events: 2, checkpoints: Vec::new(), report: report.into() };
        let what = where_they_part(&print("a\nb\nc"), &print("a\nx\nc"), run);
        assert!(what.contains("line 2") && what.contains("> second  x"), "{what}");
    }

    #[test]
    fn what_comes_and_goes_is_called_so() {
        let print = |hash| Print { hash, events: 2, checkpoints: Vec::new(), report: String::new() };
        let what = where_they_part(&print(1), &print(2), run);
        assert!(what.contains("comes and goes"), "{what}");
    }

    #[test]
    fn the_first_event_that_differs_is_found_by_checkpoints() {
        let seed = std::sync::atomic::AtomicU64::new(1);
        let another = |keep: Keep| {
            let seed = seed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let text = "duration = \"2h\"\n[[main]]\nname = \"main\"\n[[home]]\nname = \"home\"\ncount = 3\nmain = \"main\"";
            Unit { scenario: Arc::new(Scenario::load("small.toml", text).unwrap()), seed }.run(keep)
        };
        let (one, other) = (another(Keep::Nothing), another(Keep::Nothing));
        let what = where_they_part(&Print::of(&one), &Print::of(&other), another);
        assert!(what.contains("the runs part at event"), "{what}");
    }
}
