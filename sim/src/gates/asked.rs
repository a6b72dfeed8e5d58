//! What a scenario asks for by name: gates on metrics, calls that must fail, things that must happen, and what the run is
//! expected to fail.

use std::time::Duration;

use super::{Gate, percent, show};
use crate::record::{ExpectedCalls, Measured, Record};
use crate::scenario::{
    Aggregate, Bound, CallMetric, Expected, Failure, Limit, LookupMetric, Metric, MetricGate, Scenario,
    Sometimes, Unit,
};

/// The gates on metrics, and the calls that must fail.
pub(super) fn judge(scenario: &Scenario, record: &Record) -> Vec<Gate> {
    let asked = &scenario.gates.asked;
    let metrics =
        asked.gates.iter().zip(&record.asked.meters).map(|(gate, meter)| of_metric(gate, meter.measured()));
    let expected = asked
        .expected
        .iter()
        .zip(&record.asked.expected)
        .map(|(wanted, seen)| fails(wanted, *seen, scenario));
    metrics.chain(expected).collect()
}

fn of_metric(gate: &MetricGate, measured: Measured) -> Gate {
    let what = words(gate);
    let explanation = match (gate.sliding, measured.worst) {
        (_, None) => format!("{what}: nothing was measured"),
        (None, Some(_)) => what,
        (Some(window), Some(_)) => {
            let (all, breaches) = (measured.windows, measured.breaches);
            let (window, at) = (show(window), show(measured.at));
            format!("{what}: the worst of {all} windows of {window}, until {at}; {breaches} break the limit")
        }
    };
    Gate {
        name: gate.name.clone().into(),
        load: None,
        limit: limit(&gate.limit),
        measured: measured.worst.map_or("nothing".into(), |worst| value(worst, gate.limit.unit)),
        measured_anything: measured.worst.is_some(),
        holds: measured.breaches == 0 && measured.worst.is_some(),
        explanation,
    }
}

/// What is measured, in words.
fn words(gate: &MetricGate) -> String {
    let metric = match &gate.metric {
        Metric::Calls(CallMetric::Calls, _) => "calls".to_owned(),
        Metric::Calls(CallMetric::Failures, _) => "calls that failed".to_owned(),
        Metric::Calls(CallMetric::Rate, _) => "calls per second".to_owned(),
        Metric::Calls(CallMetric::Goodput, _) => "calls per second that succeeded".to_owned(),
        Metric::Calls(CallMetric::Success, _) => "success of calls whose path was whole".to_owned(),
        Metric::Calls(CallMetric::Availability, _) => "success of all calls".to_owned(),
        Metric::Calls(CallMetric::Latency, _) => format!("{} of latency", aggregate(gate.aggregate)),
        Metric::Lookups(metric, _) => lookups(*metric, gate.aggregate),
        Metric::MetadataBytes => "bytes that metadata takes per node and hour, sent and received".to_owned(),
        Metric::Reconnects => "connections from a host that had one to the same host before".to_owned(),
        Metric::Node(metric) => format!("{} of {metric}", aggregate(gate.aggregate)),
    };
    match &gate.of {
        Some(of) => format!("{metric}, {of}"),
        None => metric,
    }
}

fn lookups(metric: LookupMetric, of: Aggregate) -> String {
    match metric {
        LookupMetric::Lookups => "lookups".into(),
        LookupMetric::Resolution => "lookups that gave what is true".into(),
        LookupMetric::CacheHits => "answers that came from a cache".into(),
        LookupMetric::Stale => "answers that were replaced too long ago".into(),
        LookupMetric::Reach => "answers that led to their peer".into(),
        LookupMetric::Latency => format!("{} of the latency of lookups", aggregate(of)),
    }
}

fn aggregate(aggregate: Aggregate) -> String {
    match aggregate {
        Aggregate::Max => "maximum".into(),
        Aggregate::Min => "minimum".into(),
        Aggregate::Mean => "mean".into(),
        Aggregate::Sum => "sum".into(),
        Aggregate::Last => "last".into(),
        Aggregate::Increase => "increase".into(),
        Aggregate::Quantile(share) => format!("p{}", share.to_string().trim_end_matches('%')),
    }
}

