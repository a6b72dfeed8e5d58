//! `[[fault]]`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use relay_chaos::quantity::duration;
use relay_chaos::{
    Active, Crash, CrashKind, Direction, Disk, Expiry, Fault, FaultKind, LinkFault, Partition, Stop,
};

use super::super::error::Problem;
use super::super::hosts::{HostIndex, HostSet, Hosts};
use super::super::model::RunPlan;
use super::names::Lookup;
use super::network::some_change;
use super::settings::{before_end, positive, require_positive};
use super::table::Table;
use super::values::Names;

#[derive(Clone, Copy)]
enum Kind {
    Partition,
    Crash,
    Stop,
    Link,
    Expiry,
}

const KINDS: [(&str, Kind); 5] = [
    ("partition", Kind::Partition),
    ("crash", Kind::Crash),
    ("stop", Kind::Stop),
    ("link", Kind::Link),
    ("certificate-expires", Kind::Expiry),
];

/// All faults, by the time at which they begin.
pub(super) fn read(
    file: &mut Table<'_>,
    hosts: &Hosts,
    run: &RunPlan,
    convergence: Option<Duration>,
) -> Vec<Fault<HostSet>> {
    let mut faults = Vec::new();
    let mut downtimes = Downtimes { hosts, by_host: BTreeMap::new() };
    for mut table in file.tables("fault") {
        if let Some(fault) = fault(&mut table, hosts, run) {
            check_time_to_converge(&table, &fault, run, convergence);
            downtimes.check(&table, &fault);
            faults.push(fault);
        }
        table.finish();
    }
    faults.sort_by_key(|fault| fault.at);
    faults
}

fn fault(table: &mut Table<'_>, hosts: &Hosts, run: &RunPlan) -> Option<Fault<HostSet>> {
    if !table.has("at") {
        table.missing("at");
    }
    let at = before_end(table, "at", "this fault begins", run.duration);
    if !table.has("kind") {
        table.missing("kind");
    }
    let lookup = Lookup { hosts, problems: table.problems() };
    let what = match table.word("kind", &KINDS) {
        Some(Kind::Partition) => {
            table.call("a [[fault]] of kind \"partition\"");
            partition(table, &lookup).map(FaultKind::Partition)
        }
        Some(Kind::Crash) => {
            table.call("a [[fault]] of kind \"crash\"");
            crash(table, &lookup).map(FaultKind::Crash)
        }
        Some(Kind::Stop) => {
            table.call("a [[fault]] of kind \"stop\"");
            stop(table, &lookup).map(FaultKind::Stop)
        }
        Some(Kind::Link) => {
            table.call("a [[fault]] of kind \"link\"");
            link(table, &lookup).map(FaultKind::Link)
        }
        Some(Kind::Expiry) => {
            table.call("a [[fault]] of kind \"certificate-expires\"");
            expiry(table, &lookup).map(FaultKind::Expiry)
        }
        // Without a kind nothing can be said of the other keys.
        None => {
            table.ask(&[
                "hosts",
                "host",
                "from",
                "to",
                "direction",
                "lasts",
                "how",
                "down",
                "disk",
                "one_way",
            ]);
            table.ask(&["latency", "jitter", "loss", "bandwidth"]);
            None
        }
    };
    Some(Fault { at: at?, what: what? })
}

fn partition(table: &mut Table<'_>, lookup: &Lookup<'_>) -> Option<Partition<HostSet>> {
    let sides = hosts(table, lookup);
    let from = table.read::<Names>("from");
    let directions = [("both", Direction::Both), ("in", Direction::In), ("out", Direction::Out)];
    let direction = table.word("direction", &directions).unwrap_or_default();
    let lasts = require_positive(table, "lasts");
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
    Some(Partition { hosts, from, direction, lasts: lasts? })
}

fn crash(table: &mut Table<'_>, lookup: &Lookup<'_>) -> Option<Crash<HostSet>> {
    let hosts = hosts(table, lookup);
    let how = table.word("how", &[("kill", CrashKind::Kill), ("power-cut", CrashKind::PowerCut)]);
    let down = positive(table, "down");
    let disk = table.word("disk", &[("keep", Disk::Keep), ("wipe", Disk::Wipe)]).unwrap_or_default();
    if disk == Disk::Wipe && !table.has("down") {
        let label = "expected `down` beside it";
        let problem = Problem::new(
            "the disk is wiped, but the host never starts again",
            table.value_span("disk"),
            label,
        );
        table.problem(problem.help("say when it starts again: `down = \"30s\"`"));
    }
    let (_, hosts) = hosts?;
    Some(Crash { hosts, how: how.unwrap_or_default(), down, disk })
}

