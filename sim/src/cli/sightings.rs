//! What must happen at least once, over several runs of one scenario: one of them is enough.

use indexmap::IndexMap;

use crate::execute::Execution;

/// In how many runs each thing happened that must happen at least once.
#[derive(Clone, Debug, Default)]
pub struct Sightings {
    runs: u64,
    /// By name, in the order of the scenario.
    seen_in: IndexMap<String, u64>,
}

impl Sightings {
    /// Adds a run.
    pub fn add(&mut self, run: &Execution) {
        self.count(run.sometimes.iter().map(|gate| (gate.name.to_string(), gate.holds)));
    }

    fn count(&mut self, seen: impl Iterator<Item = (String, bool)>) {
        self.runs += 1;
        for (name, holds) in seen {
            *self.seen_in.entry(name).or_insert(0) += u64::from(holds);
        }
    }

    /// Whether something happened in none of the runs.
    pub fn proves_nothing(&self) -> bool {
        self.seen_in.values().any(|runs| *runs == 0)
    }

    /// A line for each thing.
    pub fn lines(&self, scenario: &str) -> Vec<String> {
        let line = |(name, runs): (&String, &u64)| match runs {
            0 => format!("✗ {scenario}: {name}: in none of {} runs; they prove nothing about it", self.runs),
            some => format!("✓ {scenario}: {name}: in {some} of {} runs", self.runs),
        };
        self.seen_in.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_run_of_many_is_enough() {
        let mut sightings = Sightings::default();
        for (fallback, restart) in [(false, false), (true, false), (false, false)] {
            let seen = [("sometimes fallback", fallback), ("sometimes restart", restart)];
            sightings.count(seen.into_iter().map(|(name, holds)| (name.to_owned(), holds)));
        }
        assert!(sightings.proves_nothing());
        let lines = sightings.lines("storm");
        assert_eq!(lines[0], "✓ storm: sometimes fallback: in 1 of 3 runs");
        assert_eq!(lines[1], "✗ storm: sometimes restart: in none of 3 runs; they prove nothing about it");
        sightings.count(std::iter::once(("sometimes restart".to_owned(), true)));
        assert!(!sightings.proves_nothing());
    }
}
