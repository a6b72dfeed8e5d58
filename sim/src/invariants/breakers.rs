//! An open breaker lets nothing through, and breakers open and close in order and for a reason.
//!
//! Source: DESIGN §6. Relays report how often their breakers changed, by both ends: only closed → open → half-open →
//! closed or open, each change no oftener than the one that must precede it, and none opens before
//! [`FAILURES_LEAST`] calls have failed. A Main also names its open breakers with the time until which each refuses:
//! no call that was made and over within that time may have gone from it to that instance. A breaker is forgotten when
//! its instance connects anew, and connections are seen late: suspects are judged after [`VERDICT_AFTER`].

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use relay_node::federation::BreakerStage as Stage;

use super::weather::Weather;
use super::{EndedCall, Findings, Invariant, Observed, Outcome, Reported};
use crate::scenario::{HostIndex, NodeId, Scenario};

const CHANGES: &str = "relay_breaker_changes_total";

/// Failed calls without which no breaker opens for the first time.
const FAILURES_LEAST: u64 = 5;

/// Connections are known at the latest so long after they were made.
const VERDICT_AFTER: Duration = Duration::from_secs(15);

/// No breaker is open for longer than this.
const LONGEST: Duration = Duration::from_secs(60);

/// What a report says of a breaker is taken for true from this long after it to this long before its time is up.
const MARGIN: Duration = Duration::from_millis(100);

/// Suspects that wait for their verdict; beyond them calls are not looked at.
const SUSPECTS_MAX: usize = 1_000;

/// See the module.
pub(super) struct Breakers {
    weather: Weather,
    /// By host index: its node id, where the scenario gives it.
    ids: Vec<Option<String>>,
    /// By service: how many hosts offer it.
    instances: BTreeMap<String, usize>,
    under_way: u64,
    failed: u64,
    /// By Main: the breakers that it last said are open.
    open: BTreeMap<HostIndex, Vec<Refusing>>,
    /// By host: when it last made a connection, or came or went.
    moved: BTreeMap<HostIndex, Duration>,
    suspects: VecDeque<Suspect>,
}

/// A breaker that lets nothing through from then to then.
struct Refusing {
    instance: HostIndex,
    service: String,
    from: Duration,
    to: Duration,
    /// So many of its service's instances are out that the balancer may call one all the same.
    may_be_readmitted: bool,
}

/// A call that went to an instance whose breaker was open, unless that has connected anew.
struct Suspect {
    at: Duration,
    reported: Duration,
    main: HostIndex,
    instance: HostIndex,
    text: String,
}

impl Breakers {
    pub(super) fn new(scenario: &Scenario, weather: Weather) -> Self {
        let hosts = &scenario.topology.hosts;
        let ids = hosts.iter().map(|(_, it)| (it.node_id == NodeId::HostName).then(|| it.name.clone()));
        let services = scenario.topology.services.iter();
        Breakers {
            weather,
            ids: ids.collect(),
            instances: services.map(|it| (it.name.clone(), scenario.offering(&it.name).count())).collect(),
            under_way: 0,
            failed: 0,
            open: BTreeMap::new(),
            moved: BTreeMap::new(),
            suspects: VecDeque::new(),
        }
    }

    fn host(&self, node: &str) -> Option<HostIndex> {
        let at = self.ids.iter().position(|id| id.as_deref() == Some(node))?;
        u32::try_from(at).ok().map(HostIndex)
    }

    fn check_changes(&self, at: Duration, host: HostIndex, reported: &Reported, findings: &mut Findings) {
        let mut counts = BTreeMap::new();
        let host = host.0;
        for sample in reported.of(CHANGES) {
            let stage = |name| {
                let text = sample.label(name).unwrap_or_default();
                Stage::ALL.into_iter().find(|stage| stage.as_str() == text)
            };
            let known = stage("from").zip(stage("to"));
            let is_legal = known.is_some_and(|(from, to)| from.may_become(to)) || sample.value == 0.0;
            findings.check(at, is_legal, || {
                format!("host {host}: {} breakers went over {}, which none may", sample.value, sample.labels)
            });
            counts.extend(known.map(|known| (known, sample.value as u64)));
        }
        let count = |from, to| counts.get(&(from, to)).copied().unwrap_or(0);
        let (first, again) = (count(Stage::Closed, Stage::Open), count(Stage::HalfOpen, Stage::Open));
        let (probed, closed) = (count(Stage::Open, Stage::HalfOpen), count(Stage::HalfOpen, Stage::Closed));
        findings.check(at, probed <= first + again && again + closed <= probed, || {
            let opened = first + again;
            format!("host {host}: {opened} times open, {probed} half-open, {closed} closed: that is no order")
        });
        findings.check(at, first * FAILURES_LEAST <= self.failed + self.under_way, || {
            let (failed, open) = (self.failed, self.under_way);
            format!("host {host}: {first} breakers opened, with {failed} failed calls and {open} under way")
        });
    }

