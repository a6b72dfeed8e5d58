//! `[[fault]]`: the kinds, one file per family, and what must hold between them.

mod edge;
mod machine;
mod network;
mod process;

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use relay_chaos::quantity::duration;
use relay_chaos::{Active, Fault, FaultKind};

use super::super::error::Problem;
use super::super::hosts::{HostIndex, HostSet, Hosts};
use super::super::model::RunPlan;
use super::names::Lookup;
use super::settings::before_end;
use super::table::Table;
use super::values::Names;

/// What a kind is read by: what happens, and how much later than the table says.
type Read = fn(&mut Table<'_>, &Lookup<'_>) -> Option<Vec<Later>>;

/// What happens so long after the time of its table.
type Later = (Duration, FaultKind<HostSet>);

/// The kinds, by name. Some stand for several faults in turn.
const KINDS: [(&str, Read); 14] = [
    ("partition", |table, lookup| network::partition(table, lookup)),
    ("link", |table, lookup| one(FaultKind::Link(network::link(table, lookup)?))),
    ("streams", |table, lookup| one(FaultKind::Streams(network::streams(table, lookup)?))),
    ("nat", |table, lookup| one(FaultKind::Nat(edge::nat(table, lookup)?))),
    ("dns", |table, lookup| one(FaultKind::Dns(edge::dns(table, lookup)?))),
    ("descriptors", |table, lookup| one(FaultKind::Descriptors(edge::descriptors(table, lookup)?))),
    ("crash", |table, lookup| one(FaultKind::Crash(process::crash(table, lookup)?))),
    ("stop", |table, lookup| one(FaultKind::Stop(process::stop(table, lookup)?))),
    ("rolling-restart", |table, lookup| process::rolling_restart(table, lookup)),
    ("pause", |table, lookup| one(FaultKind::Pause(machine::pause(table, lookup)?))),
    ("slow", |table, lookup| one(FaultKind::Slow(machine::slow(table, lookup)?))),
    ("clock", |table, lookup| one(FaultKind::Clock(machine::clock(table, lookup)?))),
    ("disk", |table, lookup| one(FaultKind::Disk(machine::disk(table, lookup)?))),
    ("certificate-expires", |table, lookup| one(FaultKind::Expiry(machine::expiry(table, lookup)?))),
];

/// One table may stand for at most so many faults.
const MAX_FAULTS_OF_A_TABLE: usize = 10_000;

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
        for fault in fault(&mut table, hosts, run) {
            check_time_to_converge(&table, &fault, run, convergence);
            downtimes.check(&table, &fault);
            faults.push(fault);
        }
        table.finish();
    }
    faults.sort_by_key(|fault| fault.at);
    faults
}

fn fault(table: &mut Table<'_>, hosts: &Hosts, run: &RunPlan) -> Vec<Fault<HostSet>> {
    if !table.has("at") {
        table.missing("at");
    }
    let at = before_end(table, "at", "this fault begins", run.duration);
    if !table.has("kind") {
        table.missing("kind");
    }
    let lookup = Lookup { hosts, problems: table.problems() };
    let kinds = KINDS.map(|(name, read)| (name, (name, read)));
    let Some((name, read)) = table.word("kind", &kinds) else {
        // Without a kind nothing can be said of the other keys.
        table.ask_all();
        return Vec::new();
    };
    table.call(format!("a [[fault]] of kind \"{name}\""));
    let (read, Some(at)) = (read(table, &lookup), at) else { return Vec::new() };
    let faults = read.into_iter().flatten().map(|(later, what)| Fault { at: at + later, what });
    // What is to begin after the end does not.
    faults.filter(|fault| fault.at < run.duration).collect()
}

fn one(what: FaultKind<HostSet>) -> Option<Vec<Later>> {
    Some(vec![(Duration::ZERO, what)])
}

/// The hosts of a fault, written `hosts` or, for one, `host`.
pub(super) fn hosts(table: &mut Table<'_>, lookup: &Lookup<'_>) -> Option<(Range<usize>, HostSet)> {
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
            _ => return,
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
