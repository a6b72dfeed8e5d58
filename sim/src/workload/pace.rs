//! When the calls of a load with a profile are due.
//!
//! The area under the rate is the number of calls: each call is due when so much more of it has passed, one call's worth
//! at an even pace, an exponentially distributed amount where callers are independent.

use std::time::Duration;

use rand::RngExt;
use relay_node::env::Rng;

use crate::scenario::{Pacing, Profile, Segment, Shape};

/// Halvings that find a time within a wave: a day comes down to less than a nanosecond.
const HALVINGS: u32 = 64;

/// The times at which one host's calls are due.
pub struct Pace<'a> {
    profile: &'a Profile,
    /// The segment, and the time in it, up to which calls were given out.
    segment: usize,
    seconds: f64,
    /// What is left of the calls' worth until the next one.
    need: f64,
    /// Calls of this burst that were given out, and which burst it is.
    burst: (u32, u32),
}

impl<'a> Pace<'a> {
    /// Begins at the beginning of the profile; each host at its own random point.
    pub fn new(profile: &'a Profile, rng: &mut Rng) -> Self {
        let need = match profile.pacing {
            Pacing::Even => rng.random::<f64>(),
            Pacing::Poisson => exponential(rng),
        };
        Pace { profile, segment: 0, seconds: 0.0, need, burst: (0, 0) }
    }

    /// When the next call is due, from the start of the run. Never earlier than the one before.
    pub fn next(&mut self, rng: &mut Rng) -> Option<Duration> {
        loop {
            let segment = self.profile.segments.get(self.segment)?;
            let due = match segment.shape {
                Shape::Burst { calls, every } => self.next_of_burst(segment, calls, every),
                _ => self.next_of_rate(segment, rng),
            };
            if due.is_some() {
                return due;
            }
            self.segment += 1;
            self.seconds = 0.0;
            self.burst = (0, 0);
        }
    }

    fn next_of_burst(&mut self, segment: &Segment, calls: u32, every: Duration) -> Option<Duration> {
        if self.burst.0 == calls {
            self.burst = (0, self.burst.1 + 1);
        }
        let due = segment.window.from + every.saturating_mul(self.burst.1);
        self.burst.0 += 1;
        segment.window.contains(due).then_some(due)
    }

    fn next_of_rate(&mut self, segment: &Segment, rng: &mut Rng) -> Option<Duration> {
        let length = segment.window.length().as_secs_f64();
        let passed = segment.calls_until(self.seconds);
        let left = segment.calls_until(length) - passed;
        if self.need > left {
            self.need -= left.max(0.0);
            return None;
        }
        self.seconds = reach(segment, passed + self.need, self.seconds, length);
        self.need = match self.profile.pacing {
            Pacing::Even => 1.0,
            Pacing::Poisson => exponential(rng),
        };
        Some((segment.window.from + Duration::from_secs_f64(self.seconds)).min(segment.window.to))
    }
}

