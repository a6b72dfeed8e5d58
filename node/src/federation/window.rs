//! How many calls may be under way over one link: a window that follows the time that they spend on the way.
//!
//! Whoever answers a call says how long it had it ([`Response::waited`](crate::wire::Response)). What is left of the
//! time until the answer is the way there and back: queues at both ends, the network, the neighbour's own tardiness. In
//! the manner of TCP Vegas the shortest such time of late is what the way takes when nothing waits, and what is above it
//! is waiting. When answers have waited too long for a while, the window shuts to what the link really carries; it
//! opens again, in steps of a round trip, once there is no waiting. So a neighbour that is offered more than it can
//! do has a short queue, and what is too much is refused at the edge, where that costs the neighbour nothing. A slow
//! service shuts nothing: its time is not the way's.

use std::time::Duration;

use crate::env::Instant;

/// Waiting that is put up with on the way, in milliseconds: by a node whose own clients call, and by one that mostly
/// hands on, which lets the nodes before it be the first to refuse. Half of it is the point up to which a window opens.
const WAITING_MILLIS: u64 = 100;
const WAITING_OF_OTHERS_MILLIS: u64 = 400;

/// For so long the smoothed waiting must be longer before a window shuts, in milliseconds. A lost packet delays a link
/// by less, and what it held back arrives at once.
const PATIENCE_MILLIS: u64 = 500;

/// The weight of one answer in the smoothed time: an eighth, as in TCP (RFC 6298).
const SMOOTHING: u32 = 8;

/// A window does not shut further: a link that carries so little is not worth guarding, and thousands of Homes with
/// so many calls each still leave their Main a queue that it can work off.
const CALLS_MIN: usize = 4;

/// Room for calls of a priority above 0, in windows: a window that shuts by half is at once half overdrawn by the calls
/// before, and these are still to leave.
const URGENT_FACTOR: usize = 4;

/// A window opens by this share of itself at a time: an eighth.
const OPENING_SHARE: usize = 8;

/// How long the shortest time on the way is remembered at least, in seconds; at most twice as long. Ways change.
const MEMORY_SECONDS: u64 = 60;

/// A window in which there was room for so long is no longer needed, in seconds.
const UNUSED_SECONDS: u64 = 30;

/// The smallest and the largest retry hint, in milliseconds.
const HINT_MILLIS: (u64, u64) = (50, 2_000);

/// The window of one link.
#[derive(Clone, Debug)]
pub(super) struct Window {
    /// Waiting that is put up with.
    waiting: Duration,
    /// Calls of priority 0 that may be under way; no limit where nothing was ever late.
    calls: Option<usize>,
    /// When it last changed: only calls that left after that say anything about it.
    changed: Instant,
    /// When a call was last refused for it.
    refused: Option<Instant>,
    /// The time on the way, smoothed.
    smoothed: Option<Duration>,
    /// Since when that was too long.
    late_since: Option<Instant>,
    /// The shortest time on the way: in the span of memory that runs, and in the one before.
    shortest: [Option<Duration>; 2],
    span_since: Instant,
}

impl Window {
    /// A window that is wide open. `edge`: the calls are those of this node's own clients.
    pub(super) fn new(edge: bool) -> Self {
        Window {
            waiting: Duration::from_millis(if edge { WAITING_MILLIS } else { WAITING_OF_OTHERS_MILLIS }),
            calls: None,
            changed: Instant::default(),
            refused: None,
            smoothed: None,
            late_since: None,
            shortest: [None, None],
            span_since: Instant::default(),
        }
    }

    /// Whether one more call may leave while `under_way` are. A higher priority finds four times the room and a lower one half
    /// of it, so that the lowest is refused first.
    ///
    /// # Errors
    /// When the window is full: how long to wait before trying again.
    pub(super) fn admit(&mut self, under_way: usize, priority: i64, now: Instant) -> Result<(), Duration> {
        let Some(calls) = self.calls else { return Ok(()) };
        let room = match priority {
            ..0 => calls.div_ceil(2),
            0 => calls,
            1.. => calls * URGENT_FACTOR,
        };
        if under_way < room {
            return Ok(());
        }
        self.refused = Some(now);
        let (least, most) = HINT_MILLIS;
        let way = self.shortest().unwrap_or_default() + self.waiting;
        Err(way.clamp(Duration::from_millis(least), Duration::from_millis(most)))
    }

    /// A call that left at `sent` was answered, and spent `way` of the time since then on the way. `under_way` counts it.
    pub(super) fn answered(&mut self, way: Duration, sent: Instant, under_way: usize, now: Instant) {
        self.remember(way, now);
        if sent < self.changed {
            return;
        }
        let shortest = self.shortest().unwrap_or(way);
        let accepted = shortest + self.waiting;
        let smoothed = self.smoothed.map_or(way, |smoothed| (smoothed * (SMOOTHING - 1) + way) / SMOOTHING);
        self.smoothed = Some(smoothed);
        if smoothed > accepted {
            let since = *self.late_since.get_or_insert(now);
            if now - since >= Duration::from_millis(PATIENCE_MILLIS) && under_way > CALLS_MIN {
                self.shut(under_way, accepted.as_secs_f64() / smoothed.as_secs_f64(), now);
            }
            return;
        }
        self.late_since = None;
        let Some(calls) = self.calls else { return };
        match self.refused {
            // Only a window that stood in the way has to open: by a share for each round trip.
            Some(refused) if refused >= self.changed && smoothed <= shortest + self.waiting / 2 => {
                self.calls = Some(calls + calls.div_ceil(OPENING_SHARE));
                self.changed = now;
            }
            Some(refused) if refused >= self.changed => {}
            _ if now - self.changed > Duration::from_secs(UNUSED_SECONDS) => self.calls = None,
            _ => {}
        }
    }

