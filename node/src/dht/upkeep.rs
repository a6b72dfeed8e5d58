//! What a node does by itself, and when: joining, finding its neighbours again, asking old contacts, filling buckets.

use std::time::Duration;

use rand::RngExt;

use crate::env::{Instant, Rng};
use crate::federation::{Backoff, BackoffPolicy};

/// A node looks itself up again after this, give or take a tenth, so that it hears of new neighbours and they of it.
pub const REJOIN_INTERVAL: Duration = Duration::from_secs(15 * 60);

/// It does so after this already where a new neighbour has appeared.
pub const REJOIN_SOON: Duration = Duration::from_secs(60);

/// One of the configured ways in is asked again after this, give or take a tenth: after a partition, or a night
/// without network, nobody else leads back.
pub const BOOTSTRAP_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// Between two questions whether a contact is still there.
pub const CHECK_SPACING: Duration = Duration::from_secs(1);

/// How long a node that is alone waits before it tries again.
const ALONE: BackoffPolicy = BackoffPolicy { initial: Duration::from_secs(2), cap: Duration::from_secs(60) };

/// Something to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chore {
    /// Look ourselves up.
    Join,
    /// Look up something in this bucket.
    Fill {
        /// Bits that it shares with us.
        bits: usize,
    },
    /// Ask the contact that is due.
    Check,
    /// Ask one of the configured ways in.
    Bootstrap,
}

/// When it is time for what.
#[derive(Debug)]
pub(super) struct Upkeep {
    join_at: Instant,
    joined_at: Option<Instant>,
    check_at: Instant,
    bootstrap_at: Instant,
    /// Buckets that are to be filled, one after the other.
    to_fill: Vec<usize>,
    /// A join or a filling is under way.
    is_looking: bool,
    alone: Backoff,
}

impl Upkeep {
    pub(super) fn new(now: Instant) -> Self {
        Upkeep {
            join_at: now,
            joined_at: None,
            check_at: now,
            bootstrap_at: now + BOOTSTRAP_INTERVAL,
            to_fill: Vec::new(),
            is_looking: false,
            alone: Backoff::new(ALONE),
        }
    }

    /// The next thing to be done by now; it counts as begun.
    pub(super) fn due(&mut self, now: Instant, rng: &mut Rng) -> Option<Chore> {
        if self.join_at <= now && !self.is_looking {
            self.is_looking = true;
            return Some(Chore::Join);
        }
        if !self.is_looking
            && let Some(bits) = self.to_fill.pop()
        {
            self.is_looking = true;
            return Some(Chore::Fill { bits });
        }
        if self.bootstrap_at <= now {
            self.bootstrap_at = now + about(BOOTSTRAP_INTERVAL, rng);
            return Some(Chore::Bootstrap);
        }
        if self.check_at <= now {
            self.check_at = now + CHECK_SPACING;
            return Some(Chore::Check);
        }
        None
    }

    /// When something is to be done next. `contact_due` is when a contact is to be asked.
    pub(super) fn next_timeout(&self, contact_due: Option<Instant>) -> Instant {
        let check = contact_due.map(|due| due.max(self.check_at));
        let look = match (self.is_looking, self.to_fill.is_empty()) {
            (true, _) => None,
            (false, true) => Some(self.join_at),
            // At once: one follows the other.
            (false, false) => Some(Instant::default()),
        };
        check.into_iter().chain(look).fold(self.bootstrap_at, Instant::min)
    }

    /// A join has ended with so many contacts; of these buckets, the ones that are not full are to be filled.
    pub(super) fn joined(
        &mut self,
        contacts: usize,
        buckets: impl Iterator<Item = (usize, bool)>,
        now: Instant,
        rng: &mut Rng,
    ) {
        self.is_looking = false;
        if contacts == 0 {
            self.join_at = now + self.alone.next_wait(rng);
            return;
        }
        self.alone.reset();
        self.join_at = now + about(REJOIN_INTERVAL, rng);
        if self.joined_at.replace(now).is_none() {
            self.to_fill = buckets.filter(|(_, full)| !full).map(|(bits, _)| bits).collect();
        }
    }

    /// The filling of a bucket has ended.
    pub(super) fn filled(&mut self) {
        self.is_looking = false;
    }

