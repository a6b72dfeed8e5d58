//! The hops of one call: how long each node on its way had it.
//!
//! Nodes tell durations, not moments: clocks of different machines are not compared. Each duration contains the next, and
//! what it is longer by went by on the way there and back, half of it drawn on either side.

use crate::format::{ClockStyle, Text, latency};
use crate::model::{CallDetail, CallSample};

/// A node on the way, placed.
struct Row<'a> {
    node: &'a str,
    /// When it took the call, and how long it had it; `None` where it did not tell.
    had_ns: Option<(u64, u64)>,
    /// How much of that went by on the way to the next node and back, or in its service where it is the last.
    own_ns: Option<u64>,
}

/// The diagram with what else is known of the call.
pub(super) fn diagram(sample: &CallSample, clock: ClockStyle) -> String {
    let Some(detail) = &sample.detail else { return String::new() };
    let rows = rows(sample, detail);
    let longest = rows.iter().filter_map(|row| row.own_ns).max().unwrap_or(0);
    let failed = detail.code.is_some() || rows.iter().all(|row| row.had_ns.is_none());
    let lines: String = rows
        .iter()
        .enumerate()
        .map(|(at, row)| {
            let next = rows.get(at + 1).map(|next| next.node);
            line(row, next, sample.latency_ns, longest, failed && next.is_none())
        })
        .collect();
    format!("<div class=\"hops\">{lines}</div>\n{}", facts(sample, detail, clock))
}

fn rows<'a>(sample: &'a CallSample, detail: &'a CallDetail) -> Vec<Row<'a>> {
    let nodes: Vec<&str> = if sample.path.len() >= detail.hops.len() {
        sample.path.iter().map(String::as_str).collect()
    } else {
        detail.hops.iter().map(|hop| hop.node.as_str()).collect()
    };
    // What the caller's relay did not have is its door: HTTP on loopback, there and back.
    let door_ns = detail
        .hops
        .first()
        .map_or(0, |first| sample.latency_ns.saturating_sub(detail.waited_ns).saturating_sub(first.took_ns));
    let mut start_ns = detail.waited_ns.saturating_add(door_ns / 2);
    let mut rows = Vec::with_capacity(nodes.len());
    for (at, node) in nodes.into_iter().enumerate() {
        let told = detail.hops.get(at).filter(|hop| hop.node == node);
        let next = detail.hops.get(at + 1);
        let own_ns = told.map(|hop| hop.took_ns.saturating_sub(next.map_or(0, |next| next.took_ns)));
        rows.push(Row { node, had_ns: told.map(|hop| (start_ns, hop.took_ns)), own_ns });
        if next.is_some() {
            start_ns = start_ns.saturating_add(own_ns.unwrap_or(0) / 2);
        }
    }
    rows
}

fn line(row: &Row<'_>, next: Option<&str>, latency_ns: u64, longest_ns: u64, failed: bool) -> String {
    let percent = |ns: u64| {
        if latency_ns == 0 { 0.0 } else { ns.min(latency_ns) as f64 / latency_ns as f64 * 100.0 }
    };
    let (bar, note) = match (row.had_ns, row.own_ns) {
        (Some((start_ns, took_ns)), Some(own_ns)) => {
            let bar = format!(
                "<i class=\"hop-bar{failed}\" style=\"left:{:.3}%;width:{:.3}%\"></i>",
                percent(start_ns),
                percent(took_ns),
                failed = if failed { " failed" } else { "" },
            );
            let note = match next {
                Some(next) => format!("{} on the way to {}", latency(own_ns), Text(next)),
                None if failed => format!("{} until it gave up", latency(own_ns)),
                None => format!("{} in its service", latency(own_ns)),
            };
            let class = if own_ns == longest_ns && own_ns > 0 { "hop-note most" } else { "hop-note" };
            (bar, format!("<span class=\"{class}\">{note}</span>"))
        }
        _ => (String::new(), "<span class=\"hop-note\">told no time</span>".to_owned()),
    };
    let took = row.had_ns.map_or_else(|| "—".to_owned(), |(_, took_ns)| latency(took_ns));
    let sign = if failed { "<span class=\"never\">✗ </span>" } else { "" };
    format!(
        "<div class=\"hop-line\"><span class=\"hop-name\">{sign}{}</span><span class=\"hop-track\">{bar}</span>\
         <span class=\"hop-took\">{took}</span>{note}</div>\n",
        Text(row.node)
    )
}

fn facts(sample: &CallSample, detail: &CallDetail, clock: ClockStyle) -> String {
    let waited = match detail.waited_ns {
        0 => "handed to its relay at once".to_owned(),
        ns => format!("handed to its relay {} later", latency(ns)),
    };
    let faults = match detail.faults.len() {
        0 => "no fault was active".to_owned(),
        _ => format!("active: {}", Text(&detail.faults.join("; "))),
    };
    format!(
        "<p class=\"note\">Due {}, {waited}; load {}; {faults}.</p>\n",
        clock.millis(sample.at_ns),
        Text(&detail.load)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::NS_PER_MS;
    use crate::model::HopTime;

    fn call(hops: &[(&str, u64)], path: &[&str], code: Option<i32>) -> CallSample {
        let hop = |(node, ms): &(&str, u64)| HopTime { node: (*node).to_owned(), took_ns: ms * NS_PER_MS };
        CallSample {
            at_ns: 0,
            caller: "a".to_owned(),
            target: "echo at c".to_owned(),
            latency_ns: 100 * NS_PER_MS,
            outcome: "success".to_owned(),
            path_whole: true,
            path: path.iter().map(|node| (*node).to_owned()).collect(),
            detail: Some(CallDetail {
                load: "calls".to_owned(),
                service: "echo".to_owned(),
                callee: None,
                code,
                waited_ns: 10 * NS_PER_MS,
                hops: hops.iter().map(hop).collect(),
                faults: Vec::new(),
            }),
        }
    }

    fn drawn(sample: &CallSample) -> String {
        diagram(sample, ClockStyle::for_run(60_000 * NS_PER_MS))
    }

    #[test]
    fn each_time_lies_within_the_one_before_and_the_longest_way_is_marked() {
        let text = drawn(&call(&[("a", 80), ("m", 60), ("c", 2)], &["a", "m", "c"], None));
        for expected in [
            "left:15.000%;width:80.000%",
            "left:25.000%;width:60.000%",
            "left:54.000%;width:2.000%",
            "20.0 ms on the way to m",
            "<span class=\"hop-note most\">58.0 ms on the way to c</span>",
            "2.00 ms in its service",
            "handed to its relay 10.0 ms later",
        ] {
            assert!(text.contains(expected), "{expected} is missing in {text}");
        }
    }

    #[test]
    fn a_failed_call_shows_where_it_ended_and_who_told_nothing() {
        let text = drawn(&call(&[("a", 80)], &["a", "m"], Some(-32004)));
        assert!(text.contains("told no time") && text.contains("<span class=\"never\">✗ </span>m"), "{text}");
        assert!(drawn(&call(&[], &[], None)).contains("<div class=\"hops\"></div>"));
    }
}
