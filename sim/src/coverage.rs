//! What runs have shown so far: which places of the node's code logged something, how calls ended, which faults were
//! active, alone and together. A sweep over new seeds is worth its time as long as this grows.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::execute::Execution;

/// Whose log points count: the node's own crate.
const TARGET: &str = "relay_node";

/// A place in the source that logs: its file, as the compiler was given it, and its line.
pub type LogPoint = (&'static str, u32);

/// Collects the log points that runs pass, down to `debug`. Give a run [`LogPoints::dispatch`] as its log.
#[derive(Clone, Default)]
pub struct LogPoints {
    seen: Arc<Mutex<BTreeSet<LogPoint>>>,
}

impl LogPoints {
    /// What to give a run as its log. Nothing is printed.
    pub fn dispatch(&self) -> tracing::Dispatch {
        tracing::Dispatch::new(self.clone())
    }

    /// The points passed so far.
    pub fn seen(&self) -> BTreeSet<LogPoint> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<LogPoint>> {
        self.seen.lock().expect("nothing panics with the set")
    }
}

impl Subscriber for LogPoints {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= Level::DEBUG && metadata.target().starts_with(TARGET)
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        if let (Some(file), Some(line)) = (metadata.file(), metadata.line()) {
            self.lock().insert((file, line));
        }
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

/// What a run has shown besides its log points, in words: `call: success`, `fault: crash`, `faults at once: crash and
/// partition`.
pub fn traits_of(run: &Execution) -> BTreeSet<String> {
    let mut traits = BTreeSet::new();
    let calls = &run.record.calls;
    if calls.succeeded > 0 {
        traits.insert("call: success".to_owned());
    }
    for code in calls.failures.keys() {
        traits.insert(match code {
            Some(code) => format!("call: error {code}"),
            None => "call: no answer from its own relay".to_owned(),
        });
    }
    let planned = run.scenario.faults.iter().enumerate();
    let course = &run.record.course;
    let came = planned.filter(|(number, fault)| course.came(*number, fault)).map(|(_, fault)| fault);
    let faults: Vec<_> = came.collect();
    for (at, fault) in faults.iter().enumerate() {
        let (active, name) = (fault.active(), fault.what.name());
        traits.insert(format!("fault: {name}"));
        for other in &faults[..at] {
            if other.active().overlaps(active.start, active.start) {
                let mut pair = [other.what.name(), name];
                pair.sort_unstable();
                traits.insert(format!("faults at once: {} and {}", pair[0], pair[1]));
            }
        }
    }
    traits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execute::{Settings, execute};
    use crate::scenario::Scenario;

    const SCENARIO: &str = r#"
duration = "30s"
[[service]]
name = "echo"
kind = "echo"
[[main]]
name = "main-a"
[[home]]
name = "home-a"
main = "main-a"
services = ["echo"]
[[load]]
name = "calls"
from = "main-a"
to = "home-a"
service = "echo"
method = "echo"
rate = "1/s"
start = "5s"
[[fault]]
at = "15s"
kind = "partition"
hosts = "main-a"
lasts = "10s"
[[fault]]
at = "20s"
kind = "crash"
hosts = "home-a"
"#;

    #[test]
    fn a_run_tells_what_it_has_shown() {
        let scenario = Arc::new(Scenario::load("test.toml", SCENARIO).unwrap());
        let points = LogPoints::default();
        let run = execute(&scenario, &Settings { log: Some(points.dispatch()), ..Settings::default() });
        let traits = traits_of(&run);
        for expected in
            ["call: success", "fault: crash", "fault: partition", "faults at once: crash and partition"]
        {
            assert!(traits.contains(expected), "{expected} is not among {traits:?}");
        }
        assert!(traits.iter().any(|it| it.starts_with("call: error ")), "{traits:?}");
        let seen = points.seen();
        assert!(seen.iter().any(|(file, _)| file.ends_with("link/uplink.rs")), "{seen:?}");
    }
}
