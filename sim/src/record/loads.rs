//! What each load of a scenario had of its calls.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::{OpenCall, Sample, Samples};
use crate::invariants::{EndedCall, Outcome};

/// Digits of a latency that are kept.
const DIGITS: u8 = 3;

/// The calls of one load.
pub struct LoadStats {
    /// No call is made from then on.
    stop: Duration,
    /// Latency of the calls that succeeded, in microseconds.
    pub latency: Histogram<u64>,
    /// Calls that succeeded.
    pub succeeded: u64,
    /// Of those, the ones that were answered before the load stopped.
    pub in_time: u64,
    /// Calls whose path was whole from send to answer.
    pub whole: u64,
    /// Of those, the ones that succeeded.
    pub whole_succeeded: u64,
    /// Calls that failed, by code; `None` for the ones that got no answer from their own relay.
    pub failures: BTreeMap<Option<i64>, u64>,
    /// The longest time that a call took to fail.
    pub slowest_failure: Duration,
    /// Those that are kept for people.
    pub samples: Samples,
}

impl LoadStats {
    /// No calls yet, of a load that stops then.
    pub fn new(stop: Duration) -> Self {
        LoadStats {
            stop,
            latency: Histogram::new(DIGITS).expect("3 digits are fine"),
            succeeded: 0,
            in_time: 0,
            whole: 0,
            whole_succeeded: 0,
            failures: BTreeMap::new(),
            slowest_failure: Duration::ZERO,
            samples: Samples::default(),
        }
    }

    /// All calls that have ended.
    pub fn total(&self) -> u64 {
        self.succeeded + self.failures.values().sum::<u64>()
    }

    pub(super) fn ended(&mut self, call: OpenCall, ended: EndedCall, whole: bool) {
        let took = ended.ended.saturating_sub(call.due);
        let code = match ended.outcome {
            Outcome::Refused { code, .. } => Some(code),
            _ => None,
        };
        let in_time = ended.ended <= self.stop;
        let succeeded = matches!(ended.outcome, Outcome::Success { .. });
        self.whole += u64::from(whole);
        let sample = || Sample {
            due: call.due,
            sent: call.sent,
            caller: call.caller,
            callee: call.callee,
            service: call.service,
            took,
            outcome: ended.outcome,
            hops: call.hops,
            whole,
        };
        if succeeded {
            self.succeeded += 1;
            self.in_time += u64::from(in_time);
            self.whole_succeeded += u64::from(whole);
            let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            self.latency.record(micros).expect("a histogram that may grow takes any value");
            self.samples.succeeded(took, sample);
        } else {
            *self.failures.entry(code).or_insert(0) += 1;
            self.slowest_failure = self.slowest_failure.max(took);
            self.samples.fail(sample());
        }
    }
}
