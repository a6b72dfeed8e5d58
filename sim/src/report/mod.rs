//! From a run to the model that reports are drawn from.
//!
//! [`report`] makes the whole; `calls`, `history`, `lanes` and `settings` each a part of it, and [`metrics`] the figures by
//! which runs are compared.

mod calls;
mod history;
mod lanes;
mod metrics;
mod settings;

use std::time::Duration;

use relay_reports::model;

use crate::execute::{Execution, Verdict};
use crate::scenario::{HostIndex, Role, Scenario};

pub use metrics::metrics;

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
                text: scenario.source.text.clone(),
            },
            seed: run.seed,
            version: env!("CARGO_PKG_VERSION").into(),
            engine: run.engine.as_str().into(),
            replay_command: replay,
            settings: settings::settings(scenario),
            parameters: settings::parameters(scenario),
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
        history: history::history(run),
        calls: calls::calls(run),
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
    let course = &run.record.course;
    let results = run.record.invariants.results().enumerate();
    let invariants = results.map(|(place, (invariant, findings))| model::Invariant {
        name: invariant.name().into(),
        statement: invariant.statement(),
        checked: findings.checked,
        violated: findings.violated,
        violations: findings
            .violations
            .iter()
            .map(|violation| model::Violation { at_ns: nanos(violation.at), text: violation.text.clone() })
            .collect(),
        history: (0_u64..)
            .zip(course.history(place))
            .map(|(at, count)| model::CheckPoint {
                start_ns: at * nanos(course.interval),
                width_ns: nanos(course.interval),
                checked: count.checked,
                violated: count.violated,
            })
            .collect(),
    });
    model::Checks { gates: gates.collect(), invariants: invariants.collect(), metrics: metrics(run) }
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

fn name(scenario: &Scenario, host: HostIndex) -> String {
    scenario.topology.hosts.get(host).name.clone()
}
