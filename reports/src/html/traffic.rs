//! What happened over virtual time: faults, latency, calls per second, convergence; and how calls ended.

use crate::chart::{
    Frame, convergence_chart, is_bytes, kind_class, latency_chart, likelihood_chart, rate_chart,
};
use crate::format::{ClockStyle, Text, count, counted, latency, percent, span};
use crate::html::{nothing, section};
use crate::model::{CallTotals, Calls, ConvergencePoint, FaultBand, Report};

/// Faults, or disturbances, up to this number are listed in the open; more are folded away.
const ROWS_OPEN_MAX: usize = 12;

/// All charts, one x axis.
pub(super) fn over_time(report: &Report, frame: &Frame, clock: ClockStyle) -> String {
    let content = [
        faults(report, clock),
        latency_figure(report, frame, clock),
        rate_figure(report, frame, clock),
        convergence_figure(report, frame, clock),
        likelihood_figure(report, frame, clock),
    ]
    .concat();
    section("over-time", "Over time", "", &content)
}

fn faults(report: &Report, clock: ClockStyle) -> String {
    let bands = &report.history.fault_bands;
    if bands.is_empty() {
        return nothing("No faults in this run.");
    }
    let items: String = bands
        .iter()
        .enumerate()
        .map(|(i, band)| fault_item(i, band, report.run.scenario.duration_ns, clock))
        .collect();
    let list = format!("<ol class=\"faults\">\n{items}</ol>\n");
    folded(&list, bands.len(), "faults")
}

fn fault_item(i: usize, band: &FaultBand, duration_ns: u64, clock: ClockStyle) -> String {
    let hosts =
        if band.hosts.is_empty() { String::new() } else { format!(" · {}", Text(&band.hosts.join(", "))) };
    let end = match band.end_ns {
        Some(end_ns) => clock.seconds(end_ns),
        None => "the end".to_owned(),
    };
    let lasted = band.end_ns.unwrap_or(duration_ns).saturating_sub(band.start_ns);
    format!(
        "<li><span class=\"tag-id {class}\">F{number}</span><span><strong>{label}</strong>\
         <span class=\"note\">{kind}{hosts} · {start} to {end}, <span class=\"keep\">{lasted}</span></span></span></li>\n",
        class = kind_class(&band.kind),
        number = i + 1,
        label = Text(if band.label.is_empty() { &band.kind } else { &band.label }),
        kind = Text(&band.kind),
        start = clock.seconds(band.start_ns),
        lasted = span(lasted),
    )
}

fn latency_figure(report: &Report, frame: &Frame, clock: ClockStyle) -> String {
    let Some((drawing, log)) = latency_chart(frame, &report.calls.latency) else {
        return figure("Latency", "", "", &nothing("No call succeeded, so there is no latency to show."));
    };
    let scale = if log { "logarithmic scale" } else { "" };
    let legend =
        legend(&[("line p50", "median"), ("line p90", "90th percentile"), ("line p99", "99th percentile")]);
    figure("Latency of calls that succeeded", &axis_note(scale, clock), &legend, &drawing)
}

fn rate_figure(report: &Report, frame: &Frame, clock: ClockStyle) -> String {
    let Some(drawing) = rate_chart(frame, &report.calls.rate) else {
        return figure("Calls per second", "", "", &nothing("No call was made."));
    };
    let legend = legend(&[
        ("area succeeded", "succeeded"),
        ("area expected", "failed, path broken"),
        ("area unexpected", "failed unexpectedly"),
    ]);
    figure("Calls per second", &axis_note("", clock), &legend, &drawing)
}

fn convergence_figure(report: &Report, frame: &Frame, clock: ClockStyle) -> String {
    let points = &report.history.convergence;
    let title = "Convergence: time until all Mains agree with the truth";
    let Some(drawing) = convergence_chart(frame, points) else {
        return figure(title, "", "", &nothing("Nothing disturbed the Mains' views."));
    };
    let rows: String = points.iter().map(|p| convergence_row(p, clock)).collect();
    let table = format!(
        "<table class=\"convergence\">\n<thead><tr><th scope=\"col\">From</th><th scope=\"col\" class=\"number\">Settled after</th>\
         <th scope=\"col\">Cause</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n"
    );
    let table = folded(&table, points.len(), "disturbances");
    figure(title, &axis_note("", clock), "", &(drawing + &table))
}

/// Only where it was measured: most runs need no such thing.
fn likelihood_figure(report: &Report, frame: &Frame, clock: ClockStyle) -> String {
    let Some(drawing) = likelihood_chart(frame, &report.history.likelihood) else { return String::new() };
    let title = "Likelihood of the failure, with other randomness from a moment on";
    figure(title, &axis_note("", clock), "", &drawing)
}

fn convergence_row(point: &ConvergencePoint, clock: ClockStyle) -> String {
    let settled = match point.settled_after_ns {
        Some(ns) => format!("<td class=\"number\">{}</td>", latency(ns)),
        None => "<td class=\"number never\">✗ not settled</td>".to_owned(),
    };
    format!(
        "<tr><td class=\"time\">{}</td>{settled}<td>{}</td></tr>\n",
        clock.seconds(point.start_ns),
        Text(&point.cause)
    )
}

