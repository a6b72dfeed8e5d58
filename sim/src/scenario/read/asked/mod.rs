//! What a scenario asks for by name: `[[gate]]`, `[[sometimes]]`, `[[expect]]` and `expect_failure`.

mod expect;
mod gate;
mod sometimes;

use toml::Spanned;

use super::super::asked::Asked;
use super::super::dht::Lookups;
use super::super::error::{Problem, did_you_mean, list};
use super::super::hosts::{HostSet, Hosts};
use super::super::metric::NodeMetric;
use super::super::model::{Load, RunPlan};
use super::names::Lookup;
use super::table::Table;
use super::values::Names;

pub(super) use expect::{check_invariants, failures};

/// What everything here refers to.
pub(super) struct Context<'a> {
    pub(super) hosts: &'a Hosts,
    pub(super) loads: &'a [Load],
    pub(super) lookups: &'a [Lookups],
    pub(super) run: &'a RunPlan,
}

/// All of it but `expect_failure`, which [`failures`] reads.
pub(super) fn read(file: &mut Table<'_>, context: &Context<'_>) -> Asked {
    Asked {
        gates: gate::read(file, context),
        sometimes: sometimes::read(file, context),
        expected: expect::read(file, context),
        failures: Vec::new(),
    }
}

impl Context<'_> {
    /// The hosts that `of` names; `None` where nobody is named, or a problem was noted.
    fn of(&self, table: &mut Table<'_>) -> Option<HostSet> {
        let names = table.read::<Names>("of")?;
        Lookup { hosts: self.hosts, problems: table.problems() }.select(&names)
    }

    /// The load that `load` names, by its place; `None` where none is named, or a problem was noted.
    fn load(&self, table: &mut Table<'_>) -> Option<usize> {
        let names: Vec<&str> = self.loads.iter().map(|load| load.name.as_str()).collect();
        place(table, "load", &names)
    }

    /// The same for `lookup`.
    fn lookup(&self, table: &mut Table<'_>) -> Option<usize> {
        let names: Vec<&str> = self.lookups.iter().map(|lookup| lookup.name.as_str()).collect();
        place(table, "lookup", &names)
    }
}

/// The place among `names` of the one that `key` of the table says, which is called as its section.
fn place(table: &mut Table<'_>, key: &'static str, names: &[&str]) -> Option<usize> {
    let name = table.read::<String>(key)?;
    let found = names.iter().position(|it| it == name.get_ref());
    if found.is_none() {
        let known = || names.iter().copied();
        let help = did_you_mean(name.get_ref(), known()).unwrap_or_else(|| match names {
            [] => format!("the scenario has no [[{key}]]"),
            _ => format!("the {key}s are {}", list(known())),
        });
        let message = format!("no {key} is called `{}`", name.get_ref());
        let problem = Problem::new(message, name.span(), format!("expected the name of a [[{key}]]"));
        table.problems().add_unknown_name(problem.help(help));
    }
    found
}

/// A metric of nodes; one that no node tells is noted. `others` are words that could stand there as well.
fn node_metric(table: &Table<'_>, text: &Spanned<String>, others: &[&str]) -> Option<NodeMetric> {
    let metric = match NodeMetric::parse(text.get_ref()) {
        Ok(metric) => metric,
        Err(wrong) => {
            let label = "expected a metric such as 'relay_links{kind=\"home\"}'";
            table.problem(Problem::new(format!("not a metric: {wrong}"), text.span(), label));
            return None;
        }
    };
    let known = NodeMetric::known();
    if !known.contains(metric.name()) {
        let names = || others.iter().copied().chain(known.iter().map(String::as_str));
        let message = format!("no metric is called `{}`", metric.name());
        let label = match others {
            [] => "expected a metric of nodes: relay_…".to_owned(),
            _ => format!("expected one of {}, or a metric of nodes: relay_…", list(others.iter().copied())),
        };
        let help = did_you_mean(metric.name(), names())
            .unwrap_or_else(|| format!("nodes tell {}", list(known.iter().map(String::as_str))));
        table.problem(Problem::new(message, text.span(), label).help(help));
        return None;
    }
    Some(metric)
}