    fn take_open(&mut self, at: Duration, main: HostIndex, reported: &Reported) {
        // How long another clock's seconds are, nobody knows.
        if self.weather.counts_otherwise(main, at, at + LONGEST) {
            self.open.remove(&main);
            return;
        }
        let known = reported.open_breakers.iter().filter_map(|it| {
            let service = it.service.clone()?;
            let out = reported.open_breakers.iter().filter(|other| other.service == it.service).count();
            let all = self.instances.get(&service).copied().unwrap_or(0);
            Some(Refusing {
                instance: self.host(&it.node)?,
                service,
                from: at + MARGIN,
                to: (at + it.retry_in).saturating_sub(MARGIN),
                may_be_readmitted: out * 2 > all,
            })
        });
        let open: Vec<_> = known.collect();
        // Those without are left out: as long as nobody has one, calls need no look.
        if open.is_empty() {
            self.open.remove(&main);
        } else {
            self.open.insert(main, open);
        }
    }

    /// Notes the call where it went from a Main to an instance that this Main's breaker kept out.
    fn suspect(&mut self, ended: &EndedCall) {
        let path = ended.outcome.path();
        if self.open.is_empty() || !matches!(ended.outcome, Outcome::Success { .. } | Outcome::Refused { .. })
        {
            return;
        }
        let Some((last, passed)) = path.split_last() else { return };
        let Some(instance) = self.host(last) else { return };
        for (main, refusing) in &self.open {
            let Some(id) = &self.ids[main.as_usize()] else { continue };
            let kept_out = refusing.iter().find(|it| {
                it.instance == instance
                    && it.service == ended.service
                    && it.from <= ended.sent
                    && ended.ended <= it.to
                    && (ended.callee.is_some() || !it.may_be_readmitted)
            });
            if let Some(kept_out) = kept_out
                && passed.contains(id)
                && self.suspects.len() < SUSPECTS_MAX
            {
                let (call, way, until) = (ended.call, path.join(" → "), kept_out.to);
                let text = format!("call {call} went {way}, and {id} keeps {last} out until {until:?}");
                let (at, reported) = (ended.ended, kept_out.from - MARGIN);
                self.suspects.push_back(Suspect { at, reported, main: *main, instance, text });
            }
        }
    }

    fn judge(&mut self, now: Duration, findings: &mut Findings) {
        while let Some(suspect) = self.suspects.pop_front_if(|it| it.at + VERDICT_AFTER <= now) {
            let Suspect { at, reported, main, instance, text } = suspect;
            let moved =
                [main, instance].iter().any(|it| self.moved.get(it).is_some_and(|at| *at >= reported));
            findings.check(at, moved, || text);
        }
    }
}

