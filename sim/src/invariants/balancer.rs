//! Equal instances get equal shares, or at least some, and the dead get no calls for long.
//!
//! Calls by name are spread by the caller's Main: over its own Homes where some of them offer the service, over all
//! others' otherwise. While nothing is wrong, none of several equal ones may be passed over for [`WINDOW`] in which the
//! others got [`CALLS_EACH`] calls each, whatever the policy (`random` apart). Once an instance has been dead for so
//! long that everybody must know, calls by name must not fail for want of a way, or of an answer, while another lives.

use std::collections::BTreeMap;
use std::time::Duration;

use relay_node::config::Timing;
use relay_node::federation::Policy;

use super::weather::Weather;
use super::{EndedCall, Findings, Invariant, Observed, Outcome};
use crate::scenario::{HostIndex, NodeId, Role, Scenario};

/// How long equal instances are watched.
const WINDOW: Duration = Duration::from_secs(60);

/// Calls for each of them, on average, without which a window says nothing.
const CALLS_EACH: u64 = 20;

/// Before that, nothing must have been wrong for so long: what an instance suffered is remembered for a while.
const CALM: Duration = Duration::from_secs(120);

/// What noticing a death takes beyond the links' own patience.
const NOTICE: Duration = Duration::from_secs(30);

/// No route, timed out: what a caller hears of a dead instance.
const DEAD_CODES: [i64; 2] = [-32003, -32004];

/// See the module.
pub(super) struct Balancer {
    weather: Weather,
    /// By Main's node id and service: the instances among which it chooses.
    choices: BTreeMap<(String, String), Choice>,
    /// By service: who offers it.
    offering: BTreeMap<String, Vec<HostIndex>>,
    /// By host: up or down, since when.
    life: BTreeMap<HostIndex, (bool, Duration)>,
    dead_after: Duration,
    /// When somebody came or went last, or a call failed.
    unrest: Duration,
}

/// Equal instances, and how often each was chosen in the window.
struct Choice {
    since: Duration,
    picks: BTreeMap<String, u64>,
}

impl Balancer {
    pub(super) fn new(scenario: &Scenario, timing: &Timing, weather: Weather) -> Self {
        let names = || scenario.topology.services.iter().map(|service| service.name.clone());
        Balancer {
            weather,
            choices: choices(scenario),
            offering: names().map(|name| (name.clone(), scenario.offering(&name).collect())).collect(),
            life: BTreeMap::new(),
            dead_after: timing.unhealthy_after + timing.heartbeat + timing.backoff.cap + NOTICE,
            unrest: Duration::ZERO,
        }
    }

    fn picked(&mut self, ended: &EndedCall, path: &[String], findings: &mut Findings) {
        let (at, unrest) = (ended.ended, self.unrest);
        // The first Main on the way chooses: the caller's own, or the caller.
        let Some((last, passed)) = path.split_last() else { return };
        let chooser = passed.iter().take(2).find_map(|node| {
            let key = (node.clone(), ended.service.clone());
            self.choices.contains_key(&key).then_some(key)
        });
        let Some(choice) = chooser.as_ref().and_then(|key| self.choices.get_mut(key)) else { return };
        let Some(picks) = choice.picks.get_mut(last) else { return };
        *picks += 1;
        let equals = choice.picks.len() as u64;
        let first = choice.since.saturating_sub(CALM);
        let is_full =
            at >= choice.since + WINDOW && choice.picks.values().sum::<u64>() >= CALLS_EACH * equals;
        if unrest > first || !self.weather.is_calm(first, at) {
            choice.start(at.max(unrest + CALM));
        } else if is_full {
            let starved = choice.picks.iter().find(|(_, picks)| **picks == 0);
            findings.check(at, starved.is_none(), || {
                let (service, main) = (&ended.service, chooser.as_ref().map_or("", |(main, _)| main));
                let (since, picks) = (choice.since, &choice.picks);
                format!("{main} spread {service} since {since:?} like this: {picks:?}")
            });
            choice.start(at);
        }
    }

