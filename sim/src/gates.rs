//! What a scenario asks of its run, and whether the run gave it.

use std::time::Duration;

use relay_chaos::Share;

use crate::record::{EpisodeEnd, Record};
use crate::scenario::Scenario;

/// One gate and what was measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// Its name, as in the scenario.
    pub name: &'static str,
    /// What was asked.
    pub limit: String,
    /// What was measured.
    pub measured: String,
    /// Whether it holds.
    pub holds: bool,
    /// What the number means, and where it came from.
    pub explanation: String,
}

/// Judges every gate of the scenario.
pub fn judge(scenario: &Scenario, record: &Record) -> Vec<Gate> {
    let wanted = &scenario.gates;
    let mut gates = Vec::new();
    if let Some(limit) = wanted.convergence {
        gates.push(convergence(limit, record));
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
    let latency = &wanted.latency;
    for (name, quantile, limit) in [
        ("p50", 0.5, latency.p50),
        ("p90", 0.9, latency.p90),
        ("p99", 0.99, latency.p99),
        ("p999", 0.999, latency.p999),
        ("max", 1.0, latency.max),
    ] {
        if let Some(limit) = limit {
            let measured = Duration::from_micros(calls.latency.value_at_quantile(quantile));
            gates.push(Gate {
                name,
                limit: format!("≤ {}", show(limit)),
                measured: if calls.succeeded == 0 { "no call".into() } else { show(measured) },
                holds: calls.succeeded > 0 && measured <= limit,
                explanation: format!(
                    "of {} calls that succeeded, from the time they were due",
                    calls.succeeded
                ),
            });
        }
    }
    if let Some(limit) = wanted.max_hops {
        gates.push(Gate {
            name: "max_hops",
            limit: format!("≤ {limit}"),
            measured: calls.hops_max.to_string(),
            holds: calls.total() > 0 && calls.hops_max <= limit as usize,
            explanation: "the most hops that any call made".into(),
        });
    }
    if let Some(limit) = wanted.min_calls {
        gates.push(Gate {
            name: "min_calls",
            limit: format!("≥ {limit}"),
            measured: calls.total().to_string(),
            holds: calls.total() >= limit,
            explanation: "calls made, or the run proves nothing".into(),
        });
    }
    gates
}

/// The gate on a share of calls.
fn share(name: &'static str, limit: Share, part: u64, whole: u64, what: &str) -> Gate {
    Gate {
        name,
        limit: format!("≥ {limit}"),
        measured: match whole {
            0 => "no call".into(),
            _ => format!("{}%", percent(part as f64 / whole as f64)),
        },
        // Counted, not divided: nothing is lost to rounding.
        holds: whole > 0
            && u128::from(part) * 1_000_000_000 >= u128::from(whole) * u128::from(limit.billionths()),
        explanation: format!("{part} of {whole} {what}"),
    }
}

fn convergence(limit: Duration, record: &Record) -> Gate {
    let worst = record.convergence.worst();
    let settled = |end: &EpisodeEnd| matches!(end, EpisodeEnd::Settled(_));
    let episodes = &record.convergence.episodes;
    let count = episodes.iter().filter(|episode| settled(&episode.end)).count();
    let mut explanation =
        format!("every Main's view equals the truth; the slowest of {count} returns to agreement");
    let took = |end: &EpisodeEnd| match end {
        EpisodeEnd::Settled(took) | EpisodeEnd::Disturbed(took) | EpisodeEnd::RunOver(took) => *took,
    };
    if let Some(slowest) = episodes.iter().max_by_key(|episode| (!settled(&episode.end), took(&episode.end)))
    {
        explanation = format!("{explanation}: {}", slowest.cause);
    }
    Gate {
        name: "convergence",
        limit: format!("≤ {}", show(limit)),
        measured: match worst {
            None => "nothing to settle".into(),
            Some(_) if count == 0 => "never settled".into(),
            Some((took, true)) => show(took),
            Some((took, false)) => format!("not after {}", show(took)),
        },
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
