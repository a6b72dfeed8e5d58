//! Which events of a run are kept, and what is kept with them.

use std::ops::Range;

use super::names::Names;
use super::{CHECKPOINT_EVENTS, Event, Kind};

/// Events that a window has before the stretch that it is for: they are shown with what differs.
const BEFORE_EVENTS: u64 = 16;

/// Events that a window has after it.
const AFTER_EVENTS: u64 = 16;

/// Which events of a run are kept. The hash covers all of them in any case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// None.
    #[default]
    Nothing,
    /// All of them, 48 bytes each.
    All,
    /// Those whose numbers, counted from 0, are in this range.
    Window(Range<u64>),
}

impl From<bool> for Keep {
    /// All or nothing.
    fn from(all: bool) -> Self {
        if all { Keep::All } else { Keep::Nothing }
    }
}

/// The events among which two runs part, by their [`checkpoints`](super::Trace::checkpoints): from the last that both
/// have in common to the next.
pub fn window_of(left: &[u64], right: &[u64]) -> Range<u64> {
    let common = left.iter().zip(right).take_while(|(one, other)| one == other).count() as u64;
    let start = common * CHECKPOINT_EVENTS;
    start.saturating_sub(BEFORE_EVENTS)..start + CHECKPOINT_EVENTS + AFTER_EVENTS
}

/// What a recording trace keeps on top of the hash.
#[derive(Debug, Default)]
pub(super) struct Kept {
    wanted: Range<u64>,
    /// The events wanted, in order.
    pub(super) events: Vec<Event>,
    /// The last remark and the last fault before them.
    pub(super) before: [Option<Event>; 2],
    pub(super) names: Names,
}

impl Kept {
    pub(super) fn new(keep: Keep) -> Option<Self> {
        let wanted = match keep {
            Keep::Nothing => return None,
            Keep::All => 0..u64::MAX,
            Keep::Window(wanted) => wanted,
        };
        Some(Kept { wanted, ..Kept::default() })
    }

    /// The number of the first event kept.
    pub(super) fn first(&self) -> u64 {
        self.wanted.start
    }

    /// The event of this number has happened.
    pub(super) fn take(&mut self, number: u64, event: Event) {
        if number < self.wanted.end {
            self.names.learn(&event);
        }
        if self.wanted.contains(&number) {
            self.events.push(event);
        } else if number < self.wanted.start {
            match event.kind {
                Kind::Note => self.before[0] = Some(event),
                Kind::Fault => self.before[1] = Some(event),
                _ => {}
            }
        }
    }
}
