//! Signs of life on one link, for whoever looks at its health.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;

use crate::env::Instant;

/// How a link is, as its operator may see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vitals {
    /// When something last came.
    pub heard: Instant,
    /// How long the last ping took there and back, both ends' queues included; `None` until one has.
    pub round_trip: Option<Duration>,
}

/// Written by a link's session and read by others. Nanoseconds; 0 is never.
#[derive(Default)]
pub(super) struct Pulse {
    heard: AtomicU64,
    pinged: AtomicU64,
    round_trip: AtomicU64,
}

impl Pulse {
    /// Something came.
    pub(super) fn hear(&self, now: Instant) {
        self.heard.store(now.as_nanos(), Ordering::Relaxed);
    }

    /// What a ping that is sent now holds.
    pub(super) fn ping(&self, now: Instant) -> Bytes {
        self.pinged.store(now.as_nanos(), Ordering::Relaxed);
        Bytes::copy_from_slice(&now.as_nanos().to_be_bytes())
    }

    /// A pong came. Only the answer to the last ping counts: others may hold anything.
    pub(super) fn pong(&self, now: Instant, payload: &[u8]) {
        let pinged = self.pinged.load(Ordering::Relaxed);
        if pinged != 0 && payload == pinged.to_be_bytes() {
            self.pinged.store(0, Ordering::Relaxed);
            let nanos = now.as_nanos().saturating_sub(pinged).max(1);
            self.round_trip.store(nanos, Ordering::Relaxed);
        }
    }

    /// How the link is. Until something comes, `up` is what was heard last: the introduction.
    pub(super) fn vitals(&self, up: Instant) -> Vitals {
        let heard = Instant::from_nanos(self.heard.load(Ordering::Relaxed)).max(up);
        let round_trip = self.round_trip.load(Ordering::Relaxed);
        Vitals { heard, round_trip: (round_trip != 0).then(|| Duration::from_nanos(round_trip)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answer_to_the_last_ping_counts() {
        let (pulse, at) = (Pulse::default(), |millis: u64| Instant::from_nanos(millis * 1_000_000));
        let round_trip = |pulse: &Pulse| pulse.vitals(at(1)).round_trip;
        let old = pulse.ping(at(10));
        let new = pulse.ping(at(20));
        pulse.pong(at(25), &old);
        pulse.pong(at(25), b"");
        assert_eq!(round_trip(&pulse), None);
        pulse.pong(at(27), &new);
        pulse.pong(at(99), &new);
        pulse.pong(at(99), &[0; 8]);
        assert_eq!(round_trip(&pulse), Some(Duration::from_millis(7)));
        assert_eq!(pulse.vitals(at(1)).heard, at(1), "it has introduced itself");
        pulse.hear(at(30));
        assert_eq!(pulse.vitals(at(1)).heard, at(30));
    }
}
