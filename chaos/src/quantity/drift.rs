//! How much faster or slower a clock runs: `+200ppm`, `-1%`.

use std::fmt;
use std::str::FromStr;

use super::{QuantityError, as_string, number};

const EXPECTED: &str = "a drift such as \"200ppm\", \"-50ppm\" or \"1%\", at most 50% either way";
const PPM_PER_PERCENT: u64 = 10_000;
/// A clock that runs half as fast again, or half as fast.
const MAX_PPM: u64 = 500_000;

/// Parts per million by which a clock runs fast; below zero: slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drift {
    ppm: i32,
}

impl Drift {
    /// So many parts per million; `None` where that is more than 50 % either way.
    pub fn from_ppm(ppm: i32) -> Option<Drift> {
        (u64::from(ppm.unsigned_abs()) <= MAX_PPM).then_some(Drift { ppm })
    }

    /// Parts per million; below zero: the clock is slow.
    pub const fn ppm(self) -> i32 {
        self.ppm
    }
}

impl FromStr for Drift {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Drift, QuantityError> {
        let text = text.trim();
        let wrong =
            |problem: &str| QuantityError { problem: format!("\"{text}\" {problem}"), expected: EXPECTED };
        let (sign, rest) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        let (value, unit) = number::split(rest);
        let scale = match unit {
            "ppm" => 1,
            "%" => PPM_PER_PERCENT,
            _ => return Err(wrong("is not a drift")),
        };
        let ppm = number::scaled(value, scale).ok_or_else(|| wrong("is not a whole number of ppm"))?;
        let ppm = i32::try_from(ppm).map_err(|_| wrong("is too much"))?;
        Drift::from_ppm(sign * ppm).ok_or_else(|| wrong("is too much"))
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:+}ppm", self.ppm)
    }
}

as_string!(Drift);
