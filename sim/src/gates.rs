//! What a scenario asks of its run, and whether the run gave it.

mod asked;
mod dht;
mod growth;

use std::borrow::Cow;
use std::time::Duration;

use hdrhistogram::Histogram;
use relay_chaos::Share;

use crate::record::{Convergence, EpisodeEnd, LoadStats, Record};
use crate::scenario::{LatencyGates, Load, ReconnectGates, Scenario};

/// One gate and what was measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// Its name, as in the scenario.
    pub name: Cow<'static, str>,
    /// The load that it is asked of; all of them where it is `None`.
    pub load: Option<String>,
    /// What was asked.
    pub limit: String,
    /// What was measured.
    pub measured: String,
    /// Whether there was anything to judge. Where there was not, the run proves nothing: neither that it holds nor that
    /// it fails.
    pub measured_anything: bool,
    /// Whether it holds.
    pub holds: bool,
    /// What the number means, and where it came from.
    pub explanation: String,
}

impl Gate {
    /// Its name, with the load's where it is about one.
    pub fn title(&self) -> String {
        match &self.load {
            Some(load) => format!("{load}: {}", self.name),
            None => self.name.clone().into_owned(),
        }
    }

    /// Its name as `expect_failure` has it: the load's name, `/` and its own.
    fn path(&self) -> String {
        match &self.load {
            Some(load) => format!("{load}/{}", self.name),
            None => self.name.clone().into_owned(),
        }
    }
}

pub use growth::MEMORY_GROWTH;

/// Judges every gate of the scenario.
pub fn judge(scenario: &Scenario, record: &Record) -> Vec<Gate> {
    let wanted = &scenario.gates;
    let mut gates = Vec::new();
    if let Some(limit) = wanted.convergence {
        gates.push(converged(
            "convergence",
            "every Main's view equals the truth",
            limit,
            &record.convergence,
        ));
    }
    let calls = &record.calls;
    if let Some(limit) = wanted.success {
        let what = "calls whose path was whole from send to answer";
        gates.push(share("success", limit, calls.whole_succeeded, calls.whole, what));
    }
    if let Some(limit) = wanted.availability {
        let what = "calls, whatever happened to their path";
        gates.push(share("availability", limit, calls.succeeded, calls.total(), what));
    }
    gates.extend(latency(&wanted.latency, &calls.latency));
    gates.extend(reconnects(&wanted.reconnects, record));
    if let Some(limit) = wanted.max_hops {
        gates.push(Gate {
            name: "max_hops".into(),
            load: None,
            limit: format!("≤ {limit}"),
            measured: calls.hops_max.to_string(),
            measured_anything: calls.total() > 0,
            holds: calls.total() > 0 && calls.hops_max <= limit as usize,
            explanation: "the most hops that any call made".into(),
        });
    }
    if let Some(limit) = wanted.min_calls {
        gates.push(Gate {
            name: "min_calls".into(),
            load: None,
            limit: format!("≥ {limit}"),
            measured: calls.total().to_string(),
            measured_anything: calls.total() > 0,
            holds: calls.total() >= limit,
            explanation: "calls made, or the run proves nothing".into(),
        });
    }
    gates.extend(growth::judge(scenario, record));
    gates.extend(dht::judge(scenario, record));
    for (load, stats) in scenario.loads.iter().zip(&record.loads) {
        gates.extend(
            of_load(load, stats).into_iter().map(|gate| Gate { load: Some(load.name.clone()), ..gate }),
        );
    }
    gates.extend(asked::judge(scenario, record));
    asked::turn_round(scenario, record, &mut gates);
    gates
}

/// Judges what must have happened at least once.
pub fn sometimes(scenario: &Scenario, record: &Record) -> Vec<Gate> {
    asked::sometimes(scenario, record)
}

fn latency(wanted: &LatencyGates, measured: &Histogram<u64>) -> Vec<Gate> {
    let mut gates = Vec::new();
    for (name, quantile, limit) in [
        ("p50", 0.5, wanted.p50),
        ("p90", 0.9, wanted.p90),
        ("p99", 0.99, wanted.p99),
        ("p999", 0.999, wanted.p999),
        ("max", 1.0, wanted.max),
    ] {
        if let Some(limit) = limit {
            let succeeded = measured.len();
            let took = Duration::from_micros(measured.value_at_quantile(quantile));
            gates.push(Gate {
                name: name.into(),
                load: None,
                limit: format!("≤ {}", show(limit)),
                measured: if succeeded == 0 { "no call".into() } else { show(took) },
                measured_anything: succeeded > 0,
                holds: succeeded > 0 && took <= limit,
                explanation: format!("of {succeeded} calls that succeeded, from the time they were due"),
            });
        }
    }
    gates
}

fn reconnects(wanted: &ReconnectGates, record: &Record) -> Vec<Gate> {
    let seen = &record.reconnects;
    let total = wanted.total.map(|limit| Gate {
        name: "reconnects".into(),
        load: None,
        limit: format!("≤ {limit}"),
        measured: seen.total.to_string(),
        measured_anything: true,
        holds: seen.total <= limit,
        explanation: "connections from a host that had one to the same host before".into(),
    });
    let (most, at) = seen.rush;
    let per_second = wanted.per_second.map(|limit| Gate {
        name: "reconnects_per_second".into(),
        load: None,
        limit: format!("≤ {limit}"),
        measured: most.to_string(),
        measured_anything: seen.total > 0,
        // Where nobody came back, nothing is proven.
        holds: seen.total > 0 && most <= limit,
        explanation: format!(
            "the most of {} that one host took within a second, until {}",
            seen.total,
            show(at)
        ),
    });
    total.into_iter().chain(per_second).collect()
}

