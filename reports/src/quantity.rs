//! Values of metrics as people write them in baselines, and back: `15.3 s`, `99.95 %`, `3,594`.

use std::fmt;

use crate::format::{NS_PER_MIN, NS_PER_MS, NS_PER_S, NS_PER_US, count, trimmed};
use crate::model::{Better, Unit};

/// Billionths of a whole in one per cent.
const BILLIONTHS_PER_PERCENT: f64 = 1e7;
/// Billionths in a thousandth of one per cent, the least that is shown.
const BILLIONTHS_SHOWN: u64 = 10_000;
/// The units of durations that are read; `min` before `m`, or it would never be seen.
const DURATIONS: [(&str, u64); 7] = [
    ("ns", 1),
    ("µs", NS_PER_US),
    ("us", NS_PER_US),
    ("ms", NS_PER_MS),
    ("min", NS_PER_MIN),
    ("m", NS_PER_MIN),
    ("s", NS_PER_S),
];

/// A value as one reads it: `15.3 s`, `99.95 %`, `3,594`. Durations and shares have three decimals and are rounded to the
/// bad side, so that a value never stands worse than what was written of it, and a share below all never reads as all.
pub(crate) fn show(unit: Unit, better: Better, value: u64) -> String {
    match unit {
        Unit::Count => count(value),
        Unit::Billionths => {
            let shown = match better {
                Better::Lower => value.div_ceil(BILLIONTHS_SHOWN),
                Better::Higher => value / BILLIONTHS_SHOWN,
            };
            format!("{} %", trimmed(shown as f64 / 1e3))
        }
        Unit::Ns => {
            let (unit_ns, name) = match value {
                0..NS_PER_MS => (NS_PER_US, "µs"),
                NS_PER_MS..NS_PER_S => (NS_PER_MS, "ms"),
                _ => (NS_PER_S, "s"),
            };
            let thousandth = unit_ns / 1_000;
            let thousandths = match better {
                Better::Lower => value.div_ceil(thousandth),
                Better::Higher => value / thousandth,
            };
            format!("{} {name}", trimmed(thousandths as f64 / 1e3))
        }
    }
}

/// Reads a value; the unit that it is written with tells what it counts.
pub(crate) fn parse(text: &str) -> Result<(Unit, u64), QuantityError> {
    let wrong = || QuantityError(text.to_owned());
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ',').unwrap_or(text.len());
    let (number, unit) = (text[..split].replace(',', ""), text[split..].trim());
    if unit.is_empty() {
        return Ok((Unit::Count, number.parse().map_err(|_| wrong())?));
    }
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let factor = match unit {
        "%" => return Ok((Unit::Billionths, (number * BILLIONTHS_PER_PERCENT).round() as u64)),
        _ => DURATIONS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?.1,
    };
    Ok((Unit::Ns, (number * factor as f64).round() as u64))
}

/// A text that is no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuantityError(String);

impl fmt::Display for QuantityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is no value; write a duration (`15.3 s`), a share (`99.5 %`) or a whole number (`3,594`)",
            self.0
        )
    }
}

impl std::error::Error for QuantityError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_read() {
        for (unit, value, text) in [
            (Unit::Ns, 15_300_000_000, "15.3 s"),
            (Unit::Ns, 70_700_000, "70.7 ms"),
            (Unit::Ns, 250_000, "250 µs"),
            (Unit::Ns, 0, "0 µs"),
            (Unit::Billionths, 1_000_000_000, "100 %"),
            (Unit::Billionths, 999_990_000, "99.999 %"),
            (Unit::Billionths, 995_000_000, "99.5 %"),
            (Unit::Count, 3_594, "3,594"),
        ] {
            assert_eq!(show(unit, Better::Lower, value), text);
            assert_eq!(parse(text), Ok((unit, value)), "{text}");
        }
        assert_eq!(parse("2min"), Ok((Unit::Ns, 120_000_000_000)));
    }

    #[test]
    fn what_has_more_digits_is_rounded_to_the_bad_side() {
        assert_eq!(show(Unit::Billionths, Better::Higher, 999_999_999), "99.999 %");
        assert_eq!(show(Unit::Billionths, Better::Lower, 1), "0.001 %");
        assert_eq!(show(Unit::Ns, Better::Lower, 15_300_000_001), "15.301 s");
        assert_eq!(show(Unit::Ns, Better::Higher, 15_300_999_999), "15.3 s");
    }

    #[test]
    fn what_is_no_value_is_refused_in_words() {
        for text in ["", "fast", "-3", "1.5", "3 parsecs", "..3 s"] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.contains("write a duration"), "{error}");
        }
    }
}
