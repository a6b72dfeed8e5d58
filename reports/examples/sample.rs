//! Prints a made-up report, to look at while working on the page:
//! `cargo run -p relay-reports --example sample -- passed > page.html`, or `… passed json > report.json`.

#[path = "../tests/sample/mod.rs"]
mod sample;

use std::process::ExitCode;

use relay_reports::html;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let report = match arguments.next().as_deref() {
        Some("passed") => sample::passed(),
        Some("failing") => sample::failing(),
        Some("all-failing") => sample::all_failing(),
        Some("empty") => sample::empty(),
        Some("day") => sample::day(),
        _ => {
            eprintln!("usage: sample passed|failing|all-failing|empty|day [json]");
            return ExitCode::from(64);
        }
    };
    match arguments.next().as_deref() {
        Some("json") => print!("{}", report.to_json_pretty()),
        _ => print!("{}", html::render(&report)),
    }
    ExitCode::SUCCESS
}
