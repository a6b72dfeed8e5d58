//! Numbers and times as people read them.

use std::fmt;

/// Nanoseconds in a microsecond.
pub(crate) const NS_PER_US: u64 = 1_000;
/// Nanoseconds in a millisecond.
pub(crate) const NS_PER_MS: u64 = 1_000_000;
/// Nanoseconds in a second.
pub(crate) const NS_PER_S: u64 = 1_000_000_000;
/// Nanoseconds in a minute.
pub(crate) const NS_PER_MIN: u64 = 60 * NS_PER_S;
/// Nanoseconds in an hour.
pub(crate) const NS_PER_H: u64 = 60 * NS_PER_MIN;

/// Shows a string as HTML text: safe between tags and inside quoted attributes.
pub(crate) struct Text<'a>(pub(crate) &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' => f.write_char(c)?,
                // HTML has no way to write the other control characters.
                c if c.is_control() => f.write_char(char::REPLACEMENT_CHARACTER)?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// `1234567` as `1,234,567`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 call`, `2 calls`.
pub(crate) fn counted(n: u64, singular: &str, plural: &str) -> String {
    format!("{} {}", count(n), if n == 1 { singular } else { plural })
}

/// A share of a whole in per cent; a share that is not whole never shows as `100 %`, nor one above nothing as `0 %`.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "—".to_owned();
    }
    if part == whole {
        return "100 %".to_owned();
    }
    if part == 0 {
        return "0 %".to_owned();
    }
    let share = part as f64 / whole as f64 * 100.0;
    format!("{:.2} %", share.clamp(0.01, 99.99))
}

/// A short duration to three digits in the unit that fits: `840 µs`, `12.4 ms`, `1.52 s`, `2 min 5 s`.
pub(crate) fn latency(ns: u64) -> String {
    let (unit_ns, unit) = match ns {
        0 => return "0 ms".to_owned(),
        1..NS_PER_US => return format!("{ns} ns"),
        NS_PER_US..NS_PER_MS => (NS_PER_US, "µs"),
        NS_PER_MS..NS_PER_S => (NS_PER_MS, "ms"),
        NS_PER_S..NS_PER_MIN => (NS_PER_S, "s"),
        _ => return span(ns),
    };
    let value = ns as f64 / unit_ns as f64;
    let decimals = if value < 9.995 {
        2
    } else if value < 99.95 {
        1
    } else {
        0
    };
    format!("{value:.decimals$} {unit}")
}

/// A longer duration in its two largest units: `850 ms`, `4.5 s`, `1 min 30 s`, `24 h`, `1 h 5 min`.
pub(crate) fn span(ns: u64) -> String {
    fn two(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
        if small == 0 {
            format!("{large} {large_unit}")
        } else {
            format!("{large} {large_unit} {small} {small_unit}")
        }
    }
    match ns {
        0 => "0 s".to_owned(),
        1..NS_PER_S => tick(ns),
        NS_PER_S..NS_PER_MIN => {
            let tenths = ns / (NS_PER_S / 10);
            if tenths.is_multiple_of(10) {
                format!("{} s", tenths / 10)
            } else {
                format!("{}.{} s", tenths / 10, tenths % 10)
            }
        }
        NS_PER_MIN..NS_PER_H => two(ns / NS_PER_MIN, "min", ns % NS_PER_MIN / NS_PER_S, "s"),
        _ => two(ns / NS_PER_H, "h", ns % NS_PER_H / NS_PER_MIN, "min"),
    }
}

/// A round duration for an axis: `0`, `50 ms`, `1.5 s`, without trailing zeros.
pub(crate) fn tick(ns: u64) -> String {
    let (unit_ns, unit) = match ns {
        0 => return "0".to_owned(),
        1..NS_PER_US => return format!("{ns} ns"),
        NS_PER_US..NS_PER_MS => (NS_PER_US, "µs"),
        NS_PER_MS..NS_PER_S => (NS_PER_MS, "ms"),
        _ => (NS_PER_S, "s"),
    };
    format!("{} {unit}", trimmed(ns as f64 / unit_ns as f64))
}

/// At most three decimals, without trailing zeros: `1.5`, `20`.
pub(crate) fn trimmed(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// From this length on the axis of a run counts minutes.
const MINUTES_FROM_NS: u64 = 13 * NS_PER_S;

/// How moments of virtual time are written throughout one page: hours appear only in runs that last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClockStyle {
    /// `1.25` on the axis, else as in `Minutes`
    Seconds,
    /// `2:05`
    Minutes,
    /// `0:02:05`
    Hours,
}

