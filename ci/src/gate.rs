//! `cargo ci gate`: determinism first, for without it nothing else can be believed; then every scenario of the plan
//! with its seeds; then what their gates say.

use std::path::Path;
use std::time::{Duration, Instant};

use relay_reports::model::{Metric, keep_worst};
use relay_sim::cli::baselines::Baselines;
use relay_sim::cli::capsules;
use relay_sim::cli::reports::Reports;
use relay_sim::cli::runs::{Unit, side_by_side};
use relay_sim::cli::sightings::Sightings;
use relay_sim::execute::{Execution, Verdict};
use relay_sim::gates::show;
use relay_sim::replay::{Capsule, failures};
use relay_sim::report::{metrics, report};

use crate::baseline::{self, Worst};
use crate::plan::Entry;
use crate::table::{Table, seconds};
use crate::{Refusal, Session, determinism};

/// Failed runs of one scenario that are told in full; the others leave their capsules.
pub(crate) const FAILURES_SHOWN_MAX: usize = 5;

/// Runs the plan; prints what came of it, and returns the exit code.
pub(crate) fn run(session: &Session) -> Result<u8, Refusal> {
    if session.plan.entries.iter().any(|entry| entry.determinism.is_some()) {
        let code = determinism::run(session)?;
        if code != 0 {
            eprintln!("gate: not deterministic: no gate was judged");
            return Ok(code);
        }
    }
    let started = Instant::now();
    let entries = &session.plan.entries;
    let units: Vec<(usize, Unit)> =
        entries.iter().enumerate().flat_map(|(at, entry)| baseline::units(at, entry)).collect();
    let mut reports = session.report.clone().map(|folder| Reports::new(folder, true));
    let mut baselines =
        if session.baselines.exists() { Some(Baselines::in_folder(&session.baselines)?) } else { None };
    let mut tallies: Vec<Tally> = entries.iter().map(|_| Tally::default()).collect();
    let mut outcome = Ok(());
    let timed = |(_, unit): &(usize, Unit)| {
        let started = Instant::now();
        let run = unit.run_as_one_of_many();
        (run, started.elapsed())
    };
    side_by_side(&units, session.jobs, timed, |(at, unit), (run, wall)| {
        let told = tell(&run, &unit.command(), tallies[*at].failed, &session.capsules)
            .and_then(|()| write_report(&run, unit, wall, baselines.as_mut(), reports.as_mut()));
        if outcome.is_ok() {
            outcome = told;
        }
        tallies[*at].add(&run, wall);
    });
    outcome?;
    if let Some(index) = reports.map(|reports| reports.finish(None)).transpose()?.flatten() {
        println!("reports: {}", index.display());
    }
    println!("\n{}", summary(entries, &tallies));
    for (file, reason) in &session.plan.skipped {
        println!("skipped: {file}: {reason}");
    }
    let mut worst = tallies.iter().filter_map(|tally| tally.worst).max().unwrap_or(Verdict::Passed);
    let figures: Vec<_> = entries
        .iter()
        .zip(&tallies)
        .map(|(entry, tally)| Worst { entry, metrics: tally.metrics.clone() })
        .collect();
    let judged = baseline::judge(&session.baselines, &figures)?;
    println!("{judged}");
    if judged.is_worse() {
        worst = worst.max(Verdict::GateFailed);
    }
    if !prove_something(entries, &tallies) {
        worst = worst.max(Verdict::GateFailed);
    }
    let (gates, held) = tallies
        .iter()
        .fold((0, 0), |(gates, held), tally| (gates + tally.gates.judged, held + tally.gates.held));
    let runs = units.len();
    println!(
        "gate: {runs} runs, {held} of {gates} gates hold, {}: {}",
        seconds(started.elapsed()),
        worst.as_str()
    );
    Ok(worst.exit_code())
}

/// What is said of one scenario.
#[derive(Default)]
struct Tally {
    runs: u64,
    failed: usize,
    gates: Gates,
    calls: u64,
    /// The slowest return to agreement.
    convergence: Duration,
    /// The worst p99 of a run.
    p99: Duration,
    /// Time of all runs together.
    wall: Duration,
    worst: Option<Verdict>,
    /// The worst of each figure.
    metrics: Vec<Metric>,
    /// What must happen in one of the runs.
    sightings: Sightings,
}

/// Gates judged, over all runs, and how many of them hold.
#[derive(Default)]
struct Gates {
    judged: usize,
    held: usize,
}

impl Tally {
    fn add(&mut self, run: &Execution, wall: Duration) {
        let verdict = run.verdict();
        self.runs += 1;
        self.failed += usize::from(verdict != Verdict::Passed);
        self.gates.judged += run.gates.len();
        self.gates.held += run.gates.iter().filter(|gate| gate.holds).count();
        self.calls += run.record.calls.total();
        let (convergence, _) = run.record.convergence.worst().unwrap_or_default();
        self.convergence = self.convergence.max(convergence);
        self.p99 = self.p99.max(Duration::from_micros(run.record.calls.latency.value_at_quantile(0.99)));
        self.wall += wall;
        self.worst = self.worst.max(Some(verdict));
        keep_worst(&mut self.metrics, &metrics(run));
        self.sightings.add(run);
    }
}

/// Says what must happen in one of a scenario's runs at least and did in none. False where there is any.
fn prove_something(entries: &[Entry], tallies: &[Tally]) -> bool {
    let mut proved = true;
    for (entry, tally) in entries.iter().zip(tallies).filter(|(_, tally)| tally.sightings.proves_nothing()) {
        tally.sightings.lines(&entry.scenario.name).iter().for_each(|line| println!("{line}"));
        proved = false;
    }
    proved
}

