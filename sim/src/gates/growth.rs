//! What must not grow in a long run: live memory, and the tables and queues that relays report.

use relay_chaos::Share;

use super::Gate;
use crate::record::{Curve, Record};
use crate::scenario::Scenario;

/// The gate on live bytes. What it measures need not be the same to the byte in two runs of one seed.
pub const MEMORY_GROWTH: &str = "memory_growth";

/// By so much a table may be larger at any rate, for each host: means of a few entries move about.
const SLACK_ENTRIES: f64 = 1.0;

/// As above, for what is counted in bytes.
const SLACK_BYTES: f64 = 1_024.0;

/// What a quotient may be off by.
const ROUNDING: f64 = 1e-9;

/// Judges the gates on growth.
pub(super) fn judge(scenario: &Scenario, record: &Record) -> Vec<Gate> {
    let levels = &record.course.levels;
    let hosts = scenario.topology.hosts.len() as f64;
    let wanted = &scenario.gates.growth;
    let memory = wanted.memory.map(|limit| {
        let quarters = levels.memory.second_and_last_quarter();
        let explanation = match quarters {
            Some((second, last)) => {
                format!("live bytes: {} in the second quarter, {} in the last", mib(second), mib(last))
            }
            None => "live bytes: this program does not count them, or the run is too short".into(),
        };
        gate(MEMORY_GROWTH, limit, quarters, explanation)
    });
    let tables = wanted.tables.map(|limit| {
        let worst = levels.tables().filter_map(|(name, curve)| {
            let slack = hosts * if name.ends_with("bytes") { SLACK_BYTES } else { SLACK_ENTRIES };
            curve.second_and_last_quarter().map(|(second, last)| (name, (second + slack, last)))
        });
        let worst = worst.max_by(|(_, one), (_, other)| growth(*one).total_cmp(&growth(*other)));
        let count = levels.tables().filter(|(_, curve)| Curve::second_and_last_quarter(curve).is_some()).count();
        let explanation = match worst {
            Some((name, (second, last))) => format!(
                "the worst of {count} tables: {name}, {last:.1} in the last quarter, {second:.1} with slack in the second"
            ),
            None => "no relay told of a table in the second and in the last quarter".into(),
        };
        gate("table_growth", limit, worst.map(|(_, quarters)| quarters), explanation)
    });
    memory.into_iter().chain(tables).collect()
}

fn gate(name: &'static str, limit: Share, quarters: Option<(f64, f64)>, explanation: String) -> Gate {
    let grown = quarters.map(growth);
    Gate {
        name: name.into(),
        load: None,
        limit: format!("≤ {limit}"),
        measured: grown.map_or("nothing".into(), |grown| format!("{:+.1}%", grown * 100.0)),
        measured_anything: grown.is_some(),
        // Where nothing was measured, nothing is proven.
        holds: grown.is_some_and(|grown| grown <= limit.as_f64() + ROUNDING),
        explanation,
    }
}

/// By what share the later is above the earlier.
fn growth((earlier, later): (f64, f64)) -> f64 {
    match earlier {
        none if none <= 0.0 && later <= 0.0 => 0.0,
        none if none <= 0.0 => f64::INFINITY,
        some => later / some - 1.0,
    }
}

fn mib(bytes: f64) -> String {
    format!("{:.2} MiB", bytes / (1024.0 * 1024.0))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use relay_node::config::Timing;

    use super::*;
    use crate::invariants::Reported;
    use crate::scenario::HostIndex;

    const TEXT: &str = "duration = \"4h\"\n[[main]]\nname = \"main\"\n\
                        [gates]\nmemory_growth = \"5%\"\ntable_growth = \"5%\"\n";

    /// The gates after a run in which memory and a table were so large in each of its four hours.
    fn gates(memory: Option<[i64; 4]>, entries: [u64; 4]) -> Vec<(bool, String)> {
        let scenario = Arc::new(Scenario::load("test.toml", TEXT).unwrap());
        let mut record = Record::new(&scenario, &Timing::default(), Duration::from_secs(1));
        for hour in 0..4 {
            let at = Duration::from_secs(3_600 * hour as u64 + 1_800);
            if let Some(bytes) = memory {
                record.holds(at, bytes[hour]);
            }
            let text = format!(
                "relay_table_entries{{table=\"calls\"}} {}\nrelay_table_limit{{table=\"calls\"}} 9999\n",
                entries[hour]
            );
            record.reported(at, HostIndex(0), &Reported::from_metrics(&text));
        }
        judge(&scenario, &record).into_iter().map(|gate| (gate.holds, gate.measured)).collect()
    }

    #[test]
    fn what_stays_flat_passes_and_what_grows_does_not() {
        let flat = gates(Some([1, 1_000, 1_200, 1_050]), [0, 100, 300, 106]);
        assert_eq!(flat, [(true, "+5.0%".into()), (true, "+5.0%".into())], "one entry is slack");
        let grown = gates(Some([1, 1_000, 1_000, 1_060]), [0, 100, 100, 107]);
        assert!(!grown[0].0 && !grown[1].0, "{grown:?}");
        let less = gates(Some([9_000, 1_000, 1_000, 500]), [50, 10, 10, 0]);
        assert!(less[0].0 && less[1].0, "{less:?}");
    }

    #[test]
    fn where_nothing_counts_nothing_is_proven() {
        let unknown = gates(None, [1; 4]);
        assert_eq!(unknown[0], (false, "nothing".into()));
        assert!(unknown[1].0);
    }
}
