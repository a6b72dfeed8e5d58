//! How the run went: who was up when, when each invariant was looked at, how full things were.

use std::collections::BTreeSet;
use std::time::Duration;

use relay_chaos::Fault;

use super::Levels;
use crate::invariants::Invariants;
use crate::scenario::{HostIndex, HostSet};

/// Changes of hosts that are kept; a day of rolling restarts has some thousands.
const CHANGES_KEPT_MAX: usize = 20_000;

/// Moments at which the counters of the invariants are noted.
const CHECK_POINTS: u32 = 60;

/// How the run went.
pub struct Course {
    /// Who went down and came up, in order of time, those apart that were there from the start.
    pub changes: Vec<HostChange>,
    /// What the invariants had counted at the end of each interval.
    pub checks: Vec<Vec<Count>>,
    /// The length of an interval.
    pub interval: Duration,
    /// How full things were.
    pub levels: Levels,
    /// Power cuts that waited for a disk and came: the fault's place in the scenario, and the host.
    pub power_cuts: BTreeSet<(usize, HostIndex)>,
}

/// A host went down or came up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostChange {
    /// When.
    pub at: Duration,
    /// Which.
    pub host: HostIndex,
    /// Whether it runs from then on.
    pub up: bool,
}

/// What one invariant had counted by some moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Checks.
    pub checked: u64,
    /// Of those, the ones that found it violated.
    pub violated: u64,
}

impl Course {
    /// The course of a run that is to take so long.
    pub(super) fn new(duration: Duration) -> Self {
        let interval = (duration / CHECK_POINTS).max(Duration::from_secs(1));
        Course {
            changes: Vec::new(),
            checks: Vec::new(),
            interval,
            levels: Levels::new(duration),
            power_cuts: BTreeSet::new(),
        }
    }

    /// Whether the fault in this place of the scenario came: all do, but for power cuts that wait for a disk.
    pub fn came(&self, number: usize, fault: &Fault<HostSet>) -> bool {
        !fault.is_conditional() || self.power_cuts.iter().any(|(cut, _)| *cut == number)
    }

    /// A host went down or came up.
    pub(super) fn changed(&mut self, at: Duration, host: HostIndex, up: bool) {
        if !at.is_zero() && self.changes.len() < CHANGES_KEPT_MAX {
            self.changes.push(HostChange { at, host, up });
        }
    }

    /// It is `now`: notes what was counted in every interval that is over.
    pub(super) fn pass(&mut self, now: Duration, invariants: &Invariants) {
        while now >= self.interval * (self.checks.len() as u32 + 1)
            && self.checks.len() < CHECK_POINTS as usize
        {
            self.note(invariants);
        }
    }

    /// The run is over: the last interval takes in what came late.
    pub(super) fn finish(&mut self, invariants: &Invariants) {
        if self.checks.len() == CHECK_POINTS as usize {
            self.checks.pop();
        }
        self.note(invariants);
    }

    fn note(&mut self, invariants: &Invariants) {
        let counts = invariants.results();
        let counts = counts.map(|(_, it)| Count { checked: it.checked, violated: it.violated });
        self.checks.push(counts.collect());
    }

    /// What the invariant in place `at` counted in each interval.
    pub fn history(&self, at: usize) -> impl Iterator<Item = Count> {
        let mut before = Count::default();
        self.checks.iter().filter_map(move |counts| counts.get(at)).map(move |count| {
            let since =
                Count { checked: count.checked - before.checked, violated: count.violated - before.violated };
            before = *count;
            since
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::Observed;
    use crate::scenario::Scenario;
    use relay_node::config::Timing;

    #[test]
    fn checks_are_counted_in_the_interval_in_which_they_were_made() {
        let text =
            "duration = \"2m\"\n[[main]]\nname = \"main-a\"\n[[home]]\nname = \"home\"\nmain = \"main-a\"";
        let scenario = Scenario::load("small.toml", text).unwrap();
        let mut invariants = Invariants::new(&scenario, &Timing::default(), Duration::from_secs(1));
        let mut course = Course::new(scenario.run.duration);
        assert_eq!(course.interval, Duration::from_secs(2));
        for second in [0, 1, 5, 121, 122] {
            let at = Duration::from_secs(second);
            course.pass(at, &invariants);
            invariants.observe(&Observed::Accepted { at, host: HostIndex(1), from: HostIndex(0) });
        }
        course.finish(&invariants);
        let place = invariants.results().position(|(it, _)| it.name() == "no-inbound-to-homes").unwrap();
        let counts: Vec<_> = course.history(place).map(|count| (count.checked, count.violated)).collect();
        let sum = counts.iter().fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
        assert_eq!((counts.len(), sum), (60, (5, 5)), "a Home takes no connections");
        assert_eq!((counts[0].0, counts[1].0, counts[2].0, counts[59].0), (2, 0, 1, 2));
    }

    #[test]
    fn who_is_there_from_the_start_is_no_change() {
        let mut course = Course::new(Duration::from_secs(60));
        course.changed(Duration::ZERO, HostIndex(0), true);
        course.changed(Duration::from_secs(3), HostIndex(0), false);
        assert_eq!(course.changes.len(), 1);
    }
}
