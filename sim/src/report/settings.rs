//! The settings that hold in a run, as a report's reader wants them.

use relay_chaos::quantity::duration;
use relay_reports::model::NamedValue;

use crate::scenario::{Arrival, Load, Parameter, Scenario, Target};
use crate::world::timing;

/// Everything that the scenario sets, and the node's own values where it sets nothing.
pub(super) fn settings(scenario: &Scenario) -> Vec<NamedValue> {
    let hosts = &scenario.topology.hosts;
    let mains = hosts.iter().filter(|(_, host)| host.is_main()).count();
    let link = &scenario.network.default;
    let node = timing(&scenario.node);
    let mut settings = vec![
        ("Mains".to_owned(), mains.to_string()),
        ("Homes".to_owned(), (hosts.len() - mains).to_string()),
        ("faults".to_owned(), scenario.faults.len().to_string()),
        ("network: latency".to_owned(), duration::format(link.latency)),
        ("network: jitter".to_owned(), duration::format(link.jitter)),
        ("network: loss".to_owned(), link.loss.to_string()),
        ("network: bandwidth".to_owned(), link.bandwidth.to_string()),
    ];
    if scenario.uses_dht() {
        let nodes = hosts.iter().filter(|(_, host)| host.dht).count();
        let ttl = duration::format(scenario.topology.dht.settings.cache_ttl());
        settings.push(("DHT: nodes at the start".to_owned(), nodes.to_string()));
        settings.push(("DHT: cache TTL".to_owned(), ttl));
    }
    let lookups = &scenario.topology.dht.lookups;
    settings.extend(lookups.iter().map(|it| {
        let every = it.every.map_or("once".to_owned(), |every| format!("every {}", duration::format(every)));
        (format!("lookup: {}", it.name), format!("{} pairs of {} and {}, {every}", it.pairs, it.from, it.to))
    }));
    for it in &scenario.topology.dht.strangers {
        let kind = format!("{:?}", it.kind).to_lowercase();
        settings.push((format!("strangers: {}", it.name), format!("{} of kind {kind}", it.count)));
    }
    if !scenario.network.rules.is_empty() {
        settings.push(("network: exceptions".to_owned(), scenario.network.rules.len().to_string()));
    }
    for (name, value) in [
        ("heartbeat", node.heartbeat),
        ("unhealthy after", node.unhealthy_after),
        ("first backoff", node.backoff.initial),
        ("longest backoff", node.backoff.cap),
        ("registry TTL", node.registry_ttl),
        ("call timeout", node.call_timeout),
        ("drain", node.drain),
    ] {
        settings.push((format!("node: {name}"), duration::format(value)));
    }
    if let Some(limit) = scenario.node.home_calls_per_second {
        settings.push(("node: calls per Home".to_owned(), format!("{limit}/s")));
    }
    settings.push(("views are read every".to_owned(), duration::format(scenario.run.probe_interval)));
    for phase in &scenario.run.phases {
        let (start, end) = (duration::format(phase.start), duration::format(phase.end));
        settings.push((format!("phase: {}", phase.name), format!("{start} to {end}")));
    }
    let loads = scenario.loads.iter().map(|load| (format!("load: {}", load.name), in_words(load)));
    settings.extend(loads);
    settings.into_iter().map(|(name, value)| NamedValue::new(name, value)).collect()
}

/// The values that the file names, with those that the command line gave told apart.
pub(super) fn parameters(scenario: &Scenario) -> Vec<NamedValue> {
    let one = |it: &Parameter| match it.is_set {
        true => NamedValue::new(it.name.clone(), format!("{} (set)", it.value)),
        false => NamedValue::new(it.name.clone(), it.value.clone()),
    };
    scenario.source.parameters.iter().map(one).collect()
}

fn in_words(load: &Load) -> String {
    let callee = match &load.target {
        Target::Node(hosts) => format!("at {hosts}"),
        Target::Service => "anywhere".to_owned(),
    };
    let pace = match &load.arrival {
        Arrival::Open { rate, .. } => format!("{rate} each"),
        Arrival::Profile(profile) => format!("a profile of {} segments each", profile.segments.len()),
        Arrival::Closed { callers, calls: None, .. } => format!("{callers} callers each"),
        Arrival::Closed { callers, calls: Some(calls), .. } => {
            format!("{callers} callers and {calls} calls each")
        }
    };
    let timeout = duration::format(load.call.timeout);
    format!("{} call {} {callee}, {pace}, timeout {timeout}", load.from, load.call.service)
}
