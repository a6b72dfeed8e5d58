//! Runs a scenario with a seed and says what came of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::director::{Snapshot, direct_until};
use crate::engine::event::{self, Options, TaskPanic};
use crate::gates::{self, Gate};
use crate::record::Record;
use crate::scenario::Scenario;
use crate::trace::Trace;
use crate::workload::probe;
use crate::world::timing;

/// How to run a scenario.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The seed; the scenario's own where there is none.
    pub seed: Option<u64>,
    /// Keeps every event, to tell where two runs part.
    pub record_trace: bool,
    /// Where the relays' logs go.
    pub log: Option<tracing::Dispatch>,
    /// Stops then, and says how things stand. Such a run is not to be judged.
    pub until: Option<Duration>,
    /// From then on what is left to chance comes from this other seed: see [`Options::reseed`].
    pub reseed: Option<(Duration, u64)>,
}

/// A run that is over.
pub struct Execution {
    /// What was run.
    pub scenario: Arc<Scenario>,
    /// With which seed.
    pub seed: u64,
    /// What it showed.
    pub record: Record,
    /// What was asked of it.
    pub gates: Vec<Gate>,
    /// Why it ended before its time.
    pub halt: Option<String>,
    /// Tasks that panicked.
    pub panics: Vec<TaskPanic>,
    /// What happened, as a hash, and in full where that was asked for.
    pub trace: Trace,
    /// How much virtual time passed.
    pub virtual_time: Duration,
    /// How things stood where the run was stopped, if it was.
    pub snapshot: Option<Snapshot>,
}

/// What came of a run. Ordered: the worse, the later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// All gates and all invariants hold.
    Passed,
    /// A gate does not hold.
    GateFailed,
    /// An invariant was violated.
    InvariantViolated,
    /// Something panicked, or the run could not go on.
    Panicked,
    /// Two runs with the same seed differ.
    NotDeterministic,
}

impl Verdict {
    /// The exit code that stands for it.
    pub const fn exit_code(self) -> u8 {
        match self {
            Verdict::Passed => 0,
            Verdict::GateFailed => 1,
            Verdict::InvariantViolated | Verdict::Panicked => 2,
            Verdict::NotDeterministic => 3,
        }
    }

    /// In a word or two.
    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::Passed => "passed",
            Verdict::GateFailed => "gate failed",
            Verdict::InvariantViolated => "invariant violated",
            Verdict::Panicked => "panicked",
            Verdict::NotDeterministic => "not deterministic",
        }
    }
}

impl Execution {
    /// What came of it.
    pub fn verdict(&self) -> Verdict {
        if self.halt.is_some() || !self.panics.is_empty() {
            Verdict::Panicked
        } else if self.record.invariants.results().any(|(_, findings)| findings.violated > 0) {
            Verdict::InvariantViolated
        } else if self.gates.iter().any(|gate| !gate.holds) {
            Verdict::GateFailed
        } else {
            Verdict::Passed
        }
    }
}

/// Runs a scenario, on a fresh thread, to its end.
pub fn execute(scenario: &Arc<Scenario>, settings: &Settings) -> Execution {
    let seed = settings.seed.unwrap_or(scenario.run.seed);
    let gap = probe::longest_gap(scenario.run.probe_interval);
    let record = Arc::new(Mutex::new(Record::new(scenario, &timing(&scenario.node), gap)));
    let options = Options {
        seed,
        record: settings.record_trace,
        log: settings.log.clone(),
        reseed: settings.reseed,
        ..Options::default()
    };
    let until = settings.until;
    let (for_run, shared) = (Arc::clone(scenario), Arc::clone(&record));
    let end = event::run(options, move |sim| Box::pin(direct_until(sim, for_run, shared, until)));
    let record = Arc::into_inner(record).expect("the run has dropped all its tasks");
    // A harness task that panicked with the record in hand is among the panics.
    let record = record.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (halt, snapshot) = match end.outcome {
        Ok(snapshot) => (None, snapshot),
        Err(halt) => (Some(halt.to_string()), None),
    };
    Execution {
        gates: gates::judge(scenario, &record),
        scenario: Arc::clone(scenario),
        seed,
        record,
        halt,
        panics: end.panics,
        trace: end.trace,
        virtual_time: end.virtual_time,
        snapshot,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_verdict_decides_the_exit_code() {
        let all = [
            (Verdict::Passed, 0),
            (Verdict::GateFailed, 1),
            (Verdict::InvariantViolated, 2),
            (Verdict::Panicked, 2),
            (Verdict::NotDeterministic, 3),
        ];
        for (verdict, code) in all {
            assert_eq!(verdict.exit_code(), code, "{}", verdict.as_str());
        }
        assert!(all.is_sorted_by(|(one, _), (other, _)| one < other), "the worse, the later");
    }
}
