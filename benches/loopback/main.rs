//! Real processes on loopback: what a call through four relays costs, Home → Main → Main → Home, beside NATS as leaf →
//! hub → hub → leaf over WebSocket leaf links. `cargo bench -p relay-benches --bench loopback -- -help` says how to run
//! it; the README says what came out.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a benchmark is all wall time and sockets"
)]

mod args;
mod drive;
mod failover;
mod field;
mod idle;
mod nats;
mod process;
mod relay;
mod rows;
mod table;

use std::process::ExitCode;

fn main() -> ExitCode {
    let options = match args::parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{}", args::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("loopback: {error}\n\n{}", args::HELP);
            return ExitCode::from(64);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("loopback: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &args::Options) -> Result<(), String> {
    let contenders = field::contenders(options)?;
    rows::run(options, &contenders)?;
    idle::run(options, &contenders)?;
    failover::run(options, &contenders)
}
