//! The page over several runs: what each scenario did at worst, what failed, and a link to every run.

use crate::digest::{Case, CutShort, Digest, ScenarioDigest, by_scenario};
use crate::format::{Text, count, counted};
use crate::html::{CONTENT_SECURITY_POLICY, STYLE, head, mark, nothing, section};
use crate::model::{Metric, Standing, Verdict};
use crate::quantity;

/// The theme button and the filter work as on a run's page.
const SCRIPT: &str = include_str!("index.js");
/// Runs of one scenario that are listed in the open; more are folded away.
const RUNS_OPEN_MAX: usize = 10;
/// What did not hold in one run, at most.
const CASES_MAX: usize = 8;
/// The columns of figures.
const FIGURES: [(&str, &str); 5] = [
    ("convergence", "Convergence"),
    ("p50", "Median"),
    ("p99", "99th percentile"),
    ("success", "Success"),
    ("reconnects", "Reconnects"),
];

/// The whole page over these runs, which are all unless they were `cut_short`. The same runs always give the same bytes.
#[must_use]
pub fn render_index(runs: &[Digest], cut_short: Option<CutShort>) -> String {
    let scenarios = by_scenario(runs);
    let worst = runs.iter().map(|run| run.verdict).max().unwrap_or(Verdict::Passed);
    let content = [
        banner(runs, worst, cut_short),
        overview(&scenarios),
        failures(runs),
        baselines(&scenarios),
        all_runs(&scenarios),
    ]
    .concat();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{CONTENT_SECURITY_POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<link rel=\"icon\" href=\"{icon}\">\n<style>\n{STYLE}</style>\n</head>\n\
         <body>\n<main>\n{content}</main>\n<footer>\n<p>Simulated with Relay. All times are virtual.</p>\n</footer>\n\
         <script>\n{SCRIPT}</script>\n</body>\n</html>\n",
        title = Text(&headline(runs, cut_short)),
        icon = head::icon(if cut_short.is_some() { worst.max(Verdict::GateFailed) } else { worst }),
    )
}

fn headline(runs: &[Digest], cut_short: Option<CutShort>) -> String {
    let failed = runs.iter().filter(|run| run.verdict != Verdict::Passed).count() as u64;
    let all = runs.len() as u64;
    if let Some(cut_short) = cut_short {
        let words = cut_short.words(runs.len());
        return format!("Simulation {words}, {} of them failed", count(failed));
    }
    match (all, failed) {
        (0, _) => "Nothing was run".to_owned(),
        (_, 0) => format!("All {} passed", counted(all, "run", "runs")),
        _ => format!("{} of {} failed", count(failed), counted(all, "run", "runs")),
    }
}

fn banner(runs: &[Digest], worst: Verdict, cut_short: Option<CutShort>) -> String {
    let is_good = worst == Verdict::Passed && cut_short.is_none();
    let (class, sign) = if is_good { ("good", "✓") } else { ("bad", "✗") };
    let scenarios = by_scenario(runs).len() as u64;
    let calls = runs.iter().fold(0_u64, |sum, run| sum.saturating_add(run.calls));
    format!(
        "<header class=\"banner {class}\">\n<p class=\"eyebrow\">Relay · report of several runs</p>\n<h1>{title}</h1>\n\
         <div class=\"verdict\"><p class=\"headline\"><strong class=\"badge\"><span aria-hidden=\"true\">{sign}</span> {words}\
         </strong> <span>{scenarios}, {runs}, {calls}.</span></p></div>\n</header>\n",
        title = Text(&headline(runs, cut_short)),
        words = if cut_short.is_some() { "cut short" } else { head::words(worst) },
        scenarios = counted(scenarios, "scenario", "scenarios"),
        runs = counted(runs.len() as u64, "run", "runs"),
        calls = counted(calls, "call", "calls"),
    )
}