    fn failed(&self, ended: &EndedCall, findings: &mut Findings) {
        let since = ended.sent.saturating_sub(self.dead_after);
        let Some(offering) = self.offering.get(&ended.service) else { return };
        let for_long = |up: bool| {
            offering.iter().any(|host| self.life.get(host).is_some_and(|(is, at)| *is == up && *at < since))
        };
        if for_long(false) && for_long(true) && self.weather.is_calm_but_for_the_dead(since, ended.ended) {
            findings.check(ended.ended, false, || {
                let (call, service) = (ended.call, &ended.service);
                format!("call {call} for {service} at anyone failed, with one instance dead and one alive for long")
            });
        }
    }
}

impl Choice {
    fn start(&mut self, at: Duration) {
        self.since = at;
        self.picks.values_mut().for_each(|picks| *picks = 0);
    }
}

/// The equal instances that each Main chooses among, where there are several and none may move to another Main.
fn choices(scenario: &Scenario) -> BTreeMap<(String, String), Choice> {
    let hosts = &scenario.topology.hosts;
    let mut choices = BTreeMap::new();
    for service in scenario.topology.services.iter().filter(|it| it.balance != Some(Policy::Random)) {
        let all: Vec<HostIndex> = scenario.offering(&service.name).collect();
        let stays = |host: &HostIndex| match &hosts.get(*host).role {
            Role::Home { fallback, .. } => {
                fallback.is_empty()
                    && hosts.get(*host).node_id == NodeId::HostName
                    && !scenario.topology.moves(*host)
            }
            Role::Main { .. } => false,
        };
        let changes = |host: &HostIndex| {
            let own = scenario.topology.services.iter().position(|it| it.name == service.name);
            own.is_none_or(|own| !hosts.get(*host).services.contains(&own))
                || scenario
                    .topology
                    .upgrades
                    .iter()
                    .any(|it| it.change.services.is_some() || it.change.balance.is_some())
        };
        if !all.iter().all(stays) || all.iter().any(changes) {
            continue;
        }
        let main_of = |host: &HostIndex| match hosts.get(*host).role {
            Role::Home { main, .. } => main,
            Role::Main { .. } => *host,
        };
        for (index, main) in hosts.iter().filter(|(_, it)| it.is_main() && it.node_id == NodeId::HostName) {
            let own: Vec<_> = all.iter().copied().filter(|host| main_of(host) == index).collect();
            let among = if own.is_empty() { &all } else { &own };
            let like = |host: &HostIndex| {
                let ways = [(index, *host), (*host, index), (index, main_of(host)), (main_of(host), *host)];
                (ways.map(|(from, to)| scenario.network.quality(from, to)), hosts.get(*host).machine)
            };
            if among.len() >= 2 && among.iter().all(|host| like(host) == like(&among[0])) {
                let picks = among.iter().map(|host| (hosts.get(*host).name.clone(), 0)).collect();
                let choice = Choice { since: CALM, picks };
                choices.insert((main.name.clone(), service.name.clone()), choice);
            }
        }
    }
    choices
}