/// How calls ended, as counts and shares.
pub(super) fn outcomes(calls: &Calls) -> String {
    if calls.outcomes.is_empty() {
        return section("outcomes", "Outcomes", "", &nothing("No call was made."));
    }
    let all = calls.outcomes.iter().fold(0_u64, |sum, o| sum.saturating_add(o.count));
    let rows: String = calls
        .outcomes
        .iter()
        .map(|outcome| {
            let share = if all == 0 { 0.0 } else { outcome.count as f64 / all as f64 * 100.0 };
            format!(
                "<tr><th scope=\"row\">{name}</th><td class=\"code\">{code}</td><td class=\"number\">{count}</td>\
                 <td class=\"number\">{percent}</td><td class=\"share\"><span class=\"bar {class}\" style=\"width:{share:.2}%\"></span>\
                 </td></tr>\n",
                name = Text(&outcome.name),
                code = outcome.code.map_or_else(String::new, |code| code.to_string()),
                count = count(outcome.count),
                percent = percent(outcome.count, all),
                class = if outcome.code.is_none() { "succeeded" } else { "failed" },
            )
        })
        .collect();
    let lead = failures_in_words(&calls.totals);
    let table = format!(
        "<table class=\"outcomes\">\n<thead><tr><th scope=\"col\">Outcome</th><th scope=\"col\">Code</th>\
         <th scope=\"col\" class=\"number\">Calls</th><th scope=\"col\" class=\"number\">Share</th>\
         <th aria-hidden=\"true\"></th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n"
    );
    section("outcomes", "Outcomes", &lead, &table)
}

fn failures_in_words(totals: &CallTotals) -> String {
    let failed = totals.failed_expected.saturating_add(totals.failed_unexpected);
    match (failed, totals.failed_unexpected) {
        (0, _) => "Every call succeeded.".to_owned(),
        (_, 0) => format!("{} failed, each while its path was broken.", counted(failed, "call", "calls")),
        (_, unexpected) => format!(
            "{} failed: {} while the path was broken, {} although it was whole from send to answer.",
            counted(failed, "call", "calls"),
            count(totals.failed_expected),
            count(unexpected)
        ),
    }
}

/// The chart points as numbers, for the read-out under the pointer: nanoseconds, and calls per interval.
pub(super) fn series(report: &Report) -> String {
    let latency = report.calls.latency.iter().map(|p| {
        serde_json::json!([p.start_ns, p.width_ns, p.calls, p.p50_ns, p.p90_ns, p.p99_ns, p.max_ns])
    });
    let rate = report.calls.rate.iter().map(|p| {
        serde_json::json!([p.start_ns, p.width_ns, p.succeeded, p.failed_expected, p.failed_unexpected])
    });
    let convergence =
        report.history.convergence.iter().map(|p| serde_json::json!([p.start_ns, p.settled_after_ns]));
    let levels = report.history.series.iter().map(|it| {
        let points = it.points.iter().map(|p| serde_json::json!([p.start_ns, p.width_ns, p.mean, p.max]));
        serde_json::json!({ "bytes": is_bytes(it), "points": points.collect::<Vec<_>>() })
    });
    let likelihood =
        report.history.likelihood.iter().map(|p| serde_json::json!([p.from_ns, p.runs, p.failed]));
    let bands = report.history.fault_bands.iter().map(|b| serde_json::json!([b.start_ns, b.end_ns]));
    // Numbers only: nothing in here can end the script element.
    serde_json::json!({
        "duration": report.run.scenario.duration_ns,
        "bands": bands.collect::<Vec<_>>(),
        "latency": latency.collect::<Vec<_>>(),
        "rate": rate.collect::<Vec<_>>(),
        "convergence": convergence.collect::<Vec<_>>(),
        "likelihood": likelihood.collect::<Vec<_>>(),
        "levels": levels.collect::<Vec<_>>(),
    })
    .to_string()
}

/// A chart with its title and what its axes count.
pub(super) fn figure(title: &str, note: &str, legend: &str, content: &str) -> String {
    let note = if note.is_empty() { String::new() } else { format!("<span class=\"unit\">{note}</span>") };
    format!(
        "<figure>\n<figcaption><h3>{title}</h3>{note}</figcaption>\n{legend}<div class=\"canvas\">{content}</div>\n</figure>\n"
    )
}

/// What stands over a chart on the right.
pub(super) fn axis_note(scale: &str, clock: ClockStyle) -> String {
    let separator = if scale.is_empty() { "" } else { " · " };
    format!("{scale}{separator}virtual time in {}", clock.unit())
}

/// What the lines and areas of a chart stand for.
pub(super) fn legend(entries: &[(&str, &str)]) -> String {
    let items: String = entries
        .iter()
        .map(|(class, name)| {
            let shape = if class.starts_with("line") {
                format!("<line class=\"{class}\" x1=\"1\" x2=\"21\" y1=\"6\" y2=\"6\"/>")
            } else {
                format!("<rect class=\"{class}\" x=\"5\" y=\"0.5\" width=\"11\" height=\"11\" rx=\"2\"/>")
            };
            format!("<li><svg width=\"22\" height=\"12\" aria-hidden=\"true\">{shape}</svg>{name}</li>\n")
        })
        .collect();
    format!("<ul class=\"legend\">\n{items}</ul>\n")
}

/// Folds a long list away; a page should not begin with a hundred lines of the same kind.
fn folded(list: &str, length: usize, name: &str) -> String {
    if length <= ROWS_OPEN_MAX {
        return list.to_owned();
    }
    format!("<details><summary>{} {name}</summary>\n{list}</details>\n", count(length as u64))
}
