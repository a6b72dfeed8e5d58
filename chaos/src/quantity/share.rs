//! Shares of a whole: `0.1%`, `100%`.

use std::fmt;
use std::str::FromStr;

use super::{QuantityError, as_string, number};

const EXPECTED: &str = "a share such as \"0.1%\" or \"100%\"";
const BILLION: u32 = 1_000_000_000;
const BILLIONTHS_PER_PERCENT: u64 = 10_000_000;

/// A part of a whole, from nothing to all of it, in billionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share {
    billionths: u32,
}

impl Share {
    /// Nothing.
    pub const ZERO: Share = Share { billionths: 0 };
    /// The whole.
    pub const ONE: Share = Share { billionths: BILLION };

    /// `part` of `whole`, rounded down, so that only the whole itself is [`Share::ONE`]; `None` where `whole` is zero
    /// or less than `part`.
    pub fn of(part: u64, whole: u64) -> Option<Share> {
        let billionths = (u128::from(part) * u128::from(BILLION)).checked_div(u128::from(whole))?;
        let billionths = u32::try_from(billionths).ok().filter(|it| *it <= BILLION)?;
        Some(Share { billionths })
    }

    /// Billionths of the whole.
    pub const fn billionths(self) -> u32 {
        self.billionths
    }

    /// From 0.0 to 1.0: the probability of an event that happens to this share.
    pub fn as_f64(self) -> f64 {
        f64::from(self.billionths) / f64::from(BILLION)
    }
}

impl FromStr for Share {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Share, QuantityError> {
        let text = text.trim();
        let wrong =
            |problem: &str| QuantityError { problem: format!("\"{text}\" {problem}"), expected: EXPECTED };
        let (value, unit) = number::split(text);
        if unit != "%" || value.is_empty() {
            return Err(wrong("is not a share"));
        }
        let billionths =
            number::scaled(value, BILLIONTHS_PER_PERCENT).ok_or_else(|| wrong("has too many digits"))?;
        match u32::try_from(billionths) {
            Ok(billionths) if billionths <= BILLION => Ok(Share { billionths }),
            _ => Err(wrong("is more than 100%")),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", number::decimal(u64::from(self.billionths), BILLIONTHS_PER_PERCENT))
    }
}

as_string!(Share);
