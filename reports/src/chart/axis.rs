//! Axes: where a value stands, and which round values get a tick.

use crate::chart::svg::{X, X_UNITS};
use crate::format::{NS_PER_H, NS_PER_MIN, NS_PER_MS, NS_PER_S};

/// Ticks on the time axis at most, both ends not counted.
const TIME_TICKS_MAX: u64 = 12;
/// From this ratio of largest to smallest on, a linear axis would press most of the curve onto its base line.
const LOG_FROM_RATIO: f64 = 25.0;

/// Steps between ticks that people count in, ns.
const TIME_STEPS_NS: [u64; 23] = [
    NS_PER_MS,
    10 * NS_PER_MS,
    50 * NS_PER_MS,
    100 * NS_PER_MS,
    250 * NS_PER_MS,
    500 * NS_PER_MS,
    NS_PER_S,
    2 * NS_PER_S,
    5 * NS_PER_S,
    10 * NS_PER_S,
    15 * NS_PER_S,
    30 * NS_PER_S,
    NS_PER_MIN,
    2 * NS_PER_MIN,
    5 * NS_PER_MIN,
    10 * NS_PER_MIN,
    15 * NS_PER_MIN,
    30 * NS_PER_MIN,
    NS_PER_H,
    2 * NS_PER_H,
    3 * NS_PER_H,
    6 * NS_PER_H,
    12 * NS_PER_H,
];

/// Virtual time from zero to the end of the run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeAxis {
    end_ns: u64,
}

impl TimeAxis {
    /// An axis that spans `duration_ns`; an empty run gets a second, so that it has an axis at all.
    pub(crate) fn new(duration_ns: u64) -> Self {
        Self { end_ns: if duration_ns == 0 { NS_PER_S } else { duration_ns } }
    }

    /// Where a moment stands. Later moments than the end stand at the end.
    pub(crate) fn x(self, at_ns: u64) -> X {
        let at = u128::from(at_ns.min(self.end_ns));
        X((at * u128::from(X_UNITS) / u128::from(self.end_ns)) as u32)
    }

    /// Round moments, from zero on.
    pub(crate) fn ticks_ns(self) -> Vec<u64> {
        let day = 24 * NS_PER_H;
        let step = TIME_STEPS_NS
            .into_iter()
            .find(|step| self.end_ns / step <= TIME_TICKS_MAX)
            .unwrap_or_else(|| (self.end_ns / day / TIME_TICKS_MAX + 1) * day);
        (0..=self.end_ns / step).map(|i| i * step).collect()
    }
}

/// Values from the base line up.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ValueAxis {
    /// Value at the base line: 0 where the axis is linear.
    low: f64,
    /// Value at the top.
    high: f64,
    log: bool,
    /// Round values to mark, from the bottom up.
    pub(crate) ticks: Vec<f64>,
    height: f64,
}

impl ValueAxis {
    /// From zero to a round value at or above `max`.
    pub(crate) fn linear(max: f64, height: f64) -> Self {
        let max = if max > 0.0 { max } else { 1.0 };
        let step = round_up(max / 4.0);
        let steps = (max / step).ceil().max(1.0) as u32;
        let ticks = (0..=steps).map(|i| f64::from(i) * step).collect();
        Self { low: 0.0, high: f64::from(steps) * step, log: false, ticks, height }
    }

    /// Logarithmic where `max` is many times `min`, else linear from zero.
    pub(crate) fn fitting(min: f64, max: f64, height: f64) -> Self {
        if min > 0.0 && max / min >= LOG_FROM_RATIO {
            Self::logarithmic(min, max, height)
        } else {
            Self::linear(max, height)
        }
    }

    fn logarithmic(min: f64, max: f64, height: f64) -> Self {
        let mut values = vec![round_down(min)];
        while let Some(&last) = values.last()
            && last < max
        {
            values.push(round_up(last * 1.5));
        }
        let (low, high) = (values[0], values[values.len() - 1]);
        // 1-2-5 over two decades is seven lines; over more, powers of ten suffice.
        let ticks = if values.len() <= 8 {
            values
        } else {
            values.into_iter().filter(|v| is_power_of_ten(*v)).collect()
        };
        Self { low, high, log: true, ticks, height }
    }

