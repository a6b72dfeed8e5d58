//! Two reports side by side: what differs, and what of it is a regression.

use crate::model::{Better, Gate, Metric, Report, Standing, Verdict};
use crate::quantity;
use crate::tolerance::Tolerances;

/// What differs between two reports of one scenario, the earlier first.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The scenario, with both seeds where they differ: `three-mains-six-homes, seed 7`.
    pub title: String,
    /// How both ended.
    pub verdicts: (Verdict, Verdict),
    /// Whether they did the same, event by event.
    pub same_events: bool,
    /// What keeps the two from being comparable at all, a sentence each: another scenario, another length.
    pub caveats: Vec<String>,
    /// Every metric of either, in order.
    pub metrics: Vec<MetricChange>,
    /// Every gate of either, in order.
    pub gates: Vec<GateChange>,
    /// Every invariant whose violations differ.
    pub invariants: Vec<InvariantChange>,
}

/// One metric in two reports.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricChange {
    /// Its name.
    pub name: String,
    /// As one reads it; `None` where the earlier report has none.
    pub before: Option<String>,
    /// The same for the later report.
    pub after: Option<String>,
    /// The later value as a multiple of the earlier; `None` where that has no meaning.
    pub ratio: Option<f64>,
    /// What that makes of it.
    pub standing: Standing,
    /// By how much it may be worse.
    pub tolerance: String,
}

/// One gate in two reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateChange {
    /// Its name.
    pub name: String,
    /// The earlier limit, value and result; `None` where it was not asked for.
    pub before: Option<Gate>,
    /// The later ones.
    pub after: Option<Gate>,
}

/// One invariant that was violated in one report or in both, differently often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvariantChange {
    /// Its name.
    pub name: String,
    /// How often it was violated before and after.
    pub violated: (u64, u64),
}

impl GateChange {
    /// It held, and holds no longer.
    #[must_use]
    pub fn broke(&self) -> bool {
        self.after.as_ref().is_some_and(|gate| !gate.holds)
            && self.before.as_ref().is_none_or(|gate| gate.holds)
    }

    /// Whether anything about it differs.
    #[must_use]
    pub fn differs(&self) -> bool {
        let shown = |gate: &Gate| (gate.limit.clone(), gate.measured.clone(), gate.holds);
        self.before.as_ref().map(shown) != self.after.as_ref().map(shown)
    }
}

impl Comparison {
    /// Everything that got worse by more than it may, a sentence each; empty where nothing did.
    #[must_use]
    pub fn regressions(&self) -> Vec<String> {
        let mut found = Vec::new();
        let (before, after) = self.verdicts;
        if after > before {
            found.push(format!("the run {}; it {} before", said(after), said(before)));
        }
        for gate in self.gates.iter().filter(|gate| gate.broke()) {
            let after = gate.after.as_ref().map_or(("", ""), |it| (it.measured.as_str(), it.limit.as_str()));
            found.push(format!("gate {} does not hold: {}, limit {}", gate.name, after.0, after.1));
        }
        for InvariantChange { name, violated: (before, after) } in &self.invariants {
            if after > before {
                found.push(format!("invariant {name} is violated {after} times, {before} before"));
            }
        }
        for metric in self.metrics.iter().filter(|metric| metric.standing == Standing::Worse) {
            let show = |value: &Option<String>| value.clone().unwrap_or_else(|| "not measured".to_owned());
            found.push(format!(
                "{} is {}, {} before; {} is allowed",
                metric.name,
                show(&metric.after),
                show(&metric.before),
                metric.tolerance
            ));
        }
        found
    }

    /// Whether anything at all differs, the wall clock apart.
    #[must_use]
    pub fn differs(&self) -> bool {
        !self.same_events
            || self.verdicts.0 != self.verdicts.1
            || !self.caveats.is_empty()
            || !self.invariants.is_empty()
            || self.gates.iter().any(GateChange::differs)
            || self.metrics.iter().any(|metric| metric.before != metric.after)
    }
}

fn said(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "passed",
        Verdict::GateFailed => "failed a gate",
        Verdict::InvariantViolated => "violated an invariant",
        Verdict::Panicked => "panicked",
        Verdict::NotDeterministic => "was not deterministic",
    }
}

