//! A scenario of one's own under chaos: its federation, network and loads are kept, its faults, upgrades and gates are
//! not.

use std::time::Duration;

use relay_chaos::Rate;
use relay_chaos::plan::Phases;
use relay_chaos::quantity::duration;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, TableLike, value};

use super::loads::LIVENESS_RATE;
use crate::scenario::{Arrival, HostIndex, Load, Profile, Scenario, Segment, Shape, Target};

/// What a campaign says itself, and what a scenario asks of a run that is its own.
const REPLACED: [&str; 14] = [
    "name",
    "description",
    "duration",
    "seed",
    "phase",
    "fault",
    "upgrade",
    "lookup",
    "broadcast",
    "gates",
    "gate",
    "sometimes",
    "expect",
    "expect_failure",
];

/// What loads, and templates of loads, do not keep.
const REPLACED_OF_LOADS: [&str; 3] = ["gates", "expect", "phase"];

/// A scenario that chaos is to come over.
#[derive(Clone, Debug)]
pub struct Base {
    scenario: Scenario,
    document: DocumentMut,
}

/// Why a scenario cannot be the base of a campaign.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// Nobody calls anybody.
    #[error("{0} has no [[load]]: without calls nobody would see what is broken")]
    NoLoad(String),
    /// Nobody offers anything.
    #[error("nobody in {0} offers a service: there is nothing to call")]
    NoService(String),
    /// The text could be read as a scenario, and not be edited.
    #[error("cannot edit {0}: {1}")]
    Unreadable(String, toml_edit::TomlError),
}

impl Base {
    /// This scenario.
    ///
    /// # Errors
    /// Where nothing would be seen in it.
    pub fn new(scenario: Scenario) -> Result<Base, BaseError> {
        let name = || scenario.source.name.clone();
        if scenario.loads.is_empty() {
            return Err(BaseError::NoLoad(name()));
        }
        let mut document: DocumentMut =
            scenario.source.text.parse().map_err(|error| BaseError::Unreadable(name(), error))?;
        strip(&mut document);
        Ok(Base { scenario, document })
    }

    pub(super) fn name(&self) -> &str {
        &self.scenario.name
    }

    /// The parameters that it was read with.
    pub(super) fn set(&self) -> Vec<(String, String)> {
        self.scenario.source.set().collect()
    }

    /// The scenario, as it was.
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// All of it that stays; every load comes a second time, for the liveness phase.
    pub(super) fn text(&self, phases: Phases, calm: Duration) -> String {
        let mut document = self.document.clone();
        if let Some(Item::ArrayOfTables(tables)) = document.get_mut("load") {
            let mut kept = ArrayOfTables::new();
            let mut later = ArrayOfTables::new();
            for (table, load) in tables.iter().zip(&self.scenario.loads).filter(|it| self.has_callee(it.1)) {
                later.push(after_heal(table, load, phases, calm));
                kept.push(self.before_heal(table, load, phases));
            }
            kept.extend(later);
            *tables = kept;
        }
        leave_out_unused(&mut document);
        format!("\n{document}")
    }

    /// Whom a load calls may offer the service by an upgrade only, and upgrades are left out.
    fn has_callee(&self, load: &Load) -> bool {
        let callees = |name| offering_from_the_start(&self.scenario, name);
        match &load.target {
            Target::Service => callees(&load.call.service).next().is_some(),
            Target::Node(to) => {
                let callees: Vec<HostIndex> = callees(&load.call.service).collect();
                to.hosts().iter().all(|host| callees.contains(host))
            }
        }
    }

    /// A load with its own times, as far as they lie in the campaign's run.
    fn before_heal(&self, table: &Table, load: &Load, phases: Phases) -> Table {
        let mut table = table.clone();
        table.remove("start");
        table.remove("stop");
        if load.start < phases.heal {
            table.insert("start", value(duration::format(load.start)));
        }
        let fits = load.stop <= phases.end;
        if fits && load.stop < self.scenario.run.duration {
            table.insert("stop", value(duration::format(load.stop)));
        }
        if let Arrival::Profile(profile) = &load.arrival
            && !fits
        {
            table.remove("profile");
            table.insert("rate", value(mean_rate(profile)));
        }
        table
    }
}

