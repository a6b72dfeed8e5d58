//! Connections that hosts made to one another a second time: who lost one, and how hurriedly they come back.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::scenario::HostIndex;

/// The time over which a rush is measured.
const RUSH: Duration = Duration::from_secs(1);

/// Changes of connections that are kept, for the report.
const CHANGES_KEPT_MAX: usize = 10_000;

/// A connection between two relays was lost, or there is one again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkChange {
    /// When.
    pub at: Duration,
    /// Who noticed, or who dialled.
    pub host: HostIndex,
    /// The other one.
    pub peer: HostIndex,
    /// Whether it is there from then on.
    pub up: bool,
}

/// Connections between the same two hosts after their first one.
#[derive(Default)]
pub struct Reconnects {
    /// Who had a connection to whom, at any time.
    known: BTreeSet<(HostIndex, HostIndex)>,
    recent: BTreeMap<HostIndex, VecDeque<Duration>>,
    /// All of them.
    pub total: u64,
    /// The most that one host took within one second, and when that second ended.
    pub rush: (u64, Duration),
    /// The first changes, in order of time.
    pub changes: Vec<LinkChange>,
}

impl Reconnects {
    /// `host` took a connection from `from`, which may be itself. Returns whether it had one before.
    pub(super) fn accepted(&mut self, at: Duration, host: HostIndex, from: HostIndex) -> bool {
        if host == from || self.known.insert((from, host)) {
            return false;
        }
        self.total += 1;
        self.change(LinkChange { at, host: from, peer: host, up: true });
        let recent = self.recent.entry(host).or_default();
        while recent.front().is_some_and(|first| at.saturating_sub(*first) >= RUSH) {
            recent.pop_front();
        }
        recent.push_back(at);
        let count = recent.len() as u64;
        if count > self.rush.0 {
            self.rush = (count, at);
        }
        true
    }

    /// A stream between `host`, which noticed, and `peer` broke.
    pub(super) fn lost(&mut self, at: Duration, host: HostIndex, peer: HostIndex) {
        if host != peer {
            self.change(LinkChange { at, host, peer, up: false });
        }
    }

    fn change(&mut self, change: LinkChange) {
        if self.changes.len() < CHANGES_KEPT_MAX {
            self.changes.push(change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_was_there_before_comes_back() {
        let mut reconnects = Reconnects::default();
        let mut accepted = |millis, host, from| {
            reconnects.accepted(Duration::from_millis(millis), HostIndex(host), HostIndex(from));
        };
        (1..=5).for_each(|from| accepted(0, 0, from));
        accepted(10, 0, 0);
        accepted(10, 0, 0);
        accepted(1_000, 0, 1);
        accepted(1_500, 0, 2);
        accepted(1_999, 0, 3);
        accepted(2_000, 0, 4);
        accepted(2_000, 6, 4);
        reconnects.lost(Duration::from_secs(3), HostIndex(4), HostIndex(4));
        reconnects.lost(Duration::from_secs(3), HostIndex(4), HostIndex(0));
        assert_eq!(
            reconnects.changes.iter().map(|it| it.up).collect::<Vec<_>>(),
            [true, true, true, true, false]
        );
        assert_eq!((reconnects.total, reconnects.rush), (4, (3, Duration::from_millis(1_999))));
    }
}
