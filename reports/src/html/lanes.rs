//! The timeline of nodes and links: one lane each, with what befell it.
//!
//! Every place is a percentage of the lane, so that the script zooms by making the lanes wider and pans by scrolling
//! them; without it the page shows the whole run.

use crate::chart::{Frame, kind_class};
use crate::format::{ClockStyle, Text, count, counted, latency, span};
use crate::html::{nothing, section};
use crate::model::{ConvergencePoint, FaultBand, History, Lane, LaneMark, LaneSpan, TimelineEvent};

/// Decimals of a percentage: a millisecond of a day is more than the last one.
const DECIMALS: usize = 6;

/// Labels of the time axis on a narrow page.
const NARROW_TICKS_MAX: usize = 4;

/// Spans of a lane that are told to those who do not see it.
const SPANS_TOLD_MAX: usize = 8;

/// What the script adds, in words, so that nobody has to guess.
const HINT: &str = "Zoom with + and −, or Ctrl and the wheel. Drag or use the arrow keys to move. n and p go from event to \
                    event, 0 shows the whole run.";

/// The states that a legend explains, with their classes.
const STATES: [(&str, &str); 7] = [
    ("up", "up, connected"),
    ("down", "down"),
    ("paused", "paused"),
    ("cut", "cut off"),
    ("degraded", "degraded"),
    ("faulted", "other fault"),
    ("settling", "views differ"),
];

/// Where a moment is on the lanes.
struct Scale {
    duration_ns: u64,
    clock: ClockStyle,
}

impl Scale {
    fn place(&self, at_ns: u64) -> f64 {
        if self.duration_ns == 0 {
            return 0.0;
        }
        at_ns.min(self.duration_ns) as f64 / self.duration_ns as f64 * 100.0
    }

    /// `left:20%;width:15%`.
    fn extent(&self, start_ns: u64, end_ns: Option<u64>) -> String {
        let (from, to) = (self.place(start_ns), self.place(end_ns.unwrap_or(u64::MAX)));
        format!("left:{}%;width:{}%", trimmed(from), trimmed((to - from).max(0.0)))
    }

