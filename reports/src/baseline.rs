//! Baselines: the figures of a scenario as they were, and by how much they may be worse.
//!
//! A baseline is a small file for people, `reports/baselines/SCENARIO.json`: for each metric the worst value over the
//! seeds, written as one reads it, and a tolerance. Nothing in it depends on the machine.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::{Against, Better, Metric, Report, Standing, Unit, Verdict};
use crate::quantity::{self, QuantityError};
use crate::tolerance::{Tolerance, Tolerances};

/// Durations below this are allowed [`SHORT_SLACK`], longer ones a share: views are read once a second, so that a short
/// time to agreement jumps by whole seconds.
const SHORT_CONVERGENCE_NS: u64 = 10_000_000_000;
/// What a short time to agreement may be worse.
const SHORT_SLACK: &str = "2 s";
/// Counts below this are allowed [`SMALL_SLACK`]: a share of them is less than one.
const SMALL_COUNT: u64 = 20;
/// What a small count may be worse.
const SMALL_SLACK: &str = "3";
/// What everything else may be worse; of a share, points.
const USUAL_SLACK: &str = "20 %";
/// All of a whole, in billionths.
const ALL: u64 = 1_000_000_000;

/// The figures of one scenario as they were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// The scenario's name.
    pub scenario: String,
    /// The seeds whose worst values these are: `1..30`.
    pub seeds: String,
    /// By name.
    pub metrics: BTreeMap<String, Bar>,
}

/// One figure of a [`Baseline`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bar {
    /// The worst value over the seeds: `15.3 s`, `100 %`, `3`.
    pub worst: String,
    /// By how much it may be worse: a share of it (`15 %`; of a share, points), or an amount (`2 s`).
    pub tolerance: String,
}

/// One figure beside its baseline, as one reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Name, baseline, value, tolerance.
    pub cells: [String; 4],
    /// It is worse than it may be.
    pub worse: bool,
    /// It is beyond the tolerance, worse or better.
    pub beyond: bool,
}

/// What holding a run's figures against a baseline gives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judgement {
    /// The figures, each with its baseline where there is one.
    pub metrics: Vec<Metric>,
    /// Figures that the baseline has and the run has not: nothing was there to measure.
    pub missing: Vec<String>,
    /// Figures that the run has and the baseline has not.
    pub unknown: Vec<String>,
}

impl Judgement {
    /// Every figure that is worse than it may be, a sentence each; empty where all is well.
    #[must_use]
    pub fn regressions(&self) -> Vec<String> {
        let worse = self.metrics.iter().filter_map(|metric| {
            let against = metric.baseline.as_ref()?;
            (against.standing == Standing::Worse).then(|| regression(metric, against))
        });
        let missing = self
            .missing
            .iter()
            .map(|name| format!("{name} is in the baseline, and the run has nothing to measure for it"));
        worse.chain(missing).collect()
    }

    /// Every figure that has a baseline, as one reads it.
    pub fn lines(&self) -> impl Iterator<Item = Line> {
        self.metrics.iter().filter_map(|metric| {
            let Against { value, tolerance, standing } = metric.baseline.as_ref()?;
            let show = |value| quantity::show(metric.unit, metric.better, value);
            Some(Line {
                cells: [metric.name.clone(), show(*value), show(metric.value), tolerance.clone()],
                worse: *standing == Standing::Worse,
                beyond: *standing != Standing::Within,
            })
        })
    }
}

fn regression(metric: &Metric, against: &Against) -> String {
    let show = |value| quantity::show(metric.unit, metric.better, value);
    let direction = match metric.better {
        Better::Lower => "more",
        Better::Higher => "less",
    };
    format!(
        "{} is {}, the baseline is {} and allows {} {direction}",
        metric.name,
        show(metric.value),
        show(against.value),
        against.tolerance
    )
}

impl Baseline {
    /// The baseline that these figures make. Tolerances are taken over from `earlier`, where it has them.
    #[must_use]
    pub fn of(scenario: &str, seeds: &str, worst: &[Metric], earlier: Option<&Self>) -> Self {
        let bar = |metric: &Metric| {
            let kept = earlier.and_then(|it| it.metrics.get(&metric.name)).map(|bar| bar.tolerance.clone());
            Bar {
                worst: quantity::show(metric.unit, metric.better, metric.value),
                tolerance: kept.unwrap_or_else(|| usual_tolerance(metric).to_owned()),
            }
        };
        Self {
            scenario: scenario.to_owned(),
            seeds: seeds.to_owned(),
            metrics: worst.iter().map(|metric| (metric.name.clone(), bar(metric))).collect(),
        }
    }

