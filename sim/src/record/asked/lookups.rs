//! What is known of the lookups of a span of time, and of what metadata took in it.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::record::dht::{EndedLookup, Growth, Verdict, per_hour};
use crate::scenario::{Aggregate, LookupMetric};

use super::calls::seconds;

/// Digits of a latency that are kept.
const DIGITS: u8 = 3;

/// The lookups of a span of time.
#[derive(Default)]
pub(super) struct LookupSlot {
    total: u64,
    due: u64,
    right: u64,
    given: u64,
    hits: u64,
    stale: u64,
    tried: u64,
    reached: u64,
    /// In microseconds; only where somebody asks for it.
    latency: Option<Histogram<u64>>,
}

impl LookupSlot {
    pub(super) fn add(&mut self, lookup: &EndedLookup, verdict: &Verdict, metric: LookupMetric) {
        self.total += 1;
        self.due += u64::from(verdict.is_due);
        self.right += u64::from(verdict.is_due && verdict.is_right());
        self.stale += u64::from(verdict.is_stale());
        self.tried += u64::from(lookup.reached.is_some());
        self.reached += u64::from(lookup.reached == Some(true));
        let Some(given) = lookup.answer.given() else { return };
        self.given += 1;
        self.hits += u64::from(given.cached);
        if metric == LookupMetric::Latency {
            let took = lookup.ended.saturating_sub(lookup.sent);
            let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            let latency =
                self.latency.get_or_insert_with(|| Histogram::new(DIGITS).expect("3 digits are fine"));
            latency.record(micros).expect("a histogram that may grow takes any value");
        }
    }

    pub(super) fn merge(&mut self, other: &LookupSlot) {
        self.total += other.total;
        self.due += other.due;
        self.right += other.right;
        self.given += other.given;
        self.hits += other.hits;
        self.stale += other.stale;
        self.tried += other.tried;
        self.reached += other.reached;
        if let Some(latency) = &other.latency {
            match &mut self.latency {
                Some(own) => own.add(latency).expect("a histogram that may grow takes any value"),
                None => self.latency = Some(latency.clone()),
            }
        }
    }

    /// The value of a metric; `None` where there is nothing to tell it from.
    pub(super) fn value(&self, metric: LookupMetric, aggregate: Aggregate) -> Option<f64> {
        let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        match metric {
            LookupMetric::Lookups => Some(self.total as f64),
            LookupMetric::Resolution => share(self.right, self.due),
            LookupMetric::CacheHits => share(self.hits, self.given),
            LookupMetric::Stale => (self.given > 0).then_some(self.stale as f64),
            LookupMetric::Reach => share(self.reached, self.tried),
            LookupMetric::Latency => self.latency.as_ref().map(|latency| seconds(latency, aggregate)),
        }
    }
}

/// What metadata took in a span of time.
#[derive(Default)]
pub(super) struct TrafficSlot {
    bytes: u64,
    watched: Duration,
}

impl TrafficSlot {
    pub(super) fn add(&mut self, growth: Growth) {
        self.bytes += growth.bytes;
        self.watched += growth.took;
    }

    pub(super) fn merge(&mut self, other: &TrafficSlot) {
        self.bytes += other.bytes;
        self.watched += other.watched;
    }

    /// Bytes per node and hour; `None` where nobody was watched.
    pub(super) fn value(&self) -> Option<f64> {
        per_hour(self.bytes, self.watched).map(|bytes| bytes as f64)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::metadata::{Given, Version, Worth};
    use crate::record::Answer;
    use crate::record::asked::AskedFor;
    use crate::scenario::{HostIndex, Scenario};

    const TEXT: &str = r#"
duration = "100s"
[dht]
on = true
[[main]]
name = "main"
count = 2
[[lookup]]
name = "first"
from = "*"
to = "*"
pairs = 2
[[lookup]]
name = "second"
from = "*"
to = "*"
pairs = 2
"#;

    /// What a gate on this metric measures, with the rest of its keys, of lookups at 10, 50 and 90 s.
    fn measured(metric: &str, rest: &str) -> Option<f64> {
        let gate = format!("{TEXT}[[gate]]\nname = \"gate\"\nmetric = \"{metric}\"\n{rest}\n");
        let scenario = Scenario::load("x.toml", &gate)
            .unwrap_or_else(|error| panic!("{:?}", miette::Report::new(error)));
        let mut asked = AskedFor::new(&Arc::new(scenario));
        let given = |cached| {
            let version = Version { sequence: 1, content: serde_json::Value::Null };
            Answer::Given(Given { version, cached, is_of_dht: true })
        };
        for (at, lookup, answer, is_due, worth, reached) in [
            (10, 0, given(false), true, Some(Worth::Right), Some(true)),
            (50, 0, given(true), true, Some(Worth::Stale { newer: 2, since: Duration::ZERO }), Some(false)),
            (50, 1, Answer::NoAnswer, true, None, None),
            (90, 1, given(true), true, Some(Worth::Older), Some(true)),
            (90, 1, Answer::NotFound("nothing".into()), false, None, None),
        ] {
            let sent = Duration::from_secs(at);
            let ended = EndedLookup {
                lookup,
                from: HostIndex(0),
                to: HostIndex(1),
                peer: "id".into(),
                sent,
                ended: sent + Duration::from_millis(at),
                answer,
                reached,
            };
            asked.looked_up(&ended, &Verdict { is_due, worth });
            asked.took(sent, HostIndex(0), Growth { bytes: 10 * at, took: Duration::from_secs(360) });
        }
        asked.finish(Duration::from_secs(100));
        asked.meters[0].measured().worst
    }

    #[test]
    fn each_metric_counts_what_it_says() {
        for (metric, rest, expected) in [
            ("lookups", "at_least = 1", 5.0),
            ("resolution", "at_least = \"1%\"", 0.5),
            ("resolution", "lookup = \"second\"\nat_least = \"1%\"", 0.5),
            ("resolution", "from = \"60s\"\nat_least = \"1%\"", 1.0),
            ("cache_hits", "at_least = \"1%\"", 2.0 / 3.0),
            ("cache_hits", "to = \"20s\"\nat_least = \"1%\"", 0.0),
            ("stale", "at_most = 0", 1.0),
            ("reach", "at_least = \"1%\"", 2.0 / 3.0),
            ("metadata_bytes", "at_most = 1", 5_800.0),
            ("metadata_bytes", "from = \"60s\"\nat_most = 1", 18_000.0 / 2.0),
        ] {
            let value = measured(metric, rest).unwrap_or_else(|| panic!("{metric} {rest}"));
            assert!((value - expected).abs() < 1e-9, "{metric} {rest}: {value}");
        }
        let slowest = measured("lookup_latency", "aggregate = \"max\"\nat_most = \"1s\"").unwrap();
        assert!((slowest - 0.09).abs() < 1e-3, "{slowest}");
    }

    #[test]
    fn where_nothing_was_measured_there_is_no_value() {
        for (metric, rest) in [
            ("resolution", "lookup = \"first\"\nfrom = \"60s\"\nat_least = \"1%\""),
            ("stale", "to = \"5s\"\nequals = 0"),
            ("metadata_bytes", "of = \"main-2\"\nat_most = 1"),
        ] {
            assert_eq!(measured(metric, rest), None, "{metric} {rest}");
        }
    }
}
