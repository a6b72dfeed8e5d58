//! Lists of runs: JUnit XML that a parser reads back, Markdown that survives foreign text, comparisons that see a planted
//! regression.

#[expect(dead_code, reason = "other tests use the rest")]
mod sample;

use relay_reports::baseline::Baseline;
use relay_reports::compare::compare;
use relay_reports::digest::{CutShort, Digest, Outcome};
use relay_reports::html::render_index;
use relay_reports::model::{Standing, Verdict};
use relay_reports::{Report, Tolerance, Tolerances, junit, markdown};

const HOSTILE: &str = "<b>&\"'|`*_]]> @someone \u{0}\u{1b}\ntwo";

fn tolerances(text: &str) -> Tolerances {
    Tolerances::all(text.parse::<Tolerance>().expect("a tolerance"))
}

fn digests() -> Vec<Digest> {
    [sample::passed(), sample::failing(), sample::all_failing(), sample::empty()]
        .iter()
        .map(|report| Digest::of(report, None))
        .collect()
}

#[test]
fn junit_is_read_back_with_a_suite_per_run_and_a_case_per_check() {
    let runs = digests();
    let text = junit::render(&runs, None);
    let document = roxmltree::Document::parse(&text).expect("well-formed");
    let suites: Vec<_> = document.descendants().filter(|it| it.has_tag_name("testsuite")).collect();
    assert_eq!(suites.len(), runs.len());
    for (suite, run) in suites.iter().zip(&runs) {
        let cases: Vec<_> = suite.children().filter(|it| it.has_tag_name("testcase")).collect();
        assert_eq!(cases.len(), run.cases.len());
        let failed = cases.iter().filter(|it| it.children().any(|it| it.has_tag_name("failure"))).count();
        assert_eq!(suite.attribute("failures"), Some(failed.to_string().as_str()));
        assert_eq!(failed, run.failures().count());
        assert_eq!(suite.attribute("tests"), Some(cases.len().to_string().as_str()));
    }
    assert_eq!(suites[0].attribute("name"), Some("three-mains-six-homes, seed 7"));
    assert_eq!(suites[0].attribute("failures"), Some("0"));
    assert_eq!(suites[0].attribute("time"), Some("0.214"));
    let all = document.root_element();
    let sum: usize = runs.iter().map(|run| run.failures().count()).sum();
    assert_eq!(all.attribute("failures"), Some(sum.to_string().as_str()));
    assert_eq!(all.attribute("time"), None, "one run does not tell its time");
    let failure = document.descendants().find(|it| it.has_tag_name("failure")).expect("one");
    assert!(failure.text().expect("words").contains("again: relay-sim run"), "{failure:?}");
}

#[test]
fn a_panic_is_a_failed_case_even_where_every_gate_holds() {
    let mut report = sample::passed();
    report.verdict = Verdict::Panicked;
    report.summary.details = vec!["index out of bounds".to_owned()];
    let run = Digest::of(&report, None);
    let failed: Vec<_> = run.failures().collect();
    assert_eq!(failed.len(), 1);
    assert!(failed[0].text.contains("index out of bounds"));
    assert!(junit::render(&[run], None).contains("failures=\"1\""));
}

#[test]
fn what_was_never_checked_is_skipped_and_not_passed() {
    let run = Digest::of(&sample::passed(), None);
    assert_eq!(run.cases.iter().filter(|case| case.outcome == Outcome::NotExercised).count(), 1);
    assert!(junit::render(&[run], None).contains("skipped=\"1\""));
}

fn hostile() -> Digest {
    let mut report = sample::failing();
    report.run.scenario.name = HOSTILE.to_owned();
    report.run.replay_command = HOSTILE.to_owned();
    report.summary.headline = HOSTILE.to_owned();
    report.checks.gates[0].name = HOSTILE.to_owned();
    report.checks.gates[0].explanation = HOSTILE.to_owned();
    report.checks.metrics[0].name = HOSTILE.to_owned();
    Digest::of(&report, None)
}

#[test]
fn no_text_can_leave_its_place_in_junit() {
    let text = junit::render(&[hostile()], None);
    let document = roxmltree::Document::parse(&text).expect("well-formed");
    let readable = HOSTILE.replace(['\u{0}', '\u{1b}'], "\u{fffd}");
    let replay = document
        .descendants()
        .find(|it| it.attribute("name") == Some("replay"))
        .and_then(|it| it.attribute("value"));
    assert_eq!(replay, Some(readable.as_str()), "read back as it was");
}

#[test]
fn no_text_can_leave_its_place_in_markdown() {
    let text = markdown::render(&[hostile(), hostile()], None);
    let plain =
        markdown::render(&[Digest::of(&sample::failing(), None), Digest::of(&sample::failing(), None)], None);
    assert_eq!(text.lines().count(), plain.lines().count(), "a name added a line:\n{text}");
    // Within code nothing has a meaning but its end.
    let outside: String = text
        .replace("\\`", "")
        .split("```")
        .step_by(2)
        .flat_map(|prose| prose.split('`').step_by(2))
        .collect();
    assert!(!outside.contains("<b>") && !outside.contains("@someone"), "{outside}");
    let columns = |line: &str| line.replace("\\|", "").matches('|').count();
    for (line, expected) in text.lines().zip(plain.lines()).filter(|(line, _)| line.starts_with('|')) {
        assert_eq!(columns(line), columns(expected), "a name added a column: {line}");
    }
}