    /// Reads a baseline and checks every value in it.
    ///
    /// # Errors
    /// [`BaselineError`] says what is wrong and where.
    pub fn from_json(text: &str) -> Result<Self, BaselineError> {
        let baseline: Self = serde_json::from_str(text).map_err(BaselineError::Malformed)?;
        for (name, bar) in &baseline.metrics {
            let wrong = |error| BaselineError::Value { metric: name.clone(), error };
            let (unit, _) = quantity::parse(&bar.worst).map_err(wrong)?;
            let tolerance: Tolerance = bar.tolerance.parse().map_err(wrong)?;
            if !tolerance.fits(unit) {
                return Err(BaselineError::Unit { metric: name.clone(), tolerance: bar.tolerance.clone() });
            }
        }
        Ok(baseline)
    }

    /// The baseline as JSON, a line for each metric.
    ///
    /// # Panics
    /// Never: it has only strings.
    #[must_use]
    pub fn to_json(&self) -> String {
        let json = |text: &str| serde_json::to_string(text).expect("strings are always JSON");
        let line = |(name, bar): (&String, &Bar)| {
            let (name, worst, tolerance) = (json(name), json(&bar.worst), json(&bar.tolerance));
            format!("    {name}: {{ \"worst\": {worst}, \"tolerance\": {tolerance} }}")
        };
        format!(
            "{{\n  \"scenario\": {},\n  \"seeds\": {},\n  \"metrics\": {{\n{}\n  }}\n}}\n",
            json(&self.scenario),
            json(&self.seeds),
            self.metrics.iter().map(line).collect::<Vec<_>>().join(",\n"),
        )
    }

    /// Holds figures against the baseline.
    #[must_use]
    pub fn judge(&self, metrics: &[Metric]) -> Judgement {
        let mut judgement = Judgement::default();
        for metric in metrics {
            let against = self.metrics.get(&metric.name).and_then(|bar| bar.against(metric));
            if against.is_none() {
                judgement.unknown.push(metric.name.clone());
            }
            judgement.metrics.push(Metric { baseline: against, ..metric.clone() });
        }
        let measured = |name: &str| metrics.iter().any(|metric| metric.name == name);
        judgement.missing.extend(self.metrics.keys().filter(|name| !measured(name)).cloned());
        judgement
    }

    /// The tolerances of this baseline, for comparing two runs; what it does not name has `default`.
    #[must_use]
    pub fn tolerances(&self, default: Tolerance) -> Tolerances {
        let mut tolerances = Tolerances::all(default);
        for (name, bar) in &self.metrics {
            if let Ok(tolerance) = bar.tolerance.parse() {
                tolerances.set(name.clone(), tolerance);
            }
        }
        tolerances
    }
}

/// What a figure may be worse where nobody has said otherwise.
fn usual_tolerance(metric: &Metric) -> &'static str {
    match metric.unit {
        // What always succeeds has to go on doing so, and a call has no hop to spare.
        Unit::Billionths if metric.value == ALL => "0 %",
        Unit::Count if metric.name == "max_hops" => "0",
        Unit::Billionths => "2 %",
        Unit::Ns if metric.name == "convergence" && metric.value < SHORT_CONVERGENCE_NS => SHORT_SLACK,
        Unit::Count if metric.value < SMALL_COUNT => SMALL_SLACK,
        Unit::Ns | Unit::Count => USUAL_SLACK,
    }
}

impl Report {
    /// Holds the run against its scenario's baseline. A regression fails a run that would have passed.
    pub fn hold_against(&mut self, baseline: &Baseline) {
        let judgement = baseline.judge(&self.checks.metrics);
        let regressions = judgement.regressions();
        self.checks.metrics = judgement.metrics;
        if regressions.is_empty() {
            return;
        }
        if self.verdict == Verdict::Passed {
            self.verdict = Verdict::GateFailed;
            self.summary.headline = format!("Worse than the baseline allows: {}.", regressions[0]);
        }
        self.summary.details.extend(regressions.into_iter().map(|it| format!("against the baseline: {it}")));
    }
}

impl Bar {
    /// `None` where the bar is of another unit than the metric.
    fn against(&self, metric: &Metric) -> Option<Against> {
        let (unit, value) = quantity::parse(&self.worst).ok()?;
        let tolerance: Tolerance = self.tolerance.parse().ok()?;
        (unit == metric.unit && tolerance.fits(unit)).then(|| Against {
            value,
            standing: tolerance.standing(unit, metric.better, value, metric.value),
            tolerance: self.tolerance.clone(),
        })
    }
}

