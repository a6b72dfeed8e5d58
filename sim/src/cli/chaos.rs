//! `relay-sim chaos`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use relay_chaos::Fault;
use relay_chaos::plan::{Appetite, Family, Plan as Faults};
use relay_chaos::quantity::duration;

use super::args::{ChaosArgs, PlanArgs, Seeds};
use super::reports::Reports;
use super::run::{self, Done, Plan};
use super::runs::{Unit, side_by_side_until};
use super::{Refusal, files, interrupt};
use crate::campaign::{self, Base, Bounds, Campaign, CampaignError, DEFAULT_DURATION, Drawn, World};
use crate::execute::Verdict;
use crate::gates::show;
use crate::replay::Signature;
use crate::scenario::HostSet;

/// Seeds named for one failure; the others are counted.
const SEEDS_NAMED_MAX: usize = 8;

/// `relay-sim chaos`.
pub(super) fn chaos(args: ChaosArgs) -> Result<u8, Refusal> {
    let campaign = campaign(&args.plans)?;
    let Seeds { first, last } = match args.seed {
        Some(seed) => Seeds { first: seed, last: seed },
        None => args.seeds,
    };
    let count = (last - first).saturating_add(1);
    if count > run::RUNS_MAX {
        return Err(Refusal(format!("{count} runs are too many for one command, at most {}", run::RUNS_MAX)));
    }
    // What cannot be is said before anything runs.
    let preview = draw(&campaign, first)?;
    if count == 1 {
        campaign::notes(&preview.scenario).for_each(|line| println!("{line}"));
    }
    let plan = Plan {
        check_determinism: args.check_determinism,
        log: args.log.as_deref().map(run::log_to_stderr).transpose()?,
        ..Plan::default()
    };
    let seeds: Vec<u64> = (first..=last).collect();
    let bar = if count == 1 { ProgressBar::hidden() } else { run::progress(seeds.len()) };
    let started = Instant::now();
    let mut reports = args.report.clone().map(|folder| Reports::new(folder, count > 1));
    let mut tally = Tally::default();
    let mut outcome = Ok(());
    let one = |seed: &u64| {
        let drawn = draw(&campaign, *seed)?;
        let unit = Unit { scenario: drawn.scenario.clone(), seed: *seed };
        Ok((drawn, run::run_one(&plan, &unit)))
    };
    if count > 1 {
        interrupt::take_note();
    }
    let mut done_so_far = 0;
    let jobs = run::jobs(args.jobs);
    side_by_side_until(&seeds, jobs, interrupt::came, one, |seed, done: Result<(Drawn, Done), Refusal>| {
        bar.inc(1);
        done_so_far += 1;
        let written = done.and_then(|(drawn, done)| {
            bar.suspend(|| {
                if count == 1 {
                    run::print_run(&done);
                } else {
                    println!("{}", row(*seed, &drawn.plan, &done));
                }
                tally.add(*seed, &drawn.plan, &done);
                let again = command(&args.plans, *seed);
                let in_full = tally.failed <= run::FAILURES_IN_FULL_MAX;
                run::write_capsule(&done, &args.capsules, &again, in_full)
                    .and_then(|()| run::judge_and_report(&again, &done, None, reports.as_mut()))
                    .map(drop)
            })
        });
        if outcome.is_ok() {
            outcome = written;
        }
    });
    bar.finish_and_clear();
    let cut_short = run::cut_short(done_so_far, count);
    let index = reports.map(|reports| reports.finish(cut_short)).transpose();
    outcome?;
    if let Some(index) = index?.flatten() {
        println!("reports     {}", index.display());
    }
    if count > 1 {
        tally.print(started.elapsed());
    }
    Ok(match cut_short {
        Some(_) => interrupt::exit_code(),
        None => tally.worst.map_or(0, Verdict::exit_code),
    })
}

fn campaign(args: &PlanArgs) -> Result<Campaign, Refusal> {
    let source = match &args.scenario {
        None => World::Drawn(Bounds { mains: args.mains, homes: args.homes }),
        Some(file) => {
            let base =
                Base::new(files::read(file, &args.set)?).map_err(|error| Refusal(error.to_string()))?;
            World::Given(Box::new(base))
        }
    };
    let own = match &source {
        World::Drawn(_) => DEFAULT_DURATION,
        World::Given(base) => base.scenario().run.duration,
    };
    let families = if args.families.is_empty() { Family::all().collect() } else { args.families.clone() };
    Ok(Campaign {
        duration: args.duration.unwrap_or(own),
        appetite: Appetite { failure_rate: args.failure_rate, families },
        source,
    })
}

fn draw(campaign: &Campaign, seed: u64) -> Result<Drawn, Refusal> {
    campaign.draw(seed).map_err(|error| match error {
        CampaignError::Plan(error) => Refusal(error.to_string()),
        CampaignError::Scenario(error) => Refusal(format!("{:?}", miette::Report::new(*error))),
    })
}

/// The command that draws and runs this seed again.
fn command(args: &PlanArgs, seed: u64) -> String {
    let mut text = format!("cargo sim chaos --seed {seed} --failure-rate {}", args.failure_rate);
    if let Some(time) = args.duration {
        text += &format!(" --duration {}", duration::format(time));
    }
    match &args.scenario {
        Some(file) => text += &format!(" --scenario {}", file.display()),
        None => text += &format!(" --mains {} --homes {}", args.mains, args.homes),
    }
    for (name, value) in &args.set {
        text += &format!(" --set '{name}={value}'");
    }
    if !args.families.is_empty() {
        let names: Vec<&str> = args.families.iter().map(|family| family.name()).collect();
        text += &format!(" --families {}", names.join(","));
    }
    text
}