fn stop(table: &mut Table<'_>, lookup: &Lookup<'_>) -> Option<Stop<HostSet>> {
    let hosts = hosts(table, lookup);
    let down = positive(table, "down");
    let (_, hosts) = hosts?;
    Some(Stop { hosts, down })
}

fn link(table: &mut Table<'_>, lookup: &Lookup<'_>) -> Option<LinkFault<HostSet>> {
    let from = table.require::<Names>("from");
    let to = table.require::<Names>("to");
    let from = from.and_then(|names| lookup.select(&names));
    let to = to.and_then(|names| lookup.select(&names));
    let one_way = table.get("one_way").unwrap_or_default();
    let change = some_change(table);
    let lasts = require_positive(table, "lasts");
    Some(LinkFault { from: from?, to: to?, one_way, change, lasts: lasts? })
}

fn expiry(table: &mut Table<'_>, lookup: &Lookup<'_>) -> Option<Expiry<HostSet>> {
    let found = hosts(table, lookup);
    let lasts = require_positive(table, "lasts");
    let (span, hosts) = found?;
    if let Some(plain) = hosts.hosts().iter().map(|index| lookup.hosts.get(*index)).find(|host| !host.tls) {
        let message = format!("`{}` has no certificate", plain.name);
        let problem = Problem::new(message, span, "expected Mains with `tls = true`");
        table.problem(problem);
    }
    Some(Expiry { hosts, lasts: lasts? })
}

/// The hosts of a fault, written `hosts` or, for one, `host`.
fn hosts(table: &mut Table<'_>, lookup: &Lookup<'_>) -> Option<(Range<usize>, HostSet)> {
    let key = match (table.has("hosts"), table.has("host")) {
        (true, true) => {
            let problem = Problem::new(
                "`host` and `hosts` are the same",
                table.key_span("host"),
                "expected one of them",
            );
            table.problem(problem);
            "hosts"
        }
        (false, true) => "host",
        _ => "hosts",
    };
    table.ask(&["hosts", "host"]);
    let names = table.require::<Names>(key)?;
    Some((names.span(), lookup.select(&names)?))
}

/// Notes a fault whose end leaves the federation less time than the gate gives it: the gate could not be judged.
fn check_time_to_converge(
    table: &Table<'_>,
    fault: &Fault<HostSet>,
    run: &RunPlan,
    convergence: Option<Duration>,
) {
    let (Some(within), Active { end: Some(end), .. }) = (convergence, fault.active()) else { return };
    if end < run.duration && end + within > run.duration {
        let key = if table.has("lasts") { "lasts" } else { "down" };
        let message = format!("the run ends before convergence after this fault can be judged: {fault}");
        let label = format!(
            "is over at {}, and the run at {}",
            duration::format(end),
            duration::format(run.duration)
        );
        let help = format!(
            "the gate gives the federation {}: let the run last at least {}",
            duration::format(within),
            duration::format(end + within)
        );
        table.problem(Problem::new(message, table.value_span(key), label).help(help));
    }
}

/// When hosts are down, to note one that goes down while it is.
struct Downtimes<'a> {
    hosts: &'a Hosts,
    by_host: BTreeMap<HostIndex, Vec<(Active, Range<usize>)>>,
}

impl Downtimes<'_> {
    fn check(&mut self, table: &Table<'_>, fault: &Fault<HostSet>) {
        let hosts = match &fault.what {
            FaultKind::Crash(it) => &it.hosts,
            FaultKind::Stop(it) => &it.hosts,
            FaultKind::Partition(_) | FaultKind::Link(_) | FaultKind::Expiry(_) => return,
        };
        let (active, span) = (fault.active(), table.value_span("at"));
        let mut problem = None;
        for &index in hosts.hosts() {
            let host = self.hosts.get(index);
            let earlier = self.by_host.entry(index).or_default();
            // Down again in the very moment of the restart counts as well: which comes first would be chance.
            let clash = earlier.iter().find(|(other, _)| {
                other.overlaps(active.start, active.end.unwrap_or(Duration::MAX))
                    || other.end == Some(active.start)
            });
            if fault.at < host.start {
                let message =
                    format!("`{}` is not up yet: it starts at {}", host.name, duration::format(host.start));
                let label = "expected a time after its start";
                problem.get_or_insert_with(|| Problem::new(message, span.clone(), label));
            } else if let Some((_, other)) = clash {
                let message = format!("`{}` is already down", host.name);
                let label = "expected a time at which it is up";
                problem.get_or_insert_with(|| {
                    Problem::new(message, span.clone(), label).and(other.clone(), "here it goes down")
                });
            }
            earlier.push((active, span.clone()));
        }
        // One problem for the fault, not one for each of its hosts.
        if let Some(problem) = problem {
            table.problem(problem);
        }
    }
}
