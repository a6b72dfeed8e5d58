//! Runs side by side, on all cores.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use crate::engine::Engine;
use crate::execute::{Execution, Settings, execute};
use crate::scenario::Scenario;
use crate::trace::Keep;

/// One run: a scenario and a seed.
#[derive(Clone, Debug)]
pub struct Unit {
    /// The scenario.
    pub scenario: Arc<Scenario>,
    /// The seed.
    pub seed: u64,
}

impl Unit {
    /// Runs it.
    pub fn run(&self, record_trace: impl Into<Keep>) -> Execution {
        self.run_on(Engine::default(), record_trace)
    }

    /// Runs it as one of several seeds: what must happen in one of them at least is judged over all.
    pub fn run_as_one_of_many(&self) -> Execution {
        execute(
            &self.scenario,
            &Settings { seed: Some(self.seed), is_one_of_many: true, ..Settings::default() },
        )
    }

    /// Runs it on an engine.
    pub fn run_on(&self, engine: Engine, record_trace: impl Into<Keep>) -> Execution {
        let record_trace = record_trace.into();
        let seed = Some(self.seed);
        execute(&self.scenario, &Settings { seed, engine, record_trace, ..Settings::default() })
    }

    /// The command that runs it again.
    pub fn command(&self) -> String {
        let mut command = format!("cargo sim run {} --seed {}", self.scenario.source.name, self.seed);
        for (name, value) in self.scenario.source.set() {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_.,:/%+".contains(c);
            let value =
                if value.chars().all(plain) { value } else { format!("'{}'", value.replace('\'', "'\\''")) };
            command.push_str(&format!(" --set {name}={value}"));
        }
        command
    }

    /// The command that runs it again on an engine.
    pub fn command_on(&self, engine: Engine) -> String {
        match engine {
            Engine::Event => self.command(),
            other => format!("{} --engine {other}", self.command()),
        }
    }
}

/// Runs all units, `jobs` at once, and hands the results over in the units' order as they come in.
pub fn side_by_side<U: Sync, R: Send>(
    units: &[U],
    jobs: NonZeroUsize,
    run: impl Fn(&U) -> R + Sync,
    each: impl FnMut(&U, R),
) {
    side_by_side_until(units, jobs, || false, run, each);
}

/// The same, until it is time to `stop`: then those under way come to their end, and no other begins. Those that were done
/// are the first ones.
pub fn side_by_side_until<U: Sync, R: Send>(
    units: &[U],
    jobs: NonZeroUsize,
    stop: impl Fn() -> bool + Sync,
    run: impl Fn(&U) -> R + Sync,
    mut each: impl FnMut(&U, R),
) {
    let next = AtomicUsize::new(0);
    let (done, results) = mpsc::sync_channel(jobs.get());
    thread::scope(|scope| {
        for _ in 0..jobs.get().min(units.len()) {
            let (done, next, run, stop) = (done.clone(), &next, &run, &stop);
            scope.spawn(move || {
                while !stop() {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(unit) = units.get(at) else { return };
                    if done.send((at, run(unit))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        let (mut early, mut expected) = (BTreeMap::new(), 0);
        for (at, result) in results {
            early.insert(at, result);
            while let Some(result) = early.remove(&expected) {
                each(&units[expected], result);
                expected += 1;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_sets_what_was_set() {
        let text = "[params]\nmains = 1\nabout = \"\"\n[[main]]\nname = \"a\"\ncount = \"${mains}\"\n";
        let text = format!("description = \"${{about}}\"\n{text}");
        let set = [("mains".to_owned(), "2".to_owned()), ("about".to_owned(), "it's two".to_owned())];
        let scenario = Arc::new(Scenario::load_with("two.toml", &text, &set).unwrap());
        let command = Unit { scenario, seed: 7 }.command();
        assert_eq!(command, r"cargo sim run two.toml --seed 7 --set about='it'\''s two' --set mains=2");
    }

    #[test]
    fn results_come_in_the_units_order() {
        let units: Vec<u32> = (0..100).collect();
        for jobs in [1, 3, 200] {
            let mut seen = Vec::new();
            let jobs = NonZeroUsize::new(jobs).unwrap();
            side_by_side(&units, jobs, |unit| unit * 2, |unit, result| seen.push((*unit, result)));
            assert_eq!(seen, units.iter().map(|unit| (*unit, unit * 2)).collect::<Vec<_>>());
        }
        let seen = AtomicUsize::new(0);
        let mut kept = Vec::new();
        let jobs = NonZeroUsize::new(3).unwrap();
        let run = |unit: &u32| {
            seen.fetch_add(1, Ordering::Relaxed);
            *unit
        };
        let stop = || seen.load(Ordering::Relaxed) >= 10;
        side_by_side_until(&units, jobs, stop, run, |_, result| kept.push(result));
        assert!((10..=12).contains(&kept.len()), "those under way came to their end: {kept:?}");
        assert_eq!(kept, units[..kept.len()]);
        side_by_side(&[0_u8; 0], NonZeroUsize::MIN, |_| (), |_, ()| panic!("there is nothing to run"));
    }
}
