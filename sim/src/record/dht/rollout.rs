//! What an upgrade from the older way to the DHT changes: bytes on the network, bytes on disks, connections that succeed.
//!
//! Before is the second half of the time until the first host is upgraded, after is the time from when the last one has been
//! up for its pause and has ended the older way; what comes in between is neither, but for connections, which are never to be fewer.

use std::collections::BTreeMap;
use std::time::Duration;

use super::traffic::{Growth, per_hour};
use super::{EndedLookup, HostIndex};
use crate::scenario::{Scenario, Window};

/// What was seen before and after.
#[derive(Default)]
pub struct Rollout {
    /// Before it, from it on, and after it; `None` where the scenario has none.
    windows: Option<[Window; 3]>,
    traffic: [(u64, Duration); 2],
    /// Connections tried and made, before and from then on.
    reach: [(u64, u64); 2],
    disks: BTreeMap<HostIndex, Disks>,
}

/// Sizes of the databases of one host.
#[derive(Clone, Copy, Default)]
struct Disks {
    /// The older kind's, the last time before the upgrade.
    older: u64,
    /// The relay's at that time.
    relay_before: u64,
    /// The relay's at last.
    relay: u64,
}

impl Rollout {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let upgrades = scenario.topology.upgrades.iter().filter(|upgrade| upgrade.change.dht == Some(true));
        let first =
            upgrades.clone().filter_map(|upgrade| upgrade.batches.first()).map(|batch| batch.at).min();
        let beside = scenario.topology.dht.broadcast.as_ref().map(|plan| plan.beside).unwrap_or_default();
        let end = upgrades.map(|upgrade| upgrade.end() + beside).max();
        let windows = first.zip(end).map(|(first, end)| {
            let (begins, over) = (first / 2, scenario.run.duration);
            [(begins, first), (first, over), (end, over)].map(|(from, to)| Window { from, to })
        });
        Rollout { windows, ..Rollout::default() }
    }

    pub(super) fn took(&mut self, at: Duration, growth: Growth) {
        let Some([before, _, after]) = &self.windows else { return };
        for (window, seen) in [before, after].into_iter().zip(&mut self.traffic) {
            if window.contains(at) {
                seen.0 += growth.bytes;
                seen.1 += growth.took;
            }
        }
    }

    pub(super) fn looked_up(&mut self, lookup: &EndedLookup) {
        let Some([before, since, _]) = &self.windows else { return };
        let Some(reached) = lookup.reached else { return };
        for (window, seen) in [before, since].into_iter().zip(&mut self.reach) {
            if window.contains(lookup.sent) {
                seen.0 += 1;
                seen.1 += u64::from(reached);
            }
        }
    }

    /// The databases of a host have these sizes: the older kind's, and the relay's.
    pub fn stores(&mut self, at: Duration, host: HostIndex, older: u64, relay: u64) {
        let Some([before, ..]) = &self.windows else { return };
        let disks = self.disks.entry(host).or_default();
        if before.contains(at) {
            disks.older = older;
            disks.relay_before = relay;
        }
        disks.relay = relay;
    }

    /// Bytes of the network per node and hour, before and after; `None` where either was not measured.
    pub fn bytes(&self) -> Option<(u64, u64)> {
        let [before, after] = self.traffic.map(|(bytes, watched)| per_hour(bytes, watched));
        before.zip(after)
    }

    /// Bytes of databases that metadata takes on all hosts, before and after: that of the older kind, and what relays' own
    /// grew by.
    pub fn disk(&self) -> Option<(u64, u64)> {
        let before = self.disks.values().map(|disks| disks.older).sum();
        let after = self.disks.values().map(|disks| disks.relay.saturating_sub(disks.relay_before)).sum();
        (before > 0).then_some((before, after))
    }

    /// Connections tried and made, before the upgrade and from its beginning on; `None` where none were tried in one of them.
    pub fn reach(&self) -> Option<[(u64, u64); 2]> {
        self.reach.iter().all(|(tried, _)| *tried > 0).then_some(self.reach)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Answer;

    const TEXT: &str = "duration = \"60m\"\n[[main]]\nname = \"main\"\n[[home]]\nname = \"home\"\nmain = \"main\"\n\
        [broadcast]\nhosts = \"*\"\n[[upgrade]]\nname = \"to-dht\"\nat = \"20m\"\nhosts = \"*\"\nbatch = 2\ndown = \"10s\"\n\
        pause = \"10m\"\ndht = true\n";

    #[test]
    fn before_and_after_are_held_apart() {
        let m = |minutes: u64| Duration::from_secs(60 * minutes);
        let mut rollout = Rollout::new(&Scenario::load("test.toml", TEXT).unwrap());
        for (minute, bytes) in [(5, 999), (15, 100), (25, 999), (35, 20)] {
            rollout.took(m(minute), Growth { bytes, took: m(60) });
        }
        assert_eq!(rollout.bytes(), Some((100, 20)));
        for (minute, older, relay) in [(15, 4_000, 1_000), (25, 4_000, 3_000), (59, 0, 2_500)] {
            rollout.stores(m(minute), HostIndex(1), older, relay);
        }
        assert_eq!(rollout.disk(), Some((4_000, 1_500)));
        for (minute, reached) in [(5, false), (15, true), (25, true), (35, false)] {
            rollout.looked_up(&EndedLookup {
                lookup: 0,
                from: HostIndex(0),
                to: HostIndex(1),
                peer: String::new(),
                sent: m(minute),
                ended: m(minute),
                answer: Answer::NoAnswer,
                reached: Some(reached),
            });
        }
        assert_eq!(rollout.reach(), Some([(1, 1), (2, 1)]));
    }
}
