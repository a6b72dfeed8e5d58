//! What a node counts and measures, in Prometheus' text format.
//!
//! Each node has a registry of its own: many nodes live in one process in a simulation.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::federation::{BreakerChanges, Level};
use crate::metadata::Counts;

/// The content type of [`Metrics::scrape`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The smallest latency bucket, in seconds; each is twice the one before.
const FIRST_BUCKET_SECONDS: f64 = 0.000_5;
const BUCKETS: u16 = 18;

/// Weight of one call in the running average of latency.
const AVERAGE_WEIGHT: f64 = 0.05;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabel {
    code: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DirectionLabel {
    direction: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LaneLabel {
    lane: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TableLabel {
    table: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ChangeLabel {
    from: &'static str,
    to: &'static str,
}

/// The metrics of one node.
pub struct Metrics {
    registry: Registry,
    calls: Family<CodeLabel, Counter>,
    latency: Histogram,
    hop_latency: Histogram,
    average: Gauge<f64, std::sync::atomic::AtomicU64>,
    hop_errors: Family<CodeLabel, Counter>,
    reconnects: Counter,
    refused: Family<KindLabel, Counter>,
    breaker_changes: Family<ChangeLabel, Counter>,
    gauges: Gauges,
}

/// What the DHT and the directory count by themselves. Without them there is nothing to tell.
#[derive(Default)]
struct DhtMetrics {
    datagrams: Family<DirectionLabel, Counter>,
    bytes: Family<DirectionLabel, Counter>,
    queries: Family<OutcomeLabel, Counter>,
    asked: Family<OutcomeLabel, Counter>,
    cache: Family<OutcomeLabel, Counter>,
    published: Family<OutcomeLabel, Counter>,
    contacts: Gauge,
    known_peers: Gauge,
}

/// What is set when somebody asks.
#[derive(Default)]
struct Gauges {
    links: Family<KindLabel, Gauge>,
    services: Family<KindLabel, Gauge>,
    queued: Family<LaneLabel, Gauge>,
    breakers: Family<StateLabel, Gauge>,
    in_flight: Gauge,
    entries: Family<TableLabel, Gauge>,
    limits: Family<TableLabel, Gauge>,
    dht: DhtMetrics,
}

/// Links by what is at the other end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkCounts {
    /// Homes that hang on this Main.
    pub homes: usize,
    /// Other Mains.
    pub peers: usize,
    /// The Main above.
    pub uplinks: usize,
}

/// What is looked up when somebody asks, rather than counted as it happens.
#[derive(Clone, Debug, Default)]
pub struct Levels {
    /// Current links.
    pub links: LinkCounts,
    /// Services of this node and of the Homes here; services behind other Mains.
    pub services: (usize, usize),
    /// Messages that wait: control, data.
    pub queued: (usize, usize),
    /// Calls under way.
    pub in_flight: usize,
    /// Circuit breakers that are open, and half-open.
    pub breakers: (usize, usize),
    /// How often breakers changed since the start.
    pub breaker_changes: BreakerChanges,
    /// How full each bounded table and queue is.
    pub tables: Vec<Level>,
    /// Calls that failed at this node, by code, since the start.
    pub failed_here: Vec<(i64, u64)>,
    /// What the directory counts; `None` without the DHT.
    pub directory: Option<Counts>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Metrics {
            registry: Registry::with_prefix("relay"),
            calls: Family::default(),
            latency: Histogram::new(exponential_buckets(FIRST_BUCKET_SECONDS, 2.0, BUCKETS)),
            hop_latency: Histogram::new(exponential_buckets(FIRST_BUCKET_SECONDS, 2.0, BUCKETS)),
            average: Gauge::default(),
            hop_errors: Family::default(),
            reconnects: Counter::default(),
            refused: Family::default(),
            breaker_changes: Family::default(),
            gauges: Gauges::default(),
        };
        let m = &mut metrics;
        let calls = "Calls of this node's own clients that ended, by JSON-RPC error code; 0 is success";
        m.registry.register("calls", calls, m.calls.clone());
        let latency = "From the call of this node's own client to its answer";
        m.registry.register_with_unit("call_latency", latency, Unit::Seconds, m.latency.clone());
        let hop = "From sending a call on over a link to its answer, whoever called";
        m.registry.register_with_unit("hop_latency", hop, Unit::Seconds, m.hop_latency.clone());
        m.registry.register("hop_errors", "Calls that failed at this node, by code", m.hop_errors.clone());
        let reconnects = "Links to a Main that this node lost and dials again";
        m.registry.register("reconnects", reconnects, m.reconnects.clone());
        let refused = "Connections that were not taken: too-many from one address, not-trusted without a key that counts";
        m.registry.register("refused_connections", refused, m.refused.clone());
        m.registry.register("links", "Current links, by what the other side is", m.gauges.links.clone());
        m.registry.register("services", "Services known, by where they are", m.gauges.services.clone());
        m.registry.register(
            "queued_messages",
            "Messages that wait for their link, by lane",
            m.gauges.queued.clone(),
        );
        let breakers = "Circuit breakers that are not closed, by state";
        m.registry.register("breakers", breakers, m.gauges.breakers.clone());
        let changes = "Changes of circuit breakers, by the state before and after";
        m.registry.register("breaker_changes", changes, m.breaker_changes.clone());
        let entries = "What is in each bounded table and queue; of a link's, the fullest";
        m.registry.register("table_entries", entries, m.gauges.entries.clone());
        let limits = "What may be in each bounded table and queue";
        m.registry.register("table_limit", limits, m.gauges.limits.clone());
        m.registry.register(
            "calls_in_flight",
            "Calls under way through this node",
            m.gauges.in_flight.clone(),
        );
        m.gauges.dht.register(&mut m.registry);
        metrics
    }
}

impl DhtMetrics {
    fn register(&self, to: &mut Registry) {
        to.register("dht_datagrams", "Datagrams of the DHT, in and out", self.datagrams.clone());
        to.register("dht_bytes", "Their bytes, without headers", self.bytes.clone());
        let queries =
            "Queries of other nodes of the DHT: answered, refused with an error, dropped over the limits";
        to.register("dht_queries", queries, self.queries.clone());
        let asked = "Queries to other nodes of the DHT: answered, and never answered";
        to.register("dht_asked", asked, self.asked.clone());
        let cache = "Lookups of peers' metadata: hit where the cache had it, miss where the DHT was asked";
        to.register("metadata_cache", cache, self.cache.clone());
        let published = "Puts of this node's own metadata: kept by somebody, or failed";
        to.register("metadata_published", published, self.published.clone());
        to.register("dht_contacts", "Nodes of the DHT that this one knows", self.contacts.clone());
        to.register("known_peers", "Peers whose keys this node knows", self.known_peers.clone());
    }

    fn set(&self, counts: &Counts) {
        let Counts { dht, cache_hits, cache_misses, published, unpublished, contacts, known_peers } = counts;
        for (direction, datagrams, bytes) in
            [("in", dht.datagrams_in, dht.bytes_in), ("out", dht.datagrams_out, dht.bytes_out)]
        {
            let label = DirectionLabel { direction };
            raise(&self.datagrams.get_or_create(&label), datagrams);
            raise(&self.bytes.get_or_create(&label), bytes);
        }
        for (family, outcome, total) in [
            (&self.queries, "answered", dht.answered),
            (&self.queries, "refused", dht.refused),
            (&self.queries, "limited", dht.limited),
            (&self.asked, "answered", dht.answers),
            (&self.asked, "lost", dht.lost),
            (&self.cache, "hit", *cache_hits),
            (&self.cache, "miss", *cache_misses),
            (&self.published, "kept", *published),
            (&self.published, "failed", *unpublished),
        ] {
            raise(&family.get_or_create(&OutcomeLabel { outcome }), total);
        }
        self.contacts.set(gauge(*contacts));
        self.known_peers.set(gauge(*known_peers));
    }
}

/// Brings a counter up to what was counted elsewhere.
fn raise(counter: &Counter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}

impl Metrics {
    /// A call of this node's own client ended after `took`; `code` is its error, `None` success.
    pub fn call_ended(&self, code: Option<i64>, took: Duration) {
        self.calls.get_or_create(&CodeLabel { code: code.unwrap_or(0) }).inc();
        self.latency.observe(took.as_secs_f64());
    }

    /// A call that this node had sent on over a link was answered after `took`.
    pub fn answered(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        self.hop_latency.observe(seconds);
        let average = self.average.get();
        let first = average == 0.0;
        self.average.set(if first { seconds } else { average + AVERAGE_WEIGHT * (seconds - average) });
    }

    /// A link to a Main was lost and is going to be dialled again.
    pub fn reconnecting(&self) {
        self.reconnects.inc();
    }

    /// A connection was not taken: its address has too many.
    pub fn turned_away(&self) {
        self.refused.get_or_create(&KindLabel { kind: "too-many" }).inc();
    }

    /// A connection was not taken: nobody trusts who is at the other end.
    pub fn not_trusted(&self) {
        self.refused.get_or_create(&KindLabel { kind: "not-trusted" }).inc();
    }

    /// The running average of the time from sending a call on to its answer; zero before the first.
    pub fn average_latency(&self) -> Duration {
        Duration::from_secs_f64(self.average.get().max(0.0))
    }

    /// Everything, as text.
    pub fn scrape(&self, levels: &Levels) -> String {
        for (kind, count) in
            [("home", levels.links.homes), ("main", levels.links.peers), ("uplink", levels.links.uplinks)]
        {
            self.gauges.links.get_or_create(&KindLabel { kind }).set(gauge(count));
        }
        for (kind, count) in [("local", levels.services.0), ("federated", levels.services.1)] {
            self.gauges.services.get_or_create(&KindLabel { kind }).set(gauge(count));
        }
        for (lane, count) in [("control", levels.queued.0), ("data", levels.queued.1)] {
            self.gauges.queued.get_or_create(&LaneLabel { lane }).set(gauge(count));
        }
        for (state, count) in [("open", levels.breakers.0), ("half-open", levels.breakers.1)] {
            self.gauges.breakers.get_or_create(&StateLabel { state }).set(gauge(count));
        }
        for (from, to, total) in levels.breaker_changes.iter() {
            let label = ChangeLabel { from: from.as_str(), to: to.as_str() };
            let counter = self.breaker_changes.get_or_create(&label);
            counter.inc_by(total.saturating_sub(counter.get()));
        }
        for Level { table, entries, limit } in &levels.tables {
            self.gauges.entries.get_or_create(&TableLabel { table }).set(gauge(*entries));
            self.gauges.limits.get_or_create(&TableLabel { table }).set(gauge(*limit));
        }
        if let Some(counts) = &levels.directory {
            self.gauges.dht.set(counts);
        }
        self.gauges.in_flight.set(gauge(levels.in_flight));
        for (code, total) in &levels.failed_here {
            let counter = self.hop_errors.get_or_create(&CodeLabel { code: *code });
            counter.inc_by(total.saturating_sub(counter.get()));
        }
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a string takes what is written");
        text
    }
}

fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_told() {
        let metrics = Metrics::default();
        metrics.call_ended(None, Duration::from_millis(40));
        metrics.call_ended(Some(-32003), Duration::from_millis(40));
        metrics.answered(Duration::from_millis(40));
        metrics.reconnecting();
        metrics.turned_away();
        let tables = vec![Level::new("calls", 4, 65_536)];
        let failed_here = vec![(-32003, 7)];
        let links = LinkCounts { homes: 3, ..LinkCounts::default() };
        let levels = Levels { links, queued: (1, 2), failed_here, tables, ..Levels::default() };
        metrics.scrape(&levels);
        let text = metrics.scrape(&levels);
        for line in [
            "relay_calls_total{code=\"0\"} 1",
            "relay_calls_total{code=\"-32003\"} 1",
            "relay_call_latency_seconds_count 2",
            "relay_hop_latency_seconds_count 1",
            "relay_hop_errors_total{code=\"-32003\"} 7",
            "relay_reconnects_total 1",
            "relay_refused_connections_total{kind=\"too-many\"} 1",
            "relay_links{kind=\"home\"} 3",
            "relay_queued_messages{lane=\"data\"} 2",
            "relay_table_entries{table=\"calls\"} 4",
            "relay_table_limit{table=\"calls\"} 65536",
            "# EOF",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        assert_eq!(metrics.average_latency(), Duration::from_millis(40));
    }
}
