//! What can be left out of a scenario, and scenarios without it.

use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table};

use super::prune::prune;

/// Sections that nothing else rests on: without them links and machines are as usual.
const SECTIONS: [&str; 7] =
    ["description", "network", "host", "probe", "operator", "expect_failure", "broadcast"];

/// Lists of which nothing else needs a member.
const LISTS: [&str; 8] = ["link", "dns", "gate", "sometimes", "expect", "phase", "lookup", "stranger"];

/// Sections whose entries can go one by one.
const ENTRIES: [&str; 3] = ["gates", "groups", "template"];

/// Keys of hosts and loads without which a scenario is simpler and asks for no more. Not among them are a load's
/// `start`, `stop` and `timeout` and a Home's `fallback`: without these it might fail for another reason.
const HOST_KEYS: [&str; 7] = ["start", "node_id", "tls", "cpu", "cores", "peers", "peers_srv"];
const LOAD_KEYS: [&str; 4] = ["payload", "pacing", "priority", "think"];

/// Keys of faults that are only details.
const FAULT_KEYS: [&str; 9] =
    ["direction", "one_way", "disk", "latency", "jitter", "loss", "bandwidth", "from", "at_disk_operation"];

/// Something that can be left out. Places count as they were when the units were listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// A table of a list: `[[fault]]` number 3.
    Table(&'static str, usize),
    /// A key of such a table.
    Key(&'static str, usize, &'static str),
    /// A key of a table in such a table: of `[load.gates]`.
    Inner(usize, String),
    /// A member of an array in such a table: a host of a fault.
    Member(&'static str, usize, &'static str, usize),
    /// A section at the top.
    Section(&'static str),
    /// A key of a section at the top.
    Entry(&'static str, String),
}

pub(super) fn faults(document: &DocumentMut) -> Vec<Unit> {
    list(document, "fault")
}

pub(super) fn upgrades(document: &DocumentMut) -> Vec<Unit> {
    list(document, "upgrade")
}

pub(super) fn loads(document: &DocumentMut) -> Vec<Unit> {
    list(document, "load")
}

pub(super) fn homes(document: &DocumentMut) -> Vec<Unit> {
    list(document, "home")
}

pub(super) fn mains(document: &DocumentMut) -> Vec<Unit> {
    list(document, "main")
}

pub(super) fn services(document: &DocumentMut) -> Vec<Unit> {
    let mut units = list(document, "service");
    for kind in ["main", "home"] {
        units.extend(members_of(document, kind, "services"));
        units.extend(keys(document, kind, &["services"]));
    }
    units
}

/// Hosts that a fault need not be with.
pub(super) fn members(document: &DocumentMut) -> Vec<Unit> {
    ["hosts", "from", "to"].into_iter().flat_map(|key| members_of(document, "fault", key)).collect()
}

pub(super) fn settings(document: &DocumentMut) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    units.extend(SECTIONS.into_iter().filter(|key| document.contains_key(key)).map(Unit::Section));
    units.extend(LISTS.into_iter().flat_map(|kind| list(document, kind)));
    for section in ENTRIES {
        let entries = document.get(section).and_then(Item::as_table);
        units.extend(entries.into_iter().flatten().map(|(key, _)| Unit::Entry(section, key.to_owned())));
    }
    units.extend(keys(document, "main", &HOST_KEYS));
    units.extend(keys(document, "home", &HOST_KEYS));
    units.extend(keys(document, "load", &LOAD_KEYS));
    units.extend(keys(document, "fault", &FAULT_KEYS));
    for (number, load) in tables(document, "load").into_iter().flatten().enumerate() {
        let gates = load.get("gates").and_then(Item::as_table);
        units.extend(gates.into_iter().flatten().map(|(key, _)| Unit::Inner(number, key.to_owned())));
    }
    units
}

fn list(document: &DocumentMut, kind: &'static str) -> Vec<Unit> {
    let count = tables(document, kind).map_or(0, ArrayOfTables::len);
    (0..count).map(|number| Unit::Table(kind, number)).collect()
}

fn keys(document: &DocumentMut, kind: &'static str, keys: &[&'static str]) -> Vec<Unit> {
    let tables = tables(document, kind).into_iter().flatten().enumerate();
    let of = |(number, table): (usize, &Table)| {
        let there = keys.iter().filter(|key| table.contains_key(key));
        there.map(|key| Unit::Key(kind, number, key)).collect::<Vec<_>>()
    };
    tables.flat_map(of).collect()
}

fn members_of(document: &DocumentMut, kind: &'static str, key: &'static str) -> Vec<Unit> {
    let tables = tables(document, kind).into_iter().flatten().enumerate();
    let of = |(number, table): (usize, &Table)| {
        let count = table.get(key).and_then(Item::as_array).map_or(0, Array::len);
        (0..count).map(|member| Unit::Member(kind, number, key, member)).collect::<Vec<_>>()
    };
    tables.flat_map(of).collect()
}

pub(super) fn tables<'a>(document: &'a DocumentMut, kind: &str) -> Option<&'a ArrayOfTables> {
    document.get(kind).and_then(Item::as_array_of_tables)
}

/// The document without these, and without what speaks of nobody then.
pub(super) fn without(document: &DocumentMut, gone: &[&Unit]) -> DocumentMut {
    let mut left = document.clone();
    // From the end, so that places before stay what they are; whole tables last.
    let mut gone = gone.to_vec();
    gone.sort_by_key(|unit| match unit {
        Unit::Member(_, table, _, member) => (0, std::cmp::Reverse((*table, *member))),
        Unit::Table(_, table) => (2, std::cmp::Reverse((*table, 0))),
        _ => (1, std::cmp::Reverse((0, 0))),
    });
    for unit in gone {
        match unit {
            Unit::Section(key) => drop(left.remove(key)),
            Unit::Entry(section, key) => {
                if let Some(table) = left.get_mut(section).and_then(Item::as_table_mut) {
                    table.remove(key);
                }
            }
            Unit::Table(kind, number) => {
                if let Some(tables) = left.get_mut(kind).and_then(Item::as_array_of_tables_mut) {
                    tables.remove(*number);
                }
            }
            Unit::Key(kind, number, key) => {
                if let Some(table) = table_mut(&mut left, kind, *number) {
                    table.remove(key);
                }
            }
            Unit::Inner(number, key) => {
                let load = table_mut(&mut left, "load", *number);
                if let Some(gates) = load.and_then(|load| load.get_mut("gates")?.as_table_mut()) {
                    gates.remove(key);
                }
            }
            Unit::Member(kind, number, key, member) => {
                let table = table_mut(&mut left, kind, *number);
                if let Some(array) = table.and_then(|table| table.get_mut(key)?.as_array_mut()) {
                    array.remove(*member);
                }
            }
        }
    }
    prune(&mut left);
    left
}

fn table_mut<'a>(document: &'a mut DocumentMut, kind: &str, number: usize) -> Option<&'a mut Table> {
    document.get_mut(kind)?.as_array_of_tables_mut()?.get_mut(number)
}
