//! What had to hold: gates and invariants.

use crate::format::{ClockStyle, Text, count};
use crate::html::{mark, nothing, section};
use crate::model::{Gate, Invariant};

/// Measured against limits.
pub(super) fn gates(gates: &[Gate]) -> String {
    if gates.is_empty() {
        return section("gates", "Gates", "", &nothing("The scenario sets no limits."));
    }
    let rows: String = gates.iter().map(gate_row).collect();
    let table = format!(
        "<table class=\"gates\">\n<thead><tr><th scope=\"col\">Gate</th><th scope=\"col\" class=\"number\">Measured</th>\
         <th scope=\"col\" class=\"number\">Limit</th><th scope=\"col\">Result</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n"
    );
    section("gates", "Gates", "", &table)
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
pub(super) fn invariants(invariants: &[Invariant], clock: ClockStyle) -> String {
    if invariants.is_empty() {
        return section("invariants", "Invariants", "", &nothing("No invariant was checked."));
    }
    let checked = invariants.iter().fold(0_u64, |sum, i| sum.saturating_add(i.checked));
    let lead = format!(
        "What must hold in every run, checked {} in this one.",
        if checked == 1 { "once".to_owned() } else { format!("{} times", count(checked)) }
    );
    let rows: String = invariants.iter().map(|i| invariant_rows(i, clock)).collect();
    let table = format!(
        "<table class=\"invariants\">\n<thead><tr><th scope=\"col\">Invariant</th><th scope=\"col\" class=\"number\">Checked</th>\
         <th scope=\"col\">Result</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n"
    );
    section("invariants", "Invariants", &lead, &table)
}

fn invariant_rows(invariant: &Invariant, clock: ClockStyle) -> String {
    let holds = invariant.violated == 0 && invariant.violations.is_empty();
    let result = match (holds, invariant.checked) {
        (true, 0) => "<span class=\"mark quiet\">not exercised</span>".to_owned(),
        (true, _) => mark(true, "holds"),
        (false, _) => mark(false, &format!("violated {}×", count(invariant.violated))),
    };
    format!(
        "<tr class=\"{class}\"><th scope=\"row\">{name}<span class=\"note\">{statement}</span></th>\
         <td class=\"number\">{checked}</td><td>{result}</td></tr>\n{violations}",
        class = if holds { "good" } else { "bad" },
        name = Text(&invariant.name),
        statement = Text(&invariant.statement),
        checked = count(invariant.checked),
        violations = violations(invariant, clock),
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
    format!("<tr class=\"violations\"><td colspan=\"3\"><ol>\n{items}</ol>\n{more}</td></tr>\n")
}
