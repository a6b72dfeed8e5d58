//! Time as a value: a monotonic instant for intervals and order, wall-clock time for people and records.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use super::BoxFuture;

/// A host's clocks.
pub trait Clock: Send + Sync {
    /// Monotonic time. Never goes back while the process lives; its origin means nothing.
    fn now(&self) -> Instant;

    /// Wall-clock time. May jump either way; never used for ordering.
    fn unix(&self) -> UnixTime;

    /// Completes once [`Clock::now`] has reached `at`; at once where `at` has passed.
    fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()>;
}

/// A point on a host's monotonic clock: nanoseconds since an origin of that host's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The instant `nanos` nanoseconds after the origin.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Time from `earlier` to `self`; zero where `earlier` is later.
    pub fn saturating_since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    /// Saturates at the end of the clock's range (584 years).
    fn add(self, rhs: Duration) -> Instant {
        Instant(self.0.saturating_add(u64::try_from(rhs.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub for Instant {
    type Output = Duration;

    /// Zero where `rhs` is later.
    fn sub(self, rhs: Instant) -> Duration {
        self.saturating_since(rhs)
    }
}

/// Wall-clock time: the span since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixTime(pub Duration);

impl Add<Duration> for UnixTime {
    type Output = UnixTime;

    /// Saturates at the end of the range.
    fn add(self, rhs: Duration) -> UnixTime {
        UnixTime(self.0.saturating_add(rhs))
    }
}

impl fmt::Display for UnixTime {
    /// RFC 3339 in UTC with milliseconds: `2026-01-02T03:04:05.678Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[expect(clippy::disallowed_types, reason = "a conversion, not a reading of the clock")]
        let time = std::time::SystemTime::UNIX_EPOCH.checked_add(self.0);
        match time {
            Some(time) => humantime::format_rfc3339_millis(time).fmt(f),
            None => f.write_str("9999-12-31T23:59:59.999Z"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_saturate_instead_of_wrapping() {
        let early = Instant::from_nanos(5);
        let late = Instant::from_nanos(9);
        assert_eq!(late - early, Duration::from_nanos(4));
        assert_eq!(early - late, Duration::ZERO);
        assert_eq!(Instant::from_nanos(u64::MAX) + Duration::from_secs(1), Instant::from_nanos(u64::MAX));
    }

    #[test]
    fn wall_clock_time_reads_as_rfc_3339() {
        let time = UnixTime(Duration::from_millis(1_767_323_045_678));
        assert_eq!(time.to_string(), "2026-01-02T03:04:05.678Z");
        assert_eq!(UnixTime::default().to_string(), "1970-01-01T00:00:00.000Z");
    }
}
