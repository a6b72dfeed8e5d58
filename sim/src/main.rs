//! The `relay-sim` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(relay_sim::cli::main(std::env::args_os()))
}
