//! `cargo ci …`: the checks that neither the compiler nor clippy makes.
//!
//! | file | what |
//! | --- | --- |
//! | `tidy/` | `cargo ci tidy`: what must be absent from the source, one rule per file |
//! | `plan.rs` | `gates.toml`: which scenarios run, with which seeds |
//! | `runs.rs` | runs scenarios side by side |
//! | `determinism.rs` | `cargo ci determinism`: the same seed gives the same run, in any order and company |
//! | `differential.rs` | `cargo ci differential`: both engines come to the same verdicts |
//! | `gate.rs` | `cargo ci gate`: determinism first, then every scenario, then its gates |
//! | `nightly/` | `cargo ci nightly`: new seeds of everything within a time budget, and what they add |

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a command-line tool, not a part of a run"
)]

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
    /// Check determinism, then run every scenario of ci/gates.toml and judge its gates
    Gate(Options),
    /// Sweep new seeds of every scenario within a time budget, and say what that has shown for the first time
    Nightly(nightly::Options),
}

/// What `determinism`, `differential` and `gate` can be told.
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
        Command::Nightly(options) => nightly::run(options),
        Command::Differential(options) => {
            Session::open(options).and_then(|session| differential::run(&session))
        }
        Command::Gate(options) => Session::open(options).and_then(|session| gate::run(&session)),
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
}

impl Session {
    fn open(options: Options) -> Result<Self, Refusal> {
        let root = workspace::root(options.root)?;
        let mut plan = plan::Plan::read(&root)?;
        if let Some(only) = &options.only {
            plan.keep_only(only)?;
        }
        let cores = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let capsules = root.join(options.capsules);
        Ok(Session { plan, jobs: options.jobs.unwrap_or_else(cores), capsules })
    }
}

/// What ends a command before it could check anything: printed as it is, exit code 64.
#[derive(Debug)]
struct Refusal(String);

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
