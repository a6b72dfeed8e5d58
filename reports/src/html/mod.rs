//! A run's report as one page: no other file, no network, complete without script.
//!
//! The order of [`render`] is the order of the page. Every foreign string goes through `format::Text` on its way in.

mod calls;
mod checks;
mod environment;
mod head;
mod history;
mod hops;
mod index;
mod lanes;
mod levels;
mod traffic;

use crate::chart::Frame;
use crate::format::{ClockStyle, Text};
use crate::model::Report;

pub use index::render_index;

const STYLE: &str = concat!(include_str!("page.css"), include_str!("lanes.css"));
const SCRIPT: &str = concat!(include_str!("page.js"), include_str!("lanes.js"));

/// Forbids everything from outside, whatever a report may contain.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

const NAVIGATION: &str = "<nav aria-label=\"Sections\"><a href=\"#gates\">Gates</a><a href=\"#over-time\">Over time</a>\
    <a href=\"#lanes\">Nodes and links</a><a href=\"#outcomes\">Outcomes</a><a href=\"#calls\">Calls to look at</a>\
    <a href=\"#invariants\">Invariants</a><a href=\"#levels\">Memory and queues</a><a href=\"#timeline\">Events</a><a href=\"#topology\">Topology</a>\
    <a href=\"#environment\">Environment</a></nav>\n";

/// The whole page. The same report always gives the same bytes.
#[must_use]
pub fn render(report: &Report) -> String {
    let scenario = &report.run.scenario;
    let frame = Frame::new(scenario.duration_ns, &report.history.fault_bands);
    let clock = ClockStyle::for_run(scenario.duration_ns);
    let sections = [
        head::banner(report),
        NAVIGATION.to_owned(),
        checks::gates(&report.checks, &scenario.name),
        traffic::over_time(report, &frame, clock),
        lanes::lanes(&report.history, &frame, scenario.duration_ns, clock),
        traffic::outcomes(&report.calls),
        calls::samples(&report.calls, clock),
        checks::invariants(&report.checks.invariants, scenario.duration_ns, clock),
        levels::levels(report, &frame, clock),
        history::timeline(&report.history, clock),
        history::topology(&report.topology),
        environment::environment(&report.run),
    ]
    .concat();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{CONTENT_SECURITY_POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<link rel=\"icon\" href=\"{icon}\">\n<style>\n{STYLE}</style>\n</head>\n\
         <body>\n<main>\n{sections}</main>\n{footer}\
         <script type=\"application/json\" id=\"series\">{series}</script>\n<script>\n{SCRIPT}</script>\n\
         </body>\n</html>\n",
        title = Text(&head::title(report)),
        icon = head::icon(report.verdict),
        footer = head::footer(report),
        series = traffic::series(report),
    )
}

/// One section of the page with its heading.
fn section(id: &str, title: &str, lead: &str, content: &str) -> String {
    let lead = if lead.is_empty() { String::new() } else { format!("<p class=\"lead\">{lead}</p>\n") };
    format!(
        "<section id=\"{id}\" aria-labelledby=\"{id}-title\">\n<h2 id=\"{id}-title\">{title}</h2>\n{lead}{content}</section>\n"
    )
}

/// Stands where there is nothing to show, and says so.
fn nothing(sentence: &str) -> String {
    format!("<p class=\"nothing\">{sentence}</p>\n")
}

/// A sign and a word, so that colour is never the only bearer of a result.
fn mark(holds: bool, word: &str) -> String {
    let (class, sign) = if holds { ("good", "✓") } else { ("bad", "✗") };
    format!("<span class=\"mark {class}\"><span aria-hidden=\"true\">{sign}</span> {word}</span>")
}

/// Host names as a path: `a → b → c`.
fn hop_path(hosts: &[String]) -> String {
    hosts
        .iter()
        .map(|host| format!("<span class=\"hop\">{}</span>", Text(host)))
        .collect::<Vec<_>>()
        .join("<span class=\"arrow\"> → </span>")
}
