//! The page: whole, well-formed, the same every time, and closed to whatever a name may contain.

mod sample;

use relay_reports::Report;
use relay_reports::digest::Digest;
use relay_reports::html::{render, render_index};
use relay_reports::model::{FaultBand, Verdict};
use serde_json::Value;

fn samples() -> [(&'static str, Report); 5] {
    [
        ("passed", sample::passed()),
        ("failing", sample::failing()),
        ("all failing", sample::all_failing()),
        ("empty", sample::empty()),
        ("day", sample::day()),
    ]
}

/// All samples as a list of runs.
fn digests() -> Vec<Digest> {
    let runs = samples().into_iter();
    runs.map(|(name, report)| Digest::of(&report, Some(format!("{name}/report.html")))).collect()
}

/// Fields that hold one of a few words: they are not foreign text.
const ENUMS: [&str; 4] = ["verdict", "unit", "better", "standing"];

/// Replaces every string in a report that may be foreign text.
fn with_all_strings(report: &Report, text: &str) -> Report {
    fn replace(value: &mut Value, text: &str) {
        match value {
            Value::String(string) => text.clone_into(string),
            Value::Array(items) => items.iter_mut().for_each(|item| replace(item, text)),
            Value::Object(fields) => {
                fields
                    .iter_mut()
                    .filter(|(name, _)| !ENUMS.contains(&name.as_str()))
                    .for_each(|(_, field)| replace(field, text));
            }
            _ => {}
        }
    }
    let mut value: Value = serde_json::from_str(&report.to_json_pretty()).expect("JSON");
    replace(&mut value, text);
    Report::from_json(&value.to_string()).expect("still a report")
}

/// Walks the page's tags, without looking into scripts and styles; gives the names of all elements in order.
fn elements(page: &str) -> Vec<String> {
    const VOID: [&str; 4] = ["meta", "link", "input", "br"];
    let mut open: Vec<String> = Vec::new();
    let mut seen = Vec::new();
    let mut rest = page.strip_prefix("<!DOCTYPE html>").expect("a doctype");
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        let end = tag_end(rest);
        let (tag, after) = (&rest[..end], &rest[end + 1..]);
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "</{name}> closes another element");
            continue;
        }
        let name = tag.split([' ', '/']).next().expect("a name").to_owned();
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric()) && !name.is_empty(), "<{tag}>");
        if name == "script" || name == "style" {
            let close = format!("</{name}>");
            rest = &rest[rest.find(&close).expect("an end")..];
        }
        seen.push(name.clone());
        if !tag.ends_with('/') && !VOID.contains(&name.as_str()) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "never closed: {open:?}");
    seen
}

/// Where a tag ends, passing over quoted attributes.
fn tag_end(tag: &str) -> usize {
    let mut quoted = false;
    for (i, c) in tag.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '>' if !quoted => return i,
            _ => {}
        }
    }
    panic!("a tag without end: {tag:.80}");
}

const SECTIONS: [&str; 10] = [
    "gates",
    "over-time",
    "lanes",
    "outcomes",
    "calls",
    "invariants",
    "levels",
    "timeline",
    "topology",
    "environment",
];

#[test]
fn every_page_is_well_formed_and_has_all_its_sections() {
    for (name, report) in samples() {
        let page = render(&report);
        let seen = elements(&page);
        assert_eq!(seen.iter().filter(|element| *element == "section").count(), SECTIONS.len(), "{name}");
        for id in SECTIONS {
            assert!(page.contains(&format!("<section id=\"{id}\"")), "{name}: {id}");
            assert!(page.contains(&format!("href=\"#{id}\"")), "{name}: no link to {id}");
        }
    }
}

#[test]
fn the_same_report_gives_the_same_bytes() {
    for (name, report) in samples() {
        let again = Report::from_json(&report.to_json_pretty()).expect("own output");
        assert_eq!(render(&report), render(&again), "{name}");
    }
}

#[test]
fn wall_figures_show_in_the_footer_and_nowhere_else() {
    let with = render(&sample::passed());
    let without = render(&sample::passed().without_wall());
    let (head, footer) = with.split_once("<footer>").expect("a footer");
    assert!(footer.contains("2,804 virtual seconds per second"));
    assert!(without.starts_with(head));
    assert!(!without.contains("wall time"));
}

#[test]
fn no_name_can_leave_its_place() {
    let hostile =
        "</td></script><script>alert(1)</script><img src=x onerror=\"alert(2)\" a='b'>&amp;\u{0}\u{202e}";
    for (name, report) in samples() {
        // As long as the hostile one: tags of faults lose their words where these would not fit.
        let plain = elements(&render(&with_all_strings(&report, &"n".repeat(hostile.chars().count()))));
        let page = render(&with_all_strings(&report, hostile));
        assert_eq!(elements(&page), plain, "{name}: a name added or closed an element");
        assert!(page.contains("&lt;script&gt;alert(1)"), "{name}: the name is not shown");
        for raw in ["<script>alert", "<img", "\"alert(2)", "\u{0}"] {
            assert!(!page.contains(raw), "{name}: {raw:?}");
        }
    }
}

#[test]
fn a_page_asks_nothing_of_the_network() {
    let pages = samples().map(|(name, report)| (name, render(&report)));
    for (name, page) in pages.into_iter().chain([("index", render_index(&digests(), None))]) {
        assert!(page.contains("default-src 'none'"), "{name}");
        for outside in ["src=", "@import", "url(", "https:", "//cdn", "fetch(", "XMLHttpRequest"] {
            assert!(!page.contains(outside), "{name}: {outside}");
        }
        // The name space of the icon is a name, not an address that is opened.
        assert_eq!(page.matches("http:").count(), 1, "{name}");
    }
}

