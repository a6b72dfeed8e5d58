//! `relay-sim load`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::args::LoadArgs;
use super::reports::Reports;
use super::run::{self, Done, Plan};
use super::runs::Unit;
use super::{Refusal, files};
use crate::campaign::{ClosedLoop, LOAD_START, settings_left};
use crate::execute::Verdict;
use crate::gates::show;
use crate::replay::failures;

/// How long the first try lasts, with the time to form; each further one lasts four times as long.
const FIRST_TRY: Duration = Duration::from_secs(60);

/// Virtual time that a load may take.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// `relay-sim load`.
pub(super) fn load(args: &LoadArgs) -> Result<u8, Refusal> {
    let base = args.scenario.as_deref().map(|file| files::read(file, &args.set)).transpose()?;
    let started = Instant::now();
    let mut duration = FIRST_TRY;
    // Nobody knows beforehand how long it takes. A run that was too short is no loss: it is the beginning of the next.
    let (done, is_complete) = loop {
        let closed =
            ClosedLoop { calls: args.calls, callers: args.concurrency, payload: args.payload, duration };
        let text = match &base {
            None => closed.made_up(args.mains, args.homes),
            Some(base) => closed.over(base).map_err(|error| Refusal(error.to_string()))?,
        };
        let scenario = Arc::new(files::parse("load.toml", &text, &settings_left(&args.set, &text))?);
        let done = run::run_one(&Plan::default(), &Unit { scenario, seed: args.seed });
        let made = done.run.record.calls.total();
        if made >= args.calls || done.verdict == Verdict::Panicked || duration >= LONGEST {
            break (done, made >= args.calls);
        }
        duration = (duration * 4).min(LONGEST);
    };
    print(&done, started.elapsed());
    if let Some(folder) = &args.report {
        run::judge_and_report(&command(args), &done, None, Some(&mut Reports::new(folder.clone(), false)))?;
    }
    if !is_complete && done.verdict == Verdict::Passed {
        let longest = relay_chaos::quantity::duration::format(LONGEST);
        return Err(Refusal(format!("the calls are not through after {longest} of virtual time")));
    }
    for line in failures(&done.run) {
        eprintln!("{line}");
    }
    Ok(done.verdict.exit_code())
}

/// The command that does it again.
fn command(args: &LoadArgs) -> String {
    let LoadArgs { calls, concurrency, payload, seed, .. } = args;
    let mut text = format!(
        "cargo sim load --calls {calls} --concurrency {concurrency} --payload {payload} --seed {seed}"
    );
    match &args.scenario {
        Some(file) => text += &format!(" --scenario {}", file.display()),
        None => text += &format!(" --mains {} --homes {}", args.mains, args.homes),
    }
    for (name, value) in &args.set {
        text += &format!(" --set '{name}={value}'");
    }
    text
}

fn print(done: &Done, wall: Duration) {
    let (run, calls) = (&done.run, &done.run.record.calls);
    let hosts = &run.scenario.topology.hosts;
    let mains = hosts.iter().filter(|(_, host)| host.is_main()).count();
    println!("{} · seed {} · {mains} Mains, {} Homes", run.scenario.name, run.seed, hosts.len() - mains);
    let took = calls.last_ended.saturating_sub(LOAD_START);
    let per_second = calls.total() as f64 / took.as_secs_f64().max(1e-9);
    println!("calls       {}, {} of them succeeded", calls.total(), calls.succeeded);
    println!("throughput  {per_second:.1} calls per virtual second ({} in {})", calls.total(), show(took));
    let at = |quantile| show(Duration::from_micros(calls.latency.value_at_quantile(quantile)));
    if calls.succeeded > 0 {
        let [p50, p90, p99, p999, max] = [0.5, 0.9, 0.99, 0.999, 1.0].map(at);
        println!("latency     p50 {p50}, p90 {p90}, p99 {p99}, p999 {p999}, max {max}");
        let hops: Vec<String> =
            calls.by_hops.iter().map(|(hops, count)| format!("{count} made {hops}")).collect();
        println!("hops        {}", hops.join(", "));
    }
    for (code, count) in &calls.failures {
        println!(
            "failed      {count} with {}",
            code.map_or("no answer".into(), |code| format!("code {code}"))
        );
    }
    println!("trace hash  {}", crate::report::hash(run));
    println!(
        "speed       {:.0} calls per wall second ({} in all)",
        calls.total() as f64 / wall.as_secs_f64().max(1e-9),
        show(wall)
    );
}
