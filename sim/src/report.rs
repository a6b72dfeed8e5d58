//! From a run to the model that reports are drawn from.

use std::time::Duration;

use relay_chaos::FaultKind;
use relay_reports::model;

use crate::execute::{Execution, Verdict};
use crate::invariants::Outcome;
use crate::record::{EpisodeEnd, Sample};
use crate::scenario::{HostIndex, Role, Scenario};

/// The report of a run. `replay` is the command that repeats it; `wall` how long it took, where that is to be told.
pub fn report(run: &Execution, replay: String, wall: Option<Duration>) -> model::Report {
    let scenario = &*run.scenario;
    model::Report {
        schema_version: model::SCHEMA_VERSION,
        run: model::RunInfo {
            scenario: model::ScenarioInfo {
                name: scenario.name.clone(),
                description: scenario.description.clone(),
                file: scenario.source.name.clone(),
                duration_ns: nanos(scenario.run.duration),
            },
            seed: run.seed,
            version: env!("CARGO_PKG_VERSION").into(),
            engine: "event".into(),
            replay_command: replay,
        },
        verdict: match run.verdict() {
            Verdict::Passed => model::Verdict::Passed,
            Verdict::GateFailed => model::Verdict::GateFailed,
            Verdict::InvariantViolated => model::Verdict::InvariantViolated,
            Verdict::Panicked => model::Verdict::Panicked,
            Verdict::NotDeterministic => model::Verdict::NotDeterministic,
        },
        summary: summary(run),
        checks: checks(run),
        topology: topology(scenario),
        history: history(run),
        calls: calls(run),
        trace_hash: hash(run),
        wall: wall.map(|wall| model::WallFigures {
            wall_ns: nanos(wall),
            virtual_per_wall: run.virtual_time.as_secs_f64() / wall.as_secs_f64().max(1e-9),
            events: run.trace.count(),
        }),
    }
}

