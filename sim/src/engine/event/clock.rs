//! Each host's own clocks, where they are not true: how they read at a virtual time, and when they will read something.
//!
//! A host with true clocks has no entry here, and asking for its time costs one look at a flag.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::link::HostId;

/// Parts in a million.
const MILLION: u128 = 1_000_000;

/// The slowest and the fastest that a clock may run, in parts per million of drift.
pub(super) const DRIFT_PPM_MAX: i32 = 500_000;

/// The clocks of one host. The monotonic one runs at its own rate and never jumps; the wall clock is that many
/// nanoseconds from it, and jumps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HostClock {
    /// The virtual time from which on the rate holds.
    since: u64,
    /// What the monotonic clock read then.
    reading: u64,
    /// Nanoseconds of this clock per million of virtual time.
    rate: u64,
    /// What the wall clock shows, less what it would show with a monotonic clock that is true and no offset.
    wall: i64,
}

impl Default for HostClock {
    /// A true clock.
    fn default() -> Self {
        Self { since: 0, reading: 0, rate: MILLION as u64, wall: 0 }
    }
}

impl HostClock {
    /// What the monotonic clock reads at this virtual time, from [`since`](Self::since) on.
    fn monotonic(&self, now: u64) -> u64 {
        let passed = u128::from(now.saturating_sub(self.since)) * u128::from(self.rate) / MILLION;
        self.reading.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    /// The first virtual time at which the monotonic clock has reached this reading; the end of time where it never does.
    fn reached(&self, reading: u64) -> u64 {
        if reading == u64::MAX {
            return u64::MAX;
        }
        let ahead = u128::from(reading.saturating_sub(self.reading)) * MILLION;
        let wait = ahead.div_ceil(u128::from(self.rate));
        self.since.saturating_add(u64::try_from(wait).unwrap_or(u64::MAX))
    }

    /// Runs on at another rate: what it reads does not jump.
    fn drift(&mut self, now: u64, ppm: i32) {
        let ppm = ppm.clamp(-DRIFT_PPM_MAX, DRIFT_PPM_MAX);
        self.reading = self.monotonic(now);
        self.since = now;
        self.rate = MILLION as u64 + u64::from(ppm.unsigned_abs());
        if ppm < 0 {
            self.rate = MILLION as u64 - u64::from(ppm.unsigned_abs());
        }
    }

    /// Nanoseconds by which the wall clock is ahead of the true one.
    fn ahead(&self, now: u64) -> i64 {
        let drifted = i128::from(self.monotonic(now)) - i128::from(now);
        clamped(drifted + i128::from(self.wall))
    }

    /// Sets the wall clock so many nanoseconds ahead of the true one.
    fn set(&mut self, now: u64, ahead: i64) {
        let drifted = i128::from(self.monotonic(now)) - i128::from(now);
        self.wall = clamped(i128::from(ahead) - drifted);
    }
}

fn clamped(nanos: i128) -> i64 {
    i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}

/// The clocks of all hosts. Readable without the lock of the state.
#[derive(Default)]
pub(super) struct Clocks {
    /// Whether any host's clocks are not true, or were not.
    any: AtomicBool,
    by_host: Mutex<BTreeMap<u32, HostClock>>,
}

impl Clocks {
    /// What the host's monotonic clock reads.
    pub(super) fn monotonic(&self, host: HostId, now: u64) -> u64 {
        self.with(host, |clock| clock.monotonic(now)).unwrap_or(now)
    }

    /// When the host's monotonic clock has reached this reading.
    pub(super) fn reached(&self, host: HostId, reading: u64) -> u64 {
        self.with(host, |clock| clock.reached(reading)).unwrap_or(reading)
    }

    /// Nanoseconds by which the host's wall clock is ahead of the true one.
    pub(super) fn ahead(&self, host: HostId, now: u64) -> i64 {
        self.with(host, |clock| clock.ahead(now)).unwrap_or(0)
    }

    /// Whether every host's clocks are true, and always were.
    pub(super) fn are_true(&self) -> bool {
        !self.any.load(Ordering::Relaxed)
    }

    /// From `now` on the host's clocks run fast by so many parts per million.
    pub(super) fn drift(&self, host: HostId, now: u64, ppm: i32) {
        self.change(host, |clock| clock.drift(now, ppm));
    }