/// Takes away what is not kept.
pub(super) fn strip(document: &mut DocumentMut) {
    REPLACED.iter().for_each(|key| drop(document.remove(key)));
    let strip = |table: &mut dyn TableLike| REPLACED_OF_LOADS.iter().for_each(|key| drop(table.remove(key)));
    if let Some(loads) = document.get_mut("load").and_then(Item::as_array_of_tables_mut) {
        loads.iter_mut().for_each(|load| strip(load));
    }
    if let Some(templates) = document.get_mut("template").and_then(Item::as_table_like_mut) {
        templates.iter_mut().filter_map(|(_, item)| item.as_table_like_mut()).for_each(strip);
    }
}

/// Templates and parameters that are used nowhere are refused as slips of the pen.
pub(super) fn leave_out_unused(document: &mut DocumentMut) {
    let mut used = Vec::new();
    for (_, item) in document.iter() {
        let tables = item.as_array_of_tables().into_iter().flatten();
        let uses = |table: &dyn TableLike| table.get("use").and_then(Item::as_str).map(str::to_owned);
        used.extend(tables.filter_map(|table| uses(table)));
        used.extend(item.as_table_like().and_then(uses));
    }
    leave_out(document, "template", |name| !used.iter().any(|it| it == name));
    let mut text = document.clone();
    text.remove("params");
    let text = text.to_string();
    leave_out(document, "params", |name| !uses_parameter(&text, name));
}

fn leave_out(document: &mut DocumentMut, key: &str, is_unused: impl Fn(&str) -> bool) {
    let Some(table) = document.get_mut(key).and_then(Item::as_table_like_mut) else { return };
    let unused: Vec<String> =
        table.iter().map(|(name, _)| name.to_owned()).filter(|name| is_unused(name)).collect();
    unused.iter().for_each(|name| drop(table.remove(name)));
}

fn uses_parameter(text: &str, name: &str) -> bool {
    text.contains(&format!("${{{name}}}"))
}

/// Of the values that were given to a base's parameters, those that what became of it still has.
pub fn settings_left(set: &[(String, String)], text: &str) -> Vec<(String, String)> {
    set.iter().filter(|(name, _)| uses_parameter(text, name)).cloned().collect()
}

/// The hosts that offer a service before any upgrade.
pub(super) fn offering_from_the_start<'a>(
    scenario: &'a Scenario,
    name: &str,
) -> impl Iterator<Item = HostIndex> + 'a {
    let topology = &scenario.topology;
    let service = topology.services.iter().position(|service| service.name == name);
    let offers = move |services: &[usize]| service.is_some_and(|it| services.contains(&it));
    topology.hosts.iter().filter(move |(_, host)| offers(&host.services)).map(|(index, _)| index)
}

/// The load of the liveness phase. A load whose rate changes goes on with that of drawn ones: all its calls must succeed.
fn after_heal(table: &Table, load: &Load, phases: Phases, calm: Duration) -> Table {
    let mut later = table.clone();
    ["start", "stop"].iter().for_each(|key| drop(later.remove(key)));
    if let Arrival::Profile(_) = load.arrival {
        later.remove("profile");
        later.insert("rate", value(LIVENESS_RATE));
    }
    later.insert("name", value(format!("{}-after-heal", load.name)));
    later.insert("start", value(duration::format(phases.heal + calm)));
    let mut gates = Table::new();
    gates.insert("availability", value("100%"));
    later.insert("gates", Item::Table(gates));
    later
}

/// As many calls as a profile makes, spread over the time that it lasts.
fn mean_rate(profile: &Profile) -> String {
    let calls = |segment: &Segment| match segment.shape {
        Shape::Burst { calls, every } => {
            f64::from(calls) * segment.window.length().as_secs_f64() / every.as_secs_f64()
        }
        _ => segment.calls_until(segment.window.length().as_secs_f64()),
    };
    let calls: f64 = profile.segments.iter().map(calls).sum();
    let lasts: Duration = profile.segments.iter().map(|segment| segment.window.length()).sum();
    Rate::new((calls.round() as u32).max(1), lasts)
        .map_or_else(|| LIVENESS_RATE.to_owned(), |rate| rate.to_string())
}
