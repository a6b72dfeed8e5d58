//! Figures by which runs are compared: virtual time and counts only, never the wall clock.

use serde::{Deserialize, Serialize};

/// A figure of a run that can be held against that of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metric {
    /// Its name: `p99`; with the load's before it where it is about one: `bulk: p99`.
    pub name: String,
    /// What `value` counts.
    pub unit: Unit,
    /// Which way is the good one.
    pub better: Better,
    /// The value, in whole units.
    pub value: u64,
    /// How it stands against a baseline, where one was given.
    #[serde(default)]
    pub baseline: Option<Against>,
}

/// What the value of a [`Metric`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Nanoseconds of virtual time.
    Ns,
    /// Billionths of a whole: 1,000,000,000 is all.
    Billionths,
    /// Pieces.
    Count,
}

/// Which way is the good one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// The less the better: latency.
    Lower,
    /// The more the better: success.
    Higher,
}

/// How a [`Metric`] stands against a baseline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Against {
    /// The baseline's value, in the metric's unit.
    pub value: u64,
    /// By how much it may be worse, as written: `10 %`, `2 s`.
    pub tolerance: String,
    /// What that makes of it.
    pub standing: Standing,
}

/// How a value stands against an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Better by more than the tolerance.
    Better,
    /// Within the tolerance.
    Within,
    /// Worse by more than the tolerance: a regression.
    Worse,
}

impl Metric {
    /// A figure without a baseline.
    pub fn new(name: impl Into<String>, unit: Unit, better: Better, value: u64) -> Self {
        Self { name: name.into(), unit, better, value, baseline: None }
    }

    /// Whether `self` is the worse of two values of one metric.
    #[must_use]
    pub fn is_worse_than(&self, other: &Self) -> bool {
        match self.better {
            Better::Lower => self.value > other.value,
            Better::Higher => self.value < other.value,
        }
    }
}

/// Takes over from `run` what is worse than in `worst`, so that over many seeds the worst of each figure remains.
pub fn keep_worst(worst: &mut Vec<Metric>, run: &[Metric]) {
    for metric in run {
        match worst.iter_mut().find(|known| known.name == metric.name) {
            Some(known) if metric.is_worse_than(known) => *known = metric.clone(),
            Some(known) if known.baseline.is_none() && known.value == metric.value => {
                known.baseline.clone_from(&metric.baseline);
            }
            Some(_) => {}
            None => worst.push(metric.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_each_figure_remains_whichever_way_is_good() {
        let run = |p99, success| {
            vec![
                Metric::new("p99", Unit::Ns, Better::Lower, p99),
                Metric::new("success", Unit::Billionths, Better::Higher, success),
            ]
        };
        let mut worst = Vec::new();
        for (p99, success) in [(20, 1_000), (90, 990), (30, 995)] {
            keep_worst(&mut worst, &run(p99, success));
        }
        assert_eq!(worst, run(90, 990));
    }
}
