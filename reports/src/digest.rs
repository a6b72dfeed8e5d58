//! A run in brief: what a list of many runs needs of each, without holding its curves.

use crate::format::{count, counted};
use crate::model::{Metric, Report, Verdict, keep_worst};
use crate::quantity;

/// Lines of details that are kept.
const DETAILS_MAX: usize = 5;

/// A run in brief.
#[derive(Debug, Clone, PartialEq)]
pub struct Digest {
    /// The scenario's name.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// How it ended.
    pub verdict: Verdict,
    /// The same in a sentence, and the first lines of what whoever gets the failing seed needs.
    pub summary: (String, Vec<String>),
    /// The command that runs it again.
    pub replay: String,
    /// Every gate, invariant and figure with a baseline.
    pub cases: Vec<Case>,
    /// The figures by which runs are compared.
    pub metrics: Vec<Metric>,
    /// Calls that ended.
    pub calls: u64,
    /// Wall-clock time, ns; `None` where it is not to be told.
    pub wall_ns: Option<u64>,
    /// The page of the run, relative to the list; `None` where there is none.
    pub link: Option<String>,
}

/// A list of runs that ends before all that were asked for were done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CutShort {
    /// Runs that were asked for.
    pub asked: u64,
}

impl CutShort {
    /// In words, of a list of so many.
    pub(crate) fn words(self, done: usize) -> String {
        format!("cut short after {} of {}", count(done as u64), counted(self.asked, "run", "runs"))
    }
}

/// Something that had to hold in one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// What sort it is.
    pub sort: Sort,
    /// Its name.
    pub name: String,
    /// What came of it.
    pub outcome: Outcome,
    /// What was measured, and against what.
    pub text: String,
}

/// The sorts of [`Case`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// The run itself: it came to its end, without a panic, and the same way each time.
    Run,
    /// A gate of the scenario.
    Gate,
    /// An invariant.
    Invariant,
    /// A figure against its baseline.
    Baseline,
}

impl Sort {
    /// Its name in lists: `gate`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Gate => "gate",
            Self::Invariant => "invariant",
            Self::Baseline => "baseline",
        }
    }
}

/// What came of a [`Case`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It held.
    Held,
    /// It did not.
    Failed,
    /// There was nothing to judge.
    NotExercised,
}

impl Digest {
    /// The brief of a report. `link` is where its page is, seen from the list.
    #[must_use]
    pub fn of(report: &Report, link: Option<String>) -> Self {
        Self {
            scenario: report.run.scenario.name.clone(),
            seed: report.run.seed,
            verdict: report.verdict,
            summary: (
                report.summary.headline.clone(),
                report.summary.details.iter().take(DETAILS_MAX).cloned().collect(),
            ),
            replay: report.run.replay_command.clone(),
            cases: cases(report),
            metrics: report.checks.metrics.clone(),
            calls: report.calls.totals.ended(),
            wall_ns: report.wall.as_ref().map(|wall| wall.wall_ns),
            link,
        }
    }

    /// What did not hold.
    pub fn failures(&self) -> impl Iterator<Item = &Case> {
        self.cases.iter().filter(|case| case.outcome == Outcome::Failed)
    }
}

fn cases(report: &Report) -> Vec<Case> {
    let mut cases = vec![run_case(report)];
    cases.extend(report.checks.gates.iter().map(|gate| {
        Case {
            sort: Sort::Gate,
            name: gate.name.clone(),
            outcome: if gate.holds { Outcome::Held } else { Outcome::Failed },
            text: format!("{}, limit {}: {}", gate.measured, gate.limit, gate.explanation)
                .trim_end_matches([' ', ':'])
                .to_owned(),
        }
    }));
    cases.extend(report.checks.invariants.iter().map(|invariant| {
        let (outcome, text) = match (invariant.violated, invariant.checked) {
            (0, 0) => (Outcome::NotExercised, "the run had no occasion to check it".to_owned()),
            (0, checked) => (Outcome::Held, format!("checked {checked} times")),
            (violated, checked) => {
                let seconds = |ns: u64| ns as f64 / 1e9;
                let first = invariant.violations.first();
                let first = first.map(|it| format!("; first at {:.3} s: {}", seconds(it.at_ns), it.text));
                let text = format!("violated {violated} of {checked} times{}", first.unwrap_or_default());
                (Outcome::Failed, text)
            }
        };
        Case { sort: Sort::Invariant, name: invariant.name.clone(), outcome, text }
    }));
    cases.extend(report.checks.metrics.iter().filter_map(|metric| {
        let against = metric.baseline.as_ref()?;
        let show = |value| quantity::show(metric.unit, metric.better, value);
        let worse = against.standing == crate::model::Standing::Worse;
        Some(Case {
            sort: Sort::Baseline,
            name: metric.name.clone(),
            outcome: if worse { Outcome::Failed } else { Outcome::Held },
            text: format!(
                "{}, the baseline is {}, tolerance {}",
                show(metric.value),
                show(against.value),
                against.tolerance
            ),
        })
    }));
    cases
}

/// A run that panicked may have no gate that fails: it is a case of its own.
fn run_case(report: &Report) -> Case {
    let failed = matches!(report.verdict, Verdict::Panicked | Verdict::NotDeterministic);
    let details = report.summary.details.iter().take(DETAILS_MAX);
    let text = std::iter::once(&report.summary.headline).chain(details).cloned().collect::<Vec<_>>();
    Case {
        sort: Sort::Run,
        name: "comes to its end".to_owned(),
        outcome: if failed { Outcome::Failed } else { Outcome::Held },
        text: if failed { text.join("\n") } else { report.summary.headline.clone() },
    }
}

/// The runs of one scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct ScenarioDigest<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its runs, in the order given.
    pub runs: Vec<&'a Digest>,
    /// The worst of each figure.
    pub worst: Vec<Metric>,
}

impl ScenarioDigest<'_> {
    /// How many runs passed.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.runs.iter().filter(|run| run.verdict == Verdict::Passed).count()
    }

    /// Calls of all runs.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.runs.iter().fold(0, |sum, run| sum.saturating_add(run.calls))
    }

    /// The worst value of a figure, as one reads it; a dash where there is none.
    #[must_use]
    pub fn worst_of(&self, metric: &str) -> String {
        let found = self.worst.iter().find(|it| it.name == metric);
        found.map_or_else(|| "—".to_owned(), |it| quantity::show(it.unit, it.better, it.value))
    }
}

/// Groups runs by scenario, in order of first appearance.
#[must_use]
pub fn by_scenario(runs: &[Digest]) -> Vec<ScenarioDigest<'_>> {
    let mut scenarios: Vec<ScenarioDigest<'_>> = Vec::new();
    for run in runs {
        let at = scenarios.iter().position(|it| it.name == run.scenario).unwrap_or_else(|| {
            scenarios.push(ScenarioDigest { name: &run.scenario, runs: Vec::new(), worst: Vec::new() });
            scenarios.len() - 1
        });
        let scenario = &mut scenarios[at];
        scenario.runs.push(run);
        keep_worst(&mut scenario.worst, &run.metrics);
    }
    scenarios
}
