//! The `relay-sim` binary.

use std::process::ExitCode;

#[global_allocator]
static HEAP: relay_sim::heap::Counting = relay_sim::heap::Counting;

fn main() -> ExitCode {
    relay_sim::cli::end_with_the_reader();
    ExitCode::from(relay_sim::cli::main(std::env::args_os()))
}
