//! A rate limit as a value: the generic cell rate algorithm (ITU-T I.371), two numbers and one instant.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::env::Instant;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// One limit and how much of it is used. Over any window at most `burst` + rate × window pass.
#[derive(Clone, Debug)]
pub struct Gcra {
    /// Time that one pass costs. Rounded up, so that the rate is never exceeded.
    interval: Duration,
    /// How far ahead of the clock the passes may run: the burst without its first.
    tolerance: Duration,
    /// When all passes so far are paid for (the "theoretical arrival time").
    paid: Instant,
}

impl Gcra {
    /// A limit of `per_second` passes in the long run and of `burst` at once, of which none is used.
    pub fn new(per_second: NonZeroU32, burst: NonZeroU32) -> Self {
        let nanos = NANOS_PER_SECOND.div_ceil(u64::from(per_second.get()));
        Gcra {
            interval: Duration::from_nanos(nanos),
            tolerance: Duration::from_nanos(nanos * u64::from(burst.get() - 1)),
            paid: Instant::default(),
        }
    }

    /// Takes one pass.
    ///
    /// # Errors
    /// How long to wait until there is one again. A refusal costs nothing.
    pub fn check(&mut self, now: Instant) -> Result<(), Duration> {
        let ahead = self.paid - now;
        if ahead > self.tolerance {
            return Err(ahead - self.tolerance);
        }
        self.paid = self.paid.max(now) + self.interval;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limit(per_second: u32, burst: u32) -> Gcra {
        Gcra::new(NonZeroU32::new(per_second).unwrap(), NonZeroU32::new(burst).unwrap())
    }

    fn at(millis: u64) -> Instant {
        Instant::default() + Duration::from_millis(millis)
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let mut limit = limit(10, 3);
        let passes: Vec<_> = (0..5).map(|_| limit.check(at(1_000))).collect();
        let wait = Err(Duration::from_millis(100));
        assert_eq!(passes, [Ok(()), Ok(()), Ok(()), wait, wait]);
        assert_eq!(limit.check(at(1_040)), Err(Duration::from_millis(60)));
        assert_eq!(limit.check(at(1_099)), Err(Duration::from_millis(1)));
        assert_eq!(limit.check(at(1_100)), Ok(()));
        assert_eq!(limit.check(at(1_100)), wait);
    }

    #[test]
    fn a_rest_gives_the_burst_back_and_no_more() {
        let mut limit = limit(10, 2);
        assert_eq!((limit.check(at(0)), limit.check(at(0))), (Ok(()), Ok(())));
        let passes = (0..9).filter(|_| limit.check(at(3_600_000)).is_ok()).count();
        assert_eq!(passes, 2);
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let mut slow_and_large = limit(1, u32::MAX);
        let mut fast = limit(u32::MAX, u32::MAX);
        for now in [0, u64::MAX - 1, u64::MAX] {
            assert_eq!(slow_and_large.check(Instant::from_nanos(now)), Ok(()));
            assert_eq!(fast.check(Instant::from_nanos(now)), Ok(()));
        }
    }

    proptest! {
        #[test]
        fn no_window_sees_more_than_burst_and_rate(
            per_second in 1u32..2_000,
            burst in 1u32..20,
            gaps in proptest::collection::vec(0u64..20_000_000, 1..200),
        ) {
            let mut limit = limit(per_second, burst);
            let mut now = Instant::default();
            let mut passed: Vec<Instant> = Vec::new();
            for gap in gaps {
                now = now + Duration::from_nanos(gap);
                if let Err(wait) = limit.check(now) {
                    prop_assert!(wait > Duration::ZERO);
                    // The hint is exact: a moment earlier it is refused, then it passes.
                    let early = now + (wait - Duration::from_nanos(1));
                    prop_assert!(limit.clone().check(early).is_err());
                    prop_assert!(limit.clone().check(now + wait).is_ok());
                } else {
                    passed.push(now);
                }
            }
            for (first, start) in passed.iter().enumerate() {
                for (last, end) in passed.iter().enumerate().skip(first) {
                    let window = (*end - *start).as_secs_f64();
                    let most = f64::from(burst) + f64::from(per_second) * window + 1e-6;
                    prop_assert!((last - first + 1) as f64 <= most);
                }
            }
        }
    }
}
