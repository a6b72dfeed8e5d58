//! Whether two runs of one scenario and seed did the same, and where they part if they did not.

use std::thread;

use crate::execute::Execution;
use crate::gates::MEMORY_GROWTH;
use crate::report::report;
use crate::trace::first_divergence;

/// Events of a run that can be kept twice to find the first that differs: 48 bytes each, so at most 1.5 GiB a run.
const TRACE_EVENTS_MAX: u64 = 33_000_000;

/// What two runs of the same unit have in common.
#[derive(Clone, PartialEq, Eq)]
pub struct Print {
    /// The trace hash.
    pub hash: u64,
    /// How many events there were.
    pub events: u64,
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
        Print { hash: run.trace.hash(), events: run.trace.count(), report: report.to_json_pretty() }
    }
}

/// Says where two runs of one unit part. Runs it twice more, keeping every event, first one after the other, then at the
/// same time; `run` runs it, and keeps the events where it is told to.
pub fn where_they_part(first: &Print, second: &Print, run: impl Fn(bool) -> Execution + Sync) -> String {
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
    let alone = (run(true), run(true));
    let divergence = first_divergence(&alone.0.trace, &alone.1.trace).or_else(|| {
        drop(alone);
        let (left, right) = thread::scope(|scope| {
            let other = scope.spawn(|| run(true));
            let one = run(true);
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

    use super::super::runs::Unit;
    use super::*;
    use crate::scenario::Scenario;

    fn run(record: bool) -> Execution {
        let scenario =
            Scenario::load("small.toml", "duration = \"5s\"\n[[main]]\nname = \"main-a\"").unwrap();
        Unit { scenario: Arc::new(scenario), seed: 1 }.run(record)
    }

    #[test]
    fn a_report_that_differs_alone_is_shown_by_line() {
        let print = |report: &str| Print { hash: 1, events: 2, report: report.into() };
        let what = where_they_part(&print("a\nb\nc"), &print("a\nx\nc"), run);
        assert!(what.contains("line 2") && what.contains("> second  x"), "{what}");
    }

    #[test]
    fn what_comes_and_goes_is_called_so() {
        let print = |hash| Print { hash, events: 2, report: String::new() };
        let what = where_they_part(&print(1), &print(2), run);
        assert!(what.contains("comes and goes"), "{what}");
        let many = |hash| Print { events: TRACE_EVENTS_MAX + 1, ..print(hash) };
        assert!(where_they_part(&many(1), &many(2), run).contains("too many events"));
    }
}