#[test]
fn the_page_says_how_it_ended_and_how_to_run_it_again() {
    let page = render(&sample::failing());
    for text in [
        "✗</span> Panicked",
        "--seed 18446744073709551615</code>",
        "index out of bounds: the len is 3 but the index is 3",
        "violated 1,204×",
        "and 1,203 more",
        "✗ not settled",
        "The first 25 of 41,322 events.",
        "<td class=\"number measured\">4.12 s</td><td class=\"number limit\">≤ 250 ms</td>",
    ] {
        assert!(page.contains(text), "{text}");
    }
    assert!(render(&sample::passed()).contains("✓</span> Passed"));
    let mut report = sample::passed();
    for (verdict, words) in [
        (Verdict::GateFailed, "Gate failed: three"),
        (Verdict::InvariantViolated, "Invariant violated: three"),
        (Verdict::NotDeterministic, "Not deterministic: three"),
    ] {
        report.verdict = verdict;
        assert!(render(&report).contains(&format!("<title>{words}")), "{words}");
    }
}

#[test]
fn what_there_is_none_of_is_said_in_words() {
    let empty = render(&sample::empty());
    for sentence in
        ["The scenario sets no limits.", "No faults in this run.", "No call was made.", "No call failed."]
    {
        assert!(empty.contains(sentence), "{sentence}");
    }
    assert!(!empty.contains("data-plot"), "an empty chart was drawn");
    let all_failing = render(&sample::all_failing());
    assert!(all_failing.contains("No call succeeded, so there is no latency to show."));
    assert!(all_failing.contains("data-plot=\"rate\""));
}

#[test]
fn latency_over_two_decades_is_drawn_logarithmically() {
    assert!(render(&sample::failing()).contains("logarithmic scale"));
    assert!(!render(&sample::passed()).contains("logarithmic scale"));
}

#[test]
fn the_index_names_every_run_with_a_link_and_what_failed_in_it() {
    let page = render_index(&digests(), None);
    let seen = elements(&page);
    assert_eq!(seen.iter().filter(|element| *element == "section").count(), 4);
    for text in [
        "<title>2 of 5 runs failed</title>",
        "href=\"./failing/report.html\"",
        "href=\"./day/report.html\"",
        "invariant three-hops</strong>",
        "--seed 18446744073709551615</code>",
        "Beyond the baselines",
    ] {
        assert!(page.contains(text), "{text}");
    }
    assert!(render_index(&[], None).contains("Nothing was run"));
    elements(&render_index(&[], None));
}

#[test]
fn no_name_can_leave_its_place_in_the_index() {
    let hostile = "</td></script><script>alert(1)</script>\" onclick=\"x";
    let digest = |text: &str| {
        let report = with_all_strings(&sample::failing(), text);
        Digest::of(&report, Some(format!("{text}/report.html")))
    };
    let page = render_index(&[digest(hostile)], None);
    assert_eq!(elements(&page), elements(&render_index(&[digest("plain")], None)));
    assert!(!page.contains("<script>alert") && !page.contains("\" onclick=\"x"), "{page}");
}

#[test]
fn a_node_s_lane_shows_what_befell_it_and_a_call_its_hops() {
    let page = render(&sample::passed());
    for text in [
        "<span class=\"lane-name\" title=\"relay-b\">relay-b</span>",
        "class=\"bar-of s-cut\" style=\"left:20%;width:15%\" data-at=\"120000000000\" title=\"2:00.000 to 3:30.000 (1 min 30 s): relay-b cut off\"",
        "class=\"bar-of s-down\" style=\"left:55%;width:5%\"",
        "4 links were cut or degraded.",
        "<div class=\"hop-line\">",
        "home-* call echo at home-*, 1/s each, timeout 10s",
        "name = &quot;three-mains-six-homes&quot;",
    ] {
        assert!(page.contains(text), "{text}");
    }
    let day = render(&sample::day());
    assert!(day.contains("3 of 3,003 nodes are shown") && day.contains("4,001 links were cut"));
}

#[test]
fn a_figure_stands_beside_its_baseline() {
    let page = render(&sample::failing());
    for text in
        ["Against the baseline of", "✗</span> worse", "✓</span> better", "1.16×", "<h3>Parameters</h3>"]
    {
        assert!(page.contains(text), "{text}");
    }
    assert!(page.contains("data-plot=\"likelihood\""));
    let passed = render(&sample::passed());
    assert!(passed.contains("without a baseline") && !passed.contains("data-plot=\"likelihood\""));
}

#[test]
fn extreme_values_neither_panic_nor_leave_the_chart() {
    let mut report = sample::passed();
    report.run.scenario.duration_ns = u64::MAX;
    report.history.fault_bands.push(FaultBand {
        start_ns: u64::MAX,
        end_ns: Some(0),
        kind: "partition".to_owned(),
        label: "at the end of time".to_owned(),
        hosts: Vec::new(),
    });
    let last = report.calls.latency.last_mut().expect("points");
    (last.start_ns, last.width_ns, last.p99_ns) = (u64::MAX, u64::MAX, u64::MAX);
    let last = report.calls.rate.last_mut().expect("points");
    (last.start_ns, last.width_ns, last.succeeded) = (u64::MAX, 1, u64::MAX);
    report.calls.totals.succeeded = u64::MAX;
    report.wall.as_mut().expect("figures").virtual_per_wall = f64::INFINITY;
    let page = render(&report);
    elements(&page);
    assert!(!page.contains("NaN") && !page.contains("inf\""), "a value that no chart can place");
}