fn limit(limit: &Limit) -> String {
    let sign = match limit.bound {
        Bound::AtMost => "≤",
        Bound::AtLeast => "≥",
        Bound::Equals => "=",
    };
    format!("{sign} {}", value(limit.value, limit.unit))
}

fn value(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Seconds => show(Duration::from_secs_f64(value)),
        Unit::PerSecond => format!("{value:.1}/s"),
        Unit::Share => format!("{}%", percent(value)),
        Unit::Number if value.fract() == 0.0 => format!("{value}"),
        Unit::Number => format!("{value:.3}"),
    }
}

/// Calls that must fail.
fn fails(wanted: &Expected, seen: ExpectedCalls, scenario: &Scenario) -> Gate {
    let codes: Vec<String> = wanted.codes.iter().map(ToString::to_string).collect();
    let of = |share: relay_chaos::Share| u128::from(seen.calls) * u128::from(share.billionths());
    let failed = u128::from(seen.failed) * 1_000_000_000;
    let enough = wanted.at_least.is_none_or(|least| failed >= of(least));
    let few_enough = wanted.at_most.is_none_or(|most| failed <= of(most));
    // Where nothing is said some calls must fail, or the expectation would prove nothing.
    let some = seen.failed > 0 || wanted.at_least.or(wanted.at_most).is_some();
    let limit = match (wanted.at_least, wanted.at_most) {
        (None, None) => "some".to_owned(),
        (Some(least), None) => format!("≥ {least}"),
        (None, Some(most)) => format!("≤ {most}"),
        (Some(least), Some(most)) => format!("{least} to {most}"),
    };
    let (from, to) = (show(wanted.over.from), show(wanted.over.to));
    Gate {
        name: format!("fail with {}", codes.join(", ")).into(),
        load: wanted.load.map(|load| scenario.loads[load].name.clone()),
        limit,
        measured: match seen.calls {
            0 => "no call".into(),
            calls => format!("{}%", percent(seen.failed as f64 / calls as f64)),
        },
        measured_anything: seen.calls > 0,
        holds: seen.calls > 0 && enough && few_enough && some,
        explanation: format!("{} of {} calls due from {from} to {to}, as expected", seen.failed, seen.calls),
    }
}

/// What must have happened.
pub(super) fn sometimes(scenario: &Scenario, record: &Record) -> Vec<Gate> {
    let all = scenario.gates.asked.sometimes.iter().zip(&record.asked.sightings);
    let one = |wanted: &Sometimes, times: u64, first: Option<Duration>| Gate {
        name: format!("sometimes {}", wanted.name).into(),
        load: None,
        limit: format!("≥ {}", wanted.times),
        measured: times.to_string(),
        measured_anything: true,
        holds: times >= wanted.times,
        explanation: match first {
            Some(first) => format!("times that it happened, first at {}", show(first)),
            None => "it never happened: the run proves nothing about it".into(),
        },
    };
    all.map(|(wanted, seen)| one(wanted, seen.times, seen.first)).collect()
}

/// Turns the gates round that the run is expected to fail, and adds the invariants that it is expected to violate.
pub(super) fn turn_round(scenario: &Scenario, record: &Record, gates: &mut Vec<Gate>) {
    for failure in &scenario.gates.asked.failures {
        match failure {
            Failure::Gate(name) => {
                for gate in gates.iter_mut().filter(|gate| gate.path() == *name) {
                    // Where nothing was measured, a failure is as little proven as a success.
                    gate.holds = gate.measured_anything && !gate.holds;
                    gate.limit = format!("not {}", gate.limit);
                    gate.explanation = format!("expected to fail: {}", gate.explanation);
                }
            }
            Failure::Invariant(name) => {
                let mut results = record.invariants.results();
                let seen = results.find(|(it, _)| it.name() == name).map(|(_, seen)| seen);
                let violated = seen.map_or(0, |seen| seen.violated);
                gates.push(Gate {
                    name: format!("violated {name}").into(),
                    load: None,
                    limit: "≥ 1".into(),
                    measured: violated.to_string(),
                    measured_anything: seen.is_some_and(|seen| seen.checked > 0),
                    holds: violated > 0,
                    explanation: "expected to be violated".into(),
                });
            }
        }
    }
}
