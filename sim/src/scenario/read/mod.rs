//! Reads a scenario file: section by section, all problems at once.
//!
//! The TOML is walked by hand ([`table`]) and not through derived types: every value is read with its place, an
//! unknown key is met with what was probably meant, and one wrong value does not hide the next.

mod asked;
mod dht;
mod expand;
mod faults;
mod gates;
mod groups;
mod loads;
mod names;
mod network;
mod operator;
mod profile;
mod services;
mod settings;
pub(super) mod shape;
mod table;
mod topology;
mod upgrades;
mod values;

use std::time::Duration;

use toml::de::DeTable;

use self::asked::Context;
use self::expand::{Expanded, Setting, expand};
use self::shape::{Recorder, Section};
use self::table::Table;
use super::error::{Problem, Problems, ScenarioError};
use super::hosts::Hosts;
use super::model::{Scenario, Source};

impl Scenario {
    /// Reads a scenario from `text`. `name` is how messages call the file; its stem is the scenario's name where the
    /// text gives none.
    ///
    /// # Errors
    /// All that is wrong with the text, each with its place.
    pub fn load(name: &str, text: &str) -> Result<Scenario, ScenarioError> {
        Scenario::load_with(name, text, &[])
    }

    /// As [`Scenario::load`], with these parameters set, by name.
    ///
    /// # Errors
    /// All that is wrong with the text, each with its place, and with the values that are set.
    pub fn load_with(name: &str, text: &str, set: &[(String, String)]) -> Result<Scenario, ScenarioError> {
        let problems = Problems::default();
        let (document, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            let (what, expected) = error.message().split_once(", expected ").unwrap_or((error.message(), ""));
            let label = match (expected, what) {
                ("", "duplicate key") => "expected a key that is not there yet".to_owned(),
                ("", _) => "here".to_owned(),
                (expected, _) => format!("expected {expected}"),
            };
            problems.add(Problem::new(format!("not valid TOML: {what}"), span, label));
        }
        // What follows a broken line is guesswork: say what is broken and no more.
        if let Some(error) = problems.error(name, text) {
            return Err(error);
        }
        let scenario = read(name, text, (document.into_inner(), set), &problems);
        problems.error(name, text).map_or(Ok(scenario), Err)
    }
}

/// The hosts of a text, whatever else is wrong with it: what names nobody is left out of groups and of lists of Mains.
pub(crate) fn hosts(text: &str) -> Hosts {
    let problems = Problems::default();
    let (document, _) = DeTable::parse_recoverable(text);
    let Expanded { document, .. } = expand(document.into_inner(), &[], &problems);
    let mut file = Table::new(&document, 0..0, "the scenario", &problems);
    topology::read(&mut file, Duration::MAX).hosts
}

/// What is asked of a text, whatever is wrong with it.
pub(super) fn record(text: &str) -> Vec<Section> {
    let mut problems = Problems::default();
    problems.recorder = Some(Recorder::default());
    let (document, _) = DeTable::parse_recoverable(text);
    read("x.toml", text, (document.into_inner(), &[]), &problems);
    problems.recorder.map(Recorder::take).unwrap_or_default()
}

/// Where a problem was noted, what comes back is not to be used.
fn read<'a>(
    name: &str,
    text: &str,
    (document, set): (DeTable<'a>, &'a [Setting]),
    problems: &Problems,
) -> Scenario {
    let Expanded { document, phases, parameters } = expand(document, set, problems);
    // The whole file has no place of its own; what it lacks is noted where one begins to read.
    let mut file = Table::new(&document, 0..0, "the scenario", problems);
    let title = settings::name(&mut file, name);
    let description = file.get::<String>("description").unwrap_or_default();
    file.ask(&["params", "template", "phase"]);
    let run = settings::run(&mut file, &phases);
    let node = settings::node(&mut file);
    let mut topology = topology::read(&mut file, run.duration);
    topology.dht = dht::read(&mut file, &topology.hosts, &run);
    let network = network::read(&mut file, &topology.hosts);
    let drafts = upgrades::read(&mut file, &topology, node, &run);
    topology.upgrades = drafts.iter().map(|draft| draft.upgrade.clone()).collect();
    let loads = loads::read(&mut file, &topology, run.duration);
    let mut gates = gates::read(&mut file, &topology, &loads, &run);
    let context =
        Context { hosts: &topology.hosts, loads: &loads, lookups: &topology.dht.lookups, run: &run };
    gates.asked = asked::read(&mut file, &context);
    let failures = asked::failures(&mut file);
    gates.asked.failures = failures.iter().map(|failure| failure.get_ref().clone()).collect();
    let mut faults = faults::read(&mut file, &topology.hosts, &run, gates.convergence);
    let asked_for = (gates.asked.gates.as_slice(), gates.convergence);
    topology.upgrades = upgrades::finish(&file, drafts, &context, asked_for, &mut faults);
    file.finish();
    let source = Source { name: name.to_owned(), text: text.to_owned(), parameters };
    let scenario =
        Scenario { name: title, description, run, network, node, topology, loads, faults, gates, source };
    asked::check_invariants(&scenario, &failures, problems);
    scenario
}
