//! Queries that wait for their answers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use rand::Rng as _;

use crate::env::{Instant, Rng};

use super::contact::Contact;
use super::id::Id;

/// Queries that wait at the same time. A further one counts as unanswered at once.
pub const TRANSACTIONS_MAX: usize = 1_024;

/// A query that is not answered for so long is sent once more, and another may be asked beside it.
pub const SLOW_AFTER: Duration = Duration::from_secs(1);

/// A query that is not answered for so long will not be.
pub const LOST_AFTER: Duration = Duration::from_secs(3);

/// Length of our transaction ids: too many for a stranger to guess.
pub(super) const TRANSACTION_BYTES: usize = 4;

/// What an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To see whether someone is there.
    Check,
    /// A step of a lookup: of which operation, and which of its walks.
    Step { operation: u64, walk: usize },
    /// An item or an announcement of an operation.
    Store { operation: u64 },
}

/// A query that waits.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) to: SocketAddr,
    /// Who should answer, where that is known.
    pub(super) id: Option<Id>,
    pub(super) purpose: Purpose,
    /// The datagram, for as long as it may be sent again.
    again: Option<Vec<u8>>,
    sent: Instant,
    timer: Instant,
}

/// What time does to a query.
#[derive(Debug)]
pub(super) enum Overdue {
    /// It is slow; send this again, where it says so.
    Slow { waiting: Waiting, datagram: Option<Vec<u8>> },
    /// There will be no answer.
    Lost(Waiting),
}

/// All that wait.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    waiting: BTreeMap<[u8; TRANSACTION_BYTES], Waiting>,
    timers: BTreeSet<(Instant, [u8; TRANSACTION_BYTES])>,
    checks: usize,
}

impl Waiting {
    /// Who was asked, where that is known.
    pub(super) fn contact(&self) -> Option<Contact> {
        self.id.map(|id| Contact { id, address: self.to })
    }
}

/// A query to be opened.
#[derive(Clone, Copy)]
pub(super) struct Opening {
    pub(super) to: SocketAddr,
    pub(super) id: Option<Id>,
    pub(super) purpose: Purpose,
    /// Whether it does no harm when it arrives twice.
    pub(super) repeatable: bool,
}

impl Transactions {
    /// Notes a query; `build` makes its datagram of its transaction id. `None` where too many wait.
    pub(super) fn open(
        &mut self,
        opening: Opening,
        now: Instant,
        rng: &mut Rng,
        build: impl FnOnce(&[u8]) -> Vec<u8>,
    ) -> Option<Vec<u8>> {
        if self.waiting.len() >= TRANSACTIONS_MAX {
            return None;
        }
        let mut transaction = [0; TRANSACTION_BYTES];
        rng.fill_bytes(&mut transaction);
        while self.waiting.contains_key(&transaction) {
            rng.fill_bytes(&mut transaction);
        }
        let datagram = build(&transaction);
        let timer = now + SLOW_AFTER;
        let Opening { to, id, purpose, repeatable } = opening;
        let again = repeatable.then(|| datagram.clone());
        self.waiting.insert(transaction, Waiting { to, id, purpose, again, sent: now, timer });
        self.timers.insert((timer, transaction));
        self.checks += usize::from(purpose == Purpose::Check);
        Some(datagram)
    }

    /// The query that this answer is for: the transaction is of ours, and it comes from whom we asked.
    pub(super) fn close(&mut self, transaction: &[u8], from: SocketAddr) -> Option<Waiting> {
        let transaction = transaction.try_into().ok()?;
        if self.waiting.get(&transaction)?.to != from {
            return None;
        }
        self.take(transaction)
    }

    /// Forgets what waits for an operation.
    pub(super) fn abandon(&mut self, operation: u64) {
        let of_it = |waiting: &Waiting| match waiting.purpose {
            Purpose::Check => false,
            Purpose::Step { operation: of, .. } | Purpose::Store { operation: of } => of == operation,
        };
        let all: Vec<_> =
            self.waiting.iter().filter(|(_, waiting)| of_it(waiting)).map(|(key, _)| *key).collect();
        all.into_iter().for_each(|transaction| drop(self.take(transaction)));
    }

