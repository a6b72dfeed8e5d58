//! By how much a figure may be worse than an earlier one.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::model::{Better, Metric, Standing, Unit};
use crate::quantity::{self, QuantityError};

/// Billionths in a whole.
const WHOLE: u64 = 1_000_000_000;

/// By how much a value may be worse: a share of the earlier value (`10 %`), or an amount (`2 s`, `5`).
///
/// For a metric that is itself a share, `1 %` means one point: from 99 % to 98 %.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tolerance {
    unit: Unit,
    value: u64,
    text: String,
}

impl Tolerance {
    /// How `after` stands against `before`, values of a metric with this unit and direction.
    #[must_use]
    pub fn standing(&self, unit: Unit, better: Better, before: u64, after: u64) -> Standing {
        let slack = self.slack(unit, before);
        let (worse, good) = match better {
            Better::Lower => (after > before.saturating_add(slack), after < before.saturating_sub(slack)),
            Better::Higher => (after < before.saturating_sub(slack), after > before.saturating_add(slack)),
        };
        match (worse, good) {
            (true, _) => Standing::Worse,
            (_, true) => Standing::Better,
            _ => Standing::Within,
        }
    }

    /// Whether it says something about a metric with this unit.
    pub(crate) fn fits(&self, unit: Unit) -> bool {
        self.unit == Unit::Billionths || self.unit == unit
    }

    fn slack(&self, unit: Unit, before: u64) -> u64 {
        if self.unit != Unit::Billionths || unit == Unit::Billionths {
            return self.value;
        }
        let slack = u128::from(before) * u128::from(self.value) / u128::from(WHOLE);
        u64::try_from(slack).unwrap_or(u64::MAX)
    }
}

impl FromStr for Tolerance {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let (unit, value) = quantity::parse(text)?;
        Ok(Self { unit, value, text: text.trim().to_owned() })
    }
}

impl fmt::Display for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The tolerance of each metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tolerances {
    default: Tolerance,
    by_metric: BTreeMap<String, Tolerance>,
}

impl Tolerances {
    /// The same for all metrics.
    #[must_use]
    pub fn all(default: Tolerance) -> Self {
        Self { default, by_metric: BTreeMap::new() }
    }

    /// With a tolerance of its own for one metric.
    pub fn set(&mut self, metric: impl Into<String>, tolerance: Tolerance) {
        self.by_metric.insert(metric.into(), tolerance);
    }

    /// The one that counts for a metric.
    #[must_use]
    pub fn of(&self, metric: &Metric) -> &Tolerance {
        self.by_metric.get(&metric.name).filter(|it| it.fits(metric.unit)).unwrap_or(&self.default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(tolerance: &str, unit: Unit, better: Better, before: u64, after: u64) -> Standing {
        tolerance.parse::<Tolerance>().expect("a tolerance").standing(unit, better, before, after)
    }

    #[test]
    fn a_share_of_a_duration_is_relative() {
        let p99 = |after| standing("10 %", Unit::Ns, Better::Lower, 1_000, after);
        assert_eq!([p99(899), p99(900), p99(1_100), p99(1_101)].map(|s| s as u8), [0, 1, 1, 2]);
    }

    #[test]
    fn a_share_of_a_share_is_points() {
        let success = |after| standing("1 %", Unit::Billionths, Better::Higher, 990_000_000, after);
        assert_eq!(success(980_000_000), Standing::Within);
        assert_eq!(success(979_999_999), Standing::Worse);
    }

    #[test]
    fn an_amount_is_added() {
        assert_eq!(standing("2 s", Unit::Ns, Better::Lower, 1_000_000_000, 3_000_000_000), Standing::Within);
        assert_eq!(standing("0", Unit::Count, Better::Lower, 0, 1), Standing::Worse);
        assert_eq!(standing("0 %", Unit::Ns, Better::Lower, u64::MAX, u64::MAX), Standing::Within);
    }

    #[test]
    fn a_tolerance_of_another_unit_does_not_count() {
        let mut tolerances = Tolerances::all("10 %".parse().expect("a share"));
        tolerances.set("hops", "2 s".parse().expect("a duration"));
        tolerances.set("p99", "2 s".parse().expect("a duration"));
        let metric = |name, unit| Metric::new(name, unit, Better::Lower, 1);
        assert_eq!(tolerances.of(&metric("hops", Unit::Count)).to_string(), "10 %");
        assert_eq!(tolerances.of(&metric("p99", Unit::Ns)).to_string(), "2 s");
    }
}
