//! `[[load]]`.

use std::ops::Range;
use std::time::Duration;

use relay_chaos::quantity::duration;
use relay_chaos::{ByteSize, Rate};

use super::super::error::{Problem, did_you_mean, list};
use super::super::hosts::{HostSet, NodeId};
use super::super::model::{Arrival, CallPlan, Load, Pacing, Service, Target, Topology};
use super::gates;
use super::names::{Lookup, check_name, find_service};
use super::profile;
use super::settings::{before_end, positive};
use super::table::Table;
use super::values::Names;

/// How long a call may take, unless the load says otherwise.
pub(super) const DEFAULT_CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// The size of a call's arguments, unless the load says otherwise.
pub(super) const DEFAULT_PAYLOAD: ByteSize = ByteSize::from_bytes(64);
/// The most calls of an open load on one host.
pub(super) const MAX_CALLS_PER_SECOND: f64 = 100_000.0;
/// The most callers of a closed load on one host.
pub(super) const MAX_CALLERS: u32 = 10_000;
/// The largest payload: a relay takes messages of 1 MiB, and what is around the arguments has to fit in as well.
pub(super) const MAX_PAYLOAD_BYTES: u64 = (1 << 20) - ENVELOPE_BYTES;
/// Kept free for what is around the arguments of a call, or the same in its answer.
const ENVELOPE_BYTES: u64 = 64 << 10;

#[derive(Clone, Copy)]
enum Kind {
    Open,
    Closed,
}

#[derive(Clone, Copy, PartialEq)]
enum By {
    Node,
    Service,
}

/// All loads.
pub(super) fn read(file: &mut Table<'_>, topology: &Topology, end: Duration) -> Vec<Load> {
    let mut loads: Vec<Load> = Vec::new();
    for mut table in file.tables("load") {
        let load = load(&mut table, topology, end);
        if let Some(load) = &load
            && loads.iter().any(|other| other.name == load.name)
        {
            let message = format!("two loads are called `{}`", load.name);
            table.problem(Problem::new(message, table.value_span("name"), "expected a name of its own"));
        }
        loads.extend(load);
        table.finish();
    }
    loads
}

fn load(table: &mut Table<'_>, topology: &Topology, end: Duration) -> Option<Load> {
    let name = table.require::<String>("name");
    let name = name.filter(|name| check_name(table, name, "load"));
    let mut arrival = arrival(table);
    let lookup = Lookup { hosts: &topology.hosts, problems: table.problems() };
    let from = table.require::<Names>("from").and_then(|names| lookup.select(&names));
    let service = table.require::<String>("service");
    let service = service.and_then(|name| find_service(&topology.services, &name, table.problems()));
    let call = call(table, service.map(|it| &topology.services[it]));
    let target = target(table, topology, service, from.as_ref());
    let start = before_end(table, "start", "this load starts", end).unwrap_or_default();
    let mut stop = stop(table, start, end, "this load");
    if let Some(Arrival::Profile(profile)) = &mut arrival {
        stop = profile::place(table, profile, start, stop);
    }
    let gates = gates::of_load(table);
    // Read with all else that is asked for.
    table.ask(&["expect"]);
    Some(Load {
        name: name?.into_inner(),
        from: from?,
        target: target?,
        call: call?,
        arrival: arrival?,
        start,
        stop,
        gates,
    })
}

fn arrival(table: &mut Table<'_>) -> Option<Arrival> {
    let kind = match table.has("kind") {
        true => table.word("kind", &[("open", Kind::Open), ("closed", Kind::Closed)]),
        false => {
            table.ask(&["kind"]);
            Some(Kind::Open)
        }
    };
    match kind {
        Some(Kind::Open) => {
            table.call("a [[load]] of kind \"open\"");
            let pacing = table.word("pacing", &[("even", Pacing::Even), ("poisson", Pacing::Poisson)]);
            let pacing = pacing.unwrap_or_default();
            if table.has("profile") {
                if let Some(rate) = table.read::<Rate>("rate") {
                    let label = "expected `rate` or `profile`";
                    table.problem(Problem::new("the profile says the rate", rate.span(), label));
                }
                return Some(Arrival::Profile(profile::read(table, pacing)?));
            }
            table.ask(&["rate", "profile"]);
            let rate = table.require::<Rate>("rate")?;
            profile::check(table, &rate);
            Some(Arrival::Open { rate: rate.into_inner(), pacing })
        }
        Some(Kind::Closed) => {
            table.call("a [[load]] of kind \"closed\"");
            let think = table.get("think").unwrap_or_default();
            let callers = table.require::<u32>("callers")?;
            if !(1..=MAX_CALLERS).contains(callers.get_ref()) {
                let message = format!("{} callers on each host", callers.get_ref());
                table.problem(Problem::new(message, callers.span(), format!("expected 1 to {MAX_CALLERS}")));
            }
            let calls = table.read::<u64>("calls");
            if let Some(calls) = calls.as_ref().filter(|calls| *calls.get_ref() == 0) {
                let problem = Problem::new("`calls` is zero", calls.span(), "expected at least 1");
                table.problem(problem.help("leave it out to call as long as the load lasts"));
            }
            let calls = calls.map(toml::Spanned::into_inner);
            Some(Arrival::Closed { callers: callers.into_inner(), think, calls })
        }
        None => {
            table.ask(&["pacing", "rate", "profile", "think", "callers", "calls"]);
            None
        }
    }
}

