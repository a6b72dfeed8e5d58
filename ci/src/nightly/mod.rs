//! `cargo ci nightly`: new seeds of everything, night after night, within a time budget.
//!
//! | file | what |
//! | --- | --- |
//! | `mod.rs` | rounds of runs until the time is up, and what came of them |
//! | `state.rs` | what is kept from one night to the next: where the seeds stand, what has been seen |
//! | `points.rs` | the log points that the node's source has |

mod points;
mod state;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use relay_sim::campaign::Campaign;
use relay_sim::cli::runs::{Unit, side_by_side};
use relay_sim::cli::sightings::Sightings;
use relay_sim::coverage::{LogPoints, traits_of};
use relay_sim::execute::{Execution, Settings, Verdict, execute};

use self::points::Points;
use self::state::State;
use crate::gate::{FAILURES_SHOWN_MAX, tell};
use crate::plan::Plan;
use crate::table::{Table, seconds};
use crate::{Refusal, workspace};

/// Longer scenarios run once a night, in the first round: they would leave no time for the others.
const ONCE_A_NIGHT_SECONDS: f64 = 8.0;

/// Chaos runs in each round.
const CHAOS_A_ROUND: u64 = 20;

/// New things of each kind that are listed; the others are counted.
const LISTED_MAX: usize = 40;

/// What the command can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Start no run after so many minutes; the first round of all scenarios must fit
    #[arg(long, value_name = "N", default_value = "30", value_parser = clap::value_parser!(u64).range(1..=1440))]
    minutes: u64,
    /// Where the seeds continue and what has been seen is kept, below the root unless absolute
    #[arg(long, value_name = "DIR", default_value = "nightly")]
    state: PathBuf,
    /// Run only what this scenario file or folder covers
    #[arg(long, value_name = "FILE|DIR")]
    only: Option<String>,
    /// Runs side by side; one per core unless given
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// Where capsules of failed runs go, below the root unless absolute
    #[arg(long, value_name = "DIR", default_value = "capsules")]
    capsules: PathBuf,
    /// The repository's root, where it is not above the current folder
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

/// Runs a night; prints what came of it, and returns the exit code.
pub(crate) fn run(options: Options) -> Result<u8, Refusal> {
    let root = workspace::root(options.root)?;
    let mut plan = Plan::read(&root)?;
    if let Some(only) = &options.only {
        plan.keep_only(only)?;
    }
    let cores = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let folder = root.join(options.state);
    let mut state = State::read(&folder)?;
    let mut night = Night {
        rows: match options.only {
            None => rows(plan).into_iter().chain([chaos()]).collect(),
            Some(_) => rows(plan),
        },
        points: LogPoints::default(),
        traits: BTreeSet::new(),
        jobs: options.jobs.unwrap_or_else(cores),
        capsules: root.join(options.capsules),
        started: Instant::now(),
        budget: Duration::from_secs(options.minutes * 60),
    };
    let points = Points::read(&root)?;
    let first = state.next_seed;
    let (mut missed, mut fresh) = (0, Vec::new());
    while night.started.elapsed() < night.budget {
        let seed = state.next_seed;
        let skipped = night.round(seed)?;
        if seed == first {
            missed = skipped;
        }
        let passed = night.points.seen();
        let passed = passed.iter().filter_map(|at| points.name(*at));
        fresh.extend(state.add(&format!("seed {seed}"), passed.chain(night.traits.iter().cloned())));
        state.next_seed += 1;
        // A night that is cut short has not been for nothing.
        state.write(&folder)?;
    }
    println!("{}", night.summary());
    print!("{}", coverage(&fresh, &points, &state));
    let runs: u64 = night.rows.iter().map(|row| row.runs).sum();
    let failed: u64 = night.rows.iter().map(|row| row.failed).sum();
    let worst = night.rows.iter().filter_map(|row| row.worst).max().unwrap_or(Verdict::Passed);
    println!(
        "nightly: {runs} runs of seeds {first} to {}, {failed} failed, {}: {}",
        state.next_seed - 1,
        seconds(night.started.elapsed()),
        worst.as_str()
    );
    let mut code = worst.exit_code();
    for row in night.rows.iter().filter(|row| row.runs >= row.seeds && row.sightings.proves_nothing()) {
        row.sightings.lines(&row.name).iter().for_each(|line| println!("{line}"));
        code = code.max(1);
    }
    if missed > 0 {
        // Skipped counts as failed.
        println!("nightly: {missed} scenarios were not run at all: give it more --minutes");
        return Ok(code.max(1));
    }
    Ok(code)
}