    /// Moves the host's wall clock.
    pub(super) fn jump(&self, host: HostId, by: i64) {
        self.change(host, |clock| clock.wall = clock.wall.saturating_add(by));
    }

    /// Sets the host's wall clock so many nanoseconds ahead of the true one.
    pub(super) fn set(&self, host: HostId, now: u64, ahead: i64) {
        self.change(host, |clock| clock.set(now, ahead));
    }

    fn with<T>(&self, host: HostId, look: impl FnOnce(&HostClock) -> T) -> Option<T> {
        // One thread runs the world; the flag is there for speed.
        if self.are_true() {
            return None;
        }
        self.lock().get(&host.0).map(look)
    }

    fn change(&self, host: HostId, change: impl FnOnce(&mut HostClock)) {
        change(self.lock().entry(host.0).or_default());
        self.any.store(true, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, HostClock>> {
        self.by_host.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const HOST: HostId = HostId(3);

    #[test]
    fn a_host_without_a_word_has_true_clocks() {
        let clocks = Clocks::default();
        assert!(clocks.are_true());
        clocks.drift(HostId(1), 0, 100);
        assert_eq!((clocks.monotonic(HOST, 7), clocks.reached(HOST, 7), clocks.ahead(HOST, 7)), (7, 7, 0));
    }

    #[test]
    fn a_fast_clock_gains_what_its_drift_says() {
        let clocks = Clocks::default();
        clocks.drift(HOST, 0, 200);
        assert_eq!(clocks.monotonic(HOST, 10_000 * SECOND), 10_002 * SECOND);
        assert_eq!(clocks.ahead(HOST, 10_000 * SECOND), 2 * SECOND as i64);
        assert_eq!(clocks.reached(HOST, 10_002 * SECOND), 10_000 * SECOND);
        clocks.set(HOST, 10_000 * SECOND, 0);
        assert_eq!(clocks.ahead(HOST, 10_000 * SECOND), 0, "set right");
        assert_eq!(clocks.monotonic(HOST, 10_000 * SECOND), 10_002 * SECOND, "the monotonic clock is not");
    }

    #[test]
    fn the_wall_clock_jumps_and_the_monotonic_one_does_not() {
        let clocks = Clocks::default();
        clocks.jump(HOST, -5 * SECOND as i64);
        assert_eq!(
            (clocks.ahead(HOST, SECOND), clocks.monotonic(HOST, SECOND)),
            (-5 * SECOND as i64, SECOND)
        );
        clocks.jump(HOST, i64::MIN);
        assert_eq!(clocks.ahead(HOST, SECOND), i64::MIN, "no further");
    }

    #[test]
    fn what_is_never_reached_is_never_reached() {
        let clocks = Clocks::default();
        clocks.drift(HOST, 0, DRIFT_PPM_MAX);
        assert_eq!(clocks.reached(HOST, u64::MAX), u64::MAX);
        clocks.drift(HOST, 0, -DRIFT_PPM_MAX);
        assert_eq!(clocks.reached(HOST, u64::MAX - 1), u64::MAX, "beyond the end of virtual time");
    }

    proptest! {
        /// Whatever happens to the rate, the clock never goes back, and a reading is reached at the first virtual
        /// nanosecond at which it is.
        #[test]
        fn conversions_are_exact_and_monotone(
            steps in prop::collection::vec((0..10 * SECOND, -DRIFT_PPM_MAX..=DRIFT_PPM_MAX, 0..10 * SECOND), 1..20),
        ) {
            let mut clock = HostClock::default();
            let (mut now, mut last) = (0, 0);
            for (later, ppm, ahead) in steps {
                now += later;
                let before = clock.monotonic(now);
                prop_assert!(before >= last);
                clock.drift(now, ppm);
                prop_assert_eq!(clock.monotonic(now), before, "a change of rate is no jump");
                let wanted = before + ahead;
                let at = clock.reached(wanted);
                prop_assert!(clock.monotonic(at) >= wanted);
                prop_assert!(at == now || clock.monotonic(at - 1) < wanted);
                last = before;
            }
        }
    }
}