fn call(table: &mut Table<'_>, service: Option<&Service>) -> Option<CallPlan> {
    let method = table.require::<String>("method");
    let payload = table.read::<ByteSize>("payload");
    let timeout = positive(table, "timeout").unwrap_or(DEFAULT_CALL_TIMEOUT);
    let priority = table.get::<i64>("priority").unwrap_or_default();
    if let Some(payload) = &payload
        && payload.get_ref().bytes() > MAX_PAYLOAD_BYTES
    {
        let label = format!("expected at most {}", ByteSize::from_bytes(MAX_PAYLOAD_BYTES));
        table.problem(Problem::new("no relay takes a message of this size", payload.span(), label));
    }
    let (method, service) = (method?, service?);
    if !service.methods.is_empty() && !service.methods.contains(method.get_ref()) {
        let known = || service.methods.iter().map(String::as_str);
        let message = format!("the service `{}` has no method `{}`", service.name, method.get_ref());
        let label = format!("expected one of {}", list(known()));
        table.problem(
            Problem::new(message, method.span(), label).maybe_help(did_you_mean(method.get_ref(), known())),
        );
    }
    Some(CallPlan {
        service: service.name.clone(),
        method: method.into_inner(),
        payload: payload.map_or(DEFAULT_PAYLOAD, toml::Spanned::into_inner),
        timeout,
        priority,
    })
}

fn target(
    table: &mut Table<'_>,
    topology: &Topology,
    service: Option<usize>,
    from: Option<&HostSet>,
) -> Option<Target> {
    let by = table.word("by", &[("node", By::Node), ("service", By::Service)]);
    let to = table.read::<Names>("to");
    let offers = |set: usize| topology.hosts.iter().any(|(host, _)| topology.offers(host, set));
    if by == Some(By::Service) {
        if let Some(to) = to {
            let problem = Problem::new(
                "`to` means nothing here",
                to.span(),
                "expected no `to` with `by = \"service\"`",
            );
            table.problem(
                problem.help("the federation picks the host: leave `to` out, or say `by = \"node\"`"),
            );
        }
        if !offers(service?) {
            nobody_offers(table, &topology.services[service?].name);
        }
        return Some(Target::Service);
    }
    let Some(to) = to else {
        if !table.has("to") {
            table.missing("to");
        }
        return None;
    };
    let lookup = Lookup { hosts: &topology.hosts, problems: table.problems() };
    let (to_span, to) = (to.span(), lookup.select(&to)?);
    check_targets(table, topology, service?, from, &to, to_span);
    Some(Target::Node(to))
}

/// Notes targets that cannot be called by their node ids.
fn check_targets(
    table: &Table<'_>,
    topology: &Topology,
    service: usize,
    from: Option<&HostSet>,
    to: &HostSet,
    span: Range<usize>,
) {
    let targets = || to.hosts().iter().map(|index| topology.hosts.get(*index));
    let without = to.hosts().iter().find(|host| !topology.offers(**host, service));
    let service = &topology.services[service].name;
    if let Some(host) = without.map(|host| topology.hosts.get(*host)) {
        let message = format!("`{}` does not offer the service `{service}`", host.name);
        let problem = Problem::new(message, span, format!("expected hosts that offer `{service}`"));
        table.problem(problem.help(format!("add `services = [\"{service}\"]` to its table")));
    } else if let Some(host) = targets().find(|host| host.node_id == NodeId::Generated) {
        let message = format!("`{}` makes its own node id, which nobody knows beforehand", host.name);
        let problem = Problem::new(message, span, "expected hosts whose node id is their name");
        table.problem(problem.help("call it by its service: `by = \"service\"`, and no `to`"));
    } else if to.hosts().len() == 1 && from.is_some_and(|from| from.hosts() == to.hosts()) {
        let message = format!("`{to}` would call itself only");
        table.problem(Problem::new(message, span, "expected another host: nobody calls itself"));
    }
}

fn nobody_offers(table: &Table<'_>, service: &str) {
    let message = format!("nobody offers the service `{service}`");
    let problem =
        Problem::new(message, table.value_span("service"), "expected a service that some host offers");
    table.problem(problem.help(format!("add `services = [\"{service}\"]` to a [[home]] or a [[main]]")));
}

/// When a load or the like stops: `stop`, or the end of the run. `what` stops.
pub(super) fn stop(table: &mut Table<'_>, start: Duration, end: Duration, what: &str) -> Duration {
    let Some(stop) = table.read::<Duration>("stop") else { return end };
    if *stop.get_ref() <= start || *stop.get_ref() > end {
        let label = format!(
            "expected a time after {} and not after {}",
            duration::format(start),
            duration::format(end)
        );
        let message = format!("{what} stops at an impossible time");
        table.problem(Problem::new(message, stop.span(), label));
    }
    stop.into_inner()
}