/// What is swept: one scenario of the plan, or chaos.
struct Row {
    name: String,
    turns: Box<Turns>,
    sightings: Sightings,
    /// So many seeds the plan gives it: with fewer, what must happen once need not have happened.
    seeds: u64,
    runs: u64,
    failed: u64,
    worst: Option<Verdict>,
    /// The longest of its runs.
    slowest: Duration,
}

/// What to run in the round of this number.
type Turns = dyn Fn(u64) -> Result<Vec<Turn>, Refusal> + Sync;

/// A run, and the command that does it again.
struct Turn {
    unit: Unit,
    again: String,
}

fn rows(plan: Plan) -> Vec<Row> {
    let entries = plan.entries.into_iter();
    entries
        .map(|entry| Row {
            name: entry.file.clone(),
            seeds: entry.seeds.clone().count() as u64,
            turns: Box::new(move |seed| {
                let unit = Unit { scenario: entry.scenario.clone(), seed };
                Ok(vec![Turn { again: unit.command(), unit }])
            }),
            ..Row::default()
        })
        .collect()
}

/// Chaos, of which each round takes several seeds.
fn chaos() -> Row {
    let campaign = Campaign::default();
    let turn = move |seed| {
        let drawn = campaign.draw(seed).map_err(|error| Refusal(error.to_string()))?;
        let unit = Unit { scenario: drawn.scenario, seed };
        Ok(Turn { unit, again: format!("cargo sim chaos --seed {seed}") })
    };
    let turns = move |round: u64| {
        let first = round.saturating_mul(CHAOS_A_ROUND);
        (first..first.saturating_add(CHAOS_A_ROUND)).map(&turn).collect()
    };
    Row { name: "chaos".to_owned(), turns: Box::new(turns), ..Row::default() }
}

impl Default for Row {
    fn default() -> Self {
        Row {
            name: String::new(),
            turns: Box::new(|_| Ok(Vec::new())),
            sightings: Sightings::default(),
            seeds: 1,
            runs: 0,
            failed: 0,
            worst: None,
            slowest: Duration::ZERO,
        }
    }
}

struct Night {
    rows: Vec<Row>,
    points: LogPoints,
    traits: BTreeSet<String>,
    jobs: NonZeroUsize,
    capsules: PathBuf,
    started: Instant,
    budget: Duration,
}

impl Night {
    /// One seed of everything that is not too long for another turn. Returns how many were not run for want of time.
    fn round(&mut self, seed: u64) -> Result<usize, Refusal> {
        let again = |row: &Row| row.runs == 0 || row.slowest.as_secs_f64() < ONCE_A_NIGHT_SECONDS;
        let turns = self.rows.iter().enumerate().filter(|(_, row)| again(row));
        let mut units = Vec::new();
        for (at, row) in turns {
            units.extend((row.turns)(seed)?.into_iter().map(|turn| (at, turn)));
        }
        let (started, budget, points) = (self.started, self.budget, &self.points);
        let timed = |(_, turn): &(usize, Turn)| {
            let began = Instant::now();
            // Whoever begins after the time is up is not run.
            (started.elapsed() < budget).then(|| (run_watched(&turn.unit, points), began.elapsed()))
        };
        let (rows, traits, capsules) = (&mut self.rows, &mut self.traits, &self.capsules);
        let (mut skipped, mut outcome) = (0, Ok(()));
        side_by_side(&units, self.jobs, timed, |(at, turn), ran| {
            let Some((run, wall)) = ran else {
                skipped += 1;
                return;
            };
            let row = &mut rows[*at];
            let earlier = usize::try_from(row.failed).unwrap_or(usize::MAX);
            let told = tell(&run, &turn.again, earlier, capsules);
            row.sightings.add(&run);
            if outcome.is_ok() {
                outcome = told;
            }
            traits.extend(traits_of(&run));
            let mut verdict = run.verdict();
            if verdict != Verdict::Passed && earlier < FAILURES_SHOWN_MAX && !repeats(&run, &turn.unit) {
                verdict = Verdict::NotDeterministic;
            }
            row.runs += 1;
            row.failed += u64::from(verdict != Verdict::Passed);
            row.worst = row.worst.max(Some(verdict));
            row.slowest = row.slowest.max(wall);
        });
        outcome.map(|()| skipped)
    }

