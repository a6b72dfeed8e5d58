//! Runs as Markdown, for a pull request: the verdict, what failed and how to see it again, what differs from the
//! baselines.

use std::fmt::{self, Write as _};

use crate::digest::{CutShort, Digest, ScenarioDigest, by_scenario};
use crate::format::{count, counted};
use crate::model::{Metric, Standing, Verdict};
use crate::quantity;

/// Failed runs that are told in full; the others are counted. A comment on a pull request has 64 KiB.
const FAILURES_MAX: usize = 10;
/// What did not hold in one run, at most.
const CASES_MAX: usize = 12;
/// Letters of one text, at most.
const LETTERS_MAX: usize = 300;

/// The summary of these runs, which are all unless they were `cut_short`.
#[must_use]
pub fn render(runs: &[Digest], cut_short: Option<CutShort>) -> String {
    let scenarios = by_scenario(runs);
    [title(runs, cut_short), verdicts(&scenarios), failures(runs), baselines(&scenarios)].concat()
}

fn title(runs: &[Digest], cut_short: Option<CutShort>) -> String {
    let passed = runs.iter().filter(|run| run.verdict == Verdict::Passed).count();
    if let Some(cut_short) = cut_short {
        let failed = count((runs.len() - passed) as u64);
        return format!("## ✗ Simulation: {}, {failed} of them failed\n\n", cut_short.words(runs.len()));
    }
    match (runs, passed == runs.len()) {
        ([], _) => "## Simulation: nothing was run\n\n".to_owned(),
        ([run], true) => {
            format!("## ✓ {}, seed {}: passed\n\n{}\n\n", Md(&run.scenario), run.seed, Md(&run.summary.0))
        }
        ([run], false) => {
            format!(
                "## ✗ {}, seed {}: {}\n\n{}\n\n",
                Md(&run.scenario),
                run.seed,
                words(run.verdict),
                Md(&run.summary.0)
            )
        }
        (_, true) => format!("## ✓ Simulation: all {} runs passed\n\n", count(runs.len() as u64)),
        (_, false) => format!(
            "## ✗ Simulation: {} of {} runs failed\n\n",
            count((runs.len() - passed) as u64),
            count(runs.len() as u64)
        ),
    }
}

fn verdicts(scenarios: &[ScenarioDigest<'_>]) -> String {
    if scenarios.is_empty() {
        return String::new();
    }
    let mut text = "| | scenario | runs | passed | calls | slowest convergence | worst p50 | worst p99 | least success |\n\
                    | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        .to_owned();
    for scenario in scenarios {
        let passed = scenario.passed();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            if passed == scenario.runs.len() { "✓" } else { "✗" },
            Md(scenario.name),
            scenario.runs.len(),
            passed,
            count(scenario.calls()),
            scenario.worst_of("convergence"),
            scenario.worst_of("p50"),
            scenario.worst_of("p99"),
            scenario.worst_of("success"),
        );
    }
    text.push('\n');
    text
}

fn failures(runs: &[Digest]) -> String {
    let failed: Vec<&Digest> = runs.iter().filter(|run| run.verdict != Verdict::Passed).collect();
    if failed.is_empty() {
        return String::new();
    }
    let mut text = "### What failed\n\n".to_owned();
    for run in failed.iter().take(FAILURES_MAX) {
        let _ = writeln!(text, "**{}, seed {}**: {}\n", Md(&run.scenario), run.seed, words(run.verdict));
        let cases: Vec<_> = run.failures().collect();
        for case in cases.iter().take(CASES_MAX) {
            let _ = writeln!(text, "- {} `{}`: {}", case.sort.as_str(), Code(&case.name), Md(&case.text));
        }
        if cases.len() > CASES_MAX {
            let _ = writeln!(text, "- and {} more", cases.len() - CASES_MAX);
        }
        let _ = writeln!(text, "\n```sh\n{}\n```\n", Code(&run.replay));
    }
    if failed.len() > FAILURES_MAX {
        let more = (failed.len() - FAILURES_MAX) as u64;
        let _ = writeln!(text, "And {} more.\n", counted(more, "failed run", "failed runs"));
    }
    text
}

fn baselines(scenarios: &[ScenarioDigest<'_>]) -> String {
    let compared: Vec<(&ScenarioDigest<'_>, &Metric)> = scenarios
        .iter()
        .flat_map(|scenario| scenario.worst.iter().map(move |metric| (scenario, metric)))
        .filter(|(_, metric)| metric.baseline.is_some())
        .collect();
    if compared.is_empty() {
        return String::new();
    }
    let within = |metric: &Metric| {
        metric.baseline.as_ref().is_some_and(|against| against.standing == Standing::Within)
    };
    let beyond: Vec<_> = compared.iter().filter(|(_, metric)| !within(metric)).collect();
    let mut text = format!(
        "### Against the baselines\n\n{} of {} within their tolerance.\n\n",
        compared.len() - beyond.len(),
        counted(compared.len() as u64, "figure is", "figures are"),
    );
    if beyond.is_empty() {
        return text;
    }
    text.push_str("| | scenario | metric | baseline | worst now | ratio | tolerance |\n| --- | --- | --- | ---: | ---: | ---: | ---: |\n");
    for (scenario, metric) in beyond {
        let Some(against) = &metric.baseline else { continue };
        let show = |value| quantity::show(metric.unit, metric.better, value);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            if against.standing == Standing::Worse { "✗ worse" } else { "✓ better" },
            Md(scenario.name),
            Md(&metric.name),
            show(against.value),
            show(metric.value),
            ratio(against.value, metric.value),
            Md(&against.tolerance),
        );
    }
    text.push('\n');
    text
}

/// The later value as a multiple of the earlier: `1.24×`.
fn ratio(before: u64, after: u64) -> String {
    if before == 0 { "—".to_owned() } else { format!("{:.2}×", after as f64 / before as f64) }
}

fn words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "passed",
        Verdict::GateFailed => "a gate does not hold",
        Verdict::InvariantViolated => "an invariant is violated",
        Verdict::Panicked => "panicked",
        Verdict::NotDeterministic => "not deterministic",
    }
}

/// Shows a string as Markdown text on one line, in a table too.
struct Md<'a>(&'a str);

impl fmt::Display for Md<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars().take(LETTERS_MAX) {
            match c {
                '|' | '*' | '_' | '`' | '[' | ']' | '\\' | '#' | '~' => write!(f, "\\{c}")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                // A mention would write to somebody.
                '@' => f.write_str("@\u{200b}")?,
                c if c.is_control() => f.write_char(' ')?,
                c => f.write_char(c)?,
            }
        }
        if self.0.chars().count() > LETTERS_MAX { f.write_str("…") } else { Ok(()) }
    }
}

/// Shows a string within a code span or a code block.
struct Code<'a>(&'a str);

impl fmt::Display for Code<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '`' => f.write_char('\'')?,
                c if c.is_control() => f.write_char(' ')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