    /// Queries that only see whether someone is there.
    pub(super) fn checks(&self) -> usize {
        self.checks
    }

    /// Queries that wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether something was asked of this address that is not answered yet.
    pub(super) fn is_asking(&self, address: SocketAddr) -> bool {
        self.waiting.values().any(|waiting| waiting.to == address)
    }

    /// When the next query is slow or lost.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.timers.first().map(|(timer, _)| *timer)
    }

    /// The next query that is slow or lost by now.
    pub(super) fn overdue(&mut self, now: Instant) -> Option<Overdue> {
        let (timer, transaction) = self.timers.first().copied().filter(|(timer, _)| *timer <= now)?;
        let waiting = self.waiting.get_mut(&transaction)?;
        let lost = waiting.sent + LOST_AFTER;
        if timer >= lost {
            return self.take(transaction).map(Overdue::Lost);
        }
        self.timers.remove(&(timer, transaction));
        waiting.timer = lost;
        self.timers.insert((lost, transaction));
        let datagram = waiting.again.take();
        Some(Overdue::Slow { waiting: waiting.clone(), datagram })
    }

    fn take(&mut self, transaction: [u8; TRANSACTION_BYTES]) -> Option<Waiting> {
        let waiting = self.waiting.remove(&transaction)?;
        self.timers.remove(&(waiting.timer, transaction));
        self.checks -= usize::from(waiting.purpose == Purpose::Check);
        Some(waiting)
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    fn peer(port: u16) -> SocketAddr {
        SocketAddr::from(([198, 51, 100, 7], port))
    }

    fn opening(port: u16, purpose: Purpose, repeatable: bool) -> Opening {
        Opening { to: peer(port), id: None, purpose, repeatable }
    }

    #[test]
    fn an_answer_is_of_whom_was_asked_and_counts_once() {
        let (mut all, mut rng) = (Transactions::default(), Rng::seed_from_u64(1));
        let transaction =
            all.open(opening(1, Purpose::Check, true), at(0), &mut rng, <[u8]>::to_vec).unwrap();
        assert!(all.is_asking(peer(1)) && !all.is_asking(peer(2)));
        assert_eq!(all.checks(), 1);
        assert!(all.close(&transaction, peer(2)).is_none());
        assert!(all.close(&transaction[..3], peer(1)).is_none());
        assert!(all.close(&transaction, peer(1)).is_some());
        assert!(all.close(&transaction, peer(1)).is_none());
        assert_eq!((all.len(), all.checks(), all.next_timeout()), (0, 0, None));
    }

    #[test]
    fn a_slow_query_is_sent_again_once_where_that_does_no_harm() {
        for repeatable in [true, false] {
            let (mut all, mut rng) = (Transactions::default(), Rng::seed_from_u64(1));
            let purpose = Purpose::Store { operation: 1 };
            let sent = all.open(opening(1, purpose, repeatable), at(0), &mut rng, <[u8]>::to_vec).unwrap();
            assert!(all.overdue(at(999)).is_none());
            match all.overdue(at(1_000)) {
                Some(Overdue::Slow { datagram, .. }) => assert_eq!(datagram, repeatable.then_some(sent)),
                other => panic!("{other:?}"),
            }
            assert!(all.overdue(at(2_999)).is_none());
            assert_eq!(all.next_timeout(), Some(at(3_000)));
            assert!(matches!(all.overdue(at(3_000)), Some(Overdue::Lost(_))));
            assert!(all.overdue(at(9_000)).is_none());
        }
    }

    #[test]
    fn there_is_an_end_to_what_waits() {
        let (mut all, mut rng) = (Transactions::default(), Rng::seed_from_u64(1));
        let mut open = |operation| {
            let purpose = Purpose::Step { operation, walk: 0 };
            all.open(opening(1, purpose, false), at(0), &mut rng, <[u8]>::to_vec).is_some()
        };
        assert_eq!((0..2_000).filter(|number| open(number % 2)).count(), TRANSACTIONS_MAX);
        all.abandon(0);
        assert_eq!((all.len(), all.timers.len()), (TRANSACTIONS_MAX / 2, TRANSACTIONS_MAX / 2));
    }
}
