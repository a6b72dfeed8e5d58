//! Tests of the scenario format.

mod bad_asked;
mod bad_dht;
mod bad_edges;
mod bad_expand;
mod bad_faults;
mod bad_hosts;
mod bad_loads;
mod bad_machines;
mod bad_profiles;
mod bad_toml;
mod bad_topology;
mod bad_upgrades;
mod bad_values;
mod dht;
mod expand;
mod files;
mod good;
mod properties;
mod reports;
mod schema;

use miette::Diagnostic;

use super::{Scenario, ScenarioError};

/// A scenario without load, in 10 lines: a Main and two Homes.
const BASE: &str = r#"[[service]]
name = "echo"
kind = "echo"
[[main]]
name = "main-a"
[[home]]
name = "home"
count = 2
main = "main-a"
services = ["echo"]
"#;

/// The beginning of a load, in 6 lines.
const LOAD: &str = r#"[[load]]
name = "calls"
from = "home-*"
to = "home-*"
service = "echo"
method = "echo"
"#;

/// A text that cannot be used, and what is said about it.
struct Case {
    text: String,
    set: Vec<(String, String)>,
    expected: &'static str,
}

/// The whole of a text.
fn text(whole: &str, expected: &'static str) -> Case {
    Case { text: whole.to_owned(), set: Vec::new(), expected }
}

/// What follows [`BASE`], from line 11 on.
fn base(rest: &str, expected: &'static str) -> Case {
    text(&format!("{BASE}{rest}"), expected)
}

/// What follows [`BASE`] and [`LOAD`], from line 17 on.
fn load(rest: &str, expected: &'static str) -> Case {
    text(&format!("{BASE}{LOAD}{rest}"), expected)
}

/// What follows [`BASE`], read with these parameters set.
fn set(parameters: &[(&str, &str)], rest: &str, expected: &'static str) -> Case {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Case { set: parameters.iter().map(own).collect(), ..base(rest, expected) }
}

/// Checks that each case is refused with exactly the problems that it expects.
fn check(cases: &[Case]) {
    for Case { text, set, expected } in cases {
        let error = Scenario::load_with("x.toml", text, set).expect_err(text);
        assert_eq!(problems(&error), expected.trim(), "in\n{text}");
    }
}

/// The problems as `line:column message`, then indented what each label says, then the help.
fn problems(error: &ScenarioError) -> String {
    let source = error.source_code().expect("the text is kept");
    let mut words = Vec::new();
    for problem in error.problems() {
        for (number, label) in problem.labels().expect("there is a label").enumerate() {
            let place = source.read_span(label.inner(), 0, 0).expect("the label is in the text");
            let place = format!("{}:{}", place.line() + 1, place.column() + 1);
            let says = label.label().expect("the label says something").to_owned();
            match number {
                0 => words.extend([format!("{place} {problem}"), format!("  {says}")]),
                _ => words.push(format!("  {place} {says}")),
            }
        }
        words.extend(problem.help().map(|help| format!("  help: {help}")));
    }
    words.join("\n")
}