/// A seed's line.
fn row(seed: u64, plan: &Faults, done: &Done) -> String {
    let calls = &done.run.record.calls;
    let convergence = done.run.record.convergence.worst().map_or_else(|| "-".into(), |(took, _)| show(took));
    let families: Vec<&str> = plan.families.iter().map(|(family, _)| family.name()).collect();
    let verdict = match Signature::of(&done.run) {
        _ if done.verdict == Verdict::NotDeterministic => done.verdict.as_str().to_owned(),
        Some(signature) => signature.to_string(),
        None => done.verdict.as_str().to_owned(),
    };
    format!(
        "{} seed {seed:<6} {:>3} hosts {:>3} faults {:>6} calls {:>6.2}% ok  converged {convergence:>7}  {verdict} · {}",
        if done.verdict == Verdict::Passed { "✓" } else { "✗" },
        done.run.scenario.topology.hosts.len(),
        came(done).count(),
        calls.total(),
        calls.succeeded as f64 * 100.0 / calls.total().max(1) as f64,
        families.join(" "),
    )
}

/// The faults that came.
fn came(done: &Done) -> impl Iterator<Item = &Fault<HostSet>> {
    let course = &done.run.record.course;
    let faults = done.run.scenario.faults.iter().enumerate();
    faults.filter(|(number, fault)| course.came(*number, fault)).map(|(_, fault)| fault)
}

/// What all seeds came to.
#[derive(Default)]
struct Tally {
    seeds: u64,
    failed: usize,
    worst: Option<Verdict>,
    /// What failed, and with which seeds.
    failures: BTreeMap<String, Vec<u64>>,
    faults: FaultTally,
    calls: Calls,
    convergence: Duration,
    virtual_time: Duration,
}

/// What went wrong.
#[derive(Default)]
struct FaultTally {
    /// By family: in how many seeds it was on.
    families: BTreeMap<&'static str, u64>,
    /// The families that drew a fault in some seed.
    drawn: BTreeSet<&'static str>,
    /// Power cuts that waited for a disk that did too little.
    spared: usize,
    /// By kind: how many faults there were.
    kinds: BTreeMap<&'static str, u64>,
}

/// How calls ended.
#[derive(Default)]
struct Calls {
    succeeded: u64,
    /// The others, by code.
    failed: BTreeMap<Option<i64>, u64>,
}

impl Tally {
    fn add(&mut self, seed: u64, plan: &Faults, done: &Done) {
        self.seeds += 1;
        self.worst = self.worst.max(Some(done.verdict));
        if done.verdict != Verdict::Passed {
            self.failed += 1;
            let signature =
                Signature::of(&done.run).map_or_else(|| done.verdict.as_str().into(), |it| it.to_string());
            self.failures.entry(signature).or_default().push(seed);
        }
        for (family, _) in &plan.families {
            *self.faults.families.entry(family.name()).or_default() += 1;
        }
        self.faults.drawn.extend(plan.drawn.iter().map(|family| family.name()));
        for fault in came(done) {
            *self.faults.kinds.entry(fault.what.name()).or_default() += 1;
        }
        self.faults.spared += plan.faults.len() - came(done).count();
        let record = &done.run.record;
        for (code, count) in &record.calls.failures {
            *self.calls.failed.entry(*code).or_default() += count;
        }
        self.calls.succeeded += record.calls.succeeded;
        self.convergence = self.convergence.max(record.convergence.worst().unwrap_or_default().0);
        self.virtual_time += done.run.virtual_time;
    }

    fn print(&self, wall: Duration) {
        let list = |counts: &mut dyn Iterator<Item = (String, u64)>| {
            counts.map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
        };
        println!(
            "\nseeds       {}: {} passed, {} failed",
            self.seeds,
            self.seeds - self.failed as u64,
            self.failed
        );
        for (what, seeds) in &self.failures {
            let named: Vec<String> = seeds.iter().take(SEEDS_NAMED_MAX).map(ToString::to_string).collect();
            let more = match seeds.len().saturating_sub(SEEDS_NAMED_MAX) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            println!("failure     {what}: seeds {}{more}", named.join(", "));
        }
        let never: Vec<&str> =
            Family::all().map(Family::name).filter(|name| !self.faults.families.contains_key(name)).collect();
        let families = &mut self.faults.families.iter().map(|(name, count)| ((*name).to_owned(), *count));
        println!("families on {} (seeds)", list(families));
        if !never.is_empty() {
            println!("never on    {}", never.join(", "));
        }
        let idle: Vec<&str> =
            self.faults.families.keys().copied().filter(|name| !self.faults.drawn.contains(name)).collect();
        if !idle.is_empty() {
            println!("on, no fault {}", idle.join(", "));
        }
        println!(
            "faults      {}",
            list(&mut self.faults.kinds.iter().map(|(name, count)| ((*name).to_owned(), *count)))
        );
        if self.faults.spared > 0 {
            println!("never came  {} power cuts that waited for a disk", self.faults.spared);
        }
        let codes = self.calls.failed.iter().map(|(code, count)| {
            (code.map_or_else(|| "no answer".to_owned(), |code| format!("code {code}:")), *count)
        });
        println!(
            "calls       {} succeeded; {}",
            self.calls.succeeded,
            list(&mut codes.collect::<Vec<_>>().into_iter())
        );
        println!("convergence {} at worst", show(self.convergence));
        let speed = self.virtual_time.as_secs_f64() / wall.as_secs_f64().max(1e-9);
        println!("speed       {speed:.0} virtual seconds per wall second, {} in all", show(wall));
    }
}
