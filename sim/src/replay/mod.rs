//! Capsules: everything that it takes to see a failure again.

mod signature;

use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::execute::{Execution, Verdict};
use crate::report::hash;

pub use signature::Signature;

/// The version of the capsule format.
const FORMAT: u32 = 1;

/// How a capsule's file name ends.
pub const SUFFIX: &str = ".capsule.json";

/// A run that failed, ready to be run again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capsule {
    /// The version of this format.
    pub format: u32,
    /// The version of the simulator that made it: another one may run differently.
    pub version: String,
    /// The scenario's file, for messages.
    pub file: String,
    /// The scenario's whole text.
    pub scenario: String,
    /// The parameters that the command line had set, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<(String, String)>,
    /// The seed.
    pub seed: u64,
    /// The engine; those written before there were two say nothing.
    #[serde(default)]
    pub engine: Engine,
    /// What came of the run, in a word or two.
    pub verdict: String,
    /// What failed, a line each.
    pub failures: Vec<String>,
    /// The trace hash: equal when the run is repeated event by event.
    pub trace_hash: String,
}

/// Why a text is no capsule.
#[derive(Debug, thiserror::Error)]
pub enum CapsuleError {
    /// Not a capsule at all.
    #[error("this is no capsule: {0}; capsules are written by `relay-sim run` when a run fails")]
    Malformed(#[from] serde_json::Error),
    /// Of a version that this simulator does not read.
    #[error("this capsule has format {0}, this simulator reads {FORMAT}; use the simulator that wrote it")]
    OtherFormat(u32),
}

impl Capsule {
    /// The capsule of a run.
    pub fn of(run: &Execution, verdict: Verdict) -> Self {
        Capsule {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").into(),
            file: run.scenario.source.name.clone(),
            scenario: run.scenario.source.text.clone(),
            set: run.scenario.source.set().collect(),
            seed: run.seed,
            engine: run.engine,
            verdict: verdict.as_str().into(),
            failures: failures(run),
            trace_hash: hash(run),
        }
    }

    /// A name for its file; `number`, from 1, tells it from others with that name and seed.
    pub fn file_name(&self, scenario: &str, number: u32) -> String {
        match number {
            ..=1 => format!("{scenario}-{}{SUFFIX}", self.seed),
            _ => format!("{scenario}-{}-{number}{SUFFIX}", self.seed),
        }
    }

    /// Whether both are of one scenario, run in the same way, whatever came of it.
    pub fn is_of_the_same_run(&self, other: &Capsule) -> bool {
        let run = |it: &Capsule| (it.file.clone(), it.scenario.clone(), it.set.clone(), it.seed, it.engine);
        run(self) == run(other)
    }

    /// Its text.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a capsule is plain JSON");
        text.push('\n');
        text
    }

    /// Reads a capsule's text.
    ///
    /// # Errors
    /// Says what is wrong and what to do.
    pub fn from_json(text: &str) -> Result<Self, CapsuleError> {
        let capsule: Capsule = serde_json::from_str(text)?;
        match capsule.format {
            FORMAT => Ok(capsule),
            other => Err(CapsuleError::OtherFormat(other)),
        }
    }
}

/// What failed in a run, a line each.
pub fn failures(run: &Execution) -> Vec<String> {
    let mut lines: Vec<String> = run.halt.iter().cloned().collect();
    for panic in &run.panics {
        lines.push(format!(
            "panic at {:?}: {} on {} in {}: {}",
            panic.at, panic.process, panic.host, panic.task, panic.message
        ));
    }
    for (invariant, findings) in run.violations() {
        let first = &findings.violations[0];
        let name = invariant.name();
        lines.push(format!(
            "invariant {name}: violated {} times, first at {:?}: {}",
            findings.violated, first.at, first.text
        ));
    }
    for gate in run.gates.iter().filter(|gate| !gate.holds) {
        lines.push(format!(
            "gate {}: {}, must be {} ({})",
            gate.title(),
            gate.measured,
            gate.limit,
            gate.explanation
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capsule_survives_its_file() {
        let capsule = Capsule {
            format: FORMAT,
            version: "0.1.0".into(),
            file: "a.toml".into(),
            scenario: "duration = \"1m\"\n# “quoted”".into(),
            set: vec![("homes".into(), "100".into())],
            seed: u64::MAX,
            engine: Engine::Turmoil,
            verdict: "gate failed".into(),
            failures: vec!["gate p99".into()],
            trace_hash: "00ff".into(),
        };
        assert_eq!(Capsule::from_json(&capsule.to_json()).unwrap(), capsule);
        assert_eq!(capsule.file_name("a", 1), format!("a-{}.capsule.json", u64::MAX));
        assert_eq!(capsule.file_name("a", 2), format!("a-{}-2.capsule.json", u64::MAX));
        let newer = capsule.to_json().replace("\"format\": 1", "\"format\": 9");
        assert!(Capsule::from_json(&newer).unwrap_err().to_string().contains("format 9"));
        let older = capsule.to_json().replace("  \"engine\": \"turmoil\",\n", "");
        assert_eq!(Capsule::from_json(&older).unwrap().engine, Engine::Event);
        assert!(Capsule::from_json("{}").unwrap_err().to_string().contains("no capsule"));
    }
}
