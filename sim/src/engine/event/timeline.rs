//! Virtual time: one heap of what is still to happen, in order of (nanosecond, order of scheduling).

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::task::{Context, Poll, Waker};

use super::pool::{Key, Pool};

/// Cancelled timers stay in the heap until they are more than half of it, and more than this many.
const CANCELLED_TIMERS_MIN: usize = 1024;

/// A sleep until the end of the clock's range never ends, and is no event.
const NEVER: u64 = u64::MAX;

/// One of the two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Side {
    tagged: u32,
    generation: u32,
}

impl Side {
    /// `end` is 0 for the end that dialled, 1 for the one that accepted.
    pub(super) fn new(connection: Key, end: usize) -> Self {
        Self { tagged: connection.index << 1 | end as u32, generation: connection.generation }
    }

    pub(super) fn connection(self) -> Key {
        Key { index: self.tagged >> 1, generation: self.generation }
    }

    pub(super) fn end(self) -> usize {
        (self.tagged & 1) as usize
    }

    pub(super) fn other(self) -> Self {
        Self { tagged: self.tagged ^ 1, ..self }
    }

    /// For traces.
    pub(super) fn id(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.tagged)
    }
}

/// What a segment carries besides bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags {
    /// The last segment of the handshake: the accepting side learns of the connection.
    pub(super) open: bool,
    /// Nothing follows.
    pub(super) fin: bool,
    /// Asks whether anybody is there.
    pub(super) probe: bool,
}

impl Flags {
    pub(super) const OPEN: Self = Self { open: true, fin: false, probe: false };
    pub(super) const FIN: Self = Self { open: false, fin: true, probe: false };
    pub(super) const PROBE: Self = Self { open: false, fin: false, probe: true };

    pub(super) fn add(&mut self, other: Self) {
        self.open |= other.open;
        self.fin |= other.fin;
        self.probe |= other.probe;
    }
}

/// Something that is to happen.
#[derive(Debug)]
pub(super) enum Event {
    /// A sleep is over.
    Timer(Key),
    /// A segment sent by the side at `sent` arrives at the other.
    Segment { from: Side, bytes: u32, flags: Flags, sent: u64 },
    /// The side learns that the other has read `bytes`.
    Credit { to: Side, bytes: u32 },
    /// A reset arrives at the side.
    Reset { to: Side },
    /// "I know no such stream" arrives at the side, whose translator has forgotten it.
    Unknown { to: Side },
    /// What the side sent at `since` is retransmitted.
    Retransmit { from: Side, since: u64 },
    /// What the side sent at `since` was retransmitted long enough.
    GiveUp { from: Side, since: u64 },
    /// The first packet of a dial arrives.
    Syn(Key),
    /// A dial without answer is tried again.
    SynRetry(Key),
    /// The listener's answer reaches the dialler.
    SynAck(Key),
    /// "Nothing listens" reaches the dialler.
    Refused(Key),
    /// A datagram arrives.
    Datagram(Key),
    /// A core of this host is free again.
    CoreFree(u32),
    /// A disk is done with what these tasks wait for.
    DiskDone(u32),
}

/// A sleep that has begun.
struct Timer {
    waker: Option<Waker>,
    /// Whose clock it goes by.
    host: u32,
    /// The virtual time at which it fires.
    at: u64,
}

struct Entry {
    at: u64,
    sequence: u64,
    event: Event,
}

const _: () = assert!(size_of::<Entry>() == 40, "heap entries are moved a lot");

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.sequence == other.sequence
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    /// Reversed: the heap gives the greatest first, and the earliest is wanted.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

#[derive(Default)]
pub(super) struct Timeline {
    pub(super) now: u64,
    sequence: u64,
    heap: BinaryHeap<Entry>,
    timers: Pool<Timer>,
    cancelled: usize,
}

impl Timeline {
    /// Schedules `event`; never before now.
    pub(super) fn at(&mut self, at: u64, event: Event) {
        self.sequence += 1;
        self.heap.push(Entry { at: at.max(self.now), sequence: self.sequence, event });
    }

    /// The next thing to happen; time moves to it.
    pub(super) fn advance(&mut self) -> Option<Event> {
        loop {
            let Entry { at, event, .. } = self.heap.pop()?;
            if let Event::Timer(key) = event
                && self.timers.get(key).is_none()
            {
                self.cancelled -= 1;
                continue;
            }
            self.now = at;
            return Some(event);
        }
    }

