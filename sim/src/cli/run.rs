//! `relay-sim run` and `relay-sim replay`.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use relay_node::config::log_filter;
use relay_reports::digest::CutShort;
use relay_reports::model::Report;
use tracing_subscriber::layer::SubscriberExt;

use super::args::{ReplayArgs, RunArgs, Seeds};
use super::baselines::Baselines;
use super::output::{self, Tally};
use super::parting::{Print, where_they_part};
use super::reports::Reports;
use super::runs::{Unit, side_by_side_until};
use super::trace_file::TraceFile;
use super::{Refusal, capsules, files, interrupt};
use crate::capability::obstacles;
use crate::engine::{Engine, Stamp};
use crate::execute::{self, Execution, Settings, Stopped, Verdict, execute};
use crate::replay::{Capsule, failures};
use crate::report;
use crate::scenario::Scenario;
use crate::trace::{Keep, Sink};

/// Runs of one command, at most: beyond it a typo is more likely than patience.
pub(super) const RUNS_MAX: u64 = 1_000_000;

/// Failed runs of one command that are told in full; the others get a line each.
pub(super) const FAILURES_IN_FULL_MAX: usize = 10;

/// A run that is over, and what is to be said of it.
pub(super) struct Done {
    pub(super) run: Execution,
    pub(super) verdict: Verdict,
    /// Where two runs of the same seed part, where they do.
    divergence: Option<String>,
    /// It was run twice.
    compared: bool,
    /// Why its events are not all where they were to go, where they are not.
    untold: Option<io::Error>,
    pub(super) wall: Duration,
}

impl Done {
    /// The report of the run, held against its baseline. `command` runs it again.
    fn report(&self, command: String, baselines: Option<&mut Baselines>) -> Result<Report, Refusal> {
        let mut report = report::report(&self.run, command, Some(self.wall));
        if let Some(divergence) = &self.divergence {
            report.verdict = relay_reports::model::Verdict::NotDeterministic;
            report.summary.headline = "Two runs with the same seed differ.".into();
            report.summary.details.push(divergence.clone());
        }
        if let Some(baselines) = baselines
            && let Some(baseline) = baselines.of(&self.run.scenario.name)?
        {
            report.hold_against(baseline);
        }
        Ok(report)
    }

    /// Says where its events are, or why they are not there.
    fn tell_of(&self, trace: &TraceFile) -> Result<(), Refusal> {
        trace.tell(self.untold.as_ref(), self.verdict)
    }
}

/// Everything that the runs of one command share.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) units: Vec<Unit>,
    pub(super) engine: Engine,
    pub(super) check_determinism: bool,
    /// Each scenario is run with several seeds.
    pub(super) many_seeds: bool,
    pub(super) log: Option<tracing::Dispatch>,
    /// Where the events of the one run go.
    pub(super) sink: Option<Sink>,
}