    fn summary(&self) -> Table {
        let mut table = Table::new(["", "scenario", "runs", "failed", "slowest, wall seconds"]);
        for row in &self.rows {
            let cells = [
                row.name.clone(),
                row.runs.to_string(),
                row.failed.to_string(),
                format!("{:.1}", row.slowest.as_secs_f64()),
            ];
            table.row(row.failed == 0 && row.runs > 0, cells);
        }
        table
    }
}

fn run_watched(unit: &Unit, points: &LogPoints) -> Execution {
    let (seed, log) = (Some(unit.seed), Some(points.dispatch()));
    let settings = Settings { seed, log, is_one_of_many: true, ..Settings::default() };
    execute(&unit.scenario, &settings)
}

/// A failure that does not come again is worth less in the morning, and is a defect of its own: says whether it comes.
fn repeats(run: &Execution, unit: &Unit) -> bool {
    let same = unit.run(false).trace.hash() == run.trace.hash();
    let word = if same { "it repeats event by event" } else { "NOT DETERMINISTIC: another run differs" };
    eprintln!("  {word}");
    same
}

/// What this night added, and what no night has reached.
fn coverage(fresh: &[String], points: &Points, state: &State) -> String {
    let all: Vec<String> = points.names().filter(|name| !state.has(name)).collect();
    let mut text = format!(
        "coverage: {} of {} log points of the node reached so far; {} things seen for the first time\n",
        points.names().count() - all.len(),
        points.names().count(),
        fresh.len()
    );
    for (mark, lines) in [("new", fresh), ("never", &all)] {
        for line in lines.iter().take(LISTED_MAX) {
            text.push_str(&format!("  {mark:<6}{line}\n"));
        }
        if lines.len() > LISTED_MAX {
            text.push_str(&format!("  {mark:<6}and {} more\n", lines.len() - LISTED_MAX));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// A repository with one scenario.
    fn repository(gates: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        file("Cargo.toml", "[workspace]\n");
        file("ci/gates.toml", "[[run]]\npath = \"scenarios\"\nseeds = \"1\"\n");
        file(
            "scenarios/small.toml",
            &format!(
                "duration = \"5s\"\n[probe]\ninterval = \"5ms\"\n[[main]]\nname = \"a\"\n[[main]]\nname = \"b\"\n[gates]\n{gates}"
            ),
        );
        folder
    }

    fn round(folder: &Path, budget: Duration) -> (Night, usize) {
        let mut night = Night {
            rows: rows(Plan::read(folder).unwrap()),
            points: LogPoints::default(),
            traits: BTreeSet::new(),
            jobs: NonZeroUsize::MIN,
            capsules: folder.join("capsules"),
            started: Instant::now(),
            budget,
        };
        let skipped = night.round(1_000_000).unwrap();
        (night, skipped)
    }

    #[test]
    fn a_failing_seed_is_counted_and_leaves_a_capsule() {
        let folder = repository("convergence = \"5ms\"");
        let (night, skipped) = round(folder.path(), Duration::MAX);
        assert_eq!((night.rows[0].runs, night.rows[0].failed, skipped), (1, 1, 0));
        assert_eq!(std::fs::read_dir(folder.path().join("capsules")).unwrap().count(), 1);
    }

    #[test]
    fn what_the_time_does_not_allow_is_counted_as_skipped() {
        let folder = repository("convergence = \"4s\"");
        let (night, skipped) = round(folder.path(), Duration::ZERO);
        assert_eq!((night.rows[0].runs, skipped), (0, 1));
        assert!(night.summary().to_string().contains('✗'), "not run is not held");
    }

    #[test]
    fn a_round_says_which_log_points_it_passed() {
        let folder = repository("convergence = \"4s\"");
        let (night, _) = round(folder.path(), Duration::MAX);
        assert_eq!(night.rows[0].failed, 0);
        assert!(!night.points.seen().is_empty());
    }
}
