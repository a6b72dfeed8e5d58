//! Calls to look at: the slowest, and the failed, each with the hops that it made.

use crate::format::{ClockStyle, Text, latency};
use crate::html::{hop_path, hops, nothing, section};
use crate::model::{CallSample, Calls};

/// Calls that are listed in the open; more are folded away.
const ROWS_OPEN_MAX: usize = 10;

/// Samples of slow and of failed calls with the path they took.
pub(super) fn samples(calls: &Calls, clock: ClockStyle) -> String {
    let content = [
        "<h3>Failed</h3>\n".to_owned(),
        table(&calls.failed, clock, "No call failed."),
        "<h3>Slowest</h3>\n".to_owned(),
        table(&calls.slowest, clock, "No call succeeded."),
    ]
    .concat();
    let lead = "Open one to see how long each node on its way had it.";
    section("calls", "Calls to look at", lead, &content)
}

fn table(samples: &[CallSample], clock: ClockStyle, otherwise: &str) -> String {
    if samples.is_empty() {
        return nothing(otherwise);
    }
    let (open, folded) = samples.split_at(samples.len().min(ROWS_OPEN_MAX));
    let more = match folded.len() {
        0 => String::new(),
        length => format!("<details><summary>{length} more</summary>\n{}</details>\n", rows(folded, clock)),
    };
    rows(open, clock) + &more
}

fn rows(samples: &[CallSample], clock: ClockStyle) -> String {
    let rows: String = samples.iter().map(|sample| row(sample, clock)).collect();
    format!(
        "<table class=\"samples\">\n<thead><tr><th scope=\"col\">Due</th><th scope=\"col\">Caller</th><th scope=\"col\">Service</th>\
         <th scope=\"col\">Callee</th><th scope=\"col\" class=\"number\">Took</th><th scope=\"col\">Outcome</th></tr></thead>\n\
         <tbody>\n{rows}</tbody>\n</table>\n"
    )
}

fn row(sample: &CallSample, clock: ClockStyle) -> String {
    let state = if sample.path_whole { "" } else { "<span class=\"note\">path broken</span>" };
    let detail = sample.detail.as_ref();
    let (service, callee) = match detail {
        Some(it) => (it.service.as_str(), it.callee.as_deref().unwrap_or("any")),
        None => (sample.target.as_str(), ""),
    };
    let code = detail.and_then(|it| it.code).map(|code| format!("<span class=\"code\">{code}</span> "));
    format!(
        "<tr class=\"sample\"><td class=\"time\">{at}</td><td class=\"call\"><span class=\"hop\">{caller}</span></td>\
         <td class=\"service\">{service}</td><td class=\"call callee\"><span class=\"hop\">{callee}</span></td>\
         <td class=\"number\">{latency}</td><td class=\"outcome\">{code}{outcome}{state}</td></tr>\n\
         <tr class=\"trace\"><td colspan=\"6\">{trace}</td></tr>\n",
        at = clock.millis(sample.at_ns),
        caller = Text(&sample.caller),
        service = Text(service),
        callee = Text(callee),
        latency = latency(sample.latency_ns),
        code = code.unwrap_or_default(),
        outcome = Text(&sample.outcome),
        trace = trace(sample, clock),
    )
}

fn trace(sample: &CallSample, clock: ClockStyle) -> String {
    let path = match sample.path.is_empty() {
        true => "its way is not known".to_owned(),
        false => hop_path(&sample.path),
    };
    let Some(detail) = &sample.detail else {
        return format!("<span class=\"path\">{path}</span>");
    };
    let during = match detail.faults.as_slice() {
        [] => String::new(),
        [fault] => format!("<span class=\"during\">during {}</span>", Text(fault)),
        faults => format!("<span class=\"during\">during {} faults</span>", faults.len()),
    };
    let diagram = hops::diagram(sample, clock);
    format!("<details><summary><span class=\"path\">{path}</span>{during}</summary>\n{diagram}</details>")
}
