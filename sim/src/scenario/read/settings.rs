//! The keys at the top, `[probe]`, `[operator]` and `[node]`.

use std::time::Duration;

use relay_chaos::quantity::duration;
use toml::Spanned;

use super::super::error::Problem;
use super::super::model::{NodeSettings, RunPlan};
use super::super::parts::Phase;
use super::names::check_name;
use super::operator;
use super::table::Table;

/// How long a scenario runs that does not say so.
pub(super) const DEFAULT_DURATION: Duration = Duration::from_secs(600);
/// How often the Mains' views are read, unless the scenario says otherwise.
pub(super) const DEFAULT_PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// How often each relay's metrics are read, unless the scenario says otherwise: seldom enough to cost next to nothing.
pub(super) const DEFAULT_REPORT_INTERVAL: Duration = Duration::from_secs(180);
/// How often nodes are asked how they stand in the DHT, unless the scenario says otherwise.
pub(super) const DEFAULT_DHT_INTERVAL: Duration = Duration::from_secs(1);
/// The seed of a scenario that names none.
pub(super) const DEFAULT_SEED: u64 = 1;

/// The scenario's name: what it says, or the stem of its file.
pub(super) fn name(file: &mut Table<'_>, file_name: &str) -> String {
    match file.read::<String>("name") {
        Some(name) => {
            check_name(file, &name, "scenario");
            name.into_inner()
        }
        None => {
            let base = file_name.rsplit(['/', '\\']).next().unwrap_or(file_name);
            let stem = base.strip_suffix(".toml").unwrap_or(base);
            if stem.is_empty() { "scenario".to_owned() } else { stem.to_owned() }
        }
    }
}

/// `duration`, `seed` and `[probe]`.
pub(super) fn run(file: &mut Table<'_>, phases: &[Phase]) -> RunPlan {
    let planned = phases.last().map(|phase| phase.end);
    let duration = positive(file, "duration").unwrap_or(match file.has("duration") {
        // A wrong one is noted; no other time is to look wrong because of it.
        true => Duration::MAX,
        false => planned.unwrap_or(DEFAULT_DURATION),
    });
    if let Some(planned) = planned
        && planned > duration
    {
        let message = format!("the phases last {} together", duration::format(planned));
        let label = format!("expected at least {}", duration::format(planned));
        let problem = Problem::new(message, file.value_span("duration"), label);
        file.problem(problem.help("leave `duration` out: then the run lasts as long as its phases"));
    }
    let seed = file.get::<u64>("seed").unwrap_or(DEFAULT_SEED);
    let (mut probe_interval, mut report_interval, mut dht_interval) = (None, None, None);
    if let Some(mut probe) = file.table("probe", "[probe]") {
        probe_interval = positive(&mut probe, "interval");
        report_interval = positive(&mut probe, "reports");
        dht_interval = positive(&mut probe, "dht");
        probe.finish();
    }
    RunPlan {
        duration,
        seed,
        probe_interval: probe_interval.unwrap_or(DEFAULT_PROBE_INTERVAL),
        report_interval: report_interval.unwrap_or(DEFAULT_REPORT_INTERVAL),
        dht_interval: dht_interval.unwrap_or(DEFAULT_DHT_INTERVAL),
        operator_every: operator::read(file),
        phases: phases.to_vec(),
    }
}

/// `[node]`.
pub(super) fn node(file: &mut Table<'_>) -> NodeSettings {
    file.table("node", "[node]").map(node_settings).unwrap_or_default()
}

/// The keys of `[node]`.
pub(super) fn node_settings(mut node: Table<'_>) -> NodeSettings {
    let settings = NodeSettings {
        heartbeat: positive(&mut node, "heartbeat"),
        unhealthy_after: positive(&mut node, "unhealthy_after"),
        backoff_initial: positive(&mut node, "backoff_initial"),
        backoff_cap: positive(&mut node, "backoff_cap"),
        registry_ttl: positive(&mut node, "registry_ttl"),
        call_timeout: positive(&mut node, "call_timeout"),
        drain: node.get("drain"),
        home_calls_per_second: node.get("home_calls_per_second"),
    };
    let not_less = |low: (&str, Option<Duration>), high: (&str, Option<Duration>)| {
        if let (Some(least), Some(value)) = (low.1, high.1)
            && value < least
        {
            let message = format!("`{}` is shorter than `{}`", high.0, low.0);
            let label = format!("expected at least {}", duration::format(least));
            node.problem(Problem::new(message, node.value_span(high.0), label));
        }
    };
    not_less(("heartbeat", settings.heartbeat), ("unhealthy_after", settings.unhealthy_after));
    not_less(("backoff_initial", settings.backoff_initial), ("backoff_cap", settings.backoff_cap));
    node.finish();
    settings
}

/// A duration above zero, where there is one.
pub(super) fn positive(table: &mut Table<'_>, key: &'static str) -> Option<Duration> {
    table.read::<Duration>(key).and_then(|value| above_zero(table, key, &value))
}

/// A duration above zero, whose absence is noted.
pub(super) fn require_positive(table: &mut Table<'_>, key: &'static str) -> Option<Duration> {
    table.require::<Duration>(key).and_then(|value| above_zero(table, key, &value))
}

fn above_zero(table: &Table<'_>, key: &str, value: &Spanned<Duration>) -> Option<Duration> {
    if value.get_ref().is_zero() {
        let message = format!("`{key}` is zero");
        table.problem(Problem::new(message, value.span(), "expected a duration above zero"));
        return None;
    }
    Some(*value.get_ref())
}

/// A time before the end of the run, which lasts `end`.
pub(super) fn before_end(
    table: &mut Table<'_>,
    key: &'static str,
    what: &str,
    end: Duration,
) -> Option<Duration> {
    let time = table.read::<Duration>(key)?;
    if *time.get_ref() >= end {
        let run = duration::format(end);
        let message = format!("{what} after the end of the run");
        let label = format!("expected a time before the end, {run}");
        let help = format!("the run ends at {run}: lengthen `duration`, or make this earlier");
        table.problem(Problem::new(message, time.span(), label).help(help));
        return None;
    }
    Some(time.into_inner())
}