fn summary(entries: &[Entry], tallies: &[Tally]) -> Table {
    let titles = [
        "",
        "scenario",
        "runs",
        "failed",
        "gates",
        "calls",
        "slowest convergence",
        "worst p99",
        "wall seconds",
    ];
    let mut table = Table::new(titles);
    for (entry, tally) in entries.iter().zip(tallies) {
        table.row(
            tally.failed == 0,
            [
                entry.scenario.name.clone(),
                tally.runs.to_string(),
                tally.failed.to_string(),
                format!("{} of {}", tally.gates.held, tally.gates.judged),
                tally.calls.to_string(),
                show(tally.convergence),
                show(tally.p99),
                format!("{:.1}", tally.wall.as_secs_f64()),
            ],
        );
    }
    table
}

/// Adds the run to the reports where they are wanted; only one that failed gets a page of its own.
fn write_report(
    run: &Execution,
    unit: &Unit,
    wall: Duration,
    baselines: Option<&mut Baselines>,
    reports: Option<&mut Reports>,
) -> Result<(), Refusal> {
    let Some(reports) = reports else { return Ok(()) };
    let mut report = report(run, unit.command(), Some(wall));
    if let Some(baselines) = baselines
        && let Some(baseline) = baselines.of(&unit.scenario.name)?
    {
        report.hold_against(baseline);
    }
    if report.verdict == relay_reports::model::Verdict::Passed {
        reports.mention(&report);
        return Ok(());
    }
    reports.add(&report)?;
    Ok(())
}

/// Says what failed and how to see it again, and keeps a capsule of it.
pub(crate) fn tell(run: &Execution, again: &str, earlier: usize, folder: &Path) -> Result<(), Refusal> {
    let verdict = run.verdict();
    if verdict == Verdict::Passed {
        return Ok(());
    }
    let capsule = Capsule::of(run, verdict);
    let file = capsules::keep(&capsule, &run.scenario.name, folder)?;
    if earlier >= FAILURES_SHOWN_MAX {
        return Ok(());
    }
    eprintln!("{} with seed {}: {}", run.scenario.name, run.seed, verdict.as_str());
    for line in failures(run) {
        eprintln!("  {}", line.replace('\n', "\n  "));
    }
    eprintln!("  again: {again}");
    eprintln!("  or:    cargo sim replay {}", file.display());
    if earlier + 1 == FAILURES_SHOWN_MAX {
        eprintln!("  further failures of this scenario only leave their capsules");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::num::NonZeroUsize;

    use super::*;
    use crate::plan::Plan;

    /// Homes that call each other; `gates` decides whether that is enough.
    fn scenario(gates: &str) -> String {
        format!(
            r#"
            duration = "30s"
            [[service]]
            name = "echo"
            kind = "echo"
            [[main]]
            name = "main-a"
            [[home]]
            name = "home"
            count = 2
            main = "main-a"
            services = ["echo"]
            [[load]]
            name = "calls"
            from = "home-*"
            to = "home-*"
            service = "echo"
            method = "echo"
            rate = "1/s"
            start = "5s"
            [gates]
            {gates}
            "#
        )
    }

    /// Runs the gates of one scenario; the exit code, and the capsules left behind.
    fn gate(gates: &str) -> (u8, usize) {
        gate_with(gates, None)
    }

    /// The same, beside a baseline.
    fn gate_with(gates: &str, baseline: Option<&str>) -> (u8, usize) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        for below in ["ci", "scenarios"] {
            fs::create_dir_all(root.join(below)).unwrap();
        }
        fs::write(root.join("scenarios/small.toml"), scenario(gates)).unwrap();
        let plan = "[[run]]\npath = \"scenarios\"\nseeds = \"1..2\"\ndeterminism = \"1\"\n";
        fs::write(root.join("ci/gates.toml"), plan).unwrap();
        if let Some(text) = baseline {
            let baselines = root.join(baseline::FOLDER);
            fs::create_dir_all(&baselines).unwrap();
            fs::write(baselines.join("small.json"), text).unwrap();
        }
        let plan = Plan::read(&root).unwrap();
        let capsules = root.join("capsules");
        let session = Session {
            plan,
            jobs: NonZeroUsize::MIN,
            capsules: capsules.clone(),
            baselines: root.join(baseline::FOLDER),
            report: Some(root.join("out")),
        };
        let code = run(&session).unwrap();
        for list in ["index.html", "junit.xml", "summary.md"] {
            assert!(root.join("out").join(list).exists(), "{list}");
        }
        assert_eq!(root.join("out/small-1/report.html").exists(), code != 0, "what failed has a page");
        (code, fs::read_dir(capsules).map_or(0, Iterator::count))
    }

    #[test]
    fn gates_that_hold_pass() {
        assert_eq!(gate("success = \"100%\"\nmax_hops = 3\nmin_calls = 10"), (0, 0));
    }

    #[test]
    fn a_gate_that_does_not_hold_fails_and_leaves_a_capsule_for_each_seed() {
        assert_eq!(gate("p50 = \"1ms\""), (1, 2));
    }

    #[test]
    fn what_is_worse_than_its_baseline_fails_though_every_gate_holds() {
        let baseline = |p50: &str| {
            let metrics = format!(r#"{{"p50": {{"worst": "{p50}", "tolerance": "10 %"}}}}"#);
            format!(r#"{{"scenario": "small", "seeds": "1..2", "metrics": {metrics}}}"#)
        };
        assert_eq!(gate_with("min_calls = 10", Some(&baseline("1 s"))), (0, 0));
        assert_eq!(gate_with("min_calls = 10", Some(&baseline("1 ms"))).0, 1);
    }
}
