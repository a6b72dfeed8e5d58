//! What goes wrong between hosts.

use std::time::Duration;

use relay_chaos::{Direction, FaultKind, LinkFault, Partition, Share, StreamFailure, Streams};

use super::super::super::error::Problem;
use super::super::super::hosts::HostSet;
use super::super::names::Lookup;
use super::super::network::some_change;
use super::super::settings::{positive, require_positive};
use super::super::table::Table;
use super::super::values::Names;
use super::{Later, MAX_FAULTS_OF_A_TABLE, hosts};

/// A partition; with `cut` and `whole`, one that comes and goes while it lasts.
pub(super) fn partition(table: &mut Table<'_>, lookup: &Lookup<'_>) -> Option<Vec<Later>> {
    let sides = hosts(table, lookup);
    let from = table.read::<Names>("from");
    let directions = [("both", Direction::Both), ("in", Direction::In), ("out", Direction::Out)];
    let direction = table.word("direction", &directions).unwrap_or_default();
    let lasts = require_positive(table, "lasts");
    let flaps = flaps(table);
    let (from_span, from) = match from {
        Some(names) => (Some(names.span()), Some(lookup.select(&names)?)),
        None => (None, None),
    };
    let (span, hosts) = sides?;
    match (&from, from_span) {
        (Some(from), Some(from_span)) => {
            if let Some(shared) = hosts.hosts().iter().find(|host| from.contains(**host)) {
                let name = &lookup.hosts.get(*shared).name;
                let message = format!("`{name}` is on both sides of the partition");
                table.problem(
                    Problem::new(message, from_span, "expected hosts of the other side")
                        .and(span, "one side"),
                );
            }
        }
        _ if hosts.hosts().len() == lookup.hosts.len() => {
            let label = "expected some of the hosts, or the other side in `from`";
            table.problem(Problem::new("nobody is left to be cut off from", span, label));
        }
        _ => {}
    }
    let one = |lasts| {
        let (hosts, from) = (hosts.clone(), from.clone());
        FaultKind::Partition(Partition { hosts, from, direction, lasts })
    };
    let lasts = lasts?;
    match flaps {
        Flaps::None => Some(vec![(Duration::ZERO, one(lasts))]),
        Flaps::Wrong => None,
        Flaps::Every { cut, whole } => {
            let period = cut + whole;
            if lasts.as_nanos() / period.as_nanos() >= MAX_FAULTS_OF_A_TABLE as u128 {
                let label = format!("expected at most {MAX_FAULTS_OF_A_TABLE} cuts while it lasts");
                table.problem(Problem::new("this comes and goes too often", table.value_span("cut"), label));
                return None;
            }
            let starts = (0..).map(|turn| period * turn).take_while(|start| *start < lasts);
            Some(starts.map(|start| (start, one(cut.min(lasts - start)))).collect())
        }
    }
}

/// Whether a partition comes and goes.
enum Flaps {
    None,
    Wrong,
    Every { cut: Duration, whole: Duration },
}

fn flaps(table: &mut Table<'_>) -> Flaps {
    let (cut, whole) = (positive(table, "cut"), positive(table, "whole"));
    match (cut, whole) {
        (Some(cut), Some(whole)) => Flaps::Every { cut, whole },
        (None, None) if !table.has("cut") && !table.has("whole") => Flaps::None,
        _ => {
            if !table.has("cut") || !table.has("whole") {
                let (there, lacks) = if table.has("cut") { ("cut", "whole") } else { ("whole", "cut") };
                let message = format!("a partition that comes and goes needs `{lacks}` beside `{there}`");
                let label = "expected both: how long it is cut, and how long whole, in turn";
                table.problem(Problem::new(message, table.key_span(there), label));
            }
            Flaps::Wrong
        }
    }
}

pub(super) fn streams(table: &mut Table<'_>, lookup: &Lookup<'_>) -> Option<Streams<HostSet>> {
    let from = table.require::<Names>("from");
    let to = table.require::<Names>("to");
    let from = from.and_then(|names| lookup.select(&names));
    let to = to.and_then(|names| lookup.select(&names));
    if !table.has("trouble") {
        table.missing("trouble");
    }
    let trouble = table.word("trouble", &[("stall", StreamFailure::Stall), ("reset", StreamFailure::Reset)]);
    let share = table.read::<Share>("share");
    if let Some(share) = &share
        && *share.get_ref() == Share::ZERO
    {
        table.problem(Problem::new("this happens to no stream", share.span(), "expected more than 0%"));
    }
    let share = share.map_or(Share::ONE, toml::Spanned::into_inner);
    let lasts = match trouble {
        Some(StreamFailure::Stall) => Some(require_positive(table, "lasts")?),
        Some(StreamFailure::Reset) => None,
        None => positive(table, "lasts"),
    };
    Some(Streams { from: from?, to: to?, trouble: trouble?, share, lasts })
}

pub(super) fn link(table: &mut Table<'_>, lookup: &Lookup<'_>) -> Option<LinkFault<HostSet>> {
    let from = table.require::<Names>("from");
    let to = table.require::<Names>("to");
    let from = from.and_then(|names| lookup.select(&names));
    let to = to.and_then(|names| lookup.select(&names));
    let one_way = table.get("one_way").unwrap_or_default();
    let change = some_change(table);
    let lasts = require_positive(table, "lasts");
    Some(LinkFault { from: from?, to: to?, one_way, change, lasts: lasts? })
}
