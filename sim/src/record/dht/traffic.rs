//! What metadata takes of the network and of disks, by the nodes' own counters.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::scenario::HostIndex;

/// Nanoseconds of an hour.
const HOUR_NANOS: u128 = 3_600 * 1_000_000_000;

/// Bytes that nodes sent and received, and how long they were watched.
#[derive(Default)]
pub struct Traffic {
    /// Bytes in both directions, all nodes together.
    pub bytes: u64,
    /// The time in which they were counted, all nodes together.
    pub watched: Duration,
    /// Each node's counter, and when it was read; a node that has just started has counted nothing.
    last: BTreeMap<(HostIndex, bool), (u64, Duration)>,
}

/// What a node has counted since it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::record) struct Counter {
    /// Bytes.
    pub(in crate::record) bytes: u64,
    /// Of the DHT, or of what was there before it.
    pub(in crate::record) is_of_dht: bool,
    /// Whether the time is counted as well: of two that run side by side only one does.
    pub(in crate::record) counts_time: bool,
}

/// What one node's counter grew by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::record) struct Growth {
    /// Bytes.
    pub(in crate::record) bytes: u64,
    /// In this time.
    pub(in crate::record) took: Duration,
}

impl Traffic {
    /// A node told its counter. Returns what that grew by since it was read last.
    pub(super) fn told(&mut self, at: Duration, host: HostIndex, counter: Counter) -> Growth {
        let Counter { bytes: count, is_of_dht, counts_time } = counter;
        let (before, since) = self.last.insert((host, is_of_dht), (count, at)).unwrap_or((count, at));
        // One that is less than before has begun anew.
        let bytes = count.checked_sub(before).unwrap_or(count);
        let took = if counts_time { at.saturating_sub(since) } else { Duration::ZERO };
        let growth = Growth { bytes, took };
        self.bytes += growth.bytes;
        self.watched += growth.took;
        growth
    }

    /// A node went down, or runs.
    pub(super) fn node(&mut self, at: Duration, host: HostIndex, up: bool) {
        for is_of_dht in [true, false] {
            if up {
                self.last.insert((host, is_of_dht), (0, at));
            } else {
                self.last.remove(&(host, is_of_dht));
            }
        }
    }

    /// Bytes per node and hour; `None` where nobody was watched.
    pub fn per_node_and_hour(&self) -> Option<u64> {
        per_hour(self.bytes, self.watched)
    }
}

/// Bytes per hour; `None` where no time has passed.
pub(in crate::record) fn per_hour(bytes: u64, watched: Duration) -> Option<u64> {
    let rate = (u128::from(bytes) * HOUR_NANOS).checked_div(watched.as_nanos())?;
    Some(u64::try_from(rate).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_over_the_time_in_which_nodes_ran() {
        let s = Duration::from_secs;
        let mut traffic = Traffic::default();
        assert_eq!(traffic.per_node_and_hour(), None);
        let counter = |bytes| Counter { bytes, is_of_dht: true, counts_time: true };
        traffic.node(s(0), HostIndex(0), true);
        traffic.node(s(0), HostIndex(1), true);
        traffic.told(s(1_800), HostIndex(0), counter(1_000));
        traffic.told(s(1_800), HostIndex(1), counter(3_000));
        assert_eq!(traffic.per_node_and_hour(), Some(4_000));
        traffic.node(s(1_800), HostIndex(1), false);
        traffic.node(s(3_600), HostIndex(1), true);
        let growth = traffic.told(s(3_700), HostIndex(1), counter(500));
        assert_eq!(growth, Growth { bytes: 500, took: s(100) }, "nobody counts while a node is down");
        let growth = traffic.told(s(3_600), HostIndex(0), counter(900));
        assert_eq!(growth.bytes, 900, "a counter that is less has begun anew");
        let beside = Counter { bytes: 50, is_of_dht: false, counts_time: false };
        let growth = traffic.told(s(3_700), HostIndex(1), beside);
        assert_eq!(growth, Growth { bytes: 50, took: s(0) }, "two that run side by side take one time");
    }
}
