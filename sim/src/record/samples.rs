//! Calls that are kept for people: of each load the slowest, and the first and the last that failed.

use std::collections::VecDeque;
use std::time::Duration;

use crate::invariants::Outcome;
use crate::scenario::HostIndex;

/// The slowest calls of a load that are kept.
const SLOWEST_KEPT_MAX: usize = 10;
/// The first failed calls of a load that are kept, and as many of the last: of those whose path was whole, and of the
/// others.
const FAILED_KEPT_MAX: usize = 5;

/// One call, kept for people.
#[derive(Clone, Debug)]
pub struct Sample {
    /// When it was due.
    pub due: Duration,
    /// When it was handed to its caller's relay.
    pub sent: Duration,
    /// Who called.
    pub caller: HostIndex,
    /// Whom, where it was for one host.
    pub callee: Option<HostIndex>,
    /// The service called.
    pub service: String,
    /// From due to ended.
    pub took: Duration,
    /// How it ended.
    pub outcome: Outcome,
    /// How long each node on its way had it, the caller's first, as far as they told.
    pub hops: Vec<HopTime>,
    /// Whether its path was whole.
    pub whole: bool,
}

/// How long one node had a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HopTime {
    /// The node.
    pub node: String,
    /// From taking the call to having the answer.
    pub took: Duration,
}

/// The calls of one load that are kept.
#[derive(Default)]
pub struct Samples {
    /// Those that succeeded, the slowest first.
    pub slowest: Vec<Sample>,
    /// Those that failed though their path was whole.
    unexpected: Ends,
    /// Those that failed while it was broken.
    expected: Ends,
}

/// The first and the last of a sequence.
#[derive(Default)]
struct Ends {
    first: Vec<Sample>,
    last: VecDeque<Sample>,
}

impl Ends {
    fn push(&mut self, sample: Sample) {
        if self.first.len() < FAILED_KEPT_MAX {
            return self.first.push(sample);
        }
        if self.last.len() == FAILED_KEPT_MAX {
            self.last.pop_front();
        }
        self.last.push_back(sample);
    }

    fn iter(&self) -> impl Iterator<Item = &Sample> {
        self.first.iter().chain(&self.last)
    }
}

impl Samples {
    /// Those that failed, the ones that should not have first, each sort in the order in which they ended.
    pub fn failed(&self) -> impl Iterator<Item = &Sample> {
        self.unexpected.iter().chain(self.expected.iter())
    }

    /// A call that succeeded after `took`. `sample` makes it, where it is to be kept.
    pub(super) fn succeeded(&mut self, took: Duration, sample: impl FnOnce() -> Sample) {
        let has_room = self.slowest.len() < SLOWEST_KEPT_MAX;
        if has_room || self.slowest.last().is_some_and(|least| took > least.took) {
            let at = self.slowest.partition_point(|other| other.took >= took);
            self.slowest.insert(at, sample());
            self.slowest.truncate(SLOWEST_KEPT_MAX);
        }
    }

    /// A call that failed.
    pub(super) fn fail(&mut self, sample: Sample) {
        if sample.whole { self.unexpected.push(sample) } else { self.expected.push(sample) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(millis: u64, whole: bool) -> Sample {
        Sample {
            due: Duration::ZERO,
            sent: Duration::ZERO,
            caller: HostIndex(1),
            callee: None,
            service: "echo".into(),
            took: Duration::from_millis(millis),
            outcome: Outcome::NoOutcome,
            hops: Vec::new(),
            whole,
        }
    }

    fn millis<'a>(samples: impl Iterator<Item = &'a Sample>) -> Vec<u128> {
        samples.map(|sample| sample.took.as_millis()).collect()
    }

    #[test]
    fn the_slowest_are_kept_the_slowest_first() {
        let mut samples = Samples::default();
        for took in (1..=30).rev().chain(31..=40).chain(5..20) {
            samples.succeeded(Duration::from_millis(took), || sample(took, true));
        }
        assert_eq!(millis(samples.slowest.iter()), (31..=40).rev().collect::<Vec<u128>>());
    }

    #[test]
    fn the_first_and_the_last_failures_are_kept_and_unexpected_ones_come_first() {
        let mut samples = Samples::default();
        (0..100).for_each(|took| samples.fail(sample(took, false)));
        (200..203).for_each(|took| samples.fail(sample(took, true)));
        let expected = [200, 201, 202, 0, 1, 2, 3, 4, 95, 96, 97, 98, 99];
        assert_eq!(millis(samples.failed()), expected);
    }
}