#[test]
fn the_summary_of_a_failed_run_says_what_failed_and_how_to_see_it() {
    let mut report = sample::passed();
    report.verdict = Verdict::GateFailed;
    report.summary.headline = "Gates that do not hold: latency p99.".to_owned();
    let gate = &mut report.checks.gates[2];
    (gate.holds, gate.measured) = (false, "412 ms".to_owned());
    report.checks.metrics = sample::failing().checks.metrics;
    let good = Digest::of(&sample::passed(), None);
    let expected = include_str!("summary.md");
    assert_eq!(markdown::render(&[good.clone(), Digest::of(&report, None)], None), expected);
    assert!(markdown::render(&[good], None).starts_with("## ✓ three-mains-six-homes, seed 7: passed\n"));
    assert_eq!(markdown::render(&[], None), "## Simulation: nothing was run\n\n");
}

#[test]
fn a_list_that_was_cut_short_says_so_everywhere_and_counts_as_an_error() {
    let (runs, cut_short) = ([Digest::of(&sample::passed(), None)], Some(CutShort { asked: 1_000 }));
    let summary = markdown::render(&runs, cut_short);
    assert!(
        summary.starts_with("## ✗ Simulation: cut short after 1 of 1,000 runs, 0 of them failed\n"),
        "{summary}"
    );
    let text = junit::render(&runs, cut_short);
    let document = roxmltree::Document::parse(&text).expect("well-formed");
    let counted = |name| document.root_element().attribute(name).map(str::to_owned);
    assert_eq!(counted("errors").as_deref(), Some("1"));
    assert_eq!(counted("tests"), Some((runs[0].cases.len() + 1).to_string()));
    let error = document.descendants().find(|it| it.has_tag_name("error")).expect("one");
    assert_eq!(error.attribute("message"), Some("cut short after 1 of 1,000 runs"));
    assert!(!junit::render(&runs, None).contains("<error"));
    let page = render_index(&runs, cut_short);
    assert!(page.contains("<h1>Simulation cut short after 1 of 1,000 runs, 0 of them failed</h1>"), "{page}");
    assert!(page.contains("banner bad"), "nobody takes it for a success");
}

/// The same run with one figure changed.
fn changed(name: &str, value: u64) -> Report {
    let mut report = sample::passed();
    let metric = report.checks.metrics.iter_mut().find(|it| it.name == name).expect("there");
    metric.value = value;
    report.trace_hash = "another".to_owned();
    report
}

#[test]
fn a_planted_regression_is_found_and_noise_is_not() {
    let before = sample::passed();
    let compared = |after: &Report, tolerance| compare(&before, after, &tolerances(tolerance));
    let slower = changed("p99", 130_000_000);
    assert!(compared(&slower, "15 %").regressions().is_empty());
    assert_eq!(
        compared(&slower, "10 %").regressions(),
        ["p99 is 130 ms, 118 ms before; 10 % more is allowed"]
    );
    let p99 = compared(&slower, "10 %").metrics.into_iter().find(|it| it.name == "p99").expect("there");
    assert!(p99.standing == Standing::Worse && p99.ratio.expect("of two") > 1.1);
    assert_eq!(compared(&changed("success", 989_999_999), "1 %").regressions().len(), 1);
    assert_eq!(compared(&changed("p99", 60_000_000), "10 %").regressions(), Vec::<String>::new());
    assert!(compared(&slower, "15 %").differs() && !compared(&before, "0 %").differs());
}

#[test]
fn gates_invariants_and_verdicts_that_get_worse_are_regressions_whatever_the_tolerance() {
    let found = compare(&sample::passed(), &sample::failing(), &tolerances("1000 %")).regressions();
    for expected in [
        "the run panicked; it passed before",
        "gate convergence does not hold: never, limit ≤ 20 s",
        "invariant answer-reaches-caller is violated 3 times, 0 before",
    ] {
        assert!(found.iter().any(|it| it == expected), "{expected} is missing in {found:#?}");
    }
    let back = compare(&sample::failing(), &sample::passed(), &tolerances("1000 %"));
    assert_eq!(back.regressions(), Vec::<String>::new(), "the other way it is a repair");
}

#[test]
fn a_figure_that_is_gone_is_a_regression_and_a_new_one_is_not() {
    let mut fewer = sample::passed();
    fewer.checks.metrics.remove(0);
    assert_eq!(compare(&sample::passed(), &fewer, &tolerances("10 %")).regressions().len(), 1);
    assert!(compare(&fewer, &sample::passed(), &tolerances("10 %")).regressions().is_empty());
}

#[test]
fn a_run_that_is_worse_than_its_baseline_did_not_pass() {
    let mut report = sample::passed();
    let mut baseline = Baseline::of("three-mains-six-homes", "7", &report.checks.metrics, None);
    report.hold_against(&baseline);
    assert_eq!(report.verdict, Verdict::Passed, "it holds against itself");
    assert!(report.checks.metrics.iter().all(|metric| metric.baseline.is_some()));
    baseline.metrics.get_mut("p99").expect("there").worst = "1 ms".to_owned();
    report.hold_against(&baseline);
    assert_eq!(report.verdict, Verdict::GateFailed);
    assert_eq!(
        report.summary.headline,
        "Worse than the baseline allows: p99 is 118 ms, the baseline is 1 ms and allows 20 % more."
    );
    let run = Digest::of(&report, None);
    assert_eq!(run.failures().map(|case| case.name.as_str()).collect::<Vec<_>>(), ["p99"]);
}
