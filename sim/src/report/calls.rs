//! What happened to the calls.

use relay_reports::model;

use super::{name, nanos};
use crate::execute::Execution;
use crate::invariants::Outcome;
use crate::record::Sample;
use crate::scenario::Load;

/// Active faults that are named beside one call.
const FAULTS_PER_CALL_MAX: usize = 8;

/// Totals, curves, outcomes, and the calls to look at.
pub(super) fn calls(run: &Execution) -> model::Calls {
    let calls = &run.record.calls;
    let width = calls.bucket_width;
    let start = |at: usize| nanos(width) * at as u64;
    let quantile = |histogram: &hdrhistogram::Histogram<u64>, q: f64| histogram.value_at_quantile(q) * 1_000;
    let latency = calls.buckets.iter().enumerate().map(|(at, bucket)| model::LatencyPoint {
        start_ns: start(at),
        width_ns: nanos(width),
        calls: bucket.latency.len(),
        p50_ns: quantile(&bucket.latency, 0.5),
        p90_ns: quantile(&bucket.latency, 0.9),
        p99_ns: quantile(&bucket.latency, 0.99),
        max_ns: quantile(&bucket.latency, 1.0),
    });
    let rate = calls.buckets.iter().enumerate().map(|(at, bucket)| model::RatePoint {
        start_ns: start(at),
        width_ns: nanos(width),
        succeeded: bucket.latency.len(),
        failed_expected: bucket.failed_expected,
        failed_unexpected: bucket.failed_unexpected,
    });
    let success = model::OutcomeCount { code: None, name: "success".into(), count: calls.succeeded };
    let failures = calls.failures.iter().map(|(code, count)| model::OutcomeCount {
        code: Some(code.map_or(0, |code| i32::try_from(code).unwrap_or(0))),
        name: code.map_or("the caller's own relay is gone", code_name).into(),
        count: *count,
    });
    let (slowest, failed) = samples(run);
    model::Calls {
        totals: model::CallTotals {
            succeeded: calls.succeeded,
            failed_expected: calls.total() - calls.succeeded - calls.failed_unexpected(),
            failed_unexpected: calls.failed_unexpected(),
            p50_ns: quantile(&calls.latency, 0.5),
            p90_ns: quantile(&calls.latency, 0.9),
            p99_ns: quantile(&calls.latency, 0.99),
            max_ns: quantile(&calls.latency, 1.0),
        },
        latency: latency.collect(),
        rate: rate.collect(),
        outcomes: std::iter::once(success).chain(failures).collect(),
        slowest,
        failed,
    }
}

/// The slowest calls of all loads, and those that failed: the ones that should not have first.
fn samples(run: &Execution) -> (Vec<model::CallSample>, Vec<model::CallSample>) {
    let loads = || run.scenario.loads.iter().zip(&run.record.loads);
    let mut slowest: Vec<_> =
        loads().flat_map(|(load, stats)| stats.samples.slowest.iter().map(move |it| (load, it))).collect();
    slowest.sort_by_key(|(_, sample)| std::cmp::Reverse(sample.took));
    let mut failed: Vec<_> =
        loads().flat_map(|(load, stats)| stats.samples.failed().map(move |it| (load, it))).collect();
    failed.sort_by_key(|(_, sample)| (!sample.whole, sample.due));
    let shown = |samples: Vec<(&Load, &Sample)>| {
        let samples = samples.into_iter().take(model::CALL_SAMPLES_MAX);
        samples.map(|(load, sample)| call_sample(run, load, sample)).collect()
    };
    (shown(slowest), shown(failed))
}

fn call_sample(run: &Execution, load: &Load, sample: &Sample) -> model::CallSample {
    let scenario = &*run.scenario;
    let mut code = None;
    let outcome = match &sample.outcome {
        Outcome::Success { .. } => "success".into(),
        Outcome::Refused { code: number, message, .. } => {
            code = i32::try_from(*number).ok();
            format!("{}: {message}", code_name(*number))
        }
        Outcome::RelayGone(reason) => format!("its own relay is gone: {reason}"),
        Outcome::NoOutcome => "no outcome".into(),
        Outcome::Nonsense(what) => format!("no answer: {what}"),
    };
    let callee = sample.callee.map(|host| name(scenario, host));
    let ended = sample.due + sample.took;
    let faults = scenario.faults.iter().enumerate();
    let came =
        faults.filter(|(number, fault)| run.record.course.came(*number, fault)).map(|(_, fault)| fault);
    let faults = came.filter(|fault| fault.active().overlaps(sample.due, ended));
    let hops = sample.hops.iter();
    model::CallSample {
        at_ns: nanos(sample.due),
        caller: name(scenario, sample.caller),
        target: match &callee {
            Some(host) => format!("{} at {host}", sample.service),
            None => format!("{} anywhere", sample.service),
        },
        latency_ns: nanos(sample.took),
        outcome,
        path_whole: sample.whole,
        path: sample.outcome.path().to_vec(),
        detail: Some(model::CallDetail {
            load: load.name.clone(),
            service: sample.service.clone(),
            callee,
            code,
            waited_ns: nanos(sample.sent.saturating_sub(sample.due)),
            hops: hops
                .map(|hop| model::HopTime { node: hop.node.clone(), took_ns: nanos(hop.took) })
                .collect(),
            faults: faults.take(FAULTS_PER_CALL_MAX).map(ToString::to_string).collect(),
        }),
    }
}

fn code_name(code: i64) -> &'static str {
    match code {
        -32001 => "service not found",
        -32002 => "node not found",
        -32003 => "no route",
        -32004 => "timed out",
        -32005 => "circuit open",
        -32006 => "hop limit or loop",
        -32007 => "overloaded",
        -32008 => "unauthorized",
        -32009 => "malformed message",
        -32010 => "service failed",
        -32011 => "shutting down",
        _ => "another error",
    }
}
