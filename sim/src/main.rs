//! The `relay-sim` binary.

use std::process::ExitCode;

#[global_allocator]
static HEAP: relay_sim::heap::Counting = relay_sim::heap::Counting;

fn main() -> ExitCode {
    ExitCode::from(relay_sim::cli::main(std::env::args_os()))
}
