//! Rates: `1/s`, `6/m`, `1 per 10s`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{QuantityError, as_string, duration};

const EXPECTED: &str = "a rate such as \"1/s\", \"6/m\" or \"1 per 10s\"";

/// So many events in so much time. Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    events: u32,
    per: Duration,
}

impl Rate {
    /// `events` in each `per`; `None` where either is zero.
    pub fn new(events: u32, per: Duration) -> Option<Rate> {
        (events > 0 && !per.is_zero()).then_some(Rate { events, per })
    }

    /// The time from one event to the next, in whole nanoseconds.
    pub fn interval(&self) -> Duration {
        self.per / self.events
    }

    /// When event number `n` is due at an even pace, counted from event 0. It does not drift from the rate however
    /// many events there are.
    pub fn offset(&self, n: u64) -> Duration {
        let nanos = u128::from(n) * self.per.as_nanos() / u128::from(self.events);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Events per second.
    pub fn per_second(&self) -> f64 {
        f64::from(self.events) / self.per.as_secs_f64()
    }
}

impl FromStr for Rate {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Rate, QuantityError> {
        let text = text.trim();
        let wrong =
            |problem: &str| QuantityError { problem: format!("\"{text}\" {problem}"), expected: EXPECTED };
        let (events, per) = text
            .split_once(" per ")
            .or_else(|| text.split_once('/'))
            .ok_or_else(|| wrong("is not a rate"))?;
        let events: u32 = events.trim().parse().map_err(|_| wrong("does not begin with a whole number"))?;
        let per = match per.trim() {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(3600),
            other => duration::parse(other).map_err(|_| wrong("does not end with a time"))?,
        };
        Rate::new(events, per).ok_or_else(|| wrong("is a rate of zero"))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.per.as_nanos() {
            1_000_000_000 => "s",
            60_000_000_000 => "m",
            3_600_000_000_000 => "h",
            _ => return write!(f, "{} per {}", self.events, duration::format(self.per)),
        };
        write!(f, "{}/{unit}", self.events)
    }
}

as_string!(Rate);
