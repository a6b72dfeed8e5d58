//! Who took part, and what happened when.

use crate::format::{ClockStyle, Text, count, counted};
use crate::html::{nothing, section};
use crate::model::{History, MainInfo, TimelineEvent, Topology};

/// More Mains than this are folded away.
const MAINS_OPEN_MAX: usize = 12;
/// More Homes than this stand in two columns.
const HOMES_ONE_COLUMN_MAX: usize = 8;
/// A timeline of more events than this scrolls in a box of its own.
const EVENTS_OPEN_MAX: usize = 40;

/// The Mains with their Homes.
pub(super) fn topology(topology: &Topology) -> String {
    if topology.mains.is_empty() {
        return section("topology", "Topology", "", &nothing("The scenario has no hosts."));
    }
    let homes = topology.mains.iter().fold(0_u64, |sum, main| sum.saturating_add(main.home_count));
    let lead = format!(
        "{}, {}.",
        counted(topology.mains.len() as u64, "Main", "Mains"),
        counted(homes, "Home", "Homes")
    );
    let cards: String = topology.mains.iter().map(main_card).collect();
    let cards = format!("<ul class=\"mains\">\n{cards}</ul>\n");
    let content = if topology.mains.len() <= MAINS_OPEN_MAX {
        cards
    } else {
        format!("<details><summary>{} Mains</summary>\n{cards}</details>\n", topology.mains.len())
    };
    section("topology", "Topology", &lead, &content)
}

fn main_card(main: &MainInfo) -> String {
    let homes: String = main.homes.iter().map(|home| format!("<li>{}</li>\n", Text(home))).collect();
    let more = match main.home_count.saturating_sub(main.homes.len() as u64) {
        0 => String::new(),
        more => format!("<li class=\"more\">and {} more</li>\n", count(more)),
    };
    let long = if main.homes.len() > HOMES_ONE_COLUMN_MAX { " long" } else { "" };
    let list = if main.home_count == 0 {
        String::new()
    } else {
        format!("<ul class=\"homes{long}\">\n{homes}{more}</ul>\n")
    };
    format!(
        "<li><p class=\"main\">{name}<span class=\"note\">{homes}</span></p>\n{list}</li>\n",
        name = Text(&main.name),
        homes = counted(main.home_count, "Home", "Homes"),
    )
}

/// The events of the run. The script adds a filter.
pub(super) fn timeline(history: &History, clock: ClockStyle) -> String {
    let events = &history.timeline;
    if events.is_empty() {
        return section("timeline", "Events", "", &nothing("Nothing worth telling happened."));
    }
    let lead = match history.timeline_total.saturating_sub(events.len() as u64) {
        0 => counted(events.len() as u64, "event.", "events."),
        more => format!(
            "The first {} of {} events.",
            count(events.len() as u64),
            count(more + events.len() as u64)
        ),
    };
    let rows: String = events.iter().map(|event| event_row(event, clock)).collect();
    let class = if events.len() > EVENTS_OPEN_MAX { "scroll" } else { "" };
    let focus = if events.len() > EVENTS_OPEN_MAX {
        " tabindex=\"0\" role=\"region\" aria-label=\"Events\""
    } else {
        ""
    };
    let table = format!(
        "<div class=\"filter\" hidden></div>\n<div class=\"events {class}\"{focus}>\n<table class=\"timeline\">\n\
         <thead><tr><th scope=\"col\">Time</th><th scope=\"col\">Kind</th><th scope=\"col\">Host</th><th scope=\"col\">Event</th>\
         </tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n</div>\n"
    );
    section("timeline", "Events", &lead, &table)
}

fn event_row(event: &TimelineEvent, clock: ClockStyle) -> String {
    let kind = Text(&event.kind);
    format!(
        "<tr data-kind=\"{kind}\"><td class=\"time\">{at}</td><td class=\"kind\"><span class=\"chip {class}\">{kind}</span></td>\
         <td class=\"host\">{host}</td><td class=\"what\">{text}</td></tr>\n",
        at = clock.millis(event.at_ns),
        class = chip_class(&event.kind),
        host = event.host.as_deref().map(|host| Text(host).to_string()).unwrap_or_default(),
        text = Text(&event.text),
    )
}

fn chip_class(kind: &str) -> &'static str {
    match kind {
        "fault" | "partition" | "crash" => "fault",
        "heal" | "restart" | "settled" => "heal",
        "violation" | "panic" => "bad",
        _ => "plain",
    }
}
