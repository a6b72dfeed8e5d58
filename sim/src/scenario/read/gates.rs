//! `[gates]`.

use std::time::Duration;

use relay_chaos::quantity::duration;

use super::super::asked::Asked;
use super::super::error::Problem;
use super::super::hosts::Hosts;
use super::super::model::{
    Arrival, DhtGates, Gates, GrowthGates, LatencyGates, Load, LoadGates, Pacing, ReconnectGates, RunPlan,
    Topology,
};
use super::settings::positive;
use super::table::Table;
use super::values::Codes;

/// The most hops that any message makes: Home, Main, Main, Home.
pub(super) const MAX_HOPS: u32 = 3;

const NEED_CALLS: [&str; 9] =
    ["success", "availability", "p50", "p90", "p99", "p999", "max", "max_hops", "min_calls"];

/// What must hold.
pub(super) fn read(file: &mut Table<'_>, topology: &Topology, loads: &[Load], run: &RunPlan) -> Gates {
    let (has_load, has_upgrade) = (file.has("load"), file.has("upgrade"));
    // Where a load was left out as wrong, nothing can be said of all of them.
    let loads = if loads.len() == file.number_of("load") { loads } else { &[] };
    let Some(mut table) = file.table("gates", "[gates]") else { return Gates::default() };
    let gates = Gates {
        convergence: convergence(&mut table, "convergence", &topology.hosts, run),
        success: table.get("success"),
        availability: table.get("availability"),
        latency: latency(&mut table),
        max_hops: max_hops(&mut table),
        min_calls: min_calls(&mut table, loads),
        reconnects: ReconnectGates {
            total: table.get("reconnects"),
            per_second: table.get("reconnects_per_second"),
        },
        growth: GrowthGates { memory: table.get("memory_growth"), tables: table.get("table_growth") },
        dht: dht(&mut table, topology, run, has_upgrade),
        asked: Asked::default(),
    };
    if !has_load {
        for key in NEED_CALLS.into_iter().filter(|key| table.has(key)) {
            let message = format!("the gate `{key}` judges calls, and the scenario makes none");
            let problem = Problem::new(message, table.key_span(key), "expected a [[load]] in this file");
            table.problem(problem.help("add a [[load]], or leave this gate out"));
        }
    }
    table.finish();
    gates
}

/// `[load.gates]`: what must hold of one load.
pub(super) fn of_load(load: &mut Table<'_>) -> LoadGates {
    let Some(mut table) = load.table("gates", "[load.gates]") else { return LoadGates::default() };
    let gates = LoadGates {
        goodput: table.get("goodput"),
        goodput_max: table.get("goodput_max"),
        success: table.get("success"),
        availability: table.get("availability"),
        latency: latency(&mut table),
        fails_within: positive(&mut table, "fails_within"),
        fails_with: table.get::<Codes>("fails_with").map(|codes| codes.0),
    };
    table.finish();
    gates
}

fn latency(table: &mut Table<'_>) -> LatencyGates {
    LatencyGates {
        p50: positive(table, "p50"),
        p90: positive(table, "p90"),
        p99: positive(table, "p99"),
        p999: positive(table, "p999"),
        max: positive(table, "max"),
    }
}

/// How soon all is as it should be after the last start, by what is read now and then.
fn convergence(table: &mut Table<'_>, key: &'static str, hosts: &Hosts, run: &RunPlan) -> Option<Duration> {
    let value = positive(table, key)?;
    let (what, interval, setting) = match key {
        "convergence" => ("the Mains' views are read", run.probe_interval, "interval"),
        _ => ("nodes are asked whom they know", run.dht_interval, "dht"),
    };
    if value < interval {
        let interval = duration::format(interval);
        let message = format!("{what} every {interval}, too seldom to measure this");
        let problem = Problem::new(message, table.value_span(key), format!("expected at least {interval}"));
        table.problem(problem.help(format!("shorten `{setting}` in [probe]")));
    }
    let last_start = hosts.iter().map(|(_, host)| host.start).max().unwrap_or_default();
    if last_start + value > run.duration {
        let message = format!("the run ends before {key} after the last start can be judged");
        let left = duration::format(run.duration.saturating_sub(last_start));
        let problem = Problem::new(message, table.value_span(key), format!("expected at most {left}"));
        table.problem(problem.help("lengthen `duration`"));
    }
    Some(value)
}

