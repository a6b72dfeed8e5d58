//! Calls and failures of the last seconds, in buckets.

use super::{FAILURE_PERCENT, WINDOW_CALLS_LEAST};
use crate::env::Instant;

/// Width of one bucket, in nanoseconds: a second.
pub(super) const BUCKET_NANOS: u64 = 1_000_000_000;
/// Buckets in the window: the one that is being filled, and the nine before it.
pub(super) const WINDOW_BUCKETS: u64 = 10;

/// A rolling count.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    buckets: [Bucket; WINDOW_BUCKETS as usize],
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    /// Which bucket since the clock's origin this is; older ones are overwritten when their place is needed.
    number: u64,
    calls: u32,
    failures: u32,
}

impl Window {
    pub(super) fn add(&mut self, now: Instant, failed: bool) {
        let number = now.as_nanos() / BUCKET_NANOS;
        let bucket = &mut self.buckets[(number % WINDOW_BUCKETS) as usize];
        if bucket.number != number {
            *bucket = Bucket { number, ..Bucket::default() };
        }
        bucket.calls = bucket.calls.saturating_add(1);
        bucket.failures = bucket.failures.saturating_add(u32::from(failed));
    }

    /// Whether there were enough calls, and enough of them failed.
    pub(super) fn is_bad(&self, now: Instant) -> bool {
        let number = now.as_nanos() / BUCKET_NANOS;
        let recent = self.buckets.iter().filter(|it| number.saturating_sub(it.number) < WINDOW_BUCKETS);
        let (calls, failures) = recent.fold((0, 0), |(calls, failures), it| {
            (calls + u64::from(it.calls), failures + u64::from(it.failures))
        });
        calls >= WINDOW_CALLS_LEAST && failures * 100 >= calls * FAILURE_PERCENT
    }
}
