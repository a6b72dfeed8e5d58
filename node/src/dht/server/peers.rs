//! The peers that announced themselves here, by what they are to be found under.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use rand::seq::IteratorRandom;

use crate::dht::contact::Family;
use crate::dht::id::Id;
use crate::env::{Instant, Rng};

/// Announcements that a node keeps, in all. For a further one the oldest is dropped.
pub const PEERS_MAX: usize = 8_192;

/// Announcements under one target. For a further one the oldest of them is dropped.
pub const PEERS_PER_TARGET_MAX: usize = 512;

/// Peers that one answer names: a random choice, where there are more.
pub const PEERS_PER_ANSWER_MAX: usize = 32;

/// An announcement that is not made again is dropped after this.
pub const ANNOUNCEMENT_LIFETIME: Duration = Duration::from_secs(45 * 60);

/// Announcements by target and address.
#[derive(Debug, Default)]
pub(super) struct Peers {
    announced: BTreeMap<Id, Announced>,
    expiry: BTreeSet<(Instant, Id, SocketAddr)>,
}

#[derive(Debug, Default)]
struct Announced {
    expires: BTreeMap<SocketAddr, Instant>,
    oldest: BTreeSet<(Instant, SocketAddr)>,
}

impl Peers {
    pub(super) fn len(&self) -> usize {
        self.expiry.len()
    }

    /// Notes that `peer` is to be found under `target`.
    pub(super) fn announce(&mut self, target: Id, peer: SocketAddr, now: Instant) {
        self.remove(target, peer);
        let full = |announced: &Announced| announced.expires.len() >= PEERS_PER_TARGET_MAX;
        let oldest = match self.announced.get(&target).filter(|announced| full(announced)) {
            Some(announced) => announced.oldest.first().map(|(_, peer)| (target, *peer)),
            None if self.len() >= PEERS_MAX => self.expiry.first().map(|(_, target, peer)| (*target, *peer)),
            None => None,
        };
        if let Some((target, peer)) = oldest {
            self.remove(target, peer);
        }
        let expires = now + ANNOUNCEMENT_LIFETIME;
        let announced = self.announced.entry(target).or_default();
        announced.expires.insert(peer, expires);
        announced.oldest.insert((expires, peer));
        self.expiry.insert((expires, target, peer));
    }

    /// Some of the peers of one family under `target`, at most [`PEERS_PER_ANSWER_MAX`].
    pub(super) fn sample(&self, target: &Id, family: Family, rng: &mut Rng) -> Vec<SocketAddr> {
        let Some(announced) = self.announced.get(target) else { return Vec::new() };
        let peers = announced.expires.keys().filter(|peer| Family::of(**peer) == family);
        peers.copied().sample(rng, PEERS_PER_ANSWER_MAX)
    }

    /// Drops what has expired.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some((expires, target, peer)) = self.expiry.first().copied()
            && expires <= now
        {
            self.remove(target, peer);
        }
    }

    /// When the next announcement expires.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.expiry.first().map(|(expires, ..)| *expires)
    }

    fn remove(&mut self, target: Id, peer: SocketAddr) {
        let Some(announced) = self.announced.get_mut(&target) else { return };
        let Some(expires) = announced.expires.remove(&peer) else { return };
        announced.oldest.remove(&(expires, peer));
        self.expiry.remove(&(expires, target, peer));
        if announced.expires.is_empty() {
            self.announced.remove(&target);
        }
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    fn target(number: u8) -> Id {
        Id::from_bytes([number; 20])
    }

    fn peer(number: u32) -> SocketAddr {
        SocketAddr::from((number.to_be_bytes(), 30_609))
    }

    #[test]
    fn announcements_are_found_until_they_expire() {
        let (mut peers, mut rng) = (Peers::default(), Rng::seed_from_u64(1));
        peers.announce(target(1), peer(1), at(0));
        peers.announce(target(1), peer(2), at(1));
        peers.announce(target(1), peer(1), at(2));
        peers.announce(target(1), "[::1]:9".parse().unwrap(), at(2));
        let mut found = peers.sample(&target(1), Family::V4, &mut rng);
        found.sort_unstable();
        assert_eq!(found, [peer(1), peer(2)]);
        assert_eq!(peers.sample(&target(1), Family::V6, &mut rng).len(), 1);
        assert_eq!(peers.sample(&target(2), Family::V4, &mut rng), []);
        let lifetime = ANNOUNCEMENT_LIFETIME.as_secs();
        peers.expire(at(1 + lifetime));
        assert_eq!(peers.sample(&target(1), Family::V4, &mut rng), [peer(1)]);
        peers.expire(at(2 + lifetime));
        assert_eq!((peers.len(), peers.next_expiry(), peers.announced.len()), (0, None, 0));
    }

    #[test]
    fn an_answer_is_a_choice_of_many() {
        let (mut peers, mut rng) = (Peers::default(), Rng::seed_from_u64(1));
        (0..200).for_each(|number| peers.announce(target(1), peer(number), at(0)));
        let (one, other) =
            (peers.sample(&target(1), Family::V4, &mut rng), peers.sample(&target(1), Family::V4, &mut rng));
        assert_eq!((one.len(), other.len()), (PEERS_PER_ANSWER_MAX, PEERS_PER_ANSWER_MAX));
        assert_ne!(one, other);
    }

    #[test]
    fn any_number_of_announcements_takes_no_more_memory() {
        let (mut peers, mut rng) = (Peers::default(), Rng::seed_from_u64(1));
        for number in 0..2_000 {
            peers.announce(target(1), peer(number), at(u64::from(number)));
        }
        assert_eq!(peers.len(), PEERS_PER_TARGET_MAX);
        for number in 0..20_000 {
            let target = Id::hash(&[&number.to_string().into_bytes()]);
            peers.announce(target, peer(number), at(3_000 + u64::from(number)));
        }
        assert_eq!((peers.len(), peers.announced.len()), (PEERS_MAX, PEERS_MAX));
        assert_eq!(peers.sample(&target(1), Family::V4, &mut rng), [], "the oldest are gone");
    }
}
