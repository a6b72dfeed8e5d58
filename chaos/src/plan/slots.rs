//! When something is wrong with whom, whatever it is.

use std::time::Duration;

use super::{Phases, Shape};
use crate::{Share, Stream};

/// How long a slot lasts, in seconds: below and beyond the times in which a relay notices that a link is dead.
const LENGTHS_SECONDS: [u64; 9] = [1, 2, 5, 10, 15, 20, 45, 75, 100];

/// Between two slots of one host: a restart is over, and what comes next is another thing.
const PAUSE: Duration = Duration::from_secs(2);

/// One in so many of the times at which something is wrong is shared by several hosts.
const SEVERAL_ONE_IN: u64 = 4;

/// A time in which something is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// With whom.
    pub(super) owner: Owner,
    /// Its number among its owner's.
    pub(super) number: usize,
    /// When it begins.
    pub(super) start: Duration,
    /// When it is over, at the latest.
    pub(super) end: Duration,
}

/// With whom something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// This host.
    Host(usize),
    /// Several at once: whoever draws the fault says which. No host has a slot of its own meanwhile.
    Several,
}

impl Slot {
    /// How long it lasts.
    pub(super) fn length(&self) -> Duration {
        self.end - self.start
    }

    /// The stream of this slot alone.
    pub(super) fn stream(&self, root: &Stream) -> Stream {
        match self.owner {
            Owner::Host(host) => root.child("host").numbered(host).numbered(self.number),
            Owner::Several => root.child("several").numbered(self.number),
        }
    }
}

/// The slots of all hosts, in the safety phase.
pub(super) fn draw(root: &Stream, shape: &Shape, phases: Phases, failure_rate: Share) -> Vec<Slot> {
    let whole = u64::from(Share::ONE.billionths());
    let rate = u64::from(failure_rate.billionths());
    if rate == 0 {
        return Vec::new();
    }
    // About half of the hosts have a part in what concerns several.
    let several_share = rate * 2 / SEVERAL_ONE_IN;
    let times = root.child("times");
    let span = |from| (from, phases.heal);
    let shared = line(times.child("several"), Owner::Several, span(phases.safety), several_share, &[]);
    // The rest of the rate falls into the time that is left.
    let own = (rate - rate / SEVERAL_ONE_IN) * whole / (whole - several_share);
    let hosts = shape.hosts.iter().enumerate().flat_map(|(host, it)| {
        let from = phases.safety.max(it.start + PAUSE);
        line(times.child("host").numbered(host), Owner::Host(host), span(from), own, &shared)
    });
    let hosts: Vec<Slot> = hosts.collect();
    shared.into_iter().chain(hosts).collect()
}

/// One owner's slots: gaps and slots in turn, none of which touches one of `taken`.
fn line(
    mut stream: Stream,
    owner: Owner,
    (from, to): (Duration, Duration),
    billionths: u64,
    taken: &[Slot],
) -> Vec<Slot> {
    let mean = LENGTHS_SECONDS.iter().sum::<u64>() * 1_000 / LENGTHS_SECONDS.len() as u64;
    let whole = u64::from(Share::ONE.billionths());
    // So long as nothing is wrong, on average, that the share comes out right.
    let gap = Duration::from_millis(mean * (whole - billionths.min(whole)) / billionths.max(1));
    let mut slots = Vec::new();
    let mut at = from;
    for number in 0.. {
        at += match number {
            // As if it had gone on for ever: what is left of a gap is shorter than a gap.
            0 => stream.time(Duration::ZERO, gap * 4 / 3),
            _ => stream.time(Duration::ZERO, gap * 2).max(PAUSE),
        };
        let length = Duration::from_secs(*stream.pick(&LENGTHS_SECONDS));
        let mut end = (at + length).min(to);
        if at + PAUSE > to {
            return slots;
        }
        // What several share comes first: this one waits until that is over, or ends before.
        if let Some(other) = taken.iter().find(|it| at < it.end + PAUSE && it.start < end + PAUSE) {
            if at + PAUSE + PAUSE > other.start {
                at = other.end + PAUSE;
                continue;
            }
            end = other.start - PAUSE;
        }
        slots.push(Slot { owner, number, start: at, end });
        at = end;
    }
    slots
}
