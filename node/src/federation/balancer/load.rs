//! What is known of one instance, and what a call to it is expected to cost.
//!
//! The cost is that of Finagle's and Linkerd's peak EWMA: the latency lately seen × (calls under way + 1). The
//! latency jumps to a peak at once and comes down slowly, towards new observations and, while nothing is observed,
//! towards nothing, so that an instance that was slow is tried again. A failure multiplies the cost for a while.

use std::time::Duration;

use super::CallOutcome;
use crate::env::Instant;

/// Half-life of what was observed.
const HALF_LIFE: Duration = Duration::from_secs(5);

/// By how much a failure raises the cost, at first. A success takes half of it away. Without one, a failed instance
/// is a tie with its equals again after 20 to 50 seconds (the sooner, the more its latency fades meanwhile and
/// theirs does not): about when its circuit breaker would let a probe through.
const FAILURE_WEIGHT: f64 = 1_000.0;

/// What a success leaves of [`Load::failing`] below this is forgiven: an instance that is tried again after a while
/// and does well is well. While failures are fresh it takes eight successes in a row.
const FORGIVEN: f64 = 0.005;

/// Latencies below this are all the same: the difference is noise, the calls under way tell more.
const LATENCY_FLOOR_SECONDS: f64 = 0.002;

/// No single call weighs more than this.
const LATENCY_CAP_SECONDS: f64 = 60.0;

/// What an instance without history is taken for while its first calls are under way: it gets one call, and more
/// only where all others are worse than this. It is neither flooded nor starved.
pub(super) const UNPROVEN_SECONDS: f64 = 1.0;

/// One instance.
#[derive(Clone, Debug)]
pub(super) struct Load {
    /// Tells this entry from an earlier one for the same instance.
    pub(super) epoch: u64,
    pub(super) outstanding: u32,
    /// When it was chosen last, by number of choice.
    pub(super) chosen: u64,
    /// When it was of use last.
    pub(super) used: Instant,
    /// Peak EWMA in seconds as of `observed`; `None` before the first observation.
    latency: Option<f64>,
    /// 1 at a failure, halved by each success and each half-life; as of `observed`.
    failing: f64,
    observed: Instant,
}

impl Load {
    pub(super) fn new(epoch: u64, now: Instant) -> Self {
        Load { epoch, outstanding: 0, chosen: 0, used: now, latency: None, failing: 0.0, observed: now }
    }

    /// What one more call is expected to cost, in seconds. Zero for an instance that has not been tried.
    pub(super) fn cost(&self, now: Instant) -> f64 {
        let latency = match self.latency {
            Some(latency) => (latency * remains(now - self.observed)).max(LATENCY_FLOOR_SECONDS),
            None if self.outstanding == 0 => return 0.0,
            None => UNPROVEN_SECONDS,
        };
        latency * (f64::from(self.outstanding) + 1.0) * self.penalty(now)
    }

    /// 1 for an instance that is well, up to 1,001 for one that has just failed.
    pub(super) fn penalty(&self, now: Instant) -> f64 {
        1.0 + FAILURE_WEIGHT * self.failing * remains(now - self.observed)
    }

    pub(super) fn started(&mut self) {
        self.outstanding = self.outstanding.saturating_add(1);
    }

    pub(super) fn finished(&mut self, outcome: CallOutcome, latency: Duration, now: Instant) {
        self.outstanding = self.outstanding.saturating_sub(1);
        let latency = latency.as_secs_f64().min(LATENCY_CAP_SECONDS);
        let remains = remains(now - self.observed);
        let before = self.latency.unwrap_or(match outcome {
            CallOutcome::Success => 0.0,
            CallOutcome::Failure | CallOutcome::Cancelled => UNPROVEN_SECONDS,
        });
        self.latency = Some(match outcome {
            _ if latency > before => latency,
            CallOutcome::Success => before * remains + latency * (1.0 - remains),
            // It failed, or was given up, that early: this does not make it fast.
            CallOutcome::Failure | CallOutcome::Cancelled => before * remains,
        });
        self.failing = match outcome {
            CallOutcome::Success if self.failing * remains * 0.5 < FORGIVEN => 0.0,
            CallOutcome::Success => self.failing * remains * 0.5,
            CallOutcome::Failure => 1.0,
            CallOutcome::Cancelled => self.failing * remains,
        };
        self.observed = now;
    }
}

/// The share that remains of something after `elapsed`: halved with each half-life, a straight line between the
/// halvings. Unlike an exponential it comes to the same bits on every machine.
fn remains(elapsed: Duration) -> f64 {
    let half_lives = elapsed.as_secs_f64() / HALF_LIFE.as_secs_f64();
    if half_lives >= 63.0 {
        return 0.0;
    }
    let whole = half_lives as u32;
    (1.0 - (half_lives - f64::from(whole)) / 2.0) / (1u64 << whole) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: f64) -> Instant {
        Instant::default() + Duration::from_secs_f64(seconds)
    }

    fn after(calls: &[(CallOutcome, f64)]) -> Load {
        let mut load = Load::new(1, at(0.0));
        for (outcome, latency) in calls {
            load.started();
            load.finished(*outcome, Duration::from_secs_f64(*latency), at(0.0));
        }
        load
    }

    #[test]
    fn a_peak_counts_at_once_and_halves_with_each_half_life() {
        let mut load = after(&[(CallOutcome::Success, 0.016), (CallOutcome::Success, 0.4)]);
        assert_eq!(load.cost(at(0.0)), 0.4);
        assert_eq!(load.cost(at(5.0)), 0.2);
        assert!((load.cost(at(7.5)) - 0.15).abs() < 1e-9);
        assert_eq!(load.cost(at(1_000.0)), LATENCY_FLOOR_SECONDS);
        load.started();
        assert_eq!(load.cost(at(5.0)), 0.4);
        load.finished(CallOutcome::Success, Duration::from_millis(100), at(5.0));
        // Half of what it was, half of what was seen.
        assert_eq!(load.cost(at(5.0)), 0.25);
    }

    #[test]
    fn a_failure_raises_the_cost_and_success_or_time_takes_it_back() {
        let failed = after(&[(CallOutcome::Success, 0.4), (CallOutcome::Failure, 0.001)]);
        assert_eq!(failed.cost(at(0.0)), 0.4 * 1_001.0);
        assert!(failed.cost(at(20.0)) > 2.0 * 0.4 && failed.cost(at(25.0)) < 2.0 * 0.4);
        let well = after(&[
            (CallOutcome::Failure, 0.0),
            (CallOutcome::Success, 0.0),
            (CallOutcome::Success, 0.0),
            (CallOutcome::Success, 0.0),
        ]);
        assert_eq!(well.penalty(at(0.0)), 1.0 + 1_000.0 / 8.0);
    }

    #[test]
    fn the_untried_costs_nothing_until_it_is_tried() {
        let mut load = Load::new(1, at(0.0));
        assert_eq!(load.cost(at(0.0)), 0.0);
        load.started();
        assert_eq!(load.cost(at(0.0)), 2.0 * UNPROVEN_SECONDS);
        load.finished(CallOutcome::Cancelled, Duration::ZERO, at(0.0));
        assert_eq!(load.cost(at(0.0)), UNPROVEN_SECONDS, "giving up early proves nothing");
    }

    proptest! {
        #[test]
        fn what_remains_never_grows(nanos: u64, more: u64) {
            let (early, late) = (nanos.min(more), nanos.max(more));
            let (early, late) = (remains(Duration::from_nanos(early)), remains(Duration::from_nanos(late)));
            prop_assert!((0.0..=1.0).contains(&late) && late <= early);
        }
    }
}