/// `relay-sim run`.
pub(super) fn run(args: RunArgs) -> Result<u8, Refusal> {
    let scenarios = files::load(&args.paths, &args.set)?;
    refuse_namesakes(&scenarios)?;
    refuse_unfit(&scenarios, args.engine)?;
    let range = |scenario: &Scenario| match (args.seed, args.seeds) {
        (_, Some(seeds)) => seeds,
        (seed, None) => {
            let seed = seed.unwrap_or(scenario.run.seed);
            Seeds { first: seed, last: seed }
        }
    };
    let count: u64 = scenarios
        .iter()
        .map(|scenario| range(scenario))
        .map(|it| (it.last - it.first).saturating_add(1))
        .sum();
    if count > RUNS_MAX {
        return Err(Refusal(format!("{count} runs are too many for one command, at most {RUNS_MAX}")));
    }
    let trace = args.trace.as_deref().map(|file| TraceFile::create(file, count)).transpose()?;
    let units = scenarios.iter().flat_map(|scenario| {
        let Seeds { first, last } = range(scenario);
        (first..=last).map(|seed| Unit { scenario: Arc::clone(scenario), seed })
    });
    let plan = Plan {
        units: units.collect(),
        engine: args.engine,
        check_determinism: args.check_determinism,
        many_seeds: args.seeds.is_some_and(|seeds| seeds.first < seeds.last),
        log: args.log.as_deref().map(log_to_stderr).transpose()?,
        sink: trace.as_ref().map(TraceFile::sink),
    };
    let several = plan.units.len() > 1;
    let with_seeds = args.seeds.is_some();
    let jobs = jobs(args.jobs);
    let bar = if with_seeds { progress(plan.units.len()) } else { ProgressBar::hidden() };
    let mut reports = args.report.clone().map(|folder| Reports::new(folder, several));
    let mut baselines = args.baselines.as_deref().map(Baselines::in_folder).transpose()?;
    let started = Instant::now();
    let mut worst = Verdict::Passed;
    let mut failed = 0;
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    let mut outcome = Ok(());
    if several {
        interrupt::take_note();
    }
    let mut done_so_far = 0;
    side_by_side_until(
        &plan.units,
        jobs,
        interrupt::came,
        |unit| run_one(&plan, unit),
        |unit, done| {
            bar.inc(1);
            done_so_far += 1;
            worst = worst.max(done.verdict);
            failed += usize::from(done.verdict != Verdict::Passed);
            tallies.entry(done.run.scenario.name.clone()).or_default().add(&done.run, done.verdict);
            bar.suspend(|| {
                if !with_seeds {
                    print_run(&done);
                }
                // The failure first: it must be told even where the report cannot be written.
                let again = unit.command_on(done.run.engine);
                let written = write_capsule(&done, &args.capsules, &again, failed <= FAILURES_IN_FULL_MAX)
                    .and_then(|()| judge_and_report(&again, &done, baselines.as_mut(), reports.as_mut()))
                    .map(|verdict| worst = worst.max(verdict))
                    .and_then(|()| trace.as_ref().map_or(Ok(()), |trace| done.tell_of(trace)));
                if let Err(error) = written
                    && outcome.is_ok()
                {
                    outcome = Err(error);
                }
            });
        },
    );
    bar.finish_and_clear();
    let cut_short = cut_short(done_so_far, count);
    // What there is stays, whatever went wrong with one of them.
    let index = reports.map(|reports| reports.finish(cut_short)).transpose();
    outcome?;
    if let Some(index) = index?.flatten() {
        println!("reports     {}", index.display());
    }
    if with_seeds {
        println!("{}", output::summary(tallies.iter().map(|(name, tally)| (name.as_str(), tally))));
        for line in tallies.iter().flat_map(|(name, tally)| tally.sometimes.lines(name)) {
            println!("{line}");
        }
        if tallies.values().any(|tally| tally.sometimes.proves_nothing()) {
            worst = worst.max(Verdict::GateFailed);
        }
        let wall = started.elapsed();
        let virtual_time: Duration = tallies.values().map(|tally| tally.virtual_time).sum();
        let speed = virtual_time.as_secs_f64() / wall.as_secs_f64().max(1e-9);
        println!("speed  {speed:.0} virtual seconds per wall second, {} in all", crate::gates::show(wall));
    }
    Ok(if cut_short.is_some() { interrupt::exit_code() } else { worst.exit_code() })
}

/// Says that not all runs were done, where that is so.
pub(super) fn cut_short(done: u64, asked: u64) -> Option<CutShort> {
    (done < asked).then(|| {
        println!("cut short   after {done} of {asked} runs");
        CutShort { asked }
    })
}

/// How many runs go side by side: as many as asked for, or else as there are cores.
pub(super) fn jobs(asked: Option<u16>) -> NonZeroUsize {
    let asked = asked.and_then(|jobs| NonZeroUsize::new(jobs.into()));
    asked.or_else(|| thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN)
}

/// Reports, capsules and the summary go by the scenario's name.
fn refuse_namesakes(scenarios: &[Arc<Scenario>]) -> Result<(), Refusal> {
    let mut files: BTreeMap<&str, &str> = BTreeMap::new();
    for scenario in scenarios {
        let file = scenario.source.name.as_str();
        if let Some(other) = files.insert(&scenario.name, file) {
            let name = &scenario.name;
            return Err(Refusal(format!(
                "{other} and {file} are both called {name}; give one another `name`"
            )));
        }
    }
    Ok(())
}

