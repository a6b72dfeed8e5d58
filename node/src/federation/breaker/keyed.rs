//! A breaker per key: per instance, per peer link.

use std::hash::Hash;
use std::time::Duration;

use indexmap::IndexMap;
use indexmap::map::Entry;

use super::{Breaker, Permit, Refused, Stage, State, Verdict};
use crate::env::Instant;

/// Breakers that are kept at once. A key beyond them is not judged: its calls pass.
pub(in crate::federation) const MAX_BREAKERS: usize = 65_536;

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
    changes: Changes,
}

/// How often breakers went from one stage to another, by both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes([[u64; Stage::ALL.len()]; Stage::ALL.len()]);

impl Changes {
    fn note(&mut self, from: Stage, to: Stage) {
        if from != to {
            self.0[from as usize][to as usize] += 1;
        }
    }

    /// From, to, how often: every change that a breaker may make, and any other that it made all the same.
    pub fn iter(&self) -> impl Iterator<Item = (Stage, Stage, u64)> {
        let pairs = Stage::ALL.into_iter().flat_map(|from| Stage::ALL.into_iter().map(move |to| (from, to)));
        pairs
            .map(|(from, to)| (from, to, self.0[from as usize][to as usize]))
            .filter(|(from, to, count)| from.may_become(*to) || *count > 0)
    }

    /// Both together.
    pub fn plus(mut self, other: &Changes) -> Changes {
        for (from, to, count) in other.iter() {
            self.0[from as usize][to as usize] += count;
        }
        self
    }
}

#[derive(Debug)]
struct Kept {
    breaker: Breaker,
    used: Instant,
}

impl<K> Default for Breakers<K> {
    fn default() -> Self {
        Breakers {
            breakers: IndexMap::new(),
            swept: Instant::default(),
            next_generation: 0,
            changes: Changes::default(),
        }
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
                let before = kept.breaker.stage();
                let permit = kept.breaker.allow(now);
                self.changes.note(before, kept.breaker.stage());
                permit
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
            let before = kept.breaker.stage();
            kept.breaker.record(permit, verdict, now);
            self.changes.note(before, kept.breaker.stage());
        }
    }

    /// [`Breaker::state`] of this key's.
    pub fn state(&self, key: &K, now: Instant) -> State {
        self.breakers.get(key).map_or(State::Closed, |kept| kept.breaker.state(now))
    }

    /// How often breakers changed their stage so far. One that is dropped changes nothing.
    pub fn changes(&self) -> &Changes {
        &self.changes
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