/// The gates on the DHT.
fn dht(table: &mut Table<'_>, topology: &Topology, run: &RunPlan, has_upgrade: bool) -> DhtGates {
    let gates = DhtGates {
        discovery: convergence(table, "discovery", &topology.hosts, run),
        resolution: table.get("resolution"),
        stale: table.get("stale"),
        bytes_saved: table.get("bytes_saved"),
        disk_saved: table.get("disk_saved"),
        reach_kept: table.get("reach_kept").unwrap_or_default(),
    };
    let plan = &topology.dht;
    let nobody = !has_upgrade && topology.hosts.iter().all(|(_, host)| !host.dht);
    let needs: [(bool, &[&str], &str, &str); 3] = [
        (
            nobody,
            &["discovery"],
            "nobody is a node of the DHT",
            "say `on = true` in [dht], or leave this gate out",
        ),
        (
            plan.lookups.is_empty(),
            &["resolution", "stale", "reach_kept"],
            "nobody looks anything up",
            "add a [[lookup]], or leave this gate out",
        ),
        (
            plan.broadcast.is_none() || !has_upgrade,
            &["bytes_saved", "disk_saved", "reach_kept"],
            "there is nothing to compare with",
            "this needs [broadcast], and an [[upgrade]] with `dht = true`",
        ),
    ];
    for (lacks, keys, message, help) in needs {
        for key in keys.iter().filter(|key| lacks && table.has(key)) {
            let problem =
                Problem::new(message, table.key_span(key), "expected what this gate judges in this file");
            table.problems().add_unknown_name(problem.help(help));
        }
    }
    if plan.lookups.iter().all(|it| !it.connects) && !plan.lookups.is_empty() && table.has("reach_kept") {
        let label = "expected a [[lookup]] with `connects = true`";
        table.problem(Problem::new("no lookup connects to anybody", table.key_span("reach_kept"), label));
    }
    gates
}

fn max_hops(table: &mut Table<'_>) -> Option<u32> {
    let hops = table.read::<u32>("max_hops")?;
    if !(1..=MAX_HOPS).contains(hops.get_ref()) {
        let message = format!("`max_hops` is {}", hops.get_ref());
        let label = format!("expected 1 to {MAX_HOPS}: no message makes more hops");
        table.problem(Problem::new(message, hops.span(), label));
    }
    Some(hops.into_inner())
}

fn min_calls(table: &mut Table<'_>, loads: &[Load]) -> Option<u64> {
    let least = table.read::<u64>("min_calls")?;
    if *least.get_ref() == 0 {
        let problem = Problem::new("`min_calls` is zero", least.span(), "expected at least 1");
        table.problem(problem.help("leave it out to ask for nothing"));
    }
    if let Some(most) = loads.iter().map(most_calls).sum::<Option<u64>>()
        && !loads.is_empty()
        && *least.get_ref() > most
    {
        let message = format!("the loads make at most {most} calls");
        table.problem(Problem::new(message, least.span(), format!("expected at most {most}")));
    }
    Some(least.into_inner())
}

/// How many calls a load makes at most, where that can be known.
fn most_calls(load: &Load) -> Option<u64> {
    let callers = u128::try_from(load.from.hosts().len()).ok()?;
    let each = match &load.arrival {
        Arrival::Open { rate, pacing: Pacing::Even } => {
            let time = load.stop.saturating_sub(load.start);
            // The interval is rounded down to whole nanoseconds, which errs on the side of more calls.
            time.as_nanos() / rate.interval().as_nanos().max(1) + 1
        }
        Arrival::Profile(profile) if profile.pacing == Pacing::Even => profile
            .segments
            .iter()
            .map(|it| {
                it.calls_until(it.window.length().as_secs_f64()).ceil() as u128 + u128::from(it.burst_calls())
            })
            .sum::<u128>()
            .saturating_add(1),
        Arrival::Open { .. } | Arrival::Profile(_) | Arrival::Closed { .. } => return None,
    };
    u64::try_from(callers * each).ok()
}