/// Compares two reports, the earlier first.
#[must_use]
pub fn compare(before: &Report, after: &Report, tolerances: &Tolerances) -> Comparison {
    let seeds = match (before.run.seed, after.run.seed) {
        (one, other) if one == other => format!("seed {one}"),
        (one, other) => format!("seeds {one} and {other}"),
    };
    Comparison {
        title: format!("{}, {seeds}", after.run.scenario.name),
        verdicts: (before.verdict, after.verdict),
        same_events: before.trace_hash == after.trace_hash,
        caveats: caveats(before, after),
        metrics: metrics(&before.checks.metrics, &after.checks.metrics, tolerances),
        gates: gates(&before.checks.gates, &after.checks.gates),
        invariants: invariants(before, after),
    }
}

fn caveats(before: &Report, after: &Report) -> Vec<String> {
    let (one, other) = (&before.run.scenario, &after.run.scenario);
    let mut caveats = Vec::new();
    if one.name != other.name {
        caveats.push(format!("these are two scenarios: {} and {}", one.name, other.name));
    } else if one.text != other.text && !one.text.is_empty() && !other.text.is_empty() {
        caveats.push("the scenario's text is not the same".to_owned());
    }
    if before.run.engine != after.run.engine {
        caveats.push(format!("two engines: {} and {}", before.run.engine, after.run.engine));
    }
    caveats
}

fn metrics(before: &[Metric], after: &[Metric], tolerances: &Tolerances) -> Vec<MetricChange> {
    let names = in_order(before.iter().map(|it| &it.name), after.iter().map(|it| &it.name));
    let find = |metrics: &[Metric], name: &str| metrics.iter().find(|it| it.name == name).cloned();
    names
        .into_iter()
        .filter_map(|name| {
            let (before, after) = (find(before, &name), find(after, &name));
            let known = after.as_ref().or(before.as_ref())?;
            let tolerance = tolerances.of(known);
            let standing = match (&before, &after) {
                (Some(before), Some(after)) => {
                    tolerance.standing(after.unit, after.better, before.value, after.value)
                }
                // What can no longer be measured is no success.
                (Some(_), None) => Standing::Worse,
                (None, _) => Standing::Within,
            };
            let (unit, better) = (known.unit, known.better);
            let show = |metric: &Metric| quantity::show(unit, better, metric.value);
            Some(MetricChange {
                ratio: ratio(before.as_ref(), after.as_ref()),
                before: before.as_ref().map(show),
                after: after.as_ref().map(show),
                standing,
                tolerance: format!("{tolerance} {}", if better == Better::Lower { "more" } else { "less" }),
                name,
            })
        })
        .collect()
}

fn ratio(before: Option<&Metric>, after: Option<&Metric>) -> Option<f64> {
    let (before, after) = (before?, after?);
    (before.value > 0).then(|| after.value as f64 / before.value as f64)
}

fn gates(before: &[Gate], after: &[Gate]) -> Vec<GateChange> {
    let names = in_order(before.iter().map(|it| &it.name), after.iter().map(|it| &it.name));
    let find = |gates: &[Gate], name: &str| gates.iter().find(|it| it.name == name).cloned();
    names
        .into_iter()
        .map(|name| GateChange { before: find(before, &name), after: find(after, &name), name })
        .collect()
}

fn invariants(before: &Report, after: &Report) -> Vec<InvariantChange> {
    let (before, after) = (&before.checks.invariants, &after.checks.invariants);
    let names = in_order(before.iter().map(|it| &it.name), after.iter().map(|it| &it.name));
    names
        .into_iter()
        .filter_map(|name| {
            let violated = |all: &[crate::model::Invariant]| {
                all.iter().find(|it| it.name == name).map_or(0, |it| it.violated)
            };
            let violated = (violated(before), violated(after));
            (violated.0 != violated.1).then_some(InvariantChange { name, violated })
        })
        .collect()
}

/// The names of both, the later list's order first.
fn in_order<'a>(
    before: impl Iterator<Item = &'a String>,
    after: impl Iterator<Item = &'a String>,
) -> Vec<String> {
    let mut names: Vec<String> = after.cloned().collect();
    for name in before {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}
