//! The states of nodes and links over time: who was down, cut off or slowed when.

use std::collections::{BTreeMap, BTreeSet};

use relay_chaos::{Fault, FaultKind};
use relay_reports::model;

use super::{name, nanos};
use crate::execute::Execution;
use crate::record::LinkChange;
use crate::scenario::{HostIndex, HostSet, Role, Scenario};

/// A federation of so many hosts is shown whole; of a larger one only those that something happened to.
const SHOWN_WHOLE_MAX_HOSTS: usize = 32;
/// So many Mains are shown whatever happened to them.
const MAINS_SHOWN_MAX: usize = 16;
/// With more Mains than this only the links that the scenario names are looked at, not every pair.
const MESH_MAX_MAINS: usize = 64;
/// Marks that one lane has at most.
const MARKS_PER_LANE_MAX: usize = 100;

/// Two hosts that have a link; the first one dials.
type Pair = (HostIndex, HostIndex);

/// The lanes of a run.
pub(super) fn lanes(run: &Execution) -> model::Lanes {
    let scenario = &*run.scenario;
    let (links, links_touched) = links(run);
    let shown = shown(run);
    let shown = shown.into_iter().take(model::NODE_LANES_MAX);
    model::Lanes {
        nodes: shown.map(|host| node(run, host)).collect(),
        nodes_total: scenario.topology.hosts.len() as u64,
        links,
        links_touched,
    }
}

/// The hosts that get a lane: all, or those that something happened to and a few Mains. Mains come first, as in the scenario.
fn shown(run: &Execution) -> Vec<HostIndex> {
    let hosts = &run.scenario.topology.hosts;
    let all = || hosts.iter().map(|(index, _)| index);
    if hosts.len() <= SHOWN_WHOLE_MAX_HOSTS {
        return all().collect();
    }
    let changed: BTreeSet<_> = run.record.course.changes.iter().map(|change| change.host).collect();
    let mains = hosts.iter().filter(|(_, host)| host.is_main()).count();
    let touched = |host: HostIndex| {
        (mains <= MAINS_SHOWN_MAX && hosts.get(host).is_main())
            || changed.contains(&host)
            || run.scenario.faults.iter().any(|fault| !fault.is_conditional() && concerns(fault, host))
            || run.panics.iter().any(|panic| panic.host == hosts.get(host).name)
    };
    all().filter(|host| touched(*host)).collect()
}

/// Whether a fault is with this host; the many others that a partition separates it from are not meant.
fn concerns(fault: &Fault<HostSet>, host: HostIndex) -> bool {
    match &fault.what {
        FaultKind::Partition(it) => {
            it.hosts.contains(host) || it.from.as_ref().is_some_and(|from| from.contains(host))
        }
        _ => fault.touches(|set: &HostSet| set.contains(host)),
    }
}

fn node(run: &Execution, index: HostIndex) -> model::Lane {
    let host = run.scenario.topology.hosts.get(index);
    let mut spans = downtimes(run, index);
    let faults = run.scenario.faults.iter().filter(|fault| concerns(fault, index));
    spans.extend(faults.filter_map(|fault| {
        let state = match &fault.what {
            // When it was really gone is known better than when it was to be.
            FaultKind::Crash(_) | FaultKind::Stop(_) => return None,
            FaultKind::Partition(_) => "cut",
            FaultKind::Link(_) | FaultKind::Streams(_) | FaultKind::Slow(_) => "degraded",
            FaultKind::Pause(_) => "paused",
            _ => "faulted",
        };
        Some(span(fault, state))
    }));
    let events = run.record.timeline.kept.iter().filter(|happening| happening.host == Some(index));
    let mut marks: Vec<_> =
        events.map(|it| mark(nanos(it.at), it.kind, it.text.clone())).take(MARKS_PER_LANE_MAX).collect();
    let panics = run.panics.iter().filter(|panic| panic.host == host.name);
    marks.extend(panics.map(|panic| mark(nanos(panic.at), "panic", panic.message.clone())));
    lane(host.name.clone(), if host.is_main() { "main" } else { "home" }, spans, marks)
}

/// When the host's relay did not run.
fn downtimes(run: &Execution, index: HostIndex) -> Vec<model::LaneSpan> {
    let host = run.scenario.topology.hosts.get(index);
    let down =
        |start_ns, end_ns, text: String| model::LaneSpan { start_ns, end_ns, state: "down".into(), text };
    let mut spans = Vec::new();
    let mut gone = (!host.start.is_zero()).then(|| (0, "not started yet".to_owned()));
    for change in run.record.course.changes.iter().filter(|change| change.host == index) {
        if change.up {
            spans.extend(gone.take().map(|(since, why)| down(since, Some(nanos(change.at)), why)));
        } else {
            let active = |fault: &&Fault<HostSet>| {
                fault.active().contains(change.at) && fault.takes_down(|set| set.contains(index))
            };
            let why = run.scenario.faults.iter().find(active).map_or("down".to_owned(), ToString::to_string);
            gone.get_or_insert((nanos(change.at), why));
        }
    }
    spans.extend(gone.map(|(since, why)| down(since, None, why)));
    spans
}

