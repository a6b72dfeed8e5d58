//! The `relay-sim` command. The front is a program like any other: it reads files and the real clock, runs seeds side
//! by side, and prints. Nothing of that reaches into a run.

#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "the command-line front")]

mod args;
pub mod baselines;
pub mod capsules;
mod chaos;
mod compare;
mod files;
mod interrupt;
mod likelihood;
mod load;
mod output;
pub mod parting;
mod pipe;
pub mod reports;
mod run;
pub mod runs;
mod shrink;
pub mod sightings;
mod trace_file;

use clap::Parser;

use args::{Args, Command};
pub use pipe::end_with_the_reader;

/// Wrong usage or a scenario that cannot be read, as in sysexits.h.
const EXIT_USAGE: u8 = 64;

/// Runs the command line and returns the exit code.
pub fn main(args: impl IntoIterator<Item = std::ffi::OsString>) -> u8 {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            let asked_for = !error.use_stderr();
            // A closed terminal cannot be told anything.
            let _ = error.print();
            return if asked_for { 0 } else { EXIT_USAGE };
        }
    };
    let done = match args.command {
        Command::Run(args) => run::run(args),
        Command::Chaos(args) => chaos::chaos(args),
        Command::Replay(args) => run::replay(args),
        Command::Likelihood(args) => likelihood::likelihood(&args),
        Command::Load(args) => load::load(&args),
        Command::Shrink(args) => shrink::shrink(args),
        Command::Check { paths, set } => files::check(&paths, &set),
        Command::Compare(args) => compare::compare(&args),
        Command::Schema => {
            print!("{}", crate::scenario::schema::schema());
            Ok(0)
        }
        Command::List { paths } => files::list(&paths),
    };
    done.unwrap_or_else(|error| {
        eprintln!("{error}");
        EXIT_USAGE
    })
}

/// What ends a command early: to be printed as it is; exit code 64.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(String);
