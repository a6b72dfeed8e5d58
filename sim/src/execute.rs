//! Runs a scenario with a seed and says what came of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use relay_chaos::quantity::duration;

use crate::director::{Snapshot, direct, direct_until};
use crate::engine::{self, Engine, Options, TaskPanic};
use crate::gates::{self, Gate};
use crate::invariants::{Findings, Invariant};
use crate::record::Record;
use crate::scenario::{Failure, Scenario};
use crate::trace::{Keep, Sink, Trace};
use crate::workload::probe;
use crate::world::longest_timing;

/// How to run a scenario.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The seed; the scenario's own where there is none.
    pub seed: Option<u64>,
    /// What it runs on.
    pub engine: Engine,
    /// Keeps every event, to tell where two runs part.
    pub record_trace: Keep,
    /// Where every event goes as it happens; the first run with it takes it. [`Trace::end_stream`] of what comes of the
    /// run says whether it got all of them.
    pub sink: Option<Sink>,
    /// The run is one of several with other seeds: what must happen sometimes must do so in one of them.
    pub is_one_of_many: bool,
    /// Where the relays' logs go.
    pub log: Option<tracing::Dispatch>,
    /// From then on what is left to chance comes from this other seed: see [`Options::reseed`]. Event engine only.
    pub reseed: Option<(Duration, u64)>,
}

/// A run that is over.
pub struct Execution {
    /// What was run.
    pub scenario: Arc<Scenario>,
    /// With which seed.
    pub seed: u64,
    /// On what.
    pub engine: Engine,
    /// What it showed.
    pub record: Record,
    /// What was asked of it.
    pub gates: Vec<Gate>,
    /// What must have happened at least once; among the gates as well, where this run is judged by itself.
    pub sometimes: Vec<Gate>,
    /// Why it ended before its time.
    pub halt: Option<String>,
    /// Tasks that panicked.
    pub panics: Vec<TaskPanic>,
    /// What happened, as a hash, and in full where that was asked for.
    pub trace: Trace,
    /// How much virtual time passed.
    pub virtual_time: Duration,
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
    /// The invariants that were violated, but for those that the scenario expects to be.
    pub fn violations(&self) -> impl Iterator<Item = (&dyn Invariant, &Findings)> {
        let expected = &self.scenario.gates.asked.failures;
        let is_expected =
            |name: &str| expected.iter().any(|it| matches!(it, Failure::Invariant(it) if it == name));
        let results = self.record.invariants.results();
        results.filter(move |(invariant, findings)| findings.violated > 0 && !is_expected(invariant.name()))
    }

    /// What came of it.
    pub fn verdict(&self) -> Verdict {
        if self.halt.is_some() || !self.panics.is_empty() {
            Verdict::Panicked
        } else if self.violations().next().is_some() {
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
    let record = Arc::new(Mutex::new(record(scenario)));
    let options = options(seed, settings);
    let (for_run, shared) = (Arc::clone(scenario), Arc::clone(&record));
    let end = engine::run(settings.engine, options, move |sim| Box::pin(direct(sim, for_run, shared)));
    let record = Arc::into_inner(record).expect("the run has dropped all its tasks");
    // A harness task that panicked with the record in hand is among the panics.
    let record = record.into_inner().unwrap_or_else(PoisonError::into_inner);
    let sometimes = gates::sometimes(scenario, &record);
    let mut gates = gates::judge(scenario, &record);
    if !settings.is_one_of_many {
        gates.extend(sometimes.iter().cloned());
    }
    Execution {
        gates,
        sometimes,
        scenario: Arc::clone(scenario),
        seed,
        engine: settings.engine,
        record,
        halt: end.outcome.err().map(|halt| halt.to_string()),
        panics: end.panics,
        trace: end.trace,
        virtual_time: end.virtual_time,
    }
}

/// A run that was stopped at a virtual time.
pub struct Stopped {
    /// How things stood then; or why it did not come so far, in words.
    pub snapshot: Result<Snapshot, String>,
    /// Tasks that had panicked by then.
    pub panics: Vec<TaskPanic>,
    /// What had happened by then, as a hash.
    pub trace: Trace,
}

/// Runs a scenario until a virtual time, and says how things stand then.
pub fn stop_at(scenario: &Arc<Scenario>, settings: &Settings, until: Duration) -> Stopped {
    let seed = settings.seed.unwrap_or(scenario.run.seed);
    let record = Arc::new(Mutex::new(record(scenario)));
    let for_run = Arc::clone(scenario);
    let end = engine::run(settings.engine, options(seed, settings), move |sim| {
        Box::pin(direct_until(sim, for_run, record, Some(until)))
    });
    let snapshot = match end.outcome {
        Err(halt) => Err(halt.to_string()),
        Ok(None) => Err(format!("it is over at {}", duration::format(scenario.run.duration))),
        Ok(Some(snapshot)) => Ok(snapshot),
    };
    Stopped { snapshot, panics: end.panics, trace: end.trace }
}

fn record(scenario: &Arc<Scenario>) -> Record {
    let gap = probe::longest_gap(scenario.run.probe_interval);
    Record::new(scenario, &longest_timing(scenario), gap)
}

fn options(seed: u64, settings: &Settings) -> Options {
    let (log, reseed) = (settings.log.clone(), settings.reseed);
    let (record, sink) = (settings.record_trace.clone(), settings.sink.clone());
    Options { seed, record, sink, log, reseed, ..Options::default() }
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
