//! `cargo ci …`: the checks that neither the compiler nor clippy makes.
//!
//! | file | what |
//! | --- | --- |
//! | `tidy/` | `cargo ci tidy`: what must be absent from the source, one rule per file |
//! | `plan.rs` | `gates.toml`: which scenarios run, with which seeds |
//! | `runs.rs` | runs scenarios side by side |
//! | `determinism.rs` | `cargo ci determinism`: the same seed gives the same run, in any order and company |
//! | `differential.rs` | `cargo ci differential`: both engines come to the same verdicts |
//! | `baseline.rs` | `cargo ci baseline`: every scenario's figures against what they were |
//! | `gate.rs` | `cargo ci gate`: determinism first, then every scenario, then its gates and its baseline |
//! | `nightly/` | `cargo ci nightly`: new seeds of everything within a time budget, and what they add |

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a command-line tool, not a part of a run"
)]

mod baseline;
mod determinism;
mod differential;
mod gate;
mod nightly;
mod plan;
mod table;
mod tidy;
mod workspace;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Scenarios ask what their runs hold.
#[global_allocator]
static HEAP: relay_sim::heap::Counting = relay_sim::heap::Counting;

/// Wrong usage, or a file that cannot be read, as in sysexits.h.
const EXIT_USAGE: u8 = 64;

/// The checks of this repository. `.ci/run` runs them all.
#[derive(Parser)]
#[command(
    name = "cargo ci",
    after_help = "Exit codes: 0 all holds · 1 a rule or a gate does not hold · 2 an invariant was violated or \
                  something panicked · 3 not deterministic · 64 wrong usage, or a file that cannot be used"
)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Look for what must not be in the source
    Tidy {
        /// The repository's root, where it is not above the current folder
        #[arg(long, value_name = "DIR")]
        root: Option<PathBuf>,
    },
    /// Run scenarios twice in both orders and once side by side, and compare event by event
    Determinism(Options),
    /// Run scenarios on both engines and compare what came of them, gate by gate
    Differential(Options),
    /// Hold the figures of every scenario of ci/gates.toml against reports/baselines/
    Baseline {
        /// Write the baselines instead, keeping their tolerances
        #[arg(long)]
        write: bool,
        #[command(flatten)]
        options: Options,
    },
    /// Check determinism, then run every scenario of ci/gates.toml and judge its gates and its baseline
    Gate {
        /// Write index.html, junit.xml and summary.md there, and a page for every run that failed
        #[arg(long, value_name = "DIR")]
        report: Option<PathBuf>,
        #[command(flatten)]
        options: Options,
    },
    /// Sweep new seeds of every scenario within a time budget, and say what that has shown for the first time
    Nightly(nightly::Options),
}

/// What every command that runs scenarios can be told.
#[derive(clap::Args)]
struct Options {
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

fn main() -> ExitCode {
    relay_sim::cli::end_with_the_reader();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let asked_for = !error.use_stderr();
            // A closed terminal cannot be told anything.
            let _ = error.print();
            return ExitCode::from(if asked_for { 0 } else { EXIT_USAGE });
        }
    };
    let done = match args.command {
        Command::Tidy { root } => workspace::root(root).and_then(|root| tidy::run(&root)),
        Command::Determinism(options) => {
            Session::open(options).and_then(|session| determinism::run(&session))
        }
        Command::Baseline { write, options } => {
            Session::open(options).and_then(|session| baseline::run(&session, write))
        }
        Command::Gate { report, options } => {
            Session::open(options).and_then(|session| gate::run(&Session { report, ..session }))
        }
        Command::Nightly(options) => nightly::run(options),
        Command::Differential(options) => {
            Session::open(options).and_then(|session| differential::run(&session))
        }
    };
    ExitCode::from(done.unwrap_or_else(|refusal| {
        eprintln!("{refusal}");
        EXIT_USAGE
    }))
}

/// A command that runs scenarios: what it runs, how many at once, and where failures are kept.
struct Session {
    plan: plan::Plan,
    jobs: NonZeroUsize,
    capsules: PathBuf,
    /// The folder of the baselines.
    baselines: PathBuf,
    /// Where reports go, where they are wanted.
    report: Option<PathBuf>,
}

impl Session {
    fn open(options: Options) -> Result<Self, Refusal> {
        let root = workspace::root(options.root)?;
        let mut plan = plan::Plan::read(&root)?;
        if let Some(only) = &options.only {
            plan.keep_only(only)?;
        }
        let cores = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Ok(Session {
            plan,
            jobs: options.jobs.unwrap_or_else(cores),
            capsules: root.join(options.capsules),
            baselines: root.join(baseline::FOLDER),
            report: None,
        })
    }
}

/// What ends a command before it could check anything: printed as it is, exit code 64.
#[derive(Debug)]
struct Refusal(String);

impl From<relay_sim::cli::Refusal> for Refusal {
    fn from(refusal: relay_sim::cli::Refusal) -> Self {
        Refusal(refusal.to_string())
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Args::command().debug_assert();
        assert!(Args::try_parse_from(["cargo ci", "gate", "--jobs", "0"]).is_err());
        assert!(Args::try_parse_from(["cargo ci", "all"]).is_err());
    }
}
