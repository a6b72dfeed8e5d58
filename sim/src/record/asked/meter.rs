//! A gate's metric over its windows.
//!
//! What is judged as a whole fills one slot. A sliding window is a row of slots, a tenth of its length each: when one is
//! full the row is judged and the oldest is dropped, so that nothing grows with the length of the run.

use std::collections::VecDeque;
use std::time::Duration;

use super::Ended;
use super::calls::CallSlot;
use super::lookups::{LookupSlot, TrafficSlot};
use super::nodes::{Last, NodeSlot};
use crate::record::dht::{EndedLookup, Growth, Verdict};
use crate::scenario::{Aggregate, HostIndex, Metric, MetricGate};

/// Slots of a sliding window.
const SLOTS: u32 = 10;

/// What was measured of a gate's metric.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measured {
    /// The value that is farthest from what is asked for.
    pub worst: Option<f64>,
    /// When the window ended that it is of.
    pub at: Duration,
    /// Windows that were judged.
    pub windows: u64,
    /// Of those, the ones that do not keep the limit.
    pub breaches: u64,
}

/// What is known of a span of time.
#[derive(Default)]
struct Slot {
    calls: CallSlot,
    nodes: NodeSlot,
    reconnects: u64,
    lookups: LookupSlot,
    traffic: TrafficSlot,
}

/// Measures what one gate asks for.
pub struct Meter {
    width: Duration,
    slots: VecDeque<Slot>,
    /// Slots that are full.
    full: u64,
    last: Last,
    measured: Measured,
}

impl Meter {
    /// Nothing was seen yet.
    pub fn new(gate: &MetricGate) -> Self {
        let width =
            gate.sliding.map_or(gate.over.length(), |window| window / SLOTS).max(Duration::from_nanos(1));
        let slots = VecDeque::from([Slot::default()]);
        Meter { width, slots, full: 0, last: Last::default(), measured: Measured::default() }
    }

    /// What was measured of all that is over.
    pub fn measured(&self) -> Measured {
        self.measured
    }

    /// Whether the limit is kept by what is seen at `now`: the window that ends now, or all until now. Nothing to tell it
    /// from keeps it.
    pub fn holds_now(&mut self, gate: &MetricGate, now: Duration) -> bool {
        self.advance(gate, now.min(gate.over.to));
        let length = self.width * u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        self.value(gate, length).is_none_or(|value| gate.limit.holds(value))
    }

    /// A call has ended.
    pub(super) fn call(&mut self, gate: &MetricGate, ended: &Ended<'_>) {
        let Metric::Calls(metric, load) = gate.metric else { return };
        let is_of = gate.of.as_ref().is_none_or(|of| of.contains(ended.call.caller));
        // A window in motion counts calls as they end, as somebody would who watches.
        let time = if gate.sliding.is_some() { ended.at } else { ended.call.due };
        if is_of && load.is_none_or(|load| load == ended.call.load) && gate.over.contains(time) {
            self.slot(gate, time).calls.add(ended, metric);
        }
    }

    /// `from` connected to a host that it had a connection to before.
    pub(super) fn reconnect(&mut self, gate: &MetricGate, at: Duration, from: HostIndex) {
        if gate.of.as_ref().is_none_or(|of| of.contains(from)) && gate.over.contains(at) {
            self.slot(gate, at).reconnects += 1;
        }
    }

    /// A lookup of metadata has ended.
    pub(super) fn looked_up(&mut self, gate: &MetricGate, lookup: &EndedLookup, verdict: &Verdict) {
        let Metric::Lookups(metric, which) = gate.metric else { return };
        let is_of = gate.of.as_ref().is_none_or(|of| of.contains(lookup.from));
        let time = if gate.sliding.is_some() { lookup.ended } else { lookup.sent };
        if is_of && which.is_none_or(|which| which == lookup.lookup) && gate.over.contains(time) {
            self.slot(gate, time).lookups.add(lookup, verdict, metric);
        }
    }

    /// Metadata took so much on a host until now.
    pub(super) fn took(&mut self, gate: &MetricGate, at: Duration, host: HostIndex, growth: Growth) {
        let is_of = gate.of.as_ref().is_none_or(|of| of.contains(host));
        if gate.metric == Metric::MetadataBytes && is_of && gate.over.contains(at) {
            self.slot(gate, at).traffic.add(growth);
        }
    }

    /// A host's node told a value.
    pub(super) fn sample(&mut self, gate: &MetricGate, at: Duration, host: HostIndex, value: f64) {
        if !gate.over.contains(at) {
            return;
        }
        let growth = self.last.tell(host, value);
        let total = (gate.aggregate == Aggregate::Sum).then(|| self.last.total());
        self.slot(gate, at).nodes.add(value, growth, total, gate.aggregate, &gate.limit);
    }

    /// Judges every window that is over at `at`.
    pub(super) fn advance(&mut self, gate: &MetricGate, at: Duration) {
        let passed = at.saturating_sub(gate.over.from).as_nanos() / self.width.as_nanos();
        let passed = u64::try_from(passed).unwrap_or(u64::MAX);
        while self.full < passed {
            self.full += 1;
            let wanted = if gate.sliding.is_some() { u64::from(SLOTS) } else { 1 };
            if self.full >= wanted {
                self.judge(gate);
            }
            if self.slots.len() as u64 >= wanted {
                self.slots.pop_front();
            }
            self.slots.push_back(Slot::default());
        }
    }

    /// The slot of this time, once all before it are judged.
    fn slot(&mut self, gate: &MetricGate, at: Duration) -> &mut Slot {
        // Calls are counted as a whole by when they were due, which may be before the last that ended.
        if gate.sliding.is_some() {
            self.advance(gate, at);
        }
        self.slots.back_mut().expect("there is always a slot to fill")
    }

    fn judge(&mut self, gate: &MetricGate) {
        let length = gate.sliding.unwrap_or(self.width);
        let Some(value) = self.value(gate, length) else { return };
        let measured = &mut self.measured;
        measured.windows += 1;
        measured.breaches += u64::from(!gate.limit.holds(value));
        if measured.worst.is_none_or(|worst| gate.limit.is_worse(value, worst)) {
            measured.worst = Some(value);
            measured.at =
                gate.over.from + self.width.saturating_mul(u32::try_from(self.full).unwrap_or(u32::MAX));
        }
    }

    fn value(&self, gate: &MetricGate, length: Duration) -> Option<f64> {
        match &gate.metric {
            Metric::Calls(metric, _) => {
                let mut all = CallSlot::default();
                self.slots.iter().for_each(|slot| all.merge(&slot.calls));
                all.value(*metric, gate.aggregate, length)
            }
            Metric::Lookups(metric, _) => {
                let mut all = LookupSlot::default();
                self.slots.iter().for_each(|slot| all.merge(&slot.lookups));
                all.value(*metric, gate.aggregate)
            }
            Metric::MetadataBytes => {
                let mut all = TrafficSlot::default();
                self.slots.iter().for_each(|slot| all.merge(&slot.traffic));
                all.value()
            }
            Metric::Reconnects => Some(self.slots.iter().map(|slot| slot.reconnects).sum::<u64>() as f64),
            Metric::Node(_) if gate.aggregate == Aggregate::Last => self.last.worst(&gate.limit),
            Metric::Node(_) => {
                let mut all = NodeSlot::default();
                self.slots.iter().for_each(|slot| all.merge(&slot.nodes));
                all.value(gate.aggregate)
            }
        }
    }
}
