//! What must hold of the DHT.

use relay_chaos::Share;

use super::{Gate, converged, percent, share, show};
use crate::record::{LookupStats, Record};
use crate::scenario::Scenario;

/// A whole, in billionths.
const WHOLE: u128 = 1_000_000_000;

/// Judges the gates on the DHT.
pub(super) fn judge(scenario: &Scenario, record: &Record) -> Vec<Gate> {
    let wanted = &scenario.gates.dht;
    let mut gates = Vec::new();
    if let Some(limit) = wanted.discovery {
        gates.push(converged("discovery", "every peer knows every other", limit, &record.dht.discovery));
    }
    let sum = |of: fn(&LookupStats) -> u64| record.dht.lookups.iter().map(of).sum::<u64>();
    if let Some(limit) = wanted.resolution {
        let what = "lookups of peers that had something kept gave what is true";
        let gate = share("resolution", limit, sum(|it| it.right), sum(|it| it.due), what);
        let explanation = format!("{}{}", gate.explanation, failures(record));
        gates.push(Gate { explanation, ..gate });
    }
    if let Some(limit) = wanted.stale {
        let (stale, given) = (sum(|it| it.stale), sum(|it| it.given));
        gates.push(Gate {
            name: "stale".into(),
            load: None,
            limit: format!("≤ {limit}"),
            measured: if given == 0 { "no answer".into() } else { stale.to_string() },
            measured_anything: given > 0,
            holds: given > 0 && stale <= limit,
            explanation: format!("of {given} answers, those that were replaced too long ago"),
        });
    }
    let rollout = &record.dht.rollout;
    if let Some(limit) = wanted.bytes_saved {
        gates.push(saved("bytes_saved", limit, rollout.bytes(), "bytes of metadata per node and hour"));
    }
    if let Some(limit) = wanted.disk_saved {
        gates.push(saved("disk_saved", limit, rollout.disk(), "bytes of metadata on all disks"));
    }
    if wanted.reach_kept {
        gates.push(reach_kept(rollout.reach()));
    }
    gates
}

/// What the lookups gave that failed, in words, and the first of them.
fn failures(record: &Record) -> String {
    let mut words = Vec::new();
    for stats in &record.dht.lookups {
        words.extend(stats.failures.iter().map(|(kind, count)| format!("{count} {kind}")));
    }
    let first = record.dht.lookups.iter().flat_map(|stats| &stats.samples).min_by_key(|sample| sample.0);
    let first = first.map(|(at, from, to, what)| {
        format!("; the first at {}, host {} about {}: {what}", show(*at), from.0, to.0)
    });
    match words.as_slice() {
        [] => String::new(),
        words => format!("; {}{}", words.join(", "), first.unwrap_or_default()),
    }
}

/// The gate on a share that is less than before.
fn saved(name: &'static str, limit: Share, seen: Option<(u64, u64)>, what: &str) -> Gate {
    let holds = seen.is_some_and(|(before, after)| {
        let most = u128::from(before) * (WHOLE - u128::from(limit.billionths()));
        before > 0 && u128::from(after) * WHOLE <= most
    });
    Gate {
        name: name.into(),
        load: None,
        limit: format!("≥ {limit}"),
        measured: match seen {
            None | Some((0, _)) => "nothing".into(),
            Some((before, after)) => {
                let saved = 1.0 - after as f64 / before as f64;
                if saved < 0.0 {
                    format!("{:.1}% more", -saved * 100.0)
                } else {
                    format!("{}%", percent(saved))
                }
            }
        },
        measured_anything: seen.is_some_and(|(before, _)| before > 0),
        holds,
        explanation: match seen {
            Some((before, after)) => format!("{what}: {before} before the upgrade, {after} after it"),
            None => format!("{what}: not measured before and after the upgrade"),
        },
    }
}

fn reach_kept(seen: Option<[(u64, u64); 2]>) -> Gate {
    let part = |(tried, made): (u64, u64)| made as f64 / tried.max(1) as f64;
    // Counted, not divided.
    let is_kept = |[before, since]: [(u64, u64); 2]| {
        u128::from(since.1) * u128::from(before.0) >= u128::from(before.1) * u128::from(since.0)
    };
    Gate {
        name: "reach_kept".into(),
        load: None,
        limit: match seen {
            Some([before, _]) => format!("≥ {}%", percent(part(before))),
            None => "as before".into(),
        },
        measured: match seen {
            Some([_, since]) => format!("{}%", percent(part(since))),
            None => "no connection".into(),
        },
        measured_anything: seen.is_some(),
        holds: seen.is_some_and(is_kept),
        explanation: match seen {
            Some([before, since]) => format!(
                "connections to peers that were made: {} of {} from the upgrade's beginning on, {} of {} before",
                since.1, since.0, before.1, before.0
            ),
            None => "no connections were tried before or after the upgrade began".into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_counted_and_not_divided() {
        let eighty: Share = "80%".parse().unwrap();
        let gate = |seen| saved("bytes_saved", eighty, seen, "bytes");
        assert!(gate(Some((1_000, 200))).holds && !gate(Some((1_000, 201))).holds);
        assert_eq!(gate(Some((1_000, 1_500))).measured, "50.0% more");
        for nothing in [None, Some((0, 0))] {
            assert!(!gate(nothing).holds && !gate(nothing).measured_anything);
        }
    }

    #[test]
    fn connections_may_be_more_and_never_fewer() {
        assert!(reach_kept(Some([(10, 9), (100, 90)])).holds);
        assert!(!reach_kept(Some([(10, 9), (100, 89)])).holds);
        assert!(!reach_kept(None).holds);
    }
}
