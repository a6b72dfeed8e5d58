//! The calls of a run: counted and timed.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::OpenCall;
use crate::invariants::{EndedCall, Outcome};

/// Points that the curves of a report have, at most.
const BUCKETS_MAX: u64 = 240;

/// Calls seldom take longer, in microseconds.
const USUAL_MICROS: u64 = 20_000_000;

/// Digits of a latency that are kept, for all calls and for each point of a curve.
const DIGITS: u8 = 3;
const BUCKET_DIGITS: u8 = 2;

/// The widths that a point of a curve may have, in seconds.
const WIDTHS_SECONDS: [u64; 12] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_800, 3_600];

/// The calls of a run.
pub struct CallStats {
    /// Latency of the calls that succeeded, in microseconds.
    pub latency: Histogram<u64>,
    /// Calls that succeeded.
    pub succeeded: u64,
    /// Calls whose path was whole from send to answer.
    pub whole: u64,
    /// Of those, the ones that succeeded.
    pub whole_succeeded: u64,
    /// Most hops that any call made.
    pub hops_max: usize,
    /// Calls that succeeded, by the hops that they made.
    pub by_hops: BTreeMap<usize, u64>,
    /// When the last one ended.
    pub last_ended: Duration,
    /// How calls ended, by code; `None` for the ones that got no answer from their own relay.
    pub failures: BTreeMap<Option<i64>, u64>,
    /// The curves.
    pub buckets: Vec<Bucket>,
    /// Width of one of them.
    pub bucket_width: Duration,
}

/// A span of virtual time.
pub struct Bucket {
    /// Latency of the calls due in it that succeeded, in microseconds.
    pub latency: Histogram<u64>,
    /// Calls due in it that failed while their path was broken.
    pub failed_expected: u64,
    /// Calls due in it that failed though their path was whole.
    pub failed_unexpected: u64,
}

impl CallStats {
    /// No calls yet, in a run of this length.
    pub fn new(duration: Duration) -> Self {
        let seconds = duration.as_secs().max(1);
        let width = WIDTHS_SECONDS.into_iter().find(|width| seconds.div_ceil(*width) <= BUCKETS_MAX);
        let width = width.unwrap_or_else(|| seconds.div_ceil(BUCKETS_MAX));
        let bucket =
            || Bucket { latency: histogram(BUCKET_DIGITS), failed_expected: 0, failed_unexpected: 0 };
        CallStats {
            latency: histogram(DIGITS),
            succeeded: 0,
            whole: 0,
            whole_succeeded: 0,
            hops_max: 0,
            by_hops: BTreeMap::new(),
            last_ended: Duration::ZERO,
            failures: BTreeMap::new(),
            buckets: (0..seconds.div_ceil(width)).map(|_| bucket()).collect(),
            bucket_width: Duration::from_secs(width),
        }
    }

    /// All calls that have ended.
    pub fn total(&self) -> u64 {
        self.succeeded + self.failures.values().sum::<u64>()
    }

    /// Calls that failed though their path was whole.
    pub fn failed_unexpected(&self) -> u64 {
        self.whole - self.whole_succeeded
    }

    pub(super) fn ended(&mut self, call: &OpenCall, ended: &EndedCall, whole: bool) {
        let took = ended.ended.saturating_sub(call.due);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let path = ended.outcome.path();
        let hops = path.len().saturating_sub(1);
        self.hops_max = self.hops_max.max(hops);
        self.last_ended = self.last_ended.max(ended.ended);
        let at = usize::try_from(call.due.as_nanos() / self.bucket_width.as_nanos()).unwrap_or(usize::MAX);
        let last = self.buckets.len() - 1;
        let bucket = &mut self.buckets[at.min(last)];
        let succeeded = matches!(ended.outcome, Outcome::Success { .. });
        self.whole += u64::from(whole);
        if succeeded {
            self.succeeded += 1;
            *self.by_hops.entry(hops).or_insert(0) += 1;
            self.whole_succeeded += u64::from(whole);
            record(&mut self.latency, micros);
            record(&mut bucket.latency, micros);
        } else {
            let code = match ended.outcome {
                Outcome::Refused { code, .. } => Some(code),
                _ => None,
            };
            *self.failures.entry(code).or_insert(0) += 1;
            if whole {
                bucket.failed_unexpected += 1;
            } else {
                bucket.failed_expected += 1;
            }
        }
    }
}

fn record(latency: &mut Histogram<u64>, micros: u64) {
    latency.record(micros).expect("a histogram that may grow takes any value");
}

/// Room for what calls usually take is there from the start: what grows in a run is then not its record.
fn histogram(digits: u8) -> Histogram<u64> {
    let mut histogram = Histogram::new_with_max(USUAL_MICROS, digits).expect("2 or 3 digits are fine");
    histogram.auto(true);
    histogram
}

#[cfg(test)]
mod tests {
    use super::super::OpenCall;
    use super::*;
    use crate::scenario::HostIndex;

    fn end(stats: &mut CallStats, due: u64, millis: u64, outcome: Outcome, whole: bool) {
        let due = Duration::from_secs(due);
        let call = OpenCall {
            load: 0,
            caller: HostIndex(1),
            callee: Some(HostIndex(2)),
            service: "echo".into(),
            due,
            sent: due,
            deadline: due + Duration::from_secs(10),
            hops: Vec::new(),
        };
        let ended = due + Duration::from_millis(millis);
        stats.ended(
            &call,
            &EndedCall {
                call: 1,
                caller: HostIndex(1),
                callee: None,
                service: String::new(),
                sent: due,
                ended,
                outcome,
            },
            whole,
        );
    }

    fn success() -> Outcome {
        Outcome::Success { answers: 1, path: ["a", "m", "n", "b"].map(str::to_owned).to_vec() }
    }

    fn refused() -> Outcome {
        Outcome::Refused { code: -32003, message: "no route".into(), path: vec!["a".into()] }
    }

    #[test]
    fn calls_are_counted_once_and_in_their_place() {
        let mut stats = CallStats::new(Duration::from_secs(600));
        assert_eq!((stats.buckets.len(), stats.bucket_width), (120, Duration::from_secs(5)));
        end(&mut stats, 0, 10, success(), true);
        end(&mut stats, 599, 30, success(), false);
        end(&mut stats, 300, 1, refused(), false);
        end(&mut stats, 301, 1, refused(), true);
        assert_eq!((stats.total(), stats.succeeded, stats.whole, stats.whole_succeeded), (4, 2, 2, 1));
        assert_eq!((stats.failed_unexpected(), stats.hops_max), (1, 3));
        assert_eq!(stats.failures, BTreeMap::from([(Some(-32003), 2)]));
        assert_eq!((stats.buckets[60].failed_expected, stats.buckets[60].failed_unexpected), (1, 1));
        assert_eq!((stats.buckets[0].latency.len(), stats.buckets[119].latency.len()), (1, 1));
        assert!(stats.latency.value_at_quantile(1.0).abs_diff(30_000) < 100, "in microseconds, to 3 digits");
    }
}