/// When a segment has made `calls` calls, in seconds from its beginning; between `from` and `to`.
fn reach(segment: &Segment, calls: f64, from: f64, to: f64) -> f64 {
    let at = match segment.shape {
        Shape::Constant(rate) => calls / rate.per_second(),
        Shape::Ramp(..) => {
            let (first, slope) = segment.ramp();
            match slope.abs() < f64::EPSILON {
                true => calls / first,
                // The root of calls = first·t + slope/2·t², in the form that loses no digits.
                false => 2.0 * calls / (first + (first * first + 2.0 * slope * calls).max(0.0).sqrt()),
            }
        }
        Shape::Wave { .. } => {
            let (mut low, mut high) = (from, to);
            for _ in 0..HALVINGS {
                let middle = f64::midpoint(low, high);
                if segment.calls_until(middle) < calls {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            high
        }
        Shape::Pause | Shape::Burst { .. } => to,
    };
    at.clamp(from, to)
}

/// One call's worth on the average.
fn exponential(rng: &mut Rng) -> f64 {
    -(1.0 - rng.random::<f64>()).ln()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use relay_chaos::Rate;

    use super::*;
    use crate::scenario::Window;

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn rate(per_second: u32) -> Rate {
        Rate::new(per_second, secs(1)).unwrap()
    }

    /// Segments one after the other, from 100 s on.
    fn profile(pacing: Pacing, shapes: &[(u64, Shape)]) -> Profile {
        let mut from = secs(100);
        let segments = shapes.iter().map(|(lasts, shape)| {
            let window = Window { from, to: from + secs(*lasts) };
            from = window.to;
            Segment { window, shape: *shape }
        });
        Profile { segments: segments.collect(), pacing }
    }

    fn times(profile: &Profile, seed: u64) -> Vec<Duration> {
        let mut rng = Rng::seed_from_u64(seed);
        let mut pace = Pace::new(profile, &mut rng);
        std::iter::from_fn(|| pace.next(&mut rng)).collect()
    }

    /// How many of the times lie in each span of so many seconds, from 100 s on.
    fn per(times: &[Duration], span: u64, spans: u64) -> Vec<usize> {
        let inside = |at: &Duration, n| (100 + n * span..100 + (n + 1) * span).contains(&at.as_secs());
        (0..spans).map(|n| times.iter().filter(|at| inside(at, n)).count()).collect()
    }

    #[test]
    fn steps_follow_one_another_without_a_gap() {
        let shapes = [(10, Shape::Constant(rate(1))), (5, Shape::Pause), (10, Shape::Constant(rate(20)))];
        let times = times(&profile(Pacing::Even, &shapes), 1);
        let counts = per(&times, 5, 5);
        assert!(counts[0].abs_diff(5) <= 1 && counts[1].abs_diff(5) <= 1, "{counts:?}");
        assert_eq!(counts[2], 0, "nothing while it pauses");
        assert!(counts[3].abs_diff(100) <= 1 && counts[4].abs_diff(100) <= 1, "{counts:?}");
        assert!(times.is_sorted());
    }

    #[test]
    fn a_ramp_grows_evenly_from_nothing_and_falls_back_to_it() {
        let shapes = [(10, Shape::Ramp(None, Some(rate(100)))), (10, Shape::Ramp(Some(rate(100)), None))];
        let counts = per(&times(&profile(Pacing::Even, &shapes), 2), 5, 4);
        // 125, 375, 375, 125: the area of a triangle.
        for (count, expected) in counts.iter().zip([125, 375, 375, 125]) {
            assert!(count.abs_diff(expected) <= 1, "{counts:?}");
        }
    }

    #[test]
    fn a_wave_is_low_at_both_ends_of_its_period() {
        let wave = Shape::Wave { low: rate(1), high: rate(19), period: secs(40) };
        let counts = per(&times(&profile(Pacing::Even, &[(80, wave)]), 3), 20, 4);
        assert_eq!(counts.iter().sum::<usize>().abs_diff(800), 0, "ten a second on the average: {counts:?}");
        let quarters = per(&times(&profile(Pacing::Even, &[(40, wave)]), 3), 10, 4);
        assert!(
            quarters[0] < 50 && quarters[1] > 150 && quarters[2] > 150 && quarters[3] < 50,
            "{quarters:?}"
        );
    }

    #[test]
    fn bursts_come_all_at_once_and_again() {
        let times = times(&profile(Pacing::Even, &[(10, Shape::Burst { calls: 3, every: secs(4) })]), 4);
        let at: Vec<u64> = times.iter().map(Duration::as_secs).collect();
        assert_eq!(at, [100, 100, 100, 104, 104, 104, 108, 108, 108]);
    }

    #[test]
    fn independent_callers_come_at_random_and_at_the_same_rate() {
        let ramp = [(100, Shape::Ramp(Some(rate(10)), Some(rate(30))))];
        let (one, other) =
            (times(&profile(Pacing::Poisson, &ramp), 5), times(&profile(Pacing::Poisson, &ramp), 6));
        assert_ne!(one, other);
        for times in [&one, &other] {
            assert!(times.len().abs_diff(2_000) < 150, "{} of about 2,000", times.len());
            assert!(times.is_sorted());
        }
    }
}
