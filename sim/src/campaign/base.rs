//! A scenario of one's own under chaos: its federation, network and loads are kept, its faults and gates are not.

use std::time::Duration;

use relay_chaos::plan::Phases;
use relay_chaos::quantity::duration;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

use crate::scenario::Scenario;

/// What a campaign says itself.
const REPLACED: [&str; 6] = ["name", "description", "duration", "seed", "fault", "gates"];

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
        REPLACED.iter().for_each(|key| drop(document.remove(key)));
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
        if let Some(Item::ArrayOfTables(loads)) = document.get_mut("load") {
            let mut later = ArrayOfTables::new();
            for load in loads.iter_mut() {
                load.remove("gates");
                later.push(after_heal(load, phases, calm));
            }
            loads.extend(later);
        }
        format!("\n{document}")
    }
}

fn after_heal(load: &Table, phases: Phases, calm: Duration) -> Table {
    let mut later = Table::new();
    for (key, item) in load.iter().filter(|(key, _)| !["start", "stop"].contains(key)) {
        later.insert(key, item.clone());
    }
    let name = load.get("name").and_then(Item::as_str).unwrap_or("load");
    later.insert("name", value(format!("{name}-after-heal")));
    later.insert("start", value(duration::format(phases.heal + calm)));
    let mut gates = Table::new();
    gates.insert("availability", value("100%"));
    later.insert("gates", Item::Table(gates));
    later
}