fn overview(scenarios: &[ScenarioDigest<'_>]) -> String {
    if scenarios.is_empty() {
        return section("scenarios", "Scenarios", "", &nothing("Nothing was run."));
    }
    let rows: String = scenarios
        .iter()
        .map(|scenario| {
            let passed = scenario.passed();
            let all = passed == scenario.runs.len();
            let figures: String = FIGURES
                .iter()
                .map(|(metric, _)| format!("<td class=\"number\">{}</td>", scenario.worst_of(metric)))
                .collect();
            format!(
                "<tr class=\"{class}\"><th scope=\"row\"><a href=\"#s-{name}\">{name}</a></th><td>{mark}</td>\
                 <td class=\"number\">{calls}</td>{figures}</tr>\n",
                class = if all { "good" } else { "bad" },
                name = Text(scenario.name),
                mark = mark(all, &format!("{passed} of {}", scenario.runs.len())),
                calls = count(scenario.calls()),
            )
        })
        .collect();
    let titles: String =
        FIGURES.iter().map(|(_, title)| format!("<th scope=\"col\" class=\"number\">{title}</th>")).collect();
    let table = format!(
        "<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">Scenario</th><th scope=\"col\">Passed</th>\
         <th scope=\"col\" class=\"number\">Calls</th>{titles}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n"
    );
    section("scenarios", "Scenarios", "Figures are the worst of a scenario's runs.", &table)
}

fn failures(runs: &[Digest]) -> String {
    let failed: Vec<_> = runs.iter().filter(|run| run.verdict != Verdict::Passed).collect();
    if failed.is_empty() {
        return String::new();
    }
    let items: String = failed.iter().map(|run| failed_run(run)).collect();
    section("failures", "What failed", "", &format!("<ul class=\"failures\">\n{items}</ul>\n"))
}

fn failed_run(run: &Digest) -> String {
    let cases: Vec<&Case> = run.failures().collect();
    let shown: String = cases
        .iter()
        .take(CASES_MAX)
        .map(|case| {
            format!(
                "<li><strong>{} {}</strong> <span>{}</span></li>\n",
                case.sort.as_str(),
                Text(&case.name),
                Text(&case.text)
            )
        })
        .collect();
    let more = match cases.len().saturating_sub(CASES_MAX) {
        0 => String::new(),
        more => format!("<p class=\"more\">and {more} more</p>\n"),
    };
    format!(
        "<li><p class=\"failed-run\">{link} {mark}</p>\n<ul>\n{shown}</ul>\n{more}<p class=\"again\"><code>{replay}</code></p></li>\n",
        link = link(run, &format!("{}, seed {}", run.scenario, run.seed)),
        mark = mark(false, head::words(run.verdict)),
        replay = Text(&run.replay),
    )
}

fn baselines(scenarios: &[ScenarioDigest<'_>]) -> String {
    let rows: String = scenarios
        .iter()
        .flat_map(|scenario| scenario.worst.iter().map(move |metric| (scenario.name, metric)))
        .filter_map(|(name, metric)| baseline_row(name, metric))
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let table = format!(
        "<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">Scenario</th><th scope=\"col\">Metric</th>\
         <th scope=\"col\" class=\"number\">Baseline</th><th scope=\"col\" class=\"number\">Now</th>\
         <th scope=\"col\" class=\"number\">Tolerance</th><th scope=\"col\">Result</th></tr></thead>\n<tbody>\n{rows}</tbody>\n\
         </table></div>\n"
    );
    section("baselines", "Beyond the baselines", "Figures within their tolerance are left out.", &table)
}

fn baseline_row(scenario: &str, metric: &Metric) -> Option<String> {
    let against = metric.baseline.as_ref().filter(|it| it.standing != Standing::Within)?;
    let show = |value| quantity::show(metric.unit, metric.better, value);
    let worse = against.standing == Standing::Worse;
    Some(format!(
        "<tr><td>{}</td><td>{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td>\
         <td>{}</td></tr>\n",
        Text(scenario),
        Text(&metric.name),
        show(against.value),
        show(metric.value),
        Text(&against.tolerance),
        mark(!worse, if worse { "worse" } else { "better" }),
    ))
}

fn all_runs(scenarios: &[ScenarioDigest<'_>]) -> String {
    let content: String = scenarios
        .iter()
        .map(|scenario| {
            let rows: String = scenario.runs.iter().map(|run| run_row(run)).collect();
            let titles: String = FIGURES
                .iter()
                .map(|(_, title)| format!("<th scope=\"col\" class=\"number\">{title}</th>"))
                .collect();
            let table = format!(
                "<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">Seed</th><th scope=\"col\">Result</th>{titles}</tr>\
                 </thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n"
            );
            let length = scenario.runs.len();
            let open = if length <= RUNS_OPEN_MAX { " open" } else { "" };
            format!(
                "<h3 id=\"s-{name}\">{name}</h3>\n<details{open}><summary>{length} {runs}</summary>\n{table}</details>\n",
                name = Text(scenario.name),
                runs = if length == 1 { "run" } else { "runs" },
            )
        })
        .collect();
    section("runs", "All runs", "", &content)
}

fn run_row(run: &Digest) -> String {
    let figures: String = FIGURES
        .iter()
        .map(|(name, _)| {
            let found = run.metrics.iter().find(|it| it.name == *name);
            let value =
                found.map_or_else(|| "—".to_owned(), |it| quantity::show(it.unit, it.better, it.value));
            format!("<td class=\"number\">{value}</td>")
        })
        .collect();
    format!(
        "<tr><th scope=\"row\">{}</th><td>{}</td>{figures}</tr>\n",
        link(run, &format!("seed {}", run.seed)),
        mark(run.verdict == Verdict::Passed, head::words(run.verdict)),
    )
}

fn link(run: &Digest, text: &str) -> String {
    match &run.link {
        // Within quotes, and with a path before it that no scheme can hide in.
        Some(link) => format!("<a href=\"./{}\">{}</a>", Text(link), Text(text)),
        None => Text(text).to_string(),
    }
}
