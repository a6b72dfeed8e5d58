//! `[[expect]]`, `expect` of a `[[load]]`, and `expect_failure`.

use std::time::Duration;

use relay_chaos::Share;
use relay_node::config::Timing;
use toml::Spanned;
use toml::de::DeValue;

use super::super::super::asked::{Expected, Failure};
use super::super::super::error::{Problem, Problems, did_you_mean, list};
use super::super::super::model::Scenario;
use super::super::expand::window;
use super::super::table::Table;
use super::super::values::{Codes, Names};
use super::Context;
use crate::invariants::Invariants;

/// Calls that are expected to fail: those of loads first.
pub(super) fn read(file: &mut Table<'_>, context: &Context<'_>) -> Vec<Expected> {
    let mut all = Vec::new();
    for (number, mut load) in file.tables("load").into_iter().enumerate() {
        for mut table in load.tables("expect") {
            all.extend(expected(&mut table, context, |_| Some(number)));
            table.finish();
        }
    }
    for mut table in file.tables("expect") {
        all.extend(expected(&mut table, context, |table| context.load(table)));
        table.finish();
    }
    all
}

fn expected<'a>(
    table: &mut Table<'a>,
    context: &Context<'_>,
    load: impl Fn(&mut Table<'a>) -> Option<usize>,
) -> Option<Expected> {
    let codes = table.require::<Codes>("codes");
    let load = load(table);
    let over = window(table, &context.run.phases, context.run.duration);
    let at_least = table.get::<Share>("at_least");
    let at_most = table.get::<Share>("at_most");
    let codes = codes?;
    if codes.get_ref().0.is_empty() {
        table.problem(Problem::new(
            "no code at all",
            codes.span(),
            "expected at least one, such as [-32003]",
        ));
    }
    if let (Some(least), Some(most)) = (at_least, at_most)
        && least > most
    {
        let message = "`at_most` is less than `at_least`";
        table.problem(Problem::new(
            message,
            table.value_span("at_most"),
            format!("expected at least {least}"),
        ));
    }
    Some(Expected { load, codes: codes.into_inner().0, over, at_least, at_most })
}

/// What the run is expected to fail, and where that is said.
pub(in super::super) fn failures(file: &mut Table<'_>) -> Vec<Spanned<Failure>> {
    let Some(names) = file.read::<Names>("expect_failure") else { return Vec::new() };
    let gates = gates(file);
    let mut failures: Vec<Spanned<Failure>> = Vec::new();
    for name in names.into_inner().0 {
        let failure = match name.get_ref().split_once(':') {
            Some(("gate", gate)) => Failure::Gate(gate.to_owned()),
            Some(("invariant", invariant)) => Failure::Invariant(invariant.to_owned()),
            _ => {
                let message = format!("`{}` is nothing that can fail", name.get_ref());
                let label = "expected \"gate:NAME\", \"gate:LOAD/NAME\" or \"invariant:NAME\"";
                file.problem(Problem::new(message, name.span(), label));
                continue;
            }
        };
        if let Failure::Gate(gate) = &failure
            && !gates.contains(gate)
        {
            let known = || gates.iter().map(String::as_str);
            let help = did_you_mean(gate, known()).unwrap_or_else(|| match gates.as_slice() {
                [] => "the scenario has no gate".to_owned(),
                _ => format!("the gates are {}", list(known())),
            });
            let message = format!("no gate is called `{gate}`");
            let problem = Problem::new(message, name.span(), "expected a gate of this scenario");
            file.problems().add_unknown_name(problem.help(help));
        }
        if failures.iter().any(|other| *other.get_ref() == failure) {
            file.problem(Problem::new("this is listed twice", name.span(), "expected each once"));
        }
        failures.push(Spanned::new(name.span(), failure));
    }
    failures
}

/// The names of all gates that the file asks for.
fn gates(file: &mut Table<'_>) -> Vec<String> {
    let keys = |table: &Spanned<DeValue<'_>>| match table.get_ref().as_table() {
        Some(table) => table.keys().map(|key| key.get_ref().to_string()).collect(),
        None => Vec::new(),
    };
    let mut names: Vec<String> = file.raw("gates").map(keys).unwrap_or_default();
    for mut gate in file.tables("gate") {
        names.extend(gate.raw("name").and_then(|name| name.get_ref().as_str()).map(str::to_owned));
    }
    for mut load in file.tables("load") {
        let name = load.raw("name").and_then(|name| name.get_ref().as_str()).unwrap_or_default();
        names.extend(
            load.raw("gates").map(keys).unwrap_or_default().iter().map(|gate| format!("{name}/{gate}")),
        );
    }
    names
}

/// Notes invariants that are expected to be violated and that there are none of.
pub(in super::super) fn check_invariants(
    scenario: &Scenario,
    failures: &[Spanned<Failure>],
    problems: &Problems,
) {
    if failures.iter().all(|failure| matches!(failure.get_ref(), Failure::Gate(_))) {
        return;
    }
    let invariants = Invariants::new(scenario, &Timing::default(), Duration::ZERO);
    let known = || invariants.results().map(|(invariant, _)| invariant.name());
    for failure in failures {
        let Failure::Invariant(name) = failure.get_ref() else { continue };
        if !known().any(|it| it == name) {
            let help = did_you_mean(name, known())
                .unwrap_or_else(|| format!("the invariants are {}", list(known())));
            let message = format!("no invariant is called `{name}`");
            let problem = Problem::new(message, failure.span(), "expected the name of an invariant");
            problems.add(problem.help(help));
        }
    }
}
