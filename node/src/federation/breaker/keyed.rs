//! A breaker per key: per instance, per peer link.

use std::hash::Hash;
use std::time::Duration;

use indexmap::IndexMap;
use indexmap::map::Entry;

use super::{Breaker, Permit, Refused, State, Verdict};
use crate::env::Instant;

/// Breakers that are kept at once. A key beyond them is not judged: its calls pass.
pub(super) const MAX_BREAKERS: usize = 65_536;

/// How long a breaker that refuses nothing is kept without a call.
const IDLE: Duration = Duration::from_secs(60);
/// How often idle breakers are looked for, at most.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// The permit of a key for which there was no room. No breaker ever gets to this generation.
const UNJUDGED: Permit = Permit { generation: u64::MAX };

/// Breakers by key. One that was never asked for is closed.
#[derive(Debug)]
pub struct Breakers<K> {
    breakers: IndexMap<K, Kept>,
    swept: Instant,
    /// A breaker that is dropped and made anew starts here, so that permits of the former are not taken for its own.
    next_generation: u64,
}

#[derive(Debug)]
struct Kept {
    breaker: Breaker,
    used: Instant,
}

impl<K> Default for Breakers<K> {
    fn default() -> Self {
        Breakers { breakers: IndexMap::new(), swept: Instant::default(), next_generation: 0 }
    }
}

impl<K: Hash + Eq> Breakers<K> {
    /// No breakers yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// [`Breaker::allow`] of this key's.
    ///
    /// # Errors
    /// When its breaker refuses.
    pub fn allow(&mut self, key: K, now: Instant) -> Result<Permit, Refused> {
        if now - self.swept >= SWEEP_EVERY {
            self.sweep(now);
        }
        let room = self.breakers.len() < MAX_BREAKERS;
        match self.breakers.entry(key) {
            Entry::Occupied(mut kept) => {
                let kept = kept.get_mut();
                kept.used = now;
                kept.breaker.allow(now)
            }
            Entry::Vacant(place) if room => {
                let breaker = Breaker { generation: self.next_generation, ..Breaker::default() };
                place.insert(Kept { breaker, used: now }).breaker.allow(now)
            }
            Entry::Vacant(_) => Ok(UNJUDGED),
        }
    }

    /// [`Breaker::admits`] of this key's: for choosing among many without taking a permit of any.
    pub fn admits(&self, key: &K, now: Instant) -> bool {
        self.breakers.get(key).is_none_or(|kept| kept.breaker.admits(now))
    }

    /// [`Breaker::record`] of this key's.
    pub fn record(&mut self, key: &K, permit: Permit, verdict: Verdict, now: Instant) {
        if let Some(kept) = self.breakers.get_mut(key) {
            kept.used = now;
            kept.breaker.record(permit, verdict, now);
        }
    }

    /// [`Breaker::state`] of this key's.
    pub fn state(&self, key: &K, now: Instant) -> State {
        self.breakers.get(key).map_or(State::Closed, |kept| kept.breaker.state(now))
    }

    /// Drops a key's breaker, for one that is gone for good.
    pub fn forget(&mut self, key: &K) {
        if let Some(kept) = self.breakers.swap_remove(key) {
            self.retire(&kept);
        }
    }

    /// Breakers that are not closed, for people and metrics.
    pub fn tripped(&self, now: Instant) -> impl Iterator<Item = (&K, State)> {
        self.breakers
            .iter()
            .map(move |(key, kept)| (key, kept.breaker.state(now)))
            .filter(|(_, state)| *state != State::Closed)
    }

    /// Breakers kept.
    pub fn len(&self) -> usize {
        self.breakers.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.breakers.is_empty()
    }

    /// Drops what nobody has used for [`IDLE`], which is longer than a window remembers. That a breaker was open is
    /// forgotten as well then: it would let a probe through by now, and its key is out of use.
    fn sweep(&mut self, now: Instant) {
        self.swept = now;
        let mut newest = self.next_generation;
        self.breakers.retain(|_, kept| {
            let keep = now - kept.used < IDLE || !kept.breaker.admits(now);
            if !keep {
                newest = newest.max(kept.breaker.generation + 1);
            }
            keep
        });
        self.next_generation = newest;
    }

    fn retire(&mut self, kept: &Kept) {
        self.next_generation = self.next_generation.max(kept.breaker.generation + 1);
    }
}