    /// The neighbour itself says that this is too much.
    pub(super) fn told_too_much(&mut self, sent: Instant, under_way: usize, now: Instant) {
        if sent >= self.changed {
            self.shut(under_way, 0.75, now);
        }
    }

    /// By Little's law calls under way and their time go together: so many are left as give the time that is wanted.
    fn shut(&mut self, under_way: usize, share: f64, now: Instant) {
        let calls = self.calls.map_or(under_way, |calls| calls.min(under_way));
        let left = (calls as f64 * share.clamp(0.25, 0.95)) as usize;
        self.calls = Some(left.max(CALLS_MIN));
        self.changed = now;
        (self.late_since, self.smoothed) = (None, None);
    }

    fn shortest(&self) -> Option<Duration> {
        self.shortest.iter().flatten().min().copied()
    }

    fn remember(&mut self, way: Duration, now: Instant) {
        if now - self.span_since >= Duration::from_secs(MEMORY_SECONDS) {
            self.shortest = [None, self.shortest[0]];
            self.span_since = now;
        }
        self.shortest[0] = Some(self.shortest[0].map_or(way, |shortest| shortest.min(way)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::default() + ms(millis)
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Answers every 10 ms from `from` to `to`, each after `way`.
    fn answers(window: &mut Window, from: u64, to: u64, way: u64, under_way: usize) {
        for now in (from..to).step_by(10) {
            window.answered(ms(way), at(now.saturating_sub(way)), under_way, at(now));
        }
    }

    fn room(window: &mut Window, priority: i64, now: u64) -> usize {
        (0..10_000).take_while(|under_way| window.admit(*under_way, priority, at(now)).is_ok()).count()
    }

    #[test]
    fn a_link_that_keeps_up_has_no_window() {
        let mut window = Window::new(true);
        answers(&mut window, 0, 10_000, 20, 500);
        assert_eq!(room(&mut window, -5, 10_000), 10_000);
    }

    #[test]
    fn a_window_shuts_to_what_the_link_carries_when_all_is_late_for_long() {
        let mut window = Window::new(true);
        answers(&mut window, 0, 1_000, 20, 100);
        // Twice as long as it may take: half as many.
        answers(&mut window, 1_000, 1_540, 240, 100);
        assert_eq!(room(&mut window, 0, 1_540), 10_000, "not for long enough yet");
        answers(&mut window, 1_540, 1_570, 240, 100);
        assert_eq!(room(&mut window, 0, 1_570), 50);
        assert_eq!((room(&mut window, 1, 1_570), room(&mut window, -1, 1_570)), (200, 25));
        let hint = window.admit(50, 0, at(1_570)).unwrap_err();
        assert_eq!(hint, ms(120), "the way, and the waiting on it");
        // What left before says nothing new.
        answers(&mut window, 1_570, 1_750, 240, 50);
        assert_eq!(room(&mut window, 0, 1_750), 50);
    }

    #[test]
    fn a_stall_that_ends_shuts_nothing() {
        let mut window = Window::new(true);
        answers(&mut window, 0, 1_000, 20, 100);
        // Nothing for three seconds; then all of it at once, and on as before.
        for sent in (1_000..4_000).step_by(10) {
            window.answered(ms(4_000 - sent), at(sent), 100, at(4_000));
        }
        answers(&mut window, 4_010, 6_000, 20, 100);
        assert_eq!(room(&mut window, 0, 6_000), 10_000);
    }

    #[test]
    fn few_calls_are_never_refused() {
        let mut window = Window::new(true);
        answers(&mut window, 0, 1_000, 20, 3);
        answers(&mut window, 1_000, 60_000, 5_000, CALLS_MIN);
        assert_eq!(room(&mut window, 0, 60_000), 10_000);
    }

    #[test]
    fn a_window_opens_while_it_is_in_the_way_and_goes_when_it_is_not() {
        let mut window = Window::new(true);
        answers(&mut window, 0, 1_000, 20, 100);
        answers(&mut window, 1_000, 2_000, 240, 100);
        let shut = room(&mut window, 0, 2_000);
        assert!(shut < 100, "{shut}");
        for second in 2..5 {
            assert!(window.admit(9_999, 0, at(second * 1_000)).is_err());
            answers(&mut window, second * 1_000 + 30, second * 1_000 + 1_000, 20, shut);
        }
        let open = room(&mut window, 0, 5_000);
        assert!(open > shut, "{open}");
        answers(&mut window, 5_000, 5_030, 20, 20);
        answers(&mut window, 5_030, 40_000, 20, 20);
        assert_eq!(room(&mut window, 0, 40_000), 10_000);
    }

    #[test]
    fn a_longer_way_is_learnt() {
        let mut window = Window::new(true);
        answers(&mut window, 0, 1_000, 20, 100);
        answers(&mut window, 1_000, 200_000, 400, 100);
        let shut = room(&mut window, 0, 200_000);
        answers(&mut window, 200_001, 240_000, 400, 100);
        assert_eq!(room(&mut window, 0, 240_000), 10_000, "it was {shut}");
    }

    #[test]
    fn a_refusal_by_the_neighbour_counts_once_for_each_round_trip() {
        let mut window = Window::new(true);
        answers(&mut window, 0, 1_000, 20, 100);
        for now in 1_000..1_020 {
            window.told_too_much(at(now - 20), 100, at(now));
        }
        assert_eq!(room(&mut window, 0, 1_020), 75);
    }
}
