//! What had to hold: gates and invariants.

use crate::format::{ClockStyle, Text, count};
use crate::html::{mark, nothing, section};
use crate::model::{CheckPoint, Checks, Gate, Invariant, Metric, Standing};
use crate::quantity;

/// Units of the little drawing of when an invariant was checked; it is stretched to its column.
const STRIP_WIDTH: f64 = 180.0;
const STRIP_HEIGHT: f64 = 22.0;
/// Few checks are still seen.
const STRIP_LEAST: f64 = 3.0;
const STRIP_GAP: f64 = 0.6;

/// Measured against limits, then against the baseline.
pub(super) fn gates(checks: &Checks, scenario: &str) -> String {
    let content = gate_table(&checks.gates) + &figures(&checks.metrics, scenario);
    section("gates", "Gates", "", &content)
}

fn gate_table(gates: &[Gate]) -> String {
    if gates.is_empty() {
        return nothing("The scenario sets no limits.");
    }
    let rows: String = gates.iter().map(gate_row).collect();
    format!(
        "<table class=\"gates\">\n<thead><tr><th scope=\"col\">Gate</th><th scope=\"col\" class=\"number\">Measured</th>\
         <th scope=\"col\" class=\"number\">Limit</th><th scope=\"col\">Result</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n"
    )
}

/// The figures by which runs are compared: beside their baseline where there is one.
fn figures(metrics: &[Metric], scenario: &str) -> String {
    if metrics.is_empty() {
        return String::new();
    }
    let compared = metrics.iter().any(|metric| metric.baseline.is_some());
    let rows: String = metrics.iter().map(figure_row).collect();
    let table = format!(
        "<div class=\"wide\"><table class=\"baseline\">\n<thead><tr><th scope=\"col\">Figure</th>\
         <th scope=\"col\" class=\"number\">Baseline</th><th scope=\"col\" class=\"number\">This run</th>\
         <th scope=\"col\" class=\"number\">Ratio</th><th scope=\"col\" class=\"number\">Tolerance</th>\
         <th scope=\"col\">Result</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n"
    );
    if compared {
        return format!("<h3>Against the baseline of {}</h3>\n{table}", Text(scenario));
    }
    let summary = format!("{} figures by which runs are compared, without a baseline", metrics.len());
    format!("<details><summary>{summary}</summary>\n{table}</details>\n")
}

fn figure_row(metric: &Metric) -> String {
    let show = |value| quantity::show(metric.unit, metric.better, value);
    let (class, baseline, ratio, tolerance, result) = match &metric.baseline {
        None => ("", "—".to_owned(), String::new(), String::new(), String::new()),
        Some(against) => {
            let ratio = match against.value {
                0 => "—".to_owned(),
                before => format!("{:.2}×", metric.value as f64 / before as f64),
            };
            let (class, result) = match against.standing {
                Standing::Worse => ("bad", mark(false, "worse")),
                Standing::Within => ("", "<span class=\"mark quiet\">within</span>".to_owned()),
                Standing::Better => ("good", mark(true, "better")),
            };
            (class, show(against.value), ratio, Text(&against.tolerance).to_string(), result)
        }
    };
    format!(
        "<tr class=\"{class}\"><th scope=\"row\">{name}</th><td class=\"number limit\">{baseline}</td>\
         <td class=\"number measured\">{value}</td><td class=\"number\">{ratio}</td><td class=\"number limit\">{tolerance}</td>\
         <td>{result}</td></tr>\n",
        name = Text(&metric.name),
        value = show(metric.value),
    )
}

fn gate_row(gate: &Gate) -> String {
    let explanation = if gate.explanation.is_empty() {
        String::new()
    } else {
        format!("<span class=\"note\">{}</span>", Text(&gate.explanation))
    };
    format!(
        "<tr class=\"{class}\"><th scope=\"row\">{name}{explanation}</th><td class=\"number measured\">{measured}</td>\
         <td class=\"number limit\">{limit}</td><td>{mark}</td></tr>\n",
        class = if gate.holds { "good" } else { "bad" },
        name = Text(&gate.name),
        measured = Text(&gate.measured),
        limit = Text(&gate.limit),
        mark = if gate.holds { mark(true, "holds") } else { mark(false, "fails") },
    )
}

