//! What nodes told of themselves in a span of time.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::scenario::{Aggregate, HostIndex, Limit};

/// Digits of a value that are kept where a quantile of many is asked for.
const DIGITS: u8 = 3;
/// What one of a value counts in such a histogram: six digits after the point.
const SCALE: f64 = 1e6;

/// The values of a span of time.
#[derive(Default)]
pub(super) struct NodeSlot {
    count: u64,
    sum: f64,
    least: Option<f64>,
    greatest: Option<f64>,
    increase: f64,
    /// The moment's sum that is farthest from what is asked for.
    worst_sum: Option<f64>,
    /// Only where a quantile is asked for.
    values: Option<Histogram<u64>>,
}

impl NodeSlot {
    /// A host told `value`; it grew by `growth`, and all hosts together have `total`.
    pub(super) fn add(
        &mut self,
        value: f64,
        growth: f64,
        total: Option<f64>,
        aggregate: Aggregate,
        limit: &Limit,
    ) {
        self.count += 1;
        self.sum += value;
        self.least = Some(self.least.map_or(value, |it| it.min(value)));
        self.greatest = Some(self.greatest.map_or(value, |it| it.max(value)));
        self.increase += growth;
        if let Some(total) = total
            && self.worst_sum.is_none_or(|worst| limit.is_worse(total, worst))
        {
            self.worst_sum = Some(total);
        }
        if matches!(aggregate, Aggregate::Quantile(_)) {
            let values =
                self.values.get_or_insert_with(|| Histogram::new(DIGITS).expect("3 digits are fine"));
            let scaled = (value.max(0.0) * SCALE) as u64;
            values.record(scaled).expect("a histogram that may grow takes any value");
        }
    }

    pub(super) fn merge(&mut self, other: &NodeSlot) {
        let either = |one: Option<f64>, other: Option<f64>, choose: fn(f64, f64) -> f64| match (one, other) {
            (Some(one), Some(other)) => Some(choose(one, other)),
            (one, other) => one.or(other),
        };
        self.count += other.count;
        self.sum += other.sum;
        self.least = either(self.least, other.least, f64::min);
        self.greatest = either(self.greatest, other.greatest, f64::max);
        self.increase += other.increase;
        // Windows are not judged by moments: there is one slot where this is asked for.
        self.worst_sum = other.worst_sum.or(self.worst_sum);
        if let Some(values) = &other.values {
            match &mut self.values {
                Some(own) => own.add(values).expect("a histogram that may grow takes any value"),
                None => self.values = Some(values.clone()),
            }
        }
    }

    /// The value that is asked for; `None` where nobody told anything.
    pub(super) fn value(&self, aggregate: Aggregate) -> Option<f64> {
        match aggregate {
            Aggregate::Max => self.greatest,
            Aggregate::Min => self.least,
            Aggregate::Mean => (self.count > 0).then(|| self.sum / self.count as f64),
            Aggregate::Sum => self.worst_sum,
            Aggregate::Increase => (self.count > 0).then_some(self.increase),
            Aggregate::Quantile(share) => {
                self.values.as_ref().map(|values| values.value_at_quantile(share.as_f64()) as f64 / SCALE)
            }
            // Told from the hosts' last values.
            Aggregate::Last => None,
        }
    }
}

/// What each host told last.
#[derive(Default)]
pub(super) struct Last(BTreeMap<HostIndex, f64>);

impl Last {
    /// Takes a host's value. Returns by how much it grew: a counter that is less than before began anew.
    pub(super) fn tell(&mut self, host: HostIndex, value: f64) -> f64 {
        match self.0.insert(host, value) {
            Some(before) if value >= before => value - before,
            Some(_) => value,
            None => 0.0,
        }
    }

    /// The value of all hosts together.
    pub(super) fn total(&self) -> f64 {
        self.0.values().sum()
    }

    /// The one that is farthest from what is asked for.
    pub(super) fn worst(&self, limit: &Limit) -> Option<f64> {
        self.0.values().copied().reduce(|one, other| if limit.is_worse(other, one) { other } else { one })
    }
}
