//! How full memory, tables and queues were: what must stay flat in a long run.

use crate::chart::{Frame, level_chart};
use crate::format::{ClockStyle, Text, counted};
use crate::html::traffic::{axis_note, figure, legend};
use crate::html::{nothing, section};
use crate::model::{Report, Series};

/// Curves that stand in the open; the others are folded away.
const CURVES_OPEN_MAX: usize = 2;

/// A curve for everything that was ever in use.
pub(super) fn levels(report: &Report, frame: &Frame, clock: ClockStyle) -> String {
    let series = &report.history.series;
    if series.is_empty() {
        return section(
            "levels",
            "Memory and queues",
            "",
            &nothing("Nobody looked at how full things were."),
        );
    }
    let (mut curves, mut empty) = (Vec::new(), Vec::new());
    for (place, it) in series.iter().enumerate() {
        match level_chart(frame, it, place) {
            Some(drawing) => curves.push(curve(it, &drawing, clock)),
            None => empty.push(Text(&it.name).to_string()),
        }
    }
    let folded = curves.split_off(curves.len().min(CURVES_OPEN_MAX));
    let more = match folded.len() as u64 {
        0 => String::new(),
        count => {
            let count = counted(count, "more curve", "more curves");
            format!("<details><summary>{count}</summary>\n{}</details>\n", folded.concat())
        }
    };
    let unused = match empty.is_empty() {
        true => String::new(),
        false => format!("<p class=\"note\">Always empty: {}.</p>\n", empty.join(", ")),
    };
    let key = legend(&[("line p50", "mean of the interval"), ("line p99", "most")]);
    section("levels", "Memory and queues", "", &(key + &curves.concat() + &more + &unused))
}

fn curve(series: &Series, drawing: &str, clock: ClockStyle) -> String {
    let unit = Text(&series.unit).to_string();
    figure(&Text(&series.name).to_string(), &axis_note(&unit, clock), "", drawing)
}
