//! How problems look.

use miette::{GraphicalReportHandler, GraphicalTheme};

use super::super::{MAX_PROBLEMS_SHOWN, Scenario, ScenarioError};
use super::{BASE, LOAD};

/// The report as a terminal without colours and Unicode shows it.
pub(super) fn render(error: &ScenarioError) -> String {
    let mut report = String::new();
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::none()).with_width(110);
    handler.render_report(&mut report, error).expect("a report can be rendered");
    report
}

fn report(text: &str) -> String {
    render(&Scenario::load("scenarios/mine.toml", text).expect_err("it cannot be used"))
}

#[test]
fn one_problem() {
    let text = format!("{BASE}[[home]]\nname = \"far\"\nmain = \"mian-a\"\n");
    assert_eq!(
        report(&text),
        r#"  x scenarios/mine.toml cannot be used

Error: 
  x no host is called `mian-a`
    ,-[scenarios/mine.toml:13:8]
 12 | name = "far"
 13 | main = "mian-a"
    :        ^^^^|^^^
    :            `-- expected the name of a host
    `----
  help: did you mean `main-a`?
"#
    );
}

#[test]
fn several_problems_in_the_order_of_the_file() {
    let text = format!("duration = \"ten\"\n{BASE}{LOAD}rate = \"0/s\"\npaylod = \"64B\"\n");
    assert_eq!(
        report(&text),
        r#"  x scenarios/mine.toml cannot be used: 3 problems

Error: 
  x bad value for `duration` in the scenario: "ten" is not a duration
   ,-[scenarios/mine.toml:1:12]
 1 | duration = "ten"
   :            ^^|^^
   :              `-- expected a duration such as "90s", "1m30s", "10m" or "20ms"
 2 | [[service]]
   `----

Error: 
  x bad value for `rate` in a [[load]] of kind "open": "0/s" is a rate of zero
    ,-[scenarios/mine.toml:18:8]
 17 | method = "echo"
 18 | rate = "0/s"
    :        ^^|^^
    :          `-- expected a rate such as "1/s", "6/m" or "1 per 10s"
 19 | paylod = "64B"
    `----

Error: 
  x unknown key `paylod` in a [[load]] of kind "open"
    ,-[scenarios/mine.toml:19:1]
 18 | rate = "0/s"
 19 | paylod = "64B"
    : ^^^|^^
    :    `-- expected one of `name`, `kind`, `pacing`, `rate`, `profile`, `from`, `service`, `method`, `payload`, `timeout`, `priority`, `by`, `to`, `start`, `stop`, `gates`, and 1 more
    `----
  help: did you mean `payload`?
"#
    );
}

#[test]
fn a_problem_that_involves_two_places() {
    assert_eq!(
        report("[[main]]\nname = \"a\"\n[[main]]\nname = \"a\"\n"),
        r#"  x scenarios/mine.toml cannot be used

Error: 
  x two hosts are called `a`
   ,-[scenarios/mine.toml:4:8]
 1 | [[main]]
 2 | name = "a"
   :        ^|^
   :         `-- the first one is here
 3 | [[main]]
 4 | name = "a"
   :        ^|^
   :         `-- expected a name of its own
   `----
"#
    );
}

#[test]
fn more_problems_than_anybody_reads() {
    let text: String = (0..100).map(|number| format!("key-{number} = 1\n")).collect();
    let error = Scenario::load("x.toml", &text).expect_err("it cannot be used");
    assert_eq!(error.problems().len(), MAX_PROBLEMS_SHOWN);
    assert_eq!(error.to_string(), "x.toml cannot be used: 101 problems, the first 20 are");
}