/// The links that something happened to, and how many there are.
fn links(run: &Execution) -> (Vec<model::Lane>, u64) {
    let scenario = &*run.scenario;
    let between = scenario.faults.iter().filter(|fault| {
        matches!(fault.what, FaultKind::Partition(_) | FaultKind::Link(_) | FaultKind::Streams(_))
    });
    let between: Vec<_> = between.collect();
    let mut changes: BTreeMap<Pair, Vec<&LinkChange>> = BTreeMap::new();
    for change in &run.record.reconnects.changes {
        let pair = (change.host.min(change.peer), change.host.max(change.peer));
        changes.entry(pair).or_default().push(change);
    }
    let (mut lanes, mut touched) = (Vec::new(), 0);
    for (from, to) in pairs(scenario) {
        let spans: Vec<_> =
            between.iter().filter_map(|fault| Some(span(fault, state(fault, from, to)?))).collect();
        if spans.is_empty() {
            continue;
        }
        touched += 1;
        if lanes.len() < model::LINK_LANES_MAX {
            let marks = changes.get(&(from.min(to), from.max(to))).into_iter().flatten();
            let marks = marks.take(MARKS_PER_LANE_MAX).map(|change| link_mark(scenario, change));
            let title = format!("{} – {}", name(scenario, from), name(scenario, to));
            lanes.push(lane(title, "link", spans, marks.collect()));
        }
    }
    (lanes, touched)
}

/// Who has links to whom while nothing is wrong: Mains to each other, Homes to their Mains.
fn pairs(scenario: &Scenario) -> Vec<Pair> {
    let hosts = &scenario.topology.hosts;
    let mains: Vec<_> = hosts.iter().filter(|(_, host)| host.is_main()).map(|(index, _)| index).collect();
    let mut pairs = Vec::new();
    for (at, main) in mains.iter().enumerate() {
        let named = |other: HostIndex, by: HostIndex| matches!(&hosts.get(by).role, Role::Main { peers, .. } if peers.contains(&other));
        let known = |other: &&HostIndex| {
            mains.len() <= MESH_MAX_MAINS || named(**other, *main) || named(*main, **other)
        };
        pairs.extend(mains[at + 1..].iter().filter(known).map(|other| (*main, *other)));
    }
    for (index, host) in hosts.iter() {
        if let Role::Home { main, fallback } = &host.role {
            pairs.extend(std::iter::once(main).chain(fallback).map(|main| (index, *main)));
        }
    }
    pairs
}

/// What a fault does to the link between two hosts.
fn state(fault: &Fault<HostSet>, from: HostIndex, to: HostIndex) -> Option<&'static str> {
    let hit = |source: HostIndex, target: HostIndex| {
        let (source, target) = (|set: &HostSet| set.contains(source), |set: &HostSet| set.contains(target));
        match &fault.what {
            FaultKind::Partition(_) | FaultKind::Streams(_) => fault.severs(source, target),
            _ => fault.degrades(source, target).is_some(),
        }
    };
    let either = hit(from, to) || hit(to, from);
    either.then_some(if matches!(fault.what, FaultKind::Partition(_)) { "cut" } else { "degraded" })
}

fn link_mark(scenario: &Scenario, change: &LinkChange) -> model::LaneMark {
    let (host, peer) = (name(scenario, change.host), name(scenario, change.peer));
    match change.up {
        true => mark(nanos(change.at), "connected", format!("{host} is connected to {peer} again")),
        false => mark(nanos(change.at), "lost", format!("{host} lost a connection to {peer}")),
    }
}

fn span(fault: &Fault<HostSet>, state: &str) -> model::LaneSpan {
    let active = fault.active();
    model::LaneSpan {
        start_ns: nanos(active.start),
        end_ns: active.end.map(nanos),
        state: state.into(),
        text: fault.to_string(),
    }
}

fn mark(at_ns: u64, kind: &str, text: String) -> model::LaneMark {
    model::LaneMark { at_ns, kind: kind.into(), text }
}

fn lane(
    name: String,
    kind: &str,
    mut spans: Vec<model::LaneSpan>,
    mut marks: Vec<model::LaneMark>,
) -> model::Lane {
    spans.sort_by_key(|span| span.start_ns);
    marks.sort_by_key(|mark| mark.at_ns);
    let spans_left_out = spans.len().saturating_sub(model::SPANS_PER_LANE_MAX) as u64;
    spans.truncate(model::SPANS_PER_LANE_MAX);
    model::Lane { name, kind: kind.into(), spans, spans_left_out, marks }
}
