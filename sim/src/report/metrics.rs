//! The figures by which runs are compared: virtual time and counts, nothing of the machine.

use std::time::Duration;

use relay_reports::model::{Better, Metric, Unit};

use super::nanos;
use crate::execute::Execution;
use crate::record::{LoadStats, LookupStats};

/// Billionths in a whole.
const WHOLE: u128 = 1_000_000_000;

/// The figures of a run. One for which nothing was there to measure is left out.
pub fn metrics(run: &Execution) -> Vec<Metric> {
    let (calls, total) = (&run.record.calls, run.record.calls.total());
    let mut metrics = Vec::new();
    if let Some((took, true)) = run.record.convergence.worst() {
        metrics.push(Metric::new("convergence", Unit::Ns, Better::Lower, nanos(took)));
    }
    metrics.extend(share("success", calls.whole_succeeded, calls.whole));
    metrics.extend(share("availability", calls.succeeded, total));
    if !calls.latency.is_empty() {
        for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
            metrics.push(latency(name, calls.latency.value_at_quantile(quantile)));
        }
    }
    if let Some(events_per_call) = run.trace.count().checked_div(total) {
        let count = |name, value| Metric::new(name, Unit::Count, Better::Lower, value);
        metrics.push(count("max_hops", calls.hops_max as u64));
        metrics.push(count("events_per_call", events_per_call));
        metrics.push(Metric::new("calls", Unit::Count, Better::Higher, total));
    }
    metrics.push(Metric::new("reconnects", Unit::Count, Better::Lower, run.record.reconnects.total));
    metrics.extend(of_dht(run));
    if run.scenario.loads.len() > 1 {
        for (load, stats) in run.scenario.loads.iter().zip(&run.record.loads) {
            metrics.extend(of_load(&load.name, stats));
        }
    }
    metrics
}

/// The figures of the DHT, where there is one.
fn of_dht(run: &Execution) -> Vec<Metric> {
    let dht = &run.record.dht;
    let mut metrics = Vec::new();
    if !run.scenario.uses_dht() {
        return metrics;
    }
    if let Some((took, true)) = dht.discovery.worst() {
        metrics.push(Metric::new("discovery", Unit::Ns, Better::Lower, nanos(took)));
    }
    if let Some(bytes) = dht.traffic.per_node_and_hour() {
        metrics.push(Metric::new("metadata bytes per node and hour", Unit::Count, Better::Lower, bytes));
    }
    let sum = |of: fn(&LookupStats) -> u64| dht.lookups.iter().map(of).sum::<u64>();
    metrics.extend(share("resolution", sum(|it| it.right), sum(|it| it.due)));
    metrics.extend(share("cache hits", sum(|it| it.hits), sum(|it| it.given)));
    metrics.extend(share("reach", sum(|it| it.reached.1), sum(|it| it.reached.0)));
    if sum(|it| it.given) > 0 {
        metrics.push(Metric::new("stale", Unit::Count, Better::Lower, sum(|it| it.stale)));
    }
    let mut latency_of_all: Option<hdrhistogram::Histogram<u64>> = None;
    for stats in &dht.lookups {
        match &mut latency_of_all {
            Some(all) => all.add(&stats.latency).expect("a histogram that may grow takes any value"),
            None => latency_of_all = Some(stats.latency.clone()),
        }
    }
    if let Some(all) = latency_of_all.filter(|all| !all.is_empty()) {
        for (name, quantile) in [("lookup p50", 0.5), ("lookup p99", 0.99)] {
            metrics.push(latency(name, all.value_at_quantile(quantile)));
        }
    }
    metrics
}

/// The figures of one load, where there are several.
fn of_load(name: &str, stats: &LoadStats) -> Vec<Metric> {
    let mut metrics = Vec::new();
    if !stats.latency.is_empty() {
        metrics.push(latency(&format!("{name}: p99"), stats.latency.value_at_quantile(0.99)));
    }
    if stats.total() > 0 {
        let in_time = format!("{name}: answered in time");
        metrics.push(Metric::new(in_time, Unit::Count, Better::Higher, stats.in_time));
    }
    metrics
}

fn latency(name: &str, micros: u64) -> Metric {
    Metric::new(name, Unit::Ns, Better::Lower, nanos(Duration::from_micros(micros)))
}

fn share(name: &str, part: u64, whole: u64) -> Option<Metric> {
    let billionths = (u128::from(part) * WHOLE).checked_div(u128::from(whole))?;
    let billionths = u64::try_from(billionths).unwrap_or(u64::MAX);
    Some(Metric::new(name, Unit::Billionths, Better::Higher, billionths))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_nothing_is_no_figure_and_one_just_below_all_is_not_all() {
        assert_eq!(share("success", 0, 0), None);
        assert_eq!(share("success", 7, 7).unwrap().value, 1_000_000_000);
        assert_eq!(share("success", 999_999, 1_000_000).unwrap().value, 999_999_000);
    }
}
