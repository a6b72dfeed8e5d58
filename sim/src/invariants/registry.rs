//! A Main lists only what is offered, each node under one owner, and nobody who has said goodbye.
//!
//! Source: PROTOCOL §1. A listed node offers the service and has run; its owner is a Main: the one that lists it where
//! the entry is local, another one otherwise, so that it is at most two hops away. A node that moves may be seen under
//! two owners for as long as an entry may outlive its node (`listing-ends`). A Home that was asked to stop says goodbye:
//! where nothing else is wrong, no Main lists it after the time to drain and a moment for the news to travel.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use relay_node::config::Timing;

use super::weather::Weather;
use super::{Findings, Invariant, Listed, Observed};
use crate::scenario::{HostIndex, NodeId, Scenario};

/// What the news of a departure takes to all Mains, with room to spare.
const NEWS_TRAVELS: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct Registry {
    hosts: Vec<Known>,
    /// Where a host with that node id is in `hosts`.
    by_id: BTreeMap<String, usize>,
    /// Where those are that make their own.
    nameless: Vec<usize>,
    weather: Weather,
    /// How long a node may be listed under two owners.
    two_owners_for: Duration,
    goodbye_takes: Duration,
    /// Homes that were asked to stop, by node id, and when.
    departed: BTreeMap<String, (HostIndex, Duration)>,
    /// By the Main that lists it: nodes under two owners, and since when.
    doubled: BTreeMap<HostIndex, BTreeMap<String, Duration>>,
}

/// What is known of a host.
struct Known {
    /// Its node id, where the scenario gives it.
    id: Option<String>,
    is_main: bool,
    services: BTreeSet<String>,
    has_run: bool,
}

impl Registry {
    pub(super) fn new(scenario: &Scenario, timing: &Timing, probe_gap: Duration, weather: Weather) -> Self {
        let services = &scenario.topology.services;
        let offered =
            |host| (0..services.len()).filter(move |service| scenario.topology.offers(host, *service));
        let hosts = scenario.topology.hosts.iter().map(|(index, host)| Known {
            id: (host.node_id == NodeId::HostName).then(|| host.name.clone()),
            is_main: host.is_main(),
            services: offered(index).map(|service| services[service].name.clone()).collect(),
            has_run: false,
        });
        let hosts: Vec<_> = hosts.collect();
        let ids = hosts.iter().enumerate().filter_map(|(at, host)| Some((host.id.clone()?, at)));
        let nameless = hosts.iter().enumerate().filter(|(_, host)| host.id.is_none()).map(|(at, _)| at);
        Registry {
            by_id: ids.collect(),
            nameless: nameless.collect(),
            hosts,
            weather,
            two_owners_for: timing.unhealthy_after + timing.heartbeat + timing.registry_ttl + probe_gap,
            goodbye_takes: timing.drain + NEWS_TRAVELS,
            departed: BTreeMap::new(),
            doubled: BTreeMap::new(),
        }
    }

    /// The hosts that may have that node id: the one that was given it, and all that make their own.
    fn of_id(&self, id: &str) -> impl Iterator<Item = (usize, &Known)> {
        self.by_id.get(id).into_iter().chain(&self.nameless).map(|at| (*at, &self.hosts[*at]))
    }

    /// Whether a host of that id offers the service and has run. A node that makes its own id may be any that does so.
    fn is_offered(&self, line: &Listed) -> bool {
        self.of_id(&line.node).any(|(_, host)| host.has_run && host.services.contains(&line.service))
    }

    /// Whether the owner is a Main, and this one where the entry is local.
    fn is_owned(&self, main: HostIndex, line: &Listed) -> bool {
        let mut owners = self.of_id(&line.owner);
        owners.any(|(at, host)| (at == main.as_usize()) == line.is_local && host.is_main)
    }

    fn check_owners(&mut self, at: Duration, main: HostIndex, listed: &[Listed], findings: &mut Findings) {
        let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
        let mut doubled: BTreeMap<String, Duration> = BTreeMap::new();
        let before = self.doubled.remove(&main).unwrap_or_default();
        for line in listed {
            let owner = *owners.entry(&line.node).or_insert(&line.owner);
            if owner == line.owner || doubled.contains_key(&line.node) {
                continue;
            }
            let since = before.get(&line.node).copied().unwrap_or(at);
            findings.check(at, at - since <= self.two_owners_for, || {
                let (viewer, node, other) = (main.0, &line.node, &line.owner);
                format!("Main {viewer} lists {node} under {owner} and under {other}, since {since:?}")
            });
            doubled.insert(line.node.clone(), since);
        }
        self.doubled.insert(main, doubled);
    }
}

