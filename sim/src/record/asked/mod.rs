//! What a run showed of what its scenario asks for by name: metrics, things that must happen, failures that are expected.

mod calls;
mod expected;
mod lookups;
mod meter;
mod nodes;
mod sightings;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::invariants::{EndedCall, Outcome};
use crate::scenario::{HostIndex, Metric, NodeMetric, Role, Scenario, Sight};

use super::OpenCall;
use super::dht::{EndedLookup, Growth, Verdict};

pub use expected::ExpectedCalls;
pub use meter::{Measured, Meter};
pub use sightings::Sighting;

/// A call that has ended, as meters see it.
pub(super) struct Ended<'a> {
    pub(super) call: &'a OpenCall,
    pub(super) at: Duration,
    pub(super) outcome: &'a Outcome,
    pub(super) whole: bool,
}

impl Ended<'_> {
    fn succeeded(&self) -> bool {
        matches!(self.outcome, Outcome::Success { .. })
    }

    fn code(&self) -> Option<i64> {
        match self.outcome {
            Outcome::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    fn took(&self) -> Duration {
        self.at.saturating_sub(self.call.due)
    }
}

/// All of it, each in the order of the scenario.
pub struct AskedFor {
    scenario: Arc<Scenario>,
    /// Relays that have gone down.
    down: BTreeSet<HostIndex>,
    /// Hosts that are told to dial others than at their start.
    moved: BTreeMap<HostIndex, Role>,
    /// One for each gate on a metric.
    pub meters: Vec<Meter>,
    /// One for each thing that must happen.
    pub sightings: Vec<Sighting>,
    /// One for each expectation of failing calls.
    pub expected: Vec<ExpectedCalls>,
}

impl AskedFor {
    /// Nothing was seen yet.
    pub fn new(scenario: &Arc<Scenario>) -> Self {
        let asked = &scenario.gates.asked;
        AskedFor {
            scenario: Arc::clone(scenario),
            down: BTreeSet::new(),
            moved: BTreeMap::new(),
            meters: asked.gates.iter().map(Meter::new).collect(),
            sightings: asked.sometimes.iter().map(|_| Sighting::default()).collect(),
            expected: asked.expected.iter().map(|_| ExpectedCalls::default()).collect(),
        }
    }

    /// Whether the call failed as it was expected to.
    pub(super) fn expects(&mut self, call: &OpenCall, ended: &EndedCall) -> bool {
        let mut is_expected = false;
        let all = self.scenario.gates.asked.expected.iter().zip(&mut self.expected);
        for (wanted, seen) in all.filter(|(wanted, _)| wanted.speaks_of(call.load, call.due)) {
            let code = match ended.outcome {
                Outcome::Refused { code, .. } => Some(code),
                _ => None,
            };
            let fits = code.is_some_and(|code| wanted.codes.contains(&code));
            seen.count(fits);
            is_expected |= fits;
        }
        is_expected
    }

    /// A call has ended.
    pub(super) fn ended(&mut self, call: &OpenCall, ended: &EndedCall, whole: bool) {
        if self.meters.is_empty() && self.sightings.is_empty() {
            return;
        }
        let ended = Ended { call, at: ended.ended, outcome: &ended.outcome, whole };
        let gates = self.scenario.gates.asked.gates.iter();
        for (gate, meter) in gates.zip(&mut self.meters) {
            meter.call(gate, &ended);
        }
        let at = ended.at;
        self.saw(at, Some(call.caller), |what| match what {
            Sight::Refused { code, load } => {
                load.is_none_or(|load| load == ended.call.load)
                    && matches!(ended.outcome, Outcome::Refused { .. })
                    && code.is_none_or(|code| ended.code() == Some(code))
            }
            Sight::SlowCall { longer_than, load } => {
                load.is_none_or(|load| load == ended.call.load)
                    && ended.succeeded()
                    && ended.took() > *longer_than
            }
            _ => false,
        });
    }

    /// `host` took a connection from `from`, which had one before or not.
    pub(super) fn accepted(&mut self, at: Duration, host: HostIndex, from: HostIndex, again: bool) {
        // A test may have hosts that the scenario knows nothing of.
        if from.as_usize() >= self.scenario.topology.hosts.len() {
            return;
        }
        if again {
            let gates = self.scenario.gates.asked.gates.iter();
            for (gate, meter) in
                gates.zip(&mut self.meters).filter(|(gate, _)| gate.metric == Metric::Reconnects)
            {
                meter.reconnect(gate, at, from);
            }
            self.saw(at, Some(from), |what| *what == Sight::Reconnect);
        }
        let scenario = Arc::clone(&self.scenario);
        let hosts = &scenario.topology.hosts;
        if let Role::Home { main, .. } = self.moved.get(&from).unwrap_or(&hosts.get(from).role)
            && *main != host
            && hosts.get(host).is_main()
        {
            self.saw(at, Some(from), |what| *what == Sight::Fallback);
        }
    }

    /// From now on a host is told to be this and to dial these.
    pub(super) fn moved(&mut self, host: HostIndex, role: &Role) {
        self.moved.insert(host, role.clone());
    }

    /// A relay went down, or runs.
    pub(super) fn node(&mut self, at: Duration, host: HostIndex, up: bool) {
        if !up {
            self.down.insert(host);
        } else if self.down.remove(&host) {
            self.saw(at, Some(host), |what| *what == Sight::Restart);
        }
    }

    /// An upgrade came to its end, or was given up.
    pub fn upgraded(&mut self, at: Duration, is_done: bool) {
        let what = if is_done { Sight::UpgradeDone } else { Sight::UpgradeAborted };
        self.saw(at, None, |it| *it == what);
    }

    /// Whether anything is asked of this host's metrics at this time.
    pub fn reads_metrics(&self, at: Duration, host: HostIndex) -> bool {
        self.node_metrics(at, host).next().is_some()
    }

    /// The node of `host` told its metrics.
    pub fn told(&mut self, at: Duration, host: HostIndex, text: &str) {
        let gates = self.scenario.gates.asked.gates.iter();
        for (gate, meter) in gates.zip(&mut self.meters) {
            if let Metric::Node(metric) = &gate.metric
                && gate.of.as_ref().is_none_or(|of| of.contains(host))
            {
                meter.sample(gate, at, host, metric.value_in(text));
            }
        }
        self.saw(at, Some(host), |what| match what {
            Sight::Metric { metric, above } => metric.value_in(text) > *above,
            _ => false,
        });
    }

    /// A lookup of metadata has ended.
    pub(super) fn looked_up(&mut self, lookup: &EndedLookup, verdict: &Verdict) {
        for (gate, meter) in self.scenario.gates.asked.gates.iter().zip(&mut self.meters) {
            meter.looked_up(gate, lookup, verdict);
        }
    }

    /// Metadata took so much on a host until now.
    pub(super) fn took(&mut self, at: Duration, host: HostIndex, growth: Growth) {
        for (gate, meter) in self.scenario.gates.asked.gates.iter().zip(&mut self.meters) {
            meter.took(gate, at, host, growth);
        }
    }

    /// The run is over.
    pub(super) fn finish(&mut self, at: Duration) {
        for (gate, meter) in self.scenario.gates.asked.gates.iter().zip(&mut self.meters) {
            meter.advance(gate, at.min(gate.over.to));
        }
    }

    fn node_metrics(&self, at: Duration, host: HostIndex) -> impl Iterator<Item = &NodeMetric> {
        let asked = &self.scenario.gates.asked;
        let gates = asked.gates.iter().filter_map(move |gate| match &gate.metric {
            Metric::Node(metric) if gate.over.contains(at) => Some((metric, &gate.of)),
            _ => None,
        });
        let sights = asked.sometimes.iter().filter_map(move |it| match &it.what {
            Sight::Metric { metric, .. } if it.over.contains(at) => Some((metric, &it.of)),
            _ => None,
        });
        let is_of =
            move |of: &Option<crate::scenario::HostSet>| of.as_ref().is_none_or(|of| of.contains(host));
        gates.chain(sights).filter(move |(_, of)| is_of(of)).map(|(metric, _)| metric)
    }

    fn saw(&mut self, at: Duration, host: Option<HostIndex>, is_it: impl Fn(&Sight) -> bool) {
        for (wanted, seen) in self.scenario.gates.asked.sometimes.iter().zip(&mut self.sightings) {
            let with = match (&wanted.of, host) {
                (Some(of), Some(host)) => of.contains(host),
                _ => true,
            };
            if with && wanted.over.contains(at) && is_it(&wanted.what) {
                seen.add(at);
            }
        }
    }
}