/// What must hold in every run, with how often it was looked at.
pub(super) fn invariants(invariants: &[Invariant], duration_ns: u64, clock: ClockStyle) -> String {
    if invariants.is_empty() {
        return section("invariants", "Invariants", "", &nothing("No invariant was checked."));
    }
    let checked = invariants.iter().fold(0_u64, |sum, i| sum.saturating_add(i.checked));
    let lead = format!(
        "What must hold in every run, checked {} in this one.",
        if checked == 1 { "once".to_owned() } else { format!("{} times", count(checked)) }
    );
    let rows: String = invariants.iter().map(|i| invariant_rows(i, duration_ns, clock)).collect();
    let table = format!(
        "<table class=\"invariants\">\n<thead><tr><th scope=\"col\">Invariant</th><th scope=\"col\" class=\"number\">Checked</th>\
         <th scope=\"col\">When</th><th scope=\"col\">Result</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n"
    );
    section("invariants", "Invariants", &lead, &table)
}

fn invariant_rows(invariant: &Invariant, duration_ns: u64, clock: ClockStyle) -> String {
    let holds = invariant.violated == 0 && invariant.violations.is_empty();
    let result = match (holds, invariant.checked) {
        (true, 0) => "<span class=\"mark quiet\">not exercised</span>".to_owned(),
        (true, _) => mark(true, "holds"),
        (false, _) => {
            let first = invariant.violations.first();
            let first =
                first.map(|it| format!("<span class=\"note\">first at {}</span>", clock.millis(it.at_ns)));
            mark(false, &format!("violated {}×", count(invariant.violated))) + &first.unwrap_or_default()
        }
    };
    format!(
        "<tr class=\"{class}\"><th scope=\"row\">{name}<span class=\"note\">{statement}</span></th>\
         <td class=\"number\">{checked}</td><td class=\"when\">{strip}</td><td>{result}</td></tr>\n{violations}",
        class = if holds { "good" } else { "bad" },
        name = Text(&invariant.name),
        statement = Text(&invariant.statement),
        checked = count(invariant.checked),
        strip = strip(&invariant.history, duration_ns),
        violations = violations(invariant, clock),
    )
}

/// When the invariant was looked at, as tall as often; red where it was violated.
fn strip(history: &[CheckPoint], duration_ns: u64) -> String {
    let most = history.iter().map(|point| point.checked).max().unwrap_or(0);
    if most == 0 || duration_ns == 0 {
        return String::new();
    }
    let place = |ns: u64| ns.min(duration_ns) as f64 / duration_ns as f64 * STRIP_WIDTH;
    let bars: String = history
        .iter()
        .filter(|point| point.checked > 0)
        .map(|point| {
            let (from, to) = (place(point.start_ns), place(point.start_ns.saturating_add(point.width_ns)));
            let tall = (point.checked as f64 / most as f64 * STRIP_HEIGHT).max(STRIP_LEAST);
            let class = if point.violated > 0 { " class=\"bad\"" } else { "" };
            format!(
                "<rect{class} x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{tall:.1}\"/>",
                STRIP_HEIGHT - tall,
                (to - from - STRIP_GAP).max(STRIP_GAP),
            )
        })
        .collect();
    let violated = history.iter().filter(|point| point.violated > 0).count();
    format!(
        "<svg class=\"strip\" role=\"img\" aria-label=\"checked in {} of {} intervals, violated in {violated}\" \
         viewBox=\"0 0 {STRIP_WIDTH} {STRIP_HEIGHT}\" preserveAspectRatio=\"none\">{bars}</svg>",
        history.iter().filter(|point| point.checked > 0).count(),
        history.len(),
    )
}

fn violations(invariant: &Invariant, clock: ClockStyle) -> String {
    if invariant.violations.is_empty() {
        return String::new();
    }
    let items: String = invariant
        .violations
        .iter()
        .map(|v| format!("<li><time>{}</time> <span>{}</span></li>\n", clock.millis(v.at_ns), Text(&v.text)))
        .collect();
    let more = match invariant.violated.saturating_sub(invariant.violations.len() as u64) {
        0 => String::new(),
        more => format!("<p class=\"more\">and {} more</p>\n", count(more)),
    };
    format!("<tr class=\"violations\"><td colspan=\"4\"><ol>\n{items}</ol>\n{more}</td></tr>\n")
}
