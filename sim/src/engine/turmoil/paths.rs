//! What lies between hosts: links by rule, cuts, and hosts without power, put into turmoil's terms.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::event::{CutId, HostId, HostSet, Link, LinkModel};
use crate::engine::random::Dice;

/// The retransmission timeout before anything is known of the path (Linux: `TCP_RTO_MIN`); it doubles each time.
const RTO: Duration = Duration::from_millis(200);
/// Retransmissions are never further apart (Linux: `TCP_RTO_MAX`).
const RTO_MAX: Duration = Duration::from_secs(120);
/// A segment that is lost so often in a row gets through after all.
const LOSSES_MAX: u32 = 15;

pub(super) struct Paths {
    model: LinkModel,
    cuts: BTreeMap<u32, (HostSet, HostSet)>,
    next_cut: u32,
    dark: BTreeSet<HostId>,
    /// Turmoil has not been told of the links as they are now.
    links_changed: bool,
    /// Turmoil has not been told of cuts or power as they are now.
    cuts_changed: bool,
    /// The pairs that turmoil holds, as places of hosts.
    held: BTreeSet<(usize, usize)>,
    dice: Dice,
}

impl Paths {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            model: Arc::new(|_, _| Link::default()),
            cuts: BTreeMap::new(),
            next_cut: 0,
            dark: BTreeSet::new(),
            links_changed: false,
            cuts_changed: false,
            held: BTreeSet::new(),
            dice: Dice::new(seed, "turmoil losses"),
        }
    }

    pub(super) fn set_model(&mut self, model: LinkModel) {
        self.model = model;
        self.links_changed = true;
    }

    /// There are hosts that turmoil knows no links of.
    pub(super) fn hosts_added(&mut self) {
        self.links_changed = true;
        self.cuts_changed = true;
    }

    pub(super) fn cut(&mut self, from: HostSet, to: HostSet) -> CutId {
        let id = self.next_cut;
        self.next_cut += 1;
        self.cuts.insert(id, (from, to));
        self.cuts_changed = true;
        CutId(id)
    }

    pub(super) fn heal(&mut self, cut: CutId) {
        self.cuts.remove(&cut.0);
        self.cuts_changed = true;
    }

    pub(super) fn set_dark(&mut self, host: HostId, dark: bool) {
        if dark {
            self.dark.insert(host);
        } else {
            self.dark.remove(&host);
        }
        self.cuts_changed = true;
    }

    pub(super) fn is_dark(&self, host: HostId) -> bool {
        self.dark.contains(&host)
    }

    /// How much later a segment from `from` arrives because it was lost; `None` where it was not.
    pub(super) fn lost_for(&mut self, from: HostId, to: HostId) -> Option<Duration> {
        if from == to {
            return None;
        }
        let loss = (self.model)(from, to).loss;
        let (mut later, mut timeout) = (Duration::ZERO, RTO);
        for _ in 0..LOSSES_MAX {
            if !self.dice.chance(loss) {
                break;
            }
            later += timeout;
            timeout = (timeout * 2).min(RTO_MAX);
        }
        (!later.is_zero()).then_some(later)
    }

    /// Whether a datagram from `from` to `to` is lost.
    pub(super) fn loses(&mut self, from: HostId, to: HostId) -> bool {
        from != to && {
            let loss = (self.model)(from, to).loss;
            self.dice.chance(loss)
        }
    }

    /// Whether nothing gets from `from` to `to`.
    fn blocked(&self, from: HostId, to: HostId) -> bool {
        self.dark.contains(&from)
            || self.dark.contains(&to)
            || self.cuts.values().any(|(left, right)| left.contains(from) && right.contains(to))
    }

    /// Tells turmoil of what has changed. `addresses` are those of all hosts, by place.
    ///
    /// # Errors
    /// Where only one direction between two hosts is cut: turmoil cannot hold one direction.
    pub(super) fn carry_out(
        &mut self,
        turmoil: &::turmoil::Sim<'_>,
        addresses: &[IpAddr],
    ) -> Result<(), &'static str> {
        let pairs = || (0..addresses.len()).flat_map(|to| (0..to).map(move |from| (from, to)));
        if std::mem::take(&mut self.links_changed) {
            for (left, right) in pairs() {
                let (latency, longest) = self.latency(left, right);
                turmoil.set_link_latency(addresses[left], addresses[right], latency);
                turmoil.set_link_max_message_latency(addresses[left], addresses[right], longest);
            }
        }
        if std::mem::take(&mut self.cuts_changed) {
            for (left, right) in pairs() {
                let (one, other) = (host(left), host(right));
                let (out, back) = (self.blocked(one, other), self.blocked(other, one));
                if out != back {
                    return Err("turmoil cannot cut one direction alone: use the event engine");
                }
                if out && self.held.insert((left, right)) {
                    turmoil.hold(addresses[left], addresses[right]);
                } else if !out && self.held.remove(&(left, right)) {
                    turmoil.release(addresses[left], addresses[right]);
                }
            }
        }
        Ok(())
    }

    /// The shortest and the longest latency of a pair: the longer of both directions.
    fn latency(&self, left: usize, right: usize) -> (Duration, Duration) {
        let (out, back) = ((self.model)(host(left), host(right)), (self.model)(host(right), host(left)));
        let latency = out.latency.max(back.latency);
        (latency, latency + out.jitter.max(back.jitter))
    }
}

fn host(place: usize) -> HostId {
    HostId(place as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_blocked_by_cuts_and_by_power() {
        let mut paths = Paths::new(1);
        let (a, b) = (HostId(0), HostId(1));
        let cut = paths.cut(a.into(), b.into());
        assert!(paths.blocked(a, b) && !paths.blocked(b, a));
        paths.heal(cut);
        assert!(!paths.blocked(a, b));
        paths.set_dark(b, true);
        assert!(paths.blocked(a, b) && paths.blocked(b, a));
    }

    #[test]
    fn losses_show_as_delay_as_often_as_they_should() {
        let mut paths = Paths::new(1);
        assert_eq!(paths.lost_for(HostId(0), HostId(1)), None, "nothing is lost by default");
        paths.set_model(Arc::new(|_, _| Link { loss: 0.25, ..Link::default() }));
        let delays: Vec<_> = (0..4_000).filter_map(|_| paths.lost_for(HostId(0), HostId(1))).collect();
        assert!((900..1_100).contains(&delays.len()), "{}", delays.len());
        assert_eq!(delays.iter().min(), Some(&RTO));
        assert!(delays.contains(&(RTO * 3)), "some are lost twice");
        assert_eq!(paths.lost_for(HostId(1), HostId(1)), None, "loopback loses nothing");
    }
}