    fn times(&self, start_ns: u64, end_ns: Option<u64>) -> String {
        match end_ns {
            Some(end) => format!(
                "{} to {} ({})",
                self.clock.millis(start_ns),
                self.clock.millis(end),
                span(end.saturating_sub(start_ns))
            ),
            None => format!("from {} to the end", self.clock.millis(start_ns)),
        }
    }
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.DECIMALS$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The whole timeline.
pub(super) fn lanes(history: &History, frame: &Frame, duration_ns: u64, clock: ClockStyle) -> String {
    let scale = Scale { duration_ns, clock };
    let lanes = &history.lanes;
    let is_empty = lanes.nodes.is_empty() && lanes.links.is_empty() && history.timeline.is_empty();
    if is_empty {
        return section("lanes", "Nodes and links", "", &nothing("Nothing befell a node or a link."));
    }
    let homes = lanes.nodes.iter().position(|lane| lane.kind == "home").unwrap_or(lanes.nodes.len());
    let (mains, homes) = lanes.nodes.split_at(homes);
    let groups = [("Mains", mains), ("Homes", homes), ("Links", &lanes.links[..])];
    let rows: String = groups.iter().map(|(title, lanes)| group(title, lanes, &scale)).collect();
    let shades: String = history.fault_bands.iter().map(|band| shade(band, &scale)).collect();
    let ticks = ticks(&frame.time.ticks_ns(), &scale);
    let content = format!(
        "{legend}<div class=\"lane-tools\" hidden></div>\n\
         <div class=\"lanes\" tabindex=\"0\" role=\"region\" aria-label=\"Timeline of nodes and links\" data-duration=\"{duration_ns}\">\n\
         <div class=\"lanes-inner\">\n<div class=\"lane-shades\" aria-hidden=\"true\">{shades}</div>\n\
         <div class=\"lane axis\"><span class=\"lane-name\">{unit}</span><div class=\"track ticks\">{ticks}</div></div>\n\
         {federation}{rows}</div>\n</div>\n<p class=\"lane-detail\" aria-live=\"polite\" hidden></p>\n<p class=\"hint\" hidden>{HINT}</p>\n",
        legend = legend(),
        unit = clock.unit(),
        federation = federation(history, &scale),
    );
    section("lanes", "Nodes and links", &lead(history), &content)
}

fn ticks(at_ns: &[u64], scale: &Scale) -> String {
    // A narrow page has room for a few labels.
    let every = at_ns.len().div_ceil(NARROW_TICKS_MAX).max(1);
    let tick = |(i, at): (usize, &u64)| {
        let class = if i % every == 0 { "" } else { " class=\"wide-only\"" };
        format!("<span{class} style=\"left:{}%\">{}</span>", trimmed(scale.place(*at)), scale.clock.axis(*at))
    };
    at_ns.iter().enumerate().map(tick).collect()
}

fn lead(history: &History) -> String {
    let lanes = &history.lanes;
    let listed = lanes.nodes.len() as u64;
    let nodes = if lanes.nodes_total > listed {
        format!(
            "{} of {} are shown: those first that something befell.",
            count(listed),
            counted(lanes.nodes_total, "node", "nodes")
        )
    } else {
        format!("{}.", counted(listed, "node", "nodes"))
    };
    let links = match (lanes.links_touched, lanes.links.len() as u64) {
        (0, _) => "No link was cut or degraded.".to_owned(),
        (all, listed) if all > listed => format!(
            "{} were cut or degraded, of which {} are shown.",
            counted(all, "link", "links"),
            count(listed)
        ),
        (1, _) => "1 link was cut or degraded.".to_owned(),
        (all, _) => format!("{} links were cut or degraded.", count(all)),
    };
    format!("{nodes} {links}")
}

fn legend() -> String {
    let items: String = STATES
        .iter()
        .map(|(class, name)| format!("<li><i class=\"key s-{class}\"></i>{name}</li>\n"))
        .collect();
    format!("<ul class=\"legend\">\n{items}<li><i class=\"key mark-key\"></i>event</li>\n</ul>\n")
}

/// Faults behind all lanes.
fn shade(band: &FaultBand, scale: &Scale) -> String {
    let class = kind_class(&band.kind);
    format!("<i class=\"shade {class}\" style=\"{}\"></i>", scale.extent(band.start_ns, band.end_ns))
}

/// The lane of what concerns everybody: whether the Mains agree, and what was done to whom.
fn federation(history: &History, scale: &Scale) -> String {
    let settling: String = history.convergence.iter().map(|point| settling(point, scale)).collect();
    let marks: String = history
        .timeline
        .iter()
        .filter(|event| event.host.is_none())
        .map(|event| event_mark(event, scale))
        .collect();
    format!(
        "<div class=\"lane federation\"><span class=\"lane-name\">federation</span><div class=\"track\">{settling}{marks}</div></div>\n"
    )
}

fn settling(point: &ConvergencePoint, scale: &Scale) -> String {
    let (class, text) = match point.settled_after_ns {
        Some(after) => ("s-settling", format!("views differ for {}: {}", latency(after), point.cause)),
        None => ("s-unsettled", format!("views did not come to agree: {}", point.cause)),
    };
    // One that did not settle has no end of its own: it is a moment on the lane.
    let end_ns = point.start_ns.saturating_add(point.settled_after_ns.unwrap_or(0));
    bar(class, point.start_ns, Some(end_ns), &text, scale)
}

fn group(title: &str, lanes: &[Lane], scale: &Scale) -> String {
    if lanes.is_empty() {
        return String::new();
    }
    let rows: String = lanes.iter().map(|lane| row(lane, scale)).collect();
    format!("<div class=\"lane-group\"><span>{title}</span></div>\n{rows}")
}

fn row(lane: &Lane, scale: &Scale) -> String {
    let spans: String = lane.spans.iter().map(|span| span_bar(span, scale)).collect();
    let marks: String = lane.marks.iter().map(|mark| mark_of(mark, scale)).collect();
    let more = match lane.spans_left_out {
        0 => String::new(),
        more => format!("<span class=\"more\"> and {} more</span>", count(more)),
    };
    format!(
        "<div class=\"lane\"><span class=\"lane-name\" title=\"{name}\">{name}{more}</span>\
         <div class=\"track\" role=\"img\" aria-label=\"{told}\">{spans}{marks}</div></div>\n",
        name = Text(&lane.name),
        told = told(lane, scale),
    )
}

/// A lane in words.
fn told(lane: &Lane, scale: &Scale) -> String {
    if lane.spans.is_empty() {
        return "nothing befell it".to_owned();
    }
    let spans = lane.spans.iter().take(SPANS_TOLD_MAX).map(|span| {
        let times = scale.times(span.start_ns, span.end_ns);
        format!("{} {times}: {}", Text(&span.state), Text(&span.text))
    });
    spans.collect::<Vec<_>>().join("; ")
}

fn span_bar(it: &LaneSpan, scale: &Scale) -> String {
    let class = match it.state.as_str() {
        "down" => "s-down",
        "paused" => "s-paused",
        "cut" => "s-cut",
        "degraded" => "s-degraded",
        _ => "s-faulted",
    };
    bar(class, it.start_ns, it.end_ns, &it.text, scale)
}

fn bar(class: &str, start_ns: u64, end_ns: Option<u64>, text: &str, scale: &Scale) -> String {
    format!(
        "<i class=\"bar-of {class}\" style=\"{extent}\" data-at=\"{start_ns}\" title=\"{times}: {text}\"><b>{text}</b></i>",
        extent = scale.extent(start_ns, end_ns),
        times = scale.times(start_ns, end_ns),
        text = Text(text),
    )
}

fn event_mark(event: &TimelineEvent, scale: &Scale) -> String {
    mark_at(event.at_ns, &event.kind, &event.text, scale)
}

fn mark_of(mark: &LaneMark, scale: &Scale) -> String {
    mark_at(mark.at_ns, &mark.kind, &mark.text, scale)
}

fn mark_at(at_ns: u64, kind: &str, text: &str, scale: &Scale) -> String {
    let class = match kind {
        "start" | "restart" | "connected" | "heal" | "settled" => "m-good",
        "violation" | "panic" => "m-bad",
        "lost" | "fault" | "crash" => "m-warn",
        _ => "m-plain",
    };
    format!(
        "<i class=\"moment {class}\" style=\"left:{}%\" data-at=\"{at_ns}\" title=\"{}: {}: {}\"></i>",
        trimmed(scale.place(at_ns)),
        scale.clock.millis(at_ns),
        Text(kind),
        Text(text),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::NS_PER_S;

    fn scale(seconds: u64) -> Scale {
        Scale { duration_ns: seconds * NS_PER_S, clock: ClockStyle::for_run(seconds * NS_PER_S) }
    }

    #[test]
    fn a_millisecond_of_a_day_has_a_place_of_its_own() {
        let day = scale(86_400);
        assert_ne!(trimmed(day.place(NS_PER_S)), trimmed(day.place(NS_PER_S + 1_000_000)));
    }

    #[test]
    fn what_lasts_to_the_end_ends_there_and_nothing_leaves_the_lane() {
        assert_eq!(scale(100).extent(25 * NS_PER_S, None), "left:25%;width:75%");
        assert_eq!(scale(100).extent(u64::MAX, Some(0)), "left:100%;width:0%");
        assert_eq!(scale(0).extent(5, Some(9)), "left:0%;width:0%");
    }
}
