//! What a run showed of the DHT: who knows whom, what lookups gave, and what metadata takes.

mod lookups;
mod rollout;
mod traffic;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::metadata::{History, Published};
use crate::scenario::{HostIndex, Scenario};

use super::Convergence;

pub use lookups::{Answer, EndedLookup, LookupStats, Verdict};
pub(super) use traffic::{Counter, Growth, per_hour};

pub use rollout::Rollout;
pub use traffic::Traffic;

/// A node that has not run for so long may not have joined the DHT yet.
const JOINS_WITHIN: Duration = Duration::from_secs(10);

/// What a run showed of the DHT.
pub struct Dht {
    /// How long the nodes took to know each other after each disturbance.
    pub discovery: Convergence,
    /// What lookups gave, in the order of the scenario.
    pub lookups: Vec<LookupStats>,
    /// What metadata takes.
    pub traffic: Traffic,
    /// What an upgrade from the older way changes.
    pub rollout: Rollout,
    history: History,
    /// How long an older version may be given.
    bound: Duration,
    /// The peer ids that hosts have now.
    peers: BTreeMap<HostIndex, String>,
    /// Hosts that knew all others when they were asked last.
    knows_all: BTreeSet<HostIndex>,
    /// Since when the relays run that do.
    up: BTreeMap<HostIndex, Duration>,
    /// Connections that lookups open: whoever counts connections of relays is to leave them out.
    visits: BTreeMap<(HostIndex, HostIndex), u32>,
}

impl Dht {
    /// Nothing was seen yet.
    pub(super) fn new(scenario: &Scenario) -> Self {
        let plan = &scenario.topology.dht;
        Dht {
            discovery: Convergence::default(),
            lookups: plan.lookups.iter().map(|_| LookupStats::default()).collect(),
            traffic: Traffic::default(),
            rollout: Rollout::new(scenario),
            history: History::default(),
            bound: plan.settings.cache_ttl() + crate::metadata::SLACK,
            peers: BTreeMap::new(),
            knows_all: BTreeSet::new(),
            up: BTreeMap::new(),
            visits: BTreeMap::new(),
        }
    }

    /// A node told its peer id.
    pub fn is(&mut self, host: HostIndex, peer: &str) {
        if self.peers.get(&host).is_none_or(|known| known != peer) {
            self.peers.insert(host, peer.to_owned());
        }
    }

    /// The peer id that a host has, where it was heard.
    pub fn peer(&self, host: HostIndex) -> Option<&str> {
        self.peers.get(&host).map(String::as_str)
    }

    /// Whether the peer was heard of this version of its metadata.
    pub fn has_heard(&self, peer: &str, sequence: i64) -> bool {
        self.history.has_heard(peer, sequence)
    }

    /// Whether a host among `members` knows all others, by the list of peer ids that it knows. `None` where it is not known
    /// yet who they are.
    pub fn knows(&self, host: HostIndex, members: &[HostIndex], known: &BTreeSet<&str>) -> Option<bool> {
        let ids: Option<Vec<&str>> =
            members.iter().filter(|member| **member != host).map(|member| self.peer(*member)).collect();
        Some(ids?.into_iter().all(|id| known.contains(id)))
    }

    /// Whether the host knew all others when it was asked last, in this episode.
    pub fn knew_all(&self, host: HostIndex) -> bool {
        self.knows_all.contains(&host)
    }

    /// A relay went down, or runs.
    pub(super) fn node(&mut self, at: Duration, host: HostIndex, up: bool) {
        // It may come back with another disk, and so as another peer.
        self.peers.remove(&host);
        self.knows_all.clear();
        match up {
            true => self.up.insert(host, at),
            false => self.up.remove(&host),
        };
        self.traffic.node(at, host, up);
    }

    pub(super) fn published(&mut self, at: Duration, published: &Published) {
        self.history.tell(at, published);
    }

    /// A node, asked at `asked`, knew all others or not. Returns how long the episode took that this ends.
    pub(super) fn compared(
        &mut self,
        asked: Duration,
        at: Duration,
        host: HostIndex,
        agrees: bool,
        members: &[HostIndex],
    ) -> Option<Duration> {
        if agrees {
            self.knows_all.insert(host);
        } else {
            self.knows_all.remove(&host);
        }
        self.discovery.compared(asked, at, host, agrees, members)
    }

    /// Something has changed: nobody is known to know all others any more.
    pub(super) fn begin_anew(&mut self) {
        self.knows_all.clear();
    }

    /// What the peer of a host said of its metadata at last.
    pub fn latest(&self, host: HostIndex) -> Option<&serde_json::Value> {
        self.history.newest(self.peer(host)?)
    }

    /// What metadata took on a host since it was looked last, of the DHT or of what was there before it; the one that is
    /// asked for the time counts it.
    pub(super) fn took(&mut self, at: Duration, host: HostIndex, counter: Counter) -> Growth {
        let growth = self.traffic.told(at, host, counter);
        self.rollout.took(at, growth);
        growth
    }

    /// A lookup opens a connection from one host to another.
    pub fn visits(&mut self, from: HostIndex, host: HostIndex) {
        *self.visits.entry((from, host)).or_default() += 1;
    }

    /// It could not be opened.
    pub fn does_not_visit(&mut self, from: HostIndex, host: HostIndex) {
        self.is_visit(from, host);
    }

    /// Whether a connection is one of those; each is told once.
    pub(super) fn is_visit(&mut self, from: HostIndex, host: HostIndex) -> bool {
        match self.visits.get_mut(&(from, host)) {
            Some(0) | None => false,
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }

    /// A lookup has ended: what it was worth.
    pub(super) fn ended(&mut self, lookup: &EndedLookup) -> Verdict {
        // One that went down meanwhile owes nothing.
        let since = self.up.get(&lookup.from);
        let has_joined = since.is_some_and(|since| lookup.sent >= *since + JOINS_WITHIN);
        let is_due = has_joined && self.history.is_kept(&lookup.peer, lookup.sent);
        let worth = lookup
            .answer
            .given()
            .map(|given| self.history.judge(&lookup.peer, &given.version, lookup.sent, self.bound));
        self.rollout.looked_up(lookup);
        let verdict = Verdict { is_due, worth };
        if let Some(stats) = self.lookups.get_mut(lookup.lookup) {
            stats.ended(lookup, &verdict);
        }
        verdict
    }
}