    /// Polls a sleep by the clock of `host` until the virtual time `at`. Its timer, once there is one, is `key`; one that
    /// was set before the host's clock was changed is set anew.
    pub(super) fn poll_sleep(
        &mut self,
        key: &mut Option<Key>,
        (host, at): (u32, u64),
        context: &Context<'_>,
    ) -> Poll<()> {
        if self.now >= at {
            self.cancel(key.take());
            return Poll::Ready(());
        }
        if key.and_then(|key| self.timers.get(key)).is_some_and(|timer| timer.at != at) {
            self.cancel(key.take());
        }
        if at == NEVER {
            return Poll::Pending;
        }
        match key.and_then(|key| self.timers.get_mut(key)) {
            Some(Timer { waker: Some(waker), .. }) => waker.clone_from(context.waker()),
            Some(timer) => timer.waker = Some(context.waker().clone()),
            None => {
                let timer = self.timers.insert(Timer { waker: Some(context.waker().clone()), host, at });
                *key = Some(timer);
                self.at(at, Event::Timer(timer));
            }
        }
        Poll::Pending
    }

    /// Has all who sleep by the clock of `host` look at it again: it runs otherwise from now on.
    pub(super) fn wake_sleepers(&mut self, host: u32) {
        for key in self.timers.keys_where(|timer| timer.host == host) {
            if let Some(waker) = self.timers.get(key).and_then(|timer| timer.waker.as_ref()) {
                waker.wake_by_ref();
            }
        }
    }

    /// Forgets a timer whose sleep is gone.
    pub(super) fn cancel(&mut self, key: Option<Key>) {
        if key.and_then(|key| self.timers.remove(key)).is_none() {
            return;
        }
        self.cancelled += 1;
        if self.cancelled > CANCELLED_TIMERS_MIN && self.cancelled > self.heap.len() / 2 {
            let timers = &self.timers;
            self.heap.retain(|entry| match entry.event {
                Event::Timer(key) => timers.get(key).is_some(),
                _ => true,
            });
            self.cancelled = 0;
        }
    }

    /// Takes the waker of a timer that fires, and frees the timer.
    pub(super) fn fire(&mut self, key: Key) -> Option<Waker> {
        self.timers.remove(key).and_then(|timer| timer.waker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_in_the_order_of_scheduling() {
        let mut timeline = Timeline::default();
        let key = |index| Key { index, generation: 0 };
        timeline.at(20, Event::Syn(key(1)));
        timeline.at(10, Event::Syn(key(2)));
        timeline.at(20, Event::Syn(key(3)));
        let mut order = Vec::new();
        while let Some(Event::Syn(key)) = timeline.advance() {
            order.push((timeline.now, key.index));
        }
        assert_eq!(order, [(10, 2), (20, 1), (20, 3)]);
    }

    #[test]
    fn a_thousand_times_reset_timer_does_not_fill_the_heap() {
        let mut timeline = Timeline::default();
        let context = Context::from_waker(Waker::noop());
        for round in 0..100_000 {
            let mut key = None;
            assert!(timeline.poll_sleep(&mut key, (0, 1_000_000 + round), &context).is_pending());
            timeline.cancel(key);
        }
        assert!(timeline.heap.len() <= 2 * CANCELLED_TIMERS_MIN, "{}", timeline.heap.len());
        assert!(timeline.advance().is_none(), "nothing is left to happen");
        assert_eq!(timeline.now, 0, "cancelled timers do not move time");
    }

    #[test]
    fn a_timer_moves_with_its_sleep() {
        let mut timeline = Timeline::default();
        let context = Context::from_waker(Waker::noop());
        let mut key = None;
        for at in [100, 50, NEVER, 70] {
            assert!(timeline.poll_sleep(&mut key, (0, at), &context).is_pending());
        }
        assert!(matches!(timeline.advance(), Some(Event::Timer(timer)) if Some(timer) == key));
        assert_eq!(timeline.now, 70);
        assert!(timeline.poll_sleep(&mut key, (0, 70), &context).is_ready());
        assert!(timeline.advance().is_none());
    }
}