impl Invariant for Balancer {
    fn name(&self) -> &'static str {
        "balancer"
    }

    fn statement(&self) -> String {
        "no healthy instance starves among its equals, and none that is dead is called for long".into()
    }

    fn observe(&mut self, observed: &Observed<'_>, findings: &mut Findings) {
        match *observed {
            Observed::CallEnded(ended) if ended.callee.is_none() => match &ended.outcome {
                Outcome::Success { path, .. } => self.picked(ended, path, findings),
                Outcome::Refused { code, .. } => {
                    self.unrest = ended.ended;
                    if DEAD_CODES.contains(code) {
                        self.failed(ended, findings);
                    }
                }
                _ => self.unrest = ended.ended,
            },
            Observed::NodeGone { at, host, .. } => {
                self.life.insert(host, (false, at));
                self.unrest = at;
            }
            Observed::NodeBack { at, host, .. } => {
                self.life.insert(host, (true, at));
                self.unrest = at;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ended, judge, seconds, success};
    use super::*;

    const SCENARIO: &str = r#"
duration = "1h"
[[service]]
name = "echo"
kind = "echo"
[[main]]
name = "main"
[[home]]
name = "caller"
main = "main"
[[home]]
name = "a"
main = "main"
services = ["echo"]
[[home]]
name = "b"
main = "main"
services = ["echo"]
"#;

    const DEATH: &str = "[[fault]]\nat = \"300s\"\nkind = \"crash\"\nhost = \"b\"\n";

    fn findings(text: &str, calls: &[EndedCall], before: &[Observed<'_>]) -> Findings {
        let scenario = Scenario::load("test.toml", text).unwrap();
        let invariant = Balancer::new(&scenario, &Timing::default(), Weather::new(&scenario));
        let history: Vec<_> = before.iter().copied().chain(calls.iter().map(Observed::CallEnded)).collect();
        judge(invariant, &history)
    }

    /// Two calls a second by name, each to the instance that `to` names, from 1 s on.
    fn calls(until: u64, to: impl Fn(u64) -> &'static str) -> Vec<EndedCall> {
        let call = |number: u64| EndedCall {
            callee: None,
            sent: seconds(number / 2),
            ended: seconds(number / 2),
            ..ended(number, success(number, &["caller", "main", to(number)]))
        };
        (2..until * 2).map(call).collect()
    }

    #[test]
    fn who_gets_calls_now_and_then_does_not_starve() {
        let fair = findings(SCENARIO, &calls(1_000, |number| ["a", "b"][number as usize % 2]), &[]);
        assert!(fair.checked >= 10 && fair.violated == 0, "{fair:?}");
        let seldom =
            findings(SCENARIO, &calls(1_000, |number| if number % 50 == 0 { "b" } else { "a" }), &[]);
        assert!(seldom.checked >= 10 && seldom.violated == 0, "{seldom:?}");
    }

    #[test]
    fn who_gets_none_starves() {
        let unfair = findings(SCENARIO, &calls(1_000, |_| "a"), &[]);
        assert!(unfair.violated >= 10, "{unfair:?}");
        let random = SCENARIO.replace("kind = \"echo\"", "kind = \"echo\"\nbalance = \"random\"");
        assert_eq!(findings(&random, &calls(1_000, |_| "a"), &[]).checked, 0, "chance is blind");
        let slow = format!("{SCENARIO}[[link]]\nfrom = \"b\"\nto = \"*\"\nlatency = \"90ms\"\n");
        assert_eq!(findings(&slow, &calls(1_000, |_| "a"), &[]).checked, 0, "they are not equal");
        let dead = format!("{SCENARIO}{DEATH}");
        assert_eq!(findings(&dead, &calls(300, |_| "a"), &[]).violated, 2, "before it is dead");
        let shaken = [Observed::NodeBack { at: seconds(999), host: HostIndex(3), node: None }];
        assert_eq!(findings(SCENARIO, &calls(1_000, |_| "a"), &shaken).violated, 0, "it has just come");
    }

    #[test]
    fn the_dead_are_called_only_for_a_while() {
        let text = format!("{SCENARIO}{DEATH}");
        let life = [
            Observed::NodeBack { at: seconds(0), host: HostIndex(2), node: None },
            Observed::NodeGone { at: seconds(300), host: HostIndex(3), node: None },
        ];
        let call = |at: u64, code| {
            let outcome = Outcome::Refused { code, message: String::new(), path: vec!["caller".into()] };
            [EndedCall { callee: None, sent: seconds(at), ended: seconds(at), ..ended(1, outcome) }]
        };
        // 60 s + 30 s + 15 s + 30 s.
        assert_eq!(findings(&text, &call(435, -32003), &life).violated, 0);
        assert_eq!(findings(&text, &call(436, -32003), &life).violated, 1);
        assert_eq!(findings(&text, &call(436, -32004), &life).violated, 1);
        assert_eq!(findings(&text, &call(436, -32007), &life).violated, 0, "overload is something else");
        let other =
            format!("{text}[[fault]]\nat = \"400s\"\nkind = \"partition\"\nhosts = \"a\"\nlasts = \"9s\"\n");
        assert_eq!(findings(&other, &call(436, -32003), &life).violated, 0, "the other was cut off");
    }
}