impl Invariant for Breakers {
    fn name(&self) -> &'static str {
        "breakers"
    }

    fn statement(&self) -> String {
        "an open breaker lets nothing through; breakers change in order, and open only after failures".into()
    }

    fn observe(&mut self, observed: &Observed<'_>, findings: &mut Findings) {
        match *observed {
            Observed::CallSent { .. } => self.under_way += 1,
            Observed::CallEnded(ended) => {
                self.under_way = self.under_way.saturating_sub(1);
                self.failed += u64::from(!matches!(ended.outcome, Outcome::Success { .. }));
                self.suspect(ended);
            }
            Observed::Accepted { at, from, host } if from != host => {
                self.moved.insert(from, at);
            }
            Observed::NodeBack { at, host, .. } | Observed::NodeGone { at, host, .. } => {
                self.moved.insert(host, at);
            }
            Observed::Reported { at, host, reported } => {
                self.judge(at, findings);
                self.check_changes(at, host, reported, findings);
                self.take_open(at, host, reported);
            }
            _ => {}
        }
    }

    fn finish(&mut self, at: Duration, findings: &mut Findings) {
        self.judge(at + VERDICT_AFTER, findings);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ended, judge, seconds, success};
    use super::super::{CallNumber, OpenBreaker};
    use super::*;

    const SCENARIO: &str = r#"
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

    fn findings(history: &[Observed<'_>]) -> Findings {
        let scenario = Scenario::load("test.toml", SCENARIO).unwrap();
        judge(Breakers::new(&scenario, Weather::new(&scenario)), history)
    }

    fn changes(counts: &[(&str, &str, u64)]) -> Reported {
        let lines = counts.iter().map(|(from, to, count)| {
            format!("relay_breaker_changes_total{{from=\"{from}\",to=\"{to}\"}} {count}\n")
        });
        Reported::from_metrics(&lines.collect::<String>())
    }

    fn after_failures(failures: CallNumber, reported: &Reported) -> u64 {
        let sent = |call| Observed::CallSent { at: seconds(1), call, deadline: seconds(2) };
        let failed: Vec<_> = (0..failures).map(|call| ended(call, Outcome::NoOutcome)).collect();
        let mut history: Vec<_> = (0..failures).map(sent).collect();
        history.extend(failed.iter().map(Observed::CallEnded));
        history.push(Observed::Reported { at: seconds(3), host: HostIndex(0), reported });
        findings(&history).violated
    }

    #[test]
    fn breakers_change_in_order() {
        let legal = [("closed", "open", 1), ("open", "half-open", 2), ("half-open", "open", 1)];
        assert_eq!(after_failures(9, &changes(&legal)), 0);
        assert_eq!(after_failures(9, &changes(&[("closed", "half-open", 1)])), 1);
        assert_eq!(after_failures(9, &changes(&[("open", "closed", 1)])), 1);
        assert_eq!(after_failures(9, &changes(&[("closed", "open", 1), ("open", "half-open", 2)])), 1);
        let closed = [("closed", "open", 1), ("open", "half-open", 1), ("half-open", "closed", 2)];
        assert_eq!(after_failures(9, &changes(&closed)), 1, "it closed more often than it was tried");
        assert_eq!(after_failures(9, &changes(&[("closed", "ajar", 1)])), 1);
    }

    #[test]
    fn none_opens_without_failures() {
        assert_eq!(after_failures(5, &changes(&[("closed", "open", 1)])), 0);
        assert_eq!(after_failures(4, &changes(&[("closed", "open", 1)])), 1);
    }

    fn with_a_open_for_30_s(then: &[Observed<'_>]) -> u64 {
        let open =
            OpenBreaker { node: "a".into(), service: Some("echo".into()), retry_in: Duration::from_secs(30) };
        let mut reported = changes(&[]);
        reported.open_breakers.push(open);
        let report = Observed::Reported { at: seconds(10), host: HostIndex(0), reported: &reported };
        let history: Vec<_> = [report].into_iter().chain(then.iter().copied()).collect();
        findings(&history).violated
    }

    #[test]
    fn an_open_breaker_lets_nothing_through() {
        let call = |to: &str, sent, over, callee| EndedCall {
            sent: seconds(sent),
            ended: seconds(over),
            callee,
            ..ended(1, success(1, &["caller", "main", to]))
        };
        let violated = |call: &EndedCall| with_a_open_for_30_s(&[Observed::CallEnded(call)]);
        assert_eq!(violated(&call("a", 11, 12, Some(HostIndex(2)))), 1);
        assert_eq!(violated(&call("a", 11, 12, None)), 1, "one of two is out: nobody need be readmitted");
        assert_eq!(violated(&call("b", 11, 12, None)), 0);
        assert_eq!(violated(&call("a", 9, 12, None)), 0, "it was under way when the breaker opened");
        assert_eq!(violated(&call("a", 11, 41, None)), 0, "it may be the probe");
        let call = call("a", 20, 21, None);
        let anew = Observed::Accepted { at: seconds(15), host: HostIndex(0), from: HostIndex(2) };
        assert_eq!(with_a_open_for_30_s(&[Observed::CallEnded(&call), anew]), 0, "a new link, a new breaker");
    }
}
