//! The top and the bottom of the page: what was run, how it ended, how to run it again.

use crate::format::{Text, count, counted, latency, percent, span};
use crate::model::{Report, Verdict};

/// Title of the browser's tab: the verdict first, because tabs are narrow.
pub(super) fn title(report: &Report) -> String {
    format!("{}: {}, seed {}", words(report.verdict), report.run.scenario.name, report.run.seed)
}

/// The verdict as an icon for the browser's tab.
pub(super) fn icon(verdict: Verdict) -> String {
    let (colour, sign) = match verdict {
        Verdict::Passed => ("1a7f4b", "M9 17l5 5 9-11"),
        _ => ("c2362b", "M10 10l12 12M22 10l-12 12"),
    };
    format!(
        "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Ccircle cx='16' cy='16' r='16' \
         fill='%23{colour}'/%3E%3Cpath d='{sign}' stroke='white' stroke-width='3.5' fill='none' \
         stroke-linecap='round' stroke-linejoin='round'/%3E%3C/svg%3E"
    )
}

/// Verdict, scenario, seed, replay command, key figures.
pub(super) fn banner(report: &Report) -> String {
    let run = &report.run;
    let scenario = &run.scenario;
    let passed = report.verdict == Verdict::Passed;
    let (class, sign) = if passed { ("good", "✓") } else { ("bad", "✗") };
    let description = if scenario.description.is_empty() {
        String::new()
    } else {
        format!("<p class=\"description\">{}</p>\n", Text(&scenario.description))
    };
    let details: String = report
        .summary
        .details
        .iter()
        .map(|detail| format!("<pre class=\"detail\">{}</pre>\n", Text(detail)))
        .collect();
    format!(
        "<header class=\"banner {class}\">\n<p class=\"eyebrow\">Relay · report of a run</p>\n\
         <h1>{name}</h1>\n{description}\
         <div class=\"verdict\"><p class=\"headline\"><strong class=\"badge\"><span aria-hidden=\"true\">{sign}</span> {verdict}\
         </strong> <span>{headline}</span></p>\n{details}</div>\n\
         <dl class=\"facts\">\n{facts}</dl>\n\
         <div class=\"replay\"><p>Run it again</p><code id=\"replay-command\">{replay}</code></div>\n</header>\n{figures}",
        name = Text(&scenario.name),
        verdict = words(report.verdict),
        headline = Text(&report.summary.headline),
        facts = facts(report),
        replay = Text(&run.replay_command),
        figures = figures(report),
    )
}

fn facts(report: &Report) -> String {
    let run = &report.run;
    let mut facts = vec![
        ("Seed", run.seed.to_string()),
        ("Virtual time", span(run.scenario.duration_ns)),
        ("Engine", Text(&run.engine).to_string()),
        ("Version", Text(&run.version).to_string()),
    ];
    if !run.scenario.file.is_empty() {
        facts.push(("File", Text(&run.scenario.file).to_string()));
    }
    facts.iter().map(|(name, value)| format!("<div><dt>{name}</dt><dd>{value}</dd></div>\n")).collect()
}

/// The handful of numbers that one looks for first.
fn figures(report: &Report) -> String {
    let totals = &report.calls.totals;
    let gates = &report.checks.gates;
    let holding = gates.iter().filter(|gate| gate.holds).count();
    let ended = totals.ended();
    let timing = |ns| if totals.succeeded == 0 { "—".to_owned() } else { latency(ns) };
    let tile = |class: &str, value: String, name: &str| {
        format!("<div class=\"{class}\"><dt>{name}</dt><dd>{value}</dd></div>\n")
    };
    let alarm = |bad: bool| if bad { "bad" } else { "" };
    [
        "<dl class=\"figures\" aria-label=\"Key figures\">\n".to_owned(),
        tile(alarm(holding < gates.len()), format!("{holding} of {}", gates.len()), "gates hold"),
        tile("", count(ended), "calls"),
        tile("", percent(totals.succeeded, ended), "succeeded"),
        tile(alarm(totals.failed_unexpected > 0), count(totals.failed_unexpected), "failed unexpectedly"),
        tile("", timing(totals.p50_ns), "median latency"),
        tile("", timing(totals.p99_ns), "99th percentile"),
        "</dl>\n".to_owned(),
    ]
    .concat()
}

/// Everything that one needs to compare this run with another.
pub(super) fn footer(report: &Report) -> String {
    let run = &report.run;
    let wall = report.wall.as_ref().map(|wall| {
        format!(
            "<p>This run took {} of wall time: {} virtual seconds per second, {}. These figures differ from run to run; \
             nothing else on this page does.</p>\n",
            latency(wall.wall_ns),
            count(wall.virtual_per_wall.max(0.0).round() as u64),
            counted(wall.events, "event", "events"),
        )
    });
    format!(
        "<footer>\n<p>Trace hash <code class=\"hash\">{hash}</code></p>\n\
         <p>Same version, scenario and seed give the same hash. Simulated with Relay {version}, engine {engine}, seed {seed}, \
         report schema {schema}. All times are virtual.</p>\n{wall}</footer>\n",
        hash = Text(&report.trace_hash),
        version = Text(&run.version),
        engine = Text(&run.engine),
        seed = run.seed,
        schema = report.schema_version,
        wall = wall.unwrap_or_default(),
    )
}

/// The verdict in a word or two.
pub(super) fn words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "Passed",
        Verdict::GateFailed => "Gate failed",
        Verdict::InvariantViolated => "Invariant violated",
        Verdict::Panicked => "Panicked",
        Verdict::NotDeterministic => "Not deterministic",
    }
}