impl Invariant for Registry {
    fn name(&self) -> &'static str {
        "registry"
    }

    fn statement(&self) -> String {
        "a Main lists only what is offered, each node under one owner, and nobody who said goodbye".into()
    }

    fn observe(&mut self, observed: &Observed<'_>, findings: &mut Findings) {
        match *observed {
            Observed::NodeBack { host, node, .. } => {
                self.hosts[host.as_usize()].has_run = true;
                self.departed.retain(|id, (other, _)| *other != host && Some(id.as_str()) != node);
            }
            Observed::NodeGone { at, host, node: Some(node) } if !self.hosts[host.as_usize()].is_main => {
                self.departed.insert(node.to_owned(), (host, at));
            }
            Observed::Viewed { at, main, listed } => {
                for line in listed {
                    findings.check(at, self.is_offered(line) && self.is_owned(main, line), || {
                        let Listed { service, node, owner, is_local } = line;
                        let scope = if *is_local { "its own" } else { "another's" };
                        format!("Main {} lists {service} at {node} behind {owner} as {scope}", main.0)
                    });
                    if let Some((host, since)) = self.departed.get(&line.node)
                        && at > *since + self.goodbye_takes
                        && self.weather.left_in_peace(*host, *since, at)
                    {
                        findings.check(at, false, || {
                            let (service, node) = (&line.service, &line.node);
                            format!(
                                "Main {} lists {service} at {node}, which said goodbye at {since:?}",
                                main.0
                            )
                        });
                    }
                }
                self.check_owners(at, main, listed, findings);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{judge, seconds};
    use super::*;

    const SCENARIO: &str = r#"
duration = "10m"
[[service]]
name = "echo"
kind = "echo"
[[main]]
name = "main"
count = 3
[[home]]
name = "home"
main = "main-1"
services = ["echo"]
[[home]]
name = "guest"
main = "main-1"
[[fault]]
at = "100s"
kind = "stop"
host = "home"
"#;

    fn line(service: &str, node: &str, owner: &str, is_local: bool) -> Listed {
        Listed { service: service.into(), node: node.into(), owner: owner.into(), is_local }
    }

    fn findings(history: &[Observed<'_>]) -> Findings {
        let scenario = Scenario::load("test.toml", SCENARIO).unwrap();
        let weather = Weather::new(&scenario);
        let back =
            |host, node| Observed::NodeBack { at: seconds(0), host: HostIndex(host), node: Some(node) };
        let all = [back(3, "home"), back(4, "guest")].into_iter().chain(history.iter().copied());
        judge(Registry::new(&scenario, &Timing::default(), seconds(10), weather), &all.collect::<Vec<_>>())
    }

    fn violated_by(lines: &[Listed]) -> u64 {
        findings(&[Observed::Viewed { at: seconds(5), main: HostIndex(0), listed: lines }]).violated
    }

    #[test]
    fn what_is_offered_is_fine_and_what_nobody_offers_is_not() {
        assert_eq!(violated_by(&[line("echo", "home", "main-1", true)]), 0);
        assert_eq!(violated_by(&[line("echo", "home", "main-2", false)]), 0, "it moved");
        assert_eq!(violated_by(&[line("echo", "ghost", "main-1", true)]), 1, "there is no such node");
        assert_eq!(violated_by(&[line("echo", "guest", "main-1", true)]), 1, "it does not offer that");
        assert_eq!(violated_by(&[line("shop", "home", "main-1", true)]), 1);
    }

    #[test]
    fn an_owner_is_a_main_and_local_means_here() {
        assert_eq!(violated_by(&[line("echo", "home", "main-2", true)]), 1);
        assert_eq!(violated_by(&[line("echo", "home", "main-1", false)]), 1);
        assert_eq!(violated_by(&[line("echo", "home", "guest", false)]), 1, "a Home owns nobody");
    }

    #[test]
    fn a_node_has_two_owners_only_while_it_moves() {
        let two = [line("echo", "home", "main-1", true), line("echo", "home", "main-2", false)];
        let one = &two[..1];
        let view = |at, listed| Observed::Viewed { at: seconds(at), main: HostIndex(0), listed };
        assert_eq!(findings(&[view(10, &two), view(710, &two)]).violated, 0);
        assert_eq!(findings(&[view(10, &two), view(711, &two)]).violated, 1);
        assert_eq!(findings(&[view(10, &two), view(300, one), view(711, &two)]).violated, 0, "it was clear");
    }

    #[test]
    fn who_said_goodbye_is_forgotten_at_once() {
        let listed = [line("echo", "home", "main-1", true)];
        let gone = Observed::NodeGone { at: seconds(100), host: HostIndex(3), node: Some("home") };
        let back = Observed::NodeBack { at: seconds(101), host: HostIndex(3), node: Some("home") };
        let view = |at| Observed::Viewed { at: seconds(at), main: HostIndex(0), listed: &listed };
        assert_eq!(findings(&[gone, view(115)]).violated, 0);
        assert_eq!(findings(&[gone, view(116)]).violated, 1);
        assert_eq!(findings(&[gone, back, view(116)]).violated, 0);
        let killed = Observed::NodeGone { at: seconds(50), host: HostIndex(3), node: Some("home") };
        assert_eq!(findings(&[killed, view(90)]).violated, 0, "it was not asked to");
    }
}