/// The trace hash as it is printed.
pub fn hash(run: &Execution) -> String {
    format!("{:016x}", run.trace.hash())
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn summary(run: &Execution) -> model::Summary {
    let calls = &run.record.calls;
    let headline = match run.verdict() {
        Verdict::Passed => format!(
            "All {} gates hold: {} calls, {} of them failed while their path was broken, {} otherwise.",
            run.gates.len(),
            calls.total(),
            calls.total() - calls.succeeded - calls.failed_unexpected(),
            match calls.failed_unexpected() {
                0 => "none".into(),
                some => some.to_string(),
            }
        ),
        Verdict::GateFailed => {
            let failed: Vec<_> =
                run.gates.iter().filter(|gate| !gate.holds).map(crate::gates::Gate::title).collect();
            format!("Gates that do not hold: {}.", failed.join(", "))
        }
        Verdict::InvariantViolated => {
            let names: Vec<_> = run.violations().map(|(invariant, _)| invariant.name()).collect();
            format!("Violated: {}.", names.join(", "))
        }
        Verdict::Panicked => "The run could not go on.".into(),
        Verdict::NotDeterministic => "Two runs with the same seed differ.".into(),
    };
    let panics = run.panics.iter().map(|panic| {
        format!(
            "{} on {} panicked in {} at {:?}: {}",
            panic.process, panic.host, panic.task, panic.at, panic.message
        )
    });
    model::Summary { headline, details: run.halt.iter().cloned().chain(panics).collect() }
}

fn checks(run: &Execution) -> model::Checks {
    let gates = run.gates.iter().map(|gate| model::Gate {
        name: gate.title(),
        limit: gate.limit.clone(),
        measured: gate.measured.clone(),
        holds: gate.holds,
        explanation: gate.explanation.clone(),
    });
    let invariants = run.record.invariants.results().map(|(invariant, findings)| model::Invariant {
        name: invariant.name().into(),
        statement: invariant.statement(),
        checked: findings.checked,
        violated: findings.violated,
        violations: findings
            .violations
            .iter()
            .map(|violation| model::Violation { at_ns: nanos(violation.at), text: violation.text.clone() })
            .collect(),
    });
    model::Checks { gates: gates.collect(), invariants: invariants.collect() }
}

fn topology(scenario: &Scenario) -> model::Topology {
    let hosts = &scenario.topology.hosts;
    let mains = hosts.iter().filter(|(_, host)| host.is_main()).map(|(index, main)| {
        let homes =
            hosts.iter().filter(|(_, host)| matches!(host.role, Role::Home { main, .. } if main == index));
        model::MainInfo::new(main.name.clone(), homes.map(|(_, home)| home.name.clone()))
    });
    model::Topology { mains: mains.collect() }
}

fn history(run: &Execution) -> model::History {
    let scenario = &*run.scenario;
    let bands = scenario.faults.iter().map(|fault| {
        let active = fault.active();
        let (kind, hosts) = match &fault.what {
            FaultKind::Partition(it) => ("partition", it.hosts.clone()),
            FaultKind::Crash(it) => ("crash", it.hosts.clone()),
            FaultKind::Stop(it) => ("crash", it.hosts.clone()),
            FaultKind::Link(it) => ("link", it.from.clone()),
            FaultKind::Expiry(it) => ("certificate", it.hosts.clone()),
            other => (other.name(), other.hosts().clone()),
        };
        model::FaultBand {
            start_ns: nanos(active.start),
            end_ns: active.end.map(nanos),
            kind: kind.into(),
            label: fault.to_string(),
            hosts: hosts
                .hosts()
                .iter()
                .take(model::HOMES_LISTED_PER_MAIN_MAX)
                .map(|host| name(scenario, *host))
                .collect(),
        }
    });
    let convergence = run.record.convergence.episodes.iter().map(|episode| model::ConvergencePoint {
        start_ns: nanos(episode.start),
        settled_after_ns: match episode.end {
            EpisodeEnd::Settled(took) => Some(nanos(took)),
            EpisodeEnd::Disturbed(_) | EpisodeEnd::RunOver(_) => None,
        },
        cause: match episode.end {
            EpisodeEnd::Disturbed(_) => format!("{} (something else happened first)", episode.cause),
            _ => episode.cause.clone(),
        },
    });
    let timeline = run.record.timeline.kept.iter().take(model::TIMELINE_EVENTS_MAX);
    model::History {
        fault_bands: bands.collect(),
        convergence: convergence.collect(),
        timeline: timeline
            .map(|happening| model::TimelineEvent {
                at_ns: nanos(happening.at),
                host: happening.host.map(|host| name(scenario, host)),
                kind: happening.kind.into(),
                text: happening.text.clone(),
            })
            .collect(),
        timeline_total: run.record.timeline.total,
    }
}

fn calls(run: &Execution) -> model::Calls {
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
    let samples =
        |samples: &[Sample]| samples.iter().map(|sample| call_sample(&run.scenario, sample)).collect();
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
        slowest: samples(&calls.slowest),
        failed: samples(&calls.failed),
    }
}

fn call_sample(scenario: &Scenario, sample: &Sample) -> model::CallSample {
    let outcome = match &sample.outcome {
        Outcome::Success { .. } => "success".into(),
        Outcome::Refused { code, message, .. } => format!("{code} {message}"),
        Outcome::RelayGone(reason) => format!("its own relay is gone: {reason}"),
        Outcome::NoOutcome => "no outcome".into(),
        Outcome::Nonsense(what) => format!("no answer: {what}"),
    };
    model::CallSample {
        at_ns: nanos(sample.due),
        caller: name(scenario, sample.caller),
        target: match sample.callee {
            Some(host) => format!("{} at {}", sample.service, name(scenario, host)),
            None => format!("{} anywhere", sample.service),
        },
        latency_ns: nanos(sample.took),
        outcome,
        path_whole: sample.whole,
        path: sample.outcome.path().to_vec(),
    }
}

fn name(scenario: &Scenario, host: HostIndex) -> String {
    scenario.topology.hosts.get(host).name.clone()
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