    /// Whether equal distances mean equal ratios.
    pub(crate) fn is_log(&self) -> bool {
        self.log
    }

    /// Pixels below the top of the plot.
    pub(crate) fn y(&self, value: f64) -> f64 {
        let value = value.clamp(self.low, self.high);
        let share = if self.log {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.height * (1.0 - share)
    }
}

/// The smallest of 1, 2, 5 × 10^n at or above `value`.
fn round_up(value: f64) -> f64 {
    // The small allowance keeps 0.30000000000000004 from becoming 0.5.
    let magnitude = 10_f64.powf(value.log10().floor());
    let digits = value / magnitude * (1.0 - 1e-9);
    let round = [1.0, 2.0, 5.0].into_iter().find(|r| digits <= *r).unwrap_or(10.0);
    round * magnitude
}

/// The largest of 1, 2, 5 × 10^n at or below `value`.
fn round_down(value: f64) -> f64 {
    let magnitude = 10_f64.powf(value.log10().floor());
    let digits = value / magnitude * (1.0 + 1e-9);
    let round = [5.0, 2.0].into_iter().find(|r| digits >= *r).unwrap_or(1.0);
    round * magnitude
}

fn is_power_of_ten(value: f64) -> bool {
    let exponent = value.log10();
    (exponent - exponent.round()).abs() < 1e-6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_ticks_are_round_and_few() {
        let minutes: Vec<u64> =
            TimeAxis::new(600 * NS_PER_S).ticks_ns().iter().map(|t| t / NS_PER_S).collect();
        assert_eq!(minutes, [0, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600]);
        let day: Vec<u64> = TimeAxis::new(24 * NS_PER_H).ticks_ns().iter().map(|t| t / NS_PER_H).collect();
        assert_eq!(day, [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24]);
        for duration_ns in
            [0, 1, NS_PER_MS, 7 * NS_PER_S, 100 * NS_PER_MIN, 1_000 * 24 * NS_PER_H, u64::MAX / 2]
        {
            let ticks = TimeAxis::new(duration_ns).ticks_ns();
            assert!(ticks.len() <= TIME_TICKS_MAX as usize + 1, "{duration_ns}: {ticks:?}");
            assert!(!ticks.is_empty());
        }
    }

    #[test]
    fn moments_stay_on_the_axis() {
        let axis = TimeAxis::new(600 * NS_PER_S);
        assert_eq!(axis.x(0), X(0));
        assert_eq!(axis.x(150 * NS_PER_S), X(2_500));
        assert_eq!(axis.x(u64::MAX), X(10_000));
        assert_eq!(TimeAxis::new(0).x(0), X(0));
    }

    #[test]
    fn a_linear_axis_ends_on_a_round_value_at_or_above_the_largest() {
        let axis = ValueAxis::linear(37.0, 200.0);
        assert_eq!(axis.ticks, [0.0, 10.0, 20.0, 30.0, 40.0]);
        assert_eq!(axis.y(0.0), 200.0);
        assert_eq!(axis.y(40.0), 0.0);
        assert_eq!(ValueAxis::linear(0.0, 10.0).ticks.first(), Some(&0.0));
    }

    #[test]
    fn a_wide_range_is_logarithmic_and_covers_both_ends() {
        let axis = ValueAxis::fitting(12.0, 4_100.0, 200.0);
        assert!(axis.is_log());
        assert!(axis.y(12.0) <= 200.0 && axis.y(12.0) > axis.y(4_100.0));
        assert_eq!(axis.y(5_000.0), 0.0);
        assert!(axis.ticks.len() >= 2);
        assert!(!ValueAxis::fitting(12.0, 41.0, 200.0).is_log());
    }

    #[test]
    fn round_values_are_one_two_five() {
        for (value, up, down) in [(1.0, 1.0, 1.0), (1.1, 2.0, 1.0), (3.0, 5.0, 2.0), (70.0, 100.0, 50.0)] {
            assert!((round_up(value) - up).abs() < 1e-9, "{value}");
            assert!((round_down(value) - down).abs() < 1e-9, "{value}");
        }
    }
}
