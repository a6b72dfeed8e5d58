//! How much later than its link's latency a packet arrives, by the shape of the jitter.
//!
//! Only additions, multiplications, divisions and comparisons, which IEEE 754 says to the last bit: `ln` and `powf` come
//! from the system's mathematical library, which may answer otherwise on another processor.

use relay_chaos::JitterShape;

use super::random::Dice;

/// An exponential draw is at most so many times its mean.
const EXPONENTIAL_CUT: f64 = 10.0;
/// A Pareto draw is at most so many times its mean.
const PARETO_CUT: f64 = 100.0;
/// The mean of a Pareto distribution of shape 1.5, in units of its least value: a / (a - 1).
const PARETO_MEAN: f64 = 3.0;

/// So many nanoseconds, where `jitter` is the link's and above zero.
pub(super) fn draw(dice: &mut Dice, shape: JitterShape, jitter: u64) -> u64 {
    let scale = jitter as f64;
    let drawn = match shape {
        JitterShape::Uniform => return dice.below(jitter.saturating_add(1)),
        JitterShape::Normal => (0.5 + normal(dice) / 6.0).clamp(0.0, 1.0),
        JitterShape::Exponential => (-ln(unit(dice))).min(EXPONENTIAL_CUT),
        JitterShape::Pareto => {
            let root = cbrt(unit(dice));
            (1.0 / (root * root * PARETO_MEAN)).min(PARETO_CUT)
        }
    };
    (drawn * scale) as u64
}

/// In `(0, 1]`, in steps of 2^-53.
fn unit(dice: &mut Dice) -> f64 {
    const STEPS: u64 = 1 << 53;
    (dice.below(STEPS) + 1) as f64 / STEPS as f64
}

/// Standard normal, as the sum of twelve uniform draws less six (Irwin-Hall): within six deviations, and as good as
/// normal up to three.
fn normal(dice: &mut Dice) -> f64 {
    const STEPS: u64 = 1 << 16;
    let sum: u64 = (0..12).map(|_| dice.below(STEPS)).sum();
    sum as f64 / STEPS as f64 - 6.0
}

/// The natural logarithm of a number in `(0, 1]`.
fn ln(x: f64) -> f64 {
    const LN_2: f64 = std::f64::consts::LN_2;
    // x = m * 2^e with m in [1, 2).
    let bits = x.to_bits();
    let exponent = (bits >> 52) as i64 - 1023;
    let m = f64::from_bits(bits & ((1 << 52) - 1) | 1023 << 52);
    // ln m = 2 artanh((m - 1) / (m + 1)), whose series ends fast: the argument is below 1/3.
    let t = (m - 1.0) / (m + 1.0);
    let square = t * t;
    let series = (0..16).rev().fold(0.0, |sum, k| sum * square + 1.0 / f64::from(2 * k + 1));
    exponent as f64 * LN_2 + 2.0 * t * series
}

/// The cube root of a number in `(0, 1]`.
fn cbrt(x: f64) -> f64 {
    // A third of the exponent is near enough for Newton's method to be exact after five steps.
    let guess = f64::from_bits(x.to_bits() / 3 + (1023 << 52) / 3 * 2);
    (0..5).fold(guess, |y, _| (2.0 * y + x / (y * y)) / 3.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JITTER: u64 = 1_000_000;
    const DRAWS: usize = 100_000;

    fn drawn(shape: JitterShape) -> Vec<u64> {
        let mut dice = Dice::new(5, "jitter");
        let mut all: Vec<u64> = (0..DRAWS).map(|_| draw(&mut dice, shape, JITTER)).collect();
        all.sort_unstable();
        all
    }

    /// The mean, and the quantiles 1%, 50% and 99%, in units of the jitter.
    fn summary(all: &[u64]) -> [f64; 4] {
        let mean = all.iter().sum::<u64>() as f64 / all.len() as f64;
        let at = |share: f64| all[(all.len() as f64 * share) as usize] as f64;
        [mean, at(0.01), at(0.5), at(0.99)].map(|value| value / JITTER as f64)
    }

    fn near(found: [f64; 4], expected: [f64; 4]) {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() <= 0.01 + expected * 0.05, "{found} is not {expected}");
        }
    }

    #[test]
    fn each_shape_is_what_it_is_called() {
        near(summary(&drawn(JitterShape::Uniform)), [0.5, 0.01, 0.5, 0.99]);
        // 0.5 ± 2.326 / 6.
        near(summary(&drawn(JitterShape::Normal)), [0.5, 0.112, 0.5, 0.888]);
        // -ln(1 - q).
        near(summary(&drawn(JitterShape::Exponential)), [1.0, 0.01005, 0.693, 4.605]);
        // (1 - q)^(-2/3) / 3; the cut at 100 takes a fifteenth of the mean.
        near(summary(&drawn(JitterShape::Pareto)), [0.94, 0.3356, 0.529, 7.18]);
    }

    #[test]
    fn long_tails_are_cut_off() {
        assert!(*drawn(JitterShape::Normal).last().unwrap() <= JITTER);
        assert!(*drawn(JitterShape::Exponential).last().unwrap() <= 10 * JITTER);
        let pareto = drawn(JitterShape::Pareto);
        assert!(*pareto.last().unwrap() <= 100 * JITTER, "{pareto:?}");
        assert!(*pareto.last().unwrap() > 50 * JITTER, "a tail of {:?}", pareto.last());
    }

    #[test]
    fn the_functions_are_right() {
        for x in [1.0, 0.999, 0.75, 0.5, 0.3, 0.1, 1e-3, 1e-9, 1.0 / (1_u64 << 53) as f64] {
            assert!((ln(x) - f64::ln(x)).abs() <= 1e-12 * (1.0 - f64::ln(x)), "ln {x}: {}", ln(x));
            assert!((cbrt(x) / f64::cbrt(x) - 1.0).abs() < 1e-12, "cbrt {x}: {}", cbrt(x));
        }
    }
}
