//! How many calls a load makes when.

use std::time::Duration;

use relay_chaos::Rate;

use super::model::Pacing;
use super::parts::Window;

/// Rates that change with time: segments, one after the other, without gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The segments, by time. At least one.
    pub segments: Vec<Segment>,
    /// How the calls of a segment are spread, except for bursts.
    pub pacing: Pacing,
}

/// A part of a [`Profile`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// When, from the start of the run.
    pub window: Window,
    /// What each host does in it.
    pub shape: Shape,
}

/// What each host does in a [`Segment`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// No call is made.
    Pause,
    /// Calls at one rate.
    Constant(Rate),
    /// A rate that goes evenly from one to the other; `None` is no call at all.
    Ramp(Option<Rate>, Option<Rate>),
    /// A rate that swings between two, as from night to day and back. It begins at the lower one.
    Wave {
        /// The lower one.
        low: Rate,
        /// The higher one.
        high: Rate,
        /// From one low to the next.
        period: Duration,
    },
    /// So many calls at once, again and again, the first time at the beginning.
    Burst {
        /// Calls of each time.
        calls: u32,
        /// From one time to the next.
        every: Duration,
    },
}

impl Segment {
    /// Calls per second so many seconds after its beginning; zero for bursts.
    pub fn rate(&self, at: f64) -> f64 {
        match self.shape {
            Shape::Pause | Shape::Burst { .. } => 0.0,
            Shape::Constant(rate) => rate.per_second(),
            Shape::Ramp(..) => {
                let (from, slope) = self.ramp();
                from + slope * at
            }
            Shape::Wave { low, high, period } => {
                let (low, high) = (low.per_second(), high.per_second());
                let turn = std::f64::consts::TAU * at / period.as_secs_f64();
                (low + high) / 2.0 - (high - low) / 2.0 * turn.cos()
            }
        }
    }

    /// Calls from its beginning until so many seconds after it, as a number with a fraction; zero for bursts.
    pub fn calls_until(&self, at: f64) -> f64 {
        match self.shape {
            Shape::Pause | Shape::Burst { .. } => 0.0,
            Shape::Constant(rate) => rate.per_second() * at,
            Shape::Ramp(..) => {
                let (from, slope) = self.ramp();
                from * at + slope / 2.0 * at * at
            }
            Shape::Wave { low, high, period } => {
                let (low, high) = (low.per_second(), high.per_second());
                let turns = std::f64::consts::TAU / period.as_secs_f64();
                (low + high) / 2.0 * at - (high - low) / 2.0 / turns * (turns * at).sin()
            }
        }
    }

    /// Calls of a whole burst segment, of each host.
    pub fn burst_calls(&self) -> u64 {
        match self.shape {
            Shape::Burst { calls, every } => {
                let times = self.window.length().as_nanos().div_ceil(every.as_nanos().max(1));
                u64::try_from(times).unwrap_or(u64::MAX).saturating_mul(u64::from(calls))
            }
            _ => 0,
        }
    }

    /// The rate at which a ramp begins, and by how much it grows per second.
    pub fn ramp(&self) -> (f64, f64) {
        let Shape::Ramp(from, to) = self.shape else { return (0.0, 0.0) };
        let per_second = |rate: Option<Rate>| rate.map_or(0.0, |rate| rate.per_second());
        let (from, to) = (per_second(from), per_second(to));
        (from, (to - from) / self.window.length().as_secs_f64())
    }
}
