//! Prints a made-up report, to look at while working on the page:
//! `cargo run -p relay-reports --example sample -- passed > page.html`, or `… passed json > report.json`.

#[path = "../tests/sample/mod.rs"]
mod sample;

use std::process::ExitCode;

use relay_reports::digest::Digest;
use relay_reports::html;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let report = match arguments.next().as_deref() {
        Some("passed") => sample::passed(),
        Some("failing") => sample::failing(),
        Some("all-failing") => sample::all_failing(),
        Some("empty") => sample::empty(),
        Some("day") => sample::day(),
        Some("index") => {
            print!("{}", html::render_index(&index(), None));
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("usage: sample passed|failing|all-failing|empty|day [json], or sample index");
            return ExitCode::from(64);
        }
    };
    match arguments.next().as_deref() {
        Some("json") => print!("{}", report.to_json_pretty()),
        _ => print!("{}", html::render(&report)),
    }
    ExitCode::SUCCESS
}

/// All samples as a list of runs.
fn index() -> Vec<Digest> {
    let runs = [sample::passed(), sample::failing(), sample::all_failing(), sample::day()];
    runs.iter().map(|report| Digest::of(report, Some("page.html".to_owned()))).collect()
}