/// The gates of one load.
fn of_load(load: &Load, stats: &LoadStats) -> Vec<Gate> {
    let wanted = &load.gates;
    let mut gates = Vec::new();
    let goodput = stats.in_time as f64 / (load.stop - load.start).as_secs_f64();
    let gate = |name: &'static str, limit: String, holds| Gate {
        name: name.into(),
        load: None,
        limit,
        measured: format!("{goodput:.1}/s"),
        measured_anything: stats.total() > 0,
        holds,
        explanation: format!(
            "{} of {} calls, answered before the load stopped",
            stats.in_time,
            stats.total()
        ),
    };
    if let Some(least) = wanted.goodput {
        gates.push(gate("goodput", format!("≥ {least}"), goodput >= least.per_second()));
    }
    if let Some(most) = wanted.goodput_max {
        gates.push(gate(
            "goodput_max",
            format!("≤ {most}"),
            stats.total() > 0 && goodput <= most.per_second(),
        ));
    }
    if let Some(limit) = wanted.success {
        let what = "calls whose path was whole from send to answer";
        gates.push(share("success", limit, stats.whole_succeeded, stats.whole, what));
    }
    if let Some(limit) = wanted.availability {
        let what = "calls, whatever happened to their path";
        gates.push(share("availability", limit, stats.succeeded, stats.total(), what));
    }
    gates.extend(latency(&wanted.latency, &stats.latency));
    let failed: u64 = stats.failures.values().sum();
    if let Some(limit) = wanted.fails_within {
        gates.push(Gate {
            name: "fails_within".into(),
            load: None,
            limit: format!("≤ {}", show(limit)),
            measured: if failed == 0 { "no failure".into() } else { show(stats.slowest_failure) },
            measured_anything: failed > 0,
            holds: failed > 0 && stats.slowest_failure <= limit,
            explanation: format!("the slowest of {failed} calls that failed"),
        });
    }
    if let Some(allowed) = &wanted.fails_with {
        let words = |codes: &mut dyn Iterator<Item = String>| codes.collect::<Vec<_>>().join(", ");
        let of = |code: &Option<i64>| code.map_or("none".to_owned(), |code| code.to_string());
        gates.push(Gate {
            name: "fails_with".into(),
            load: None,
            limit: words(&mut allowed.iter().map(ToString::to_string)),
            measured: match failed {
                0 => "no failure".into(),
                _ => words(&mut stats.failures.keys().map(of)),
            },
            measured_anything: failed > 0,
            holds: failed > 0
                && stats.failures.keys().all(|code| code.is_some_and(|it| allowed.contains(&it))),
            explanation: format!("the codes of {failed} calls that failed"),
        });
    }
    gates
}

/// The gate on a share of calls.
fn share(name: &'static str, limit: Share, part: u64, whole: u64, what: &str) -> Gate {
    Gate {
        name: name.into(),
        load: None,
        limit: format!("≥ {limit}"),
        measured: match whole {
            0 => "no call".into(),
            _ => format!("{}%", percent(part as f64 / whole as f64)),
        },
        measured_anything: whole > 0,
        // Counted, not divided: nothing is lost to rounding.
        holds: whole > 0
            && u128::from(part) * 1_000_000_000 >= u128::from(whole) * u128::from(limit.billionths()),
        explanation: format!("{part} of {whole} {what}"),
    }
}

/// The gate on how soon all is as it should be, in words `what`, after each disturbance.
fn converged(name: &'static str, what: &str, limit: Duration, seen: &Convergence) -> Gate {
    let worst = seen.worst();
    let settled = |end: &EpisodeEnd| matches!(end, EpisodeEnd::Settled(_));
    let episodes = &seen.episodes;
    let count = episodes.iter().filter(|episode| settled(&episode.end)).count();
    let mut explanation = format!("{what}; the slowest of {count} returns to agreement");
    let took = |end: &EpisodeEnd| match end {
        EpisodeEnd::Settled(took) | EpisodeEnd::Disturbed(took) | EpisodeEnd::RunOver(took) => *took,
    };
    if let Some(slowest) = episodes.iter().max_by_key(|episode| (!settled(&episode.end), took(&episode.end)))
    {
        explanation = format!("{explanation}: {}", slowest.cause);
    }
    Gate {
        name: name.into(),
        load: None,
        limit: format!("≤ {}", show(limit)),
        measured: match worst {
            None => "nothing to settle".into(),
            Some(_) if count == 0 => "never settled".into(),
            Some((took, true)) => show(took),
            Some((took, false)) => format!("not after {}", show(took)),
        },
        measured_anything: count > 0,
        // Disturbed returns say nothing by themselves: at least one must have come to its end.
        holds: count > 0 && worst.is_some_and(|(took, all)| all && took <= limit),
        explanation,
    }
}

/// A duration for people: three digits or so.
pub fn show(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds >= 100.0 {
        format!("{seconds:.0} s")
    } else if seconds >= 1.0 {
        format!("{seconds:.1} s")
    } else if seconds >= 0.001 {
        format!("{:.1} ms", seconds * 1e3)
    } else {
        format!("{:.0} µs", seconds * 1e6)
    }
}

/// A share in percent, never rounded up to a hundred.
fn percent(share: f64) -> String {
    let floor = (share * 1e5).floor() / 1e3;
    format!("{floor:.3}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_just_below_all_does_not_read_as_all() {
        assert_eq!(percent(1.0), "100");
        assert_eq!(percent(0.999_999_9), "99.999");
        assert_eq!(percent(0.5), "50");
    }

    #[test]
    fn durations_read_well() {
        assert_eq!(show(Duration::from_micros(70_700)), "70.7 ms");
        assert_eq!(show(Duration::from_millis(14_230)), "14.2 s");
        assert_eq!(show(Duration::from_secs(600)), "600 s");
    }
}