/// What an engine cannot do is said before anything runs.
fn refuse_unfit(scenarios: &[Arc<Scenario>], engine: Engine) -> Result<(), Refusal> {
    for scenario in scenarios {
        let found = obstacles(scenario, engine);
        if !found.is_empty() {
            let (name, found) = (&scenario.name, found.join("\n  "));
            return Err(Refusal(format!("{name} needs the event engine, not {engine}, for:\n  {found}")));
        }
    }
    Ok(())
}

/// `relay-sim replay`.
pub(super) fn replay(args: ReplayArgs) -> Result<u8, Refusal> {
    let capsule = files::capsule(&args.capsule)?;
    let again = replay_command(&args);
    let is_changed = !args.set.is_empty();
    let set: Vec<_> = capsule.set.clone().into_iter().chain(args.set).collect();
    let scenario = Arc::new(files::parse(&capsule.file, &capsule.scenario, &set)?);
    let level = match args.verbose {
        0 => args.log.as_deref(),
        1 => Some("info"),
        _ => Some("debug"),
    };
    let log = level.map(log_to_stderr).transpose()?;
    let engine = capsule.engine;
    refuse_unfit(std::slice::from_ref(&scenario), engine)?;
    let trace = args.trace.as_deref().map(|file| TraceFile::create(file, 1)).transpose()?;
    let sink = trace.as_ref().map(TraceFile::sink);
    if let Some(until) = args.until {
        let settings = Settings { seed: Some(capsule.seed), engine, log, sink, ..Settings::default() };
        return stopped(&scenario, &settings, until, trace.as_ref());
    }
    let plan = Plan { engine, log, sink, ..Plan::default() };
    let unit = Unit { scenario, seed: capsule.seed };
    let done = run_one(&plan, &unit);
    print_run(&done);
    let mut reports = args.report.clone().map(|folder| Reports::new(folder, false));
    judge_and_report(&again, &done, None, reports.as_mut())?;
    let hash = report::hash(&done.run);
    if hash == capsule.trace_hash {
        println!("replayed    event by event: the trace hash is the capsule's");
    } else {
        let version = env!("CARGO_PKG_VERSION");
        let who = match capsule.version == version {
            _ if is_changed => "--set changed the scenario".to_owned(),
            true => "this build is another one, or the run is not deterministic: replay it once more and \
                     compare the trace hashes"
                .to_owned(),
            false => format!("it was written by version {}, this is {version}", capsule.version),
        };
        let (then, now) = (&capsule.verdict, done.verdict.as_str());
        println!("replayed    with other events than in the capsule ({who}); it was {then}, it is {now}");
    }
    if let Some(trace) = &trace {
        done.tell_of(trace)?;
    }
    Ok(done.verdict.exit_code())
}

/// The command that replays a capsule again: the scenario file itself may be gone, or never have been.
fn replay_command(args: &ReplayArgs) -> String {
    let mut text = format!("cargo sim replay {}", args.capsule.display());
    for (name, value) in &args.set {
        text += &format!(" --set '{name}={value}'");
    }
    text
}

/// Runs until a virtual time, and says how things stand then.
fn stopped(
    scenario: &Arc<Scenario>,
    settings: &Settings,
    until: Duration,
    file: Option<&TraceFile>,
) -> Result<u8, Refusal> {
    let (name, seed) = (&scenario.name, settings.seed.unwrap_or(scenario.run.seed));
    let Stopped { snapshot, panics, mut trace } = execute::stop_at(scenario, settings, until);
    for panic in &panics {
        let (host, at) = (&panic.host, crate::gates::show(panic.at));
        eprintln!("{host} at {at}: the task {} panicked: {}", panic.task, panic.message);
    }
    match snapshot {
        Ok(snapshot) => println!("{name} · seed {seed} · stopped\n{snapshot}"),
        Err(why) => {
            let told = format!("{name} with seed {seed} does not come so far: {why}");
            if panics.is_empty() {
                return Err(Refusal(told));
            }
            eprintln!("{told}");
        }
    }
    let verdict = if panics.is_empty() { Verdict::Passed } else { Verdict::Panicked };
    if let Some(file) = file {
        file.tell(trace.end_stream().as_ref(), verdict)?;
    }
    Ok(verdict.exit_code())
}

