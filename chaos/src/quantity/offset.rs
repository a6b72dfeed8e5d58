//! How far a clock is off: `-90s`, `+5m`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{QuantityError, as_string, duration};

const EXPECTED: &str = "an offset such as \"-90s\", \"+5m\" or \"250ms\"";

/// A time forward or back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset {
    forward: bool,
    by: Duration,
}

impl Offset {
    /// Forward by this.
    pub const fn forward(by: Duration) -> Offset {
        Offset { forward: true, by }
    }

    /// Back by this.
    pub const fn back(by: Duration) -> Offset {
        Offset { forward: by.is_zero(), by }
    }

    /// In nanoseconds, below zero for back.
    pub fn nanos(self) -> i64 {
        // The longest duration that is read fits.
        let nanos = i64::try_from(self.by.as_nanos()).unwrap_or(i64::MAX);
        if self.forward { nanos } else { -nanos }
    }
}

impl FromStr for Offset {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Offset, QuantityError> {
        let text = text.trim();
        let (forward, rest) = match text.strip_prefix('-') {
            Some(rest) => (false, rest),
            None => (true, text.strip_prefix('+').unwrap_or(text)),
        };
        let by = duration::parse(rest)
            .map_err(|error| QuantityError { problem: error.problem, expected: EXPECTED })?;
        Ok(if forward { Offset::forward(by) } else { Offset::back(by) })
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.forward { '+' } else { '-' }, duration::format(self.by))
    }
}

as_string!(Offset);
