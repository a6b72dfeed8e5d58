//! What happened to the federation.

use relay_chaos::Fault;
use relay_reports::model;

use super::{lanes, name, nanos};
use crate::execute::Execution;
use crate::record::{Curve, EpisodeEnd};
use crate::scenario::{HostIndex, HostSet};

/// Faults, returns to agreement, events, and the lanes of nodes and links.
pub(super) fn history(run: &Execution) -> model::History {
    let scenario = &*run.scenario;
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
    model::History {
        fault_bands: bands(run),
        convergence: convergence.collect(),
        timeline: timeline(run),
        timeline_total: run.record.timeline.total + scenario.run.phases.len() as u64,
        lanes: lanes::lanes(run),
        likelihood: Vec::new(),
        series: series(run),
    }
}

/// Live memory, then the tables and queues that relays report, all relays together.
fn series(run: &Execution) -> Vec<model::Series> {
    let levels = &run.record.course.levels;
    let width = nanos(levels.interval());
    let series = |name: String, unit: &str, of_machine, curve: &Curve| model::Series {
        name,
        unit: unit.into(),
        of_machine,
        points: (0..)
            .zip(&curve.points)
            .filter_map(|(at, point)| {
                let point = point.as_ref()?;
                let (mean, max) = (point.mean(), point.max);
                Some(model::SeriesPoint { start_ns: at * width, width_ns: width, mean, max })
            })
            .collect(),
    };
    let memory = series("live memory".into(), "bytes", true, &levels.memory);
    let tables = levels.tables().map(|(name, curve)| {
        let unit = if name.ends_with("bytes") { "bytes" } else { "entries" };
        series(format!("table: {name}"), unit, false, curve)
    });
    std::iter::once(memory).chain(tables).filter(|series| !series.points.is_empty()).collect()
}

/// What happened, and the phases of the scenario.
fn timeline(run: &Execution) -> Vec<model::TimelineEvent> {
    let scenario = &*run.scenario;
    let happened = run.record.timeline.kept.iter().map(|happening| model::TimelineEvent {
        at_ns: nanos(happening.at),
        host: happening.host.map(|host| name(scenario, host)),
        kind: happening.kind.into(),
        text: happening.text.clone(),
    });
    let phases = scenario.run.phases.iter().map(|phase| model::TimelineEvent {
        at_ns: nanos(phase.start),
        host: None,
        kind: "phase".into(),
        text: format!("{} begins", phase.name),
    });
    let mut events: Vec<_> = phases.chain(happened).collect();
    events.sort_by_key(|event| event.at_ns);
    events.truncate(model::TIMELINE_EVENTS_MAX);
    events
}

fn bands(run: &Execution) -> Vec<model::FaultBand> {
    run.scenario.faults.iter().enumerate().map(|(number, fault)| band(run, number, fault)).collect()
}

fn band(run: &Execution, number: usize, fault: &Fault<HostSet>) -> model::FaultBand {
    let (scenario, course) = (&*run.scenario, &run.record.course);
    let active = fault.active();
    let is_hit = |host: &&HostIndex| !fault.is_conditional() || course.power_cuts.contains(&(number, **host));
    let hosts = fault.what.hosts().hosts().iter().filter(is_hit).take(model::HOMES_LISTED_PER_MAIN_MAX);
    let came = course.came(number, fault);
    model::FaultBand {
        start_ns: nanos(active.start),
        // What never came shades nothing.
        end_ns: if came { active.end.map(nanos) } else { Some(nanos(active.start)) },
        kind: fault.what.name().into(),
        label: if came { fault.to_string() } else { format!("did not happen: {fault}") },
        hosts: hosts.map(|host| name(scenario, *host)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::execute::{Settings, execute};
    use crate::scenario::Scenario;

    /// A run in which the Main's power is to go at this operation of its disk, from the first minute on.
    fn run(operation: u32) -> Execution {
        let text = format!(
            "duration = \"3m\"\n[operator]\nevery = \"10s\"\n[[service]]\nname = \"echo\"\nkind = \"echo\"\n\
             [[main]]\nname = \"main\"\n[[home]]\nname = \"home\"\nmain = \"main\"\nservices = [\"echo\"]\n\
             [[load]]\nname = \"calls\"\nfrom = \"main\"\nto = \"home\"\nservice = \"echo\"\nmethod = \"get\"\n\
             rate = \"1/s\"\nstart = \"10s\"\n[[fault]]\nat = \"60s\"\nkind = \"crash\"\nhost = \"main\"\n\
             how = \"power-cut\"\nat_disk_operation = {operation}\ndown = \"60s\"\n"
        );
        execute(&Arc::new(Scenario::load("test.toml", &text).unwrap()), &Settings::default())
    }

    #[test]
    fn a_power_cut_that_never_came_is_told_and_excuses_nothing() {
        let (spared, hit) = (run(1_000_000), run(2));
        let [in_plan, in_fact] = [&spared, &hit].map(history);
        let band = &in_plan.fault_bands[0];
        assert!(band.label.starts_with("did not happen: crash of main (power cut at"), "{}", band.label);
        assert_eq!((band.end_ns, &band.hosts), (Some(band.start_ns), &Vec::new()), "it shades nothing");
        let told = |history: &model::History, kind: &str| {
            history.timeline.iter().find(|event| event.kind == kind).map(|event| event.text.clone())
        };
        let words = "main keeps its power: its disk did fewer than 1000000 operations";
        assert_eq!(told(&in_plan, "spared").as_deref(), Some(words));
        let calls = &spared.record.calls;
        assert_eq!((calls.whole, calls.total()), (170, 170), "every path was whole");
        assert_eq!(spared.record.convergence.episodes.len(), 1, "nothing disturbed the Mains");

        let band = &in_fact.fault_bands[0];
        assert!(band.label.starts_with("crash of main"), "{}", band.label);
        assert_eq!((band.end_ns, &*band.hosts), (Some(120_000_000_000), &["main".to_owned()][..]));
        assert_eq!(told(&in_fact, "spared"), None);
        assert!(told(&in_fact, "crash").is_some());
        let calls = &hit.record.calls;
        assert!(calls.whole < 130 && calls.whole == calls.whole_succeeded, "{} were whole", calls.whole);
        assert!(hit.record.convergence.episodes.len() > 1);
    }
}