pub(super) fn run_one(plan: &Plan, unit: &Unit) -> Done {
    let (seed, engine, is_one_of_many) = (Some(unit.seed), plan.engine, plan.many_seeds);
    let settings = Settings { seed, engine, is_one_of_many, ..Settings::default() };
    let run_again = |record_trace| execute(&unit.scenario, &Settings { record_trace, ..settings.clone() });
    let (log, sink) = (plan.log.clone(), plan.sink.clone());
    let started = Instant::now();
    let mut run = execute(&unit.scenario, &Settings { log, sink, ..settings.clone() });
    let untold = run.trace.end_stream();
    let wall = started.elapsed();
    let mut verdict = run.verdict();
    let mut divergence = None;
    if plan.check_determinism {
        let (first, again) = (Print::of(&run), Print::of(&run_again(Keep::Nothing)));
        if first != again {
            verdict = Verdict::NotDeterministic;
            divergence = Some(where_they_part(&first, &again, run_again));
        }
    }
    Done { run, verdict, divergence, compared: plan.check_determinism, untold, wall }
}

pub(super) fn print_run(done: &Done) {
    println!("{}", output::heading(&done.run, done.verdict));
    println!("{}", output::table(&done.run));
    println!("{}", output::figures(&done.run, done.wall));
    if done.compared && done.divergence.is_none() {
        println!("determinism a second run did the same, event by event, and gave the same report");
    }
}

/// Holds the run against its baseline and writes its report, where either is wanted; `again` is the command that repeats
/// it. Returns the verdict over both.
pub(super) fn judge_and_report(
    again: &str,
    done: &Done,
    baselines: Option<&mut Baselines>,
    reports: Option<&mut Reports>,
) -> Result<Verdict, Refusal> {
    if baselines.is_none() && reports.is_none() {
        return Ok(done.verdict);
    }
    let report = done.report(again.to_owned(), baselines)?;
    let passed_without = done.verdict == Verdict::Passed;
    let verdict = match report.verdict {
        relay_reports::model::Verdict::GateFailed if passed_without => {
            let (name, seed) = (&done.run.scenario.name, done.run.seed);
            eprintln!("{name} with seed {seed}: {}", report.summary.headline);
            Verdict::GateFailed
        }
        _ => done.verdict,
    };
    if let Some(reports) = reports {
        println!("report      {}", reports.add(&report)?.display());
    }
    Ok(verdict)
}

/// Says what failed and which command runs it `again`, and keeps a capsule.
pub(super) fn write_capsule(done: &Done, folder: &Path, again: &str, in_full: bool) -> Result<(), Refusal> {
    if done.verdict == Verdict::Passed {
        return Ok(());
    }
    let mut capsule = Capsule::of(&done.run, done.verdict);
    capsule.failures.extend(done.divergence.clone());
    eprintln!("{} with seed {}: {}", done.run.scenario.name, done.run.seed, done.verdict.as_str());
    if !in_full {
        return capsules::keep(&capsule, &done.run.scenario.name, folder).map(drop);
    }
    for line in failures(&done.run).into_iter().chain(done.divergence.clone()) {
        eprintln!("  {}", line.replace('\n', "\n  "));
    }
    eprintln!("  again: {again}");
    let file = capsules::keep(&capsule, &done.run.scenario.name, folder)?;
    eprintln!("  or:    cargo sim replay {}", file.display());
    Ok(())
}

pub(super) fn log_to_stderr(level: &str) -> Result<tracing::Dispatch, Refusal> {
    let filter = log_filter(level).map_err(|reason| Refusal(format!("--log: {reason}")))?;
    let lines = tracing_subscriber::fmt::layer()
        .with_timer(Stamp)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    Ok(tracing::Dispatch::new(tracing_subscriber::registry().with(filter).with(lines)))
}

pub(super) fn progress(runs: usize) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{bar:40} {pos}/{len} runs, {eta} left").expect("the template is sound");
    ProgressBar::new(runs as u64).with_style(style)
}