impl ClockStyle {
    /// The style for a run of this length.
    pub(crate) fn for_run(duration_ns: u64) -> Self {
        match duration_ns {
            0..MINUTES_FROM_NS => Self::Seconds,
            MINUTES_FROM_NS..NS_PER_H => Self::Minutes,
            _ => Self::Hours,
        }
    }

    /// What the digits mean, for axis titles.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Minutes => "m:ss",
            Self::Hours => "h:mm",
        }
    }

    /// To the second: `2:05`, `0:02:05`.
    pub(crate) fn seconds(self, ns: u64) -> String {
        let (h, m, s) = (ns / NS_PER_H, ns % NS_PER_H / NS_PER_MIN, ns % NS_PER_MIN / NS_PER_S);
        match self {
            Self::Seconds | Self::Minutes => format!("{}:{s:02}", ns / NS_PER_MIN),
            Self::Hours => format!("{h}:{m:02}:{s:02}"),
        }
    }

    /// To the millisecond: `2:05.120`.
    pub(crate) fn millis(self, ns: u64) -> String {
        format!("{}.{:03}", self.seconds(ns), ns % NS_PER_S / NS_PER_MS)
    }

    /// For an axis: `1.25`, `2:05`, `6:00` (hours).
    pub(crate) fn axis(self, ns: u64) -> String {
        match self {
            Self::Seconds => trimmed(ns as f64 / NS_PER_S as f64),
            Self::Minutes => self.seconds(ns),
            Self::Hours => format!("{}:{:02}", ns / NS_PER_H, ns % NS_PER_H / NS_PER_MIN),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_place() {
        assert_eq!(
            Text("</td><script>\"a\" & 'b'\u{0}\u{7}").to_string(),
            "&lt;/td&gt;&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;\u{fffd}\u{fffd}"
        );
    }

    #[test]
    fn counts_have_thousands_separators() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(12_345_678), "12,345,678");
        assert_eq!(counted(1, "call", "calls"), "1 call");
    }

    #[test]
    fn a_share_that_is_not_whole_never_looks_whole() {
        assert_eq!(percent(0, 0), "—");
        assert_eq!(percent(999_999, 1_000_000), "99.99 %");
        assert_eq!(percent(1, 1_000_000), "0.01 %");
        assert_eq!(percent(1, 2), "50.00 %");
        assert_eq!(percent(7, 7), "100 %");
    }

    #[test]
    fn latencies_keep_three_digits() {
        for (ns, expected) in [
            (0, "0 ms"),
            (840, "840 ns"),
            (840_000, "840 µs"),
            (8_421_000, "8.42 ms"),
            (9_999_000, "10.0 ms"),
            (84_210_000, "84.2 ms"),
            (842_100_000, "842 ms"),
            (1_520_000_000, "1.52 s"),
            (125_000_000_000, "2 min 5 s"),
        ] {
            assert_eq!(latency(ns), expected);
        }
    }

    #[test]
    fn spans_show_their_two_largest_units() {
        for (ns, expected) in [
            (0, "0 s"),
            (850 * NS_PER_MS, "850 ms"),
            (4_500 * NS_PER_MS, "4.5 s"),
            (30 * NS_PER_S, "30 s"),
            (90 * NS_PER_S, "1 min 30 s"),
            (10 * NS_PER_MIN, "10 min"),
            (24 * NS_PER_H, "24 h"),
            (65 * NS_PER_MIN, "1 h 5 min"),
        ] {
            assert_eq!(span(ns), expected);
        }
    }

    #[test]
    fn clocks_show_hours_only_in_long_runs() {
        let short = ClockStyle::for_run(10 * NS_PER_MIN);
        assert_eq!(short.millis(125_120_000_000), "2:05.120");
        assert_eq!(short.axis(125 * NS_PER_S), "2:05");
        assert_eq!(ClockStyle::for_run(2 * NS_PER_S).axis(1_250 * NS_PER_MS), "1.25");
        assert_eq!(ClockStyle::for_run(0).axis(0), "0");
        let long = ClockStyle::for_run(24 * NS_PER_H);
        assert_eq!(long.seconds(125 * NS_PER_S), "0:02:05");
        assert_eq!(long.axis(6 * NS_PER_H), "6:00");
    }
}