/// Why a text could not be read as a baseline.
#[derive(Debug)]
#[non_exhaustive]
pub enum BaselineError {
    /// It is not JSON, or not a baseline.
    Malformed(serde_json::Error),
    /// A value cannot be read.
    Value {
        /// Of which metric.
        metric: String,
        /// What is wrong with it.
        error: QuantityError,
    },
    /// A tolerance has another unit than the value that it is for.
    Unit {
        /// Of which metric.
        metric: String,
        /// The tolerance.
        tolerance: String,
    },
}

impl fmt::Display for BaselineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => {
                write!(f, "this is no baseline: {error}; `cargo ci baseline --write` makes one")
            }
            Self::Value { metric, error } => write!(f, "{metric}: {error}"),
            Self::Unit { metric, tolerance } => write!(
                f,
                "{metric}: the tolerance `{tolerance}` has another unit than the value; write a share (`10 %`) or the \
                 value's own unit"
            ),
        }
    }
}

impl Error for BaselineError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Malformed(error) => Some(error),
            Self::Value { error, .. } => Some(error),
            Self::Unit { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(p99_ms: u64, success_percent: u64) -> Vec<Metric> {
        vec![
            Metric::new("p99", Unit::Ns, Better::Lower, p99_ms * 1_000_000),
            Metric::new("success", Unit::Billionths, Better::Higher, success_percent * 10_000_000),
        ]
    }

    fn baseline() -> Baseline {
        Baseline::of("small", "1..3", &metrics(100, 100), None)
    }

    #[test]
    fn a_baseline_holds_for_the_figures_that_it_was_made_of_and_survives_json() {
        let text = baseline().to_json();
        assert_eq!(
            text,
            "{\n  \"scenario\": \"small\",\n  \"seeds\": \"1..3\",\n  \"metrics\": {\n\
             \u{20}   \"p99\": { \"worst\": \"100 ms\", \"tolerance\": \"20 %\" },\n\
             \u{20}   \"success\": { \"worst\": \"100 %\", \"tolerance\": \"0 %\" }\n  }\n}\n"
        );
        let read = Baseline::from_json(&text).expect("own output");
        assert_eq!(read, baseline());
        let judgement = read.judge(&metrics(100, 100));
        assert!(judgement.regressions().is_empty() && judgement.lines().all(|line| !line.beyond));
    }

    #[test]
    fn a_planted_regression_is_caught_and_one_within_the_tolerance_is_not() {
        assert!(baseline().judge(&metrics(120, 100)).regressions().is_empty());
        assert_eq!(
            baseline().judge(&metrics(121, 99)).regressions(),
            [
                "p99 is 121 ms, the baseline is 100 ms and allows 20 % more",
                "success is 99 %, the baseline is 100 % and allows 0 % less"
            ]
        );
        let better = baseline().judge(&metrics(50, 100));
        assert_eq!(better.lines().filter(|line| line.beyond && !line.worse).count(), 1);
    }

    #[test]
    fn what_can_no_longer_be_measured_is_a_regression_and_what_is_new_is_not() {
        let judgement = baseline().judge(&metrics(100, 100)[..1]);
        assert_eq!(judgement.regressions().len(), 1);
        let mut more = metrics(100, 100);
        more.push(Metric::new("hops", Unit::Count, Better::Lower, 3));
        let judgement = baseline().judge(&more);
        assert_eq!((judgement.regressions(), judgement.unknown), (Vec::new(), vec!["hops".to_owned()]));
    }

    #[test]
    fn written_again_it_keeps_the_tolerances_that_people_have_set() {
        let mut earlier = baseline();
        earlier.metrics.get_mut("p99").expect("there").tolerance = "5 ms".to_owned();
        let again = Baseline::of("small", "1..3", &metrics(80, 100), Some(&earlier));
        assert_eq!(again.metrics["p99"], Bar { worst: "80 ms".to_owned(), tolerance: "5 ms".to_owned() });
        assert_eq!(again.judge(&metrics(86, 100)).regressions().len(), 1);
    }

    #[test]
    fn a_bad_baseline_is_refused_in_words() {
        let with = |worst: &str, tolerance: &str| {
            let metrics = format!(r#"{{"p99": {{"worst": "{worst}", "tolerance": "{tolerance}"}}}}"#);
            let text = format!(r#"{{"scenario": "x", "seeds": "1", "metrics": {metrics}}}"#);
            Baseline::from_json(&text).expect_err("a bad value").to_string()
        };
        assert!(with("soon", "1 %").starts_with("p99: `soon` is no value"));
        assert!(with("1 s", "much").starts_with("p99: `much` is no value"));
        assert!(with("1 s", "3").contains("has another unit"));
        let error = Baseline::from_json("{}").expect_err("nothing in it").to_string();
        assert!(error.contains("cargo ci baseline --write"), "{error}");
    }
}