    /// Someone new is among those closest to us.
    pub(super) fn new_neighbour(&mut self, now: Instant, rng: &mut Rng) {
        let Some(joined) = self.joined_at else { return };
        let soon = (joined + REJOIN_SOON).max(now) + about(REJOIN_SOON / 4, rng);
        self.join_at = self.join_at.min(soon);
    }

    /// Someone has found us while we were alone, or we have another id: look ourselves up now.
    pub(super) fn join_now(&mut self, now: Instant) {
        self.join_at = self.join_at.min(now);
    }
}

/// Give or take a tenth, so that nodes that started together do not stay together.
fn about(span: Duration, rng: &mut Rng) -> Duration {
    span.mul_f64(rng.random_range(0.9..1.1))
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    fn chores(upkeep: &mut Upkeep, now: Instant, rng: &mut Rng) -> Vec<Chore> {
        std::iter::from_fn(|| upkeep.due(now, rng)).collect()
    }

    #[test]
    fn first_it_joins_and_then_fills_its_buckets_one_by_one() {
        let (mut upkeep, mut rng) = (Upkeep::new(at(0)), Rng::seed_from_u64(1));
        assert_eq!(chores(&mut upkeep, at(0), &mut rng), [Chore::Join, Chore::Check]);
        upkeep.joined(9, [(0, true), (1, false), (2, false)].into_iter(), at(1), &mut rng);
        assert_eq!(upkeep.next_timeout(None), at(0));
        assert_eq!(chores(&mut upkeep, at(1), &mut rng), [Chore::Fill { bits: 2 }, Chore::Check]);
        upkeep.filled();
        assert_eq!(upkeep.due(at(1), &mut rng), Some(Chore::Fill { bits: 1 }));
        upkeep.filled();
        // Later joins fill nothing: checks do.
        let again = upkeep.join_at;
        assert!(again >= at(1 + 13 * 60) && again <= at(1 + 17 * 60));
        assert!(chores(&mut upkeep, again, &mut rng).contains(&Chore::Join));
        upkeep.joined(9, [(1, false)].into_iter(), again, &mut rng);
        assert!(upkeep.to_fill.is_empty());
    }

    #[test]
    fn who_is_alone_tries_again_ever_more_seldom() {
        let (mut upkeep, mut rng) = (Upkeep::new(at(0)), Rng::seed_from_u64(1));
        let (mut now, mut waits) = (at(0), Vec::new());
        for _ in 0..8 {
            assert_eq!(upkeep.due(now, &mut rng), Some(Chore::Join));
            upkeep.joined(0, std::iter::empty(), now, &mut rng);
            waits.push((upkeep.join_at - now).as_secs_f64());
            now = upkeep.join_at;
        }
        assert!(waits[0] <= 2.0 && waits[7] >= 30.0 && waits[7] <= 60.0, "{waits:?}");
        upkeep.join_now(at(3));
        assert_eq!(upkeep.join_at, at(3));
    }

    #[test]
    fn a_new_neighbour_is_a_reason_to_look_but_not_all_the_time() {
        let (mut upkeep, mut rng) = (Upkeep::new(at(0)), Rng::seed_from_u64(1));
        upkeep.new_neighbour(at(0), &mut rng);
        assert_eq!(upkeep.due(at(0), &mut rng), Some(Chore::Join));
        upkeep.joined(9, std::iter::empty(), at(10), &mut rng);
        (10..30).for_each(|second| upkeep.new_neighbour(at(second), &mut rng));
        assert!(upkeep.join_at >= at(70) && upkeep.join_at <= at(90), "{:?}", upkeep.join_at);
    }

    #[test]
    fn contacts_are_asked_with_a_pause_between() {
        let (mut upkeep, mut rng) = (Upkeep::new(at(0)), Rng::seed_from_u64(1));
        chores(&mut upkeep, at(0), &mut rng);
        assert_eq!(upkeep.next_timeout(Some(at(0))), at(0) + CHECK_SPACING);
        assert_eq!(upkeep.next_timeout(Some(at(9))), at(9));
        assert_eq!(upkeep.next_timeout(None), at(0) + BOOTSTRAP_INTERVAL);
    }
}
