//! Exponential backoff with jitter, as values.

use std::time::Duration;

use rand::RngExt;

use crate::env::Rng;

/// How long to wait between tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffPolicy {
    /// The longest first wait.
    pub initial: Duration,
    /// The longest wait ever.
    pub cap: Duration,
}

/// One sequence of tries.
#[derive(Debug)]
pub struct Backoff {
    policy: BackoffPolicy,
    failures: u32,
}

impl Backoff {
    /// A sequence that has not failed yet.
    pub fn new(policy: BackoffPolicy) -> Self {
        Self { policy, failures: 0 }
    }

    /// The wait before the next try: between half of the ceiling and the ceiling, which doubles with each failure
    /// up to the cap. The half that is fixed keeps a tight loop from forming; the half that is drawn keeps a
    /// thousand Homes from coming back at once.
    pub fn next_wait(&mut self, rng: &mut Rng) -> Duration {
        let doubled = self.policy.initial.saturating_mul(1 << self.failures.min(20));
        let ceiling = doubled.min(self.policy.cap);
        self.failures = self.failures.saturating_add(1);
        ceiling.mul_f64(rng.random_range(0.5..=1.0))
    }

    /// A try succeeded: the next wait is a first one again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;
    use crate::env::Rng;

    proptest! {
        #[test]
        fn waits_stay_between_half_the_ceiling_and_the_cap(seed: u64, tries in 1u32..40) {
            let policy = BackoffPolicy { initial: Duration::from_millis(500), cap: Duration::from_secs(15) };
            let mut backoff = Backoff::new(policy);
            let mut rng = Rng::seed_from_u64(seed);
            for failures in 0..tries {
                let ceiling = policy.initial.saturating_mul(1 << failures.min(20)).min(policy.cap);
                let wait = backoff.next_wait(&mut rng);
                prop_assert!(wait >= ceiling / 2 && wait <= ceiling, "{wait:?} after {failures} failures");
            }
            backoff.reset();
            prop_assert!(backoff.next_wait(&mut rng) <= policy.initial);
        }
    }
}
