//! Calls to look at: the slowest, and the failed.

use crate::format::{ClockStyle, Text, latency};
use crate::html::{hop_path, nothing, section};
use crate::model::{CallSample, Calls};

/// Samples of slow and of failed calls with the path they took.
pub(super) fn samples(calls: &Calls, clock: ClockStyle) -> String {
    let content = [
        "<h3>Slowest</h3>\n".to_owned(),
        table(&calls.slowest, clock, "No call succeeded."),
        "<h3>Failed</h3>\n".to_owned(),
        table(&calls.failed, clock, "No call failed."),
    ]
    .concat();
    section("calls", "Calls to look at", "", &content)
}

fn table(samples: &[CallSample], clock: ClockStyle, otherwise: &str) -> String {
    if samples.is_empty() {
        return nothing(otherwise);
    }
    let rows: String = samples.iter().map(|sample| row(sample, clock)).collect();
    format!(
        "<table class=\"samples\">\n<thead><tr><th scope=\"col\">Sent</th><th scope=\"col\">Call</th>\
         <th scope=\"col\">Outcome</th><th scope=\"col\" class=\"number\">Latency</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n"
    )
}

fn row(sample: &CallSample, clock: ClockStyle) -> String {
    let path = if sample.path.is_empty() {
        String::new()
    } else {
        format!("<span class=\"path\">{}</span>", hop_path(&sample.path))
    };
    let state = if sample.path_whole { "" } else { "<span class=\"note\">path broken</span>" };
    format!(
        "<tr><td class=\"time\">{at}</td><td class=\"call\"><span class=\"ends\"><span class=\"hop\">{caller}</span>\
         <span class=\"arrow\"> → </span><span class=\"hop\">{target}</span></span>{path}</td>\
         <td class=\"outcome\">{outcome}{state}</td><td class=\"number\">{latency}</td></tr>\n",
        at = clock.millis(sample.at_ns),
        caller = Text(&sample.caller),
        target = Text(&sample.target),
        outcome = Text(&sample.outcome),
        latency = latency(sample.latency_ns),
    )
}
