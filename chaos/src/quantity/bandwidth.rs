//! Bandwidths: `100Mbit/s`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{QuantityError, as_string, number};

const EXPECTED: &str = "a bandwidth such as \"100Mbit/s\", \"1Gbit/s\" or \"64kbit/s\"";
const UNITS: [(&str, u64); 4] =
    [("Gbit/s", 1_000_000_000), ("Mbit/s", 1_000_000), ("kbit/s", 1_000), ("bit/s", 1)];
const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// How much a link carries, in bits per second. Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bandwidth {
    bits_per_second: u64,
}

impl Bandwidth {
    /// `bits` per second; zero counts as one.
    pub const fn from_bits_per_second(bits: u64) -> Bandwidth {
        Bandwidth { bits_per_second: if bits == 0 { 1 } else { bits } }
    }

    /// Bits per second.
    pub const fn bits_per_second(self) -> u64 {
        self.bits_per_second
    }

    /// How long `bytes` take to leave.
    pub fn time_for(self, bytes: u64) -> Duration {
        let nanos = u128::from(bytes) * 8 * NANOS_PER_SECOND / u128::from(self.bits_per_second);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl FromStr for Bandwidth {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Bandwidth, QuantityError> {
        let text = text.trim();
        let wrong =
            |problem: &str| QuantityError { problem: format!("\"{text}\" {problem}"), expected: EXPECTED };
        let (value, unit) = number::split(text);
        let (_, scale) =
            UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(|| wrong("is not a bandwidth"))?;
        match number::scaled(value, *scale) {
            Some(0) => Err(wrong("carries nothing (a partition does that)")),
            Some(bits_per_second) => Ok(Bandwidth { bits_per_second }),
            None => Err(wrong("is not a whole number of bits")),
        }
    }
}

impl fmt::Display for Bandwidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.iter().find(|(_, scale)| self.bits_per_second >= *scale);
        let (name, scale) = unit.copied().unwrap_or(("bit/s", 1));
        write!(f, "{}{name}", number::decimal(self.bits_per_second, scale))
    }
}

as_string!(Bandwidth);
