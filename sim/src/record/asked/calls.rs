//! What is known of the calls of a span of time.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::Ended;
use crate::scenario::{Aggregate, CallMetric};

/// Digits of a latency that are kept.
const DIGITS: u8 = 3;

/// The calls of a span of time.
#[derive(Default)]
pub(super) struct CallSlot {
    total: u64,
    succeeded: u64,
    whole: u64,
    whole_succeeded: u64,
    /// In microseconds; only where somebody asks for it.
    latency: Option<Histogram<u64>>,
}

impl CallSlot {
    pub(super) fn add(&mut self, ended: &Ended<'_>, metric: CallMetric) {
        let succeeded = ended.succeeded();
        self.total += 1;
        self.succeeded += u64::from(succeeded);
        self.whole += u64::from(ended.whole);
        self.whole_succeeded += u64::from(ended.whole && succeeded);
        if succeeded && metric == CallMetric::Latency {
            let micros = u64::try_from(ended.took().as_micros()).unwrap_or(u64::MAX);
            let latency =
                self.latency.get_or_insert_with(|| Histogram::new(DIGITS).expect("3 digits are fine"));
            latency.record(micros).expect("a histogram that may grow takes any value");
        }
    }

    pub(super) fn merge(&mut self, other: &CallSlot) {
        self.total += other.total;
        self.succeeded += other.succeeded;
        self.whole += other.whole;
        self.whole_succeeded += other.whole_succeeded;
        if let Some(latency) = &other.latency {
            match &mut self.latency {
                Some(own) => own.add(latency).expect("a histogram that may grow takes any value"),
                None => self.latency = Some(latency.clone()),
            }
        }
    }

    /// The value of a metric over a span of this length; `None` where there is nothing to tell it from.
    pub(super) fn value(&self, metric: CallMetric, aggregate: Aggregate, length: Duration) -> Option<f64> {
        let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        match metric {
            CallMetric::Calls => Some(self.total as f64),
            CallMetric::Failures => Some((self.total - self.succeeded) as f64),
            CallMetric::Rate => Some(self.total as f64 / length.as_secs_f64()),
            CallMetric::Goodput => Some(self.succeeded as f64 / length.as_secs_f64()),
            CallMetric::Success => share(self.whole_succeeded, self.whole),
            CallMetric::Availability => share(self.succeeded, self.total),
            CallMetric::Latency => self.latency.as_ref().map(|latency| seconds(latency, aggregate)),
        }
    }
}

/// What becomes of latencies in microseconds, in seconds.
pub(super) fn seconds(latency: &Histogram<u64>, aggregate: Aggregate) -> f64 {
    let micros = match aggregate {
        Aggregate::Mean => latency.mean(),
        Aggregate::Min => latency.value_at_quantile(0.0) as f64,
        Aggregate::Quantile(share) => latency.value_at_quantile(share.as_f64()) as f64,
        _ => latency.value_at_quantile(1.0) as f64,
    };
    micros / 1e6
}
