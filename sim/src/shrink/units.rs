//! What can be left out of a scenario, and scenarios without it.

use globset::Glob;
use relay_chaos::Selector;
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, Value};

/// Sections that nothing else rests on: without them links and machines are as usual.
const SECTIONS: [&str; 5] = ["description", "network", "host", "probe", "operator"];

/// Lists of which nothing else needs a member.
const LISTS: [&str; 4] = ["link", "dns", "gate", "sometimes"];

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
    let gates = document.get("gates").and_then(Item::as_table);
    units.extend(gates.into_iter().flatten().map(|(key, _)| Unit::Entry("gates", key.to_owned())));
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

/// Takes away every mention of hosts and services that are not there, and what says nothing without it.
pub(super) fn prune(document: &mut DocumentMut) {
    let services: Vec<String> = tables(document, "service").into_iter().flatten().filter_map(name).collect();
    // A Home without its Main connects to another; one that has none at all is refused when the file is read.
    let mains = hosts(document, "main");
    each(document, "home", |home| {
        keep(home, "services", |it| services.iter().any(|name| name == it));
        keep(home, "main", |pattern| is_one(pattern, &mains));
        if !home.contains_key("main")
            && let Some(first) = mains.first()
        {
            home.insert("main", toml_edit::value(first));
        }
        keep(home, "fallback", |pattern| is_one(pattern, &mains));
        true
    });
    each(document, "main", |main| {
        keep(main, "services", |it| services.iter().any(|name| name == it));
        keep(main, "peers", |pattern| is_one(pattern, &mains));
        true
    });
    let all: Vec<String> = mains.iter().cloned().chain(hosts(document, "home")).collect();
    for kind in ["fault", "link", "load", "dns"] {
        let needed: &[&str] = match kind {
            "fault" => &["host", "hosts", "from", "to"],
            "load" | "link" => &["from", "to"],
            _ => &["targets"],
        };
        each(document, kind, |table| {
            let before: Vec<&str> = needed.iter().copied().filter(|key| table.contains_key(key)).collect();
            before.iter().for_each(|key| keep(table, key, |pattern| is_one(pattern, &all)));
            before.iter().all(|key| table.contains_key(key))
        });
    }
    for kind in ["gates", "network", "node", "host"] {
        if document.get(kind).and_then(Item::as_table).is_some_and(Table::is_empty) {
            document.remove(kind);
        }
    }
}

/// Goes over the tables of a list, and takes those away for which `keep` says no.
fn each(document: &mut DocumentMut, kind: &str, mut keep: impl FnMut(&mut Table) -> bool) {
    let Some(tables) = document.get_mut(kind).and_then(Item::as_array_of_tables_mut) else { return };
    for number in (0..tables.len()).rev() {
        if tables.get_mut(number).is_some_and(|table| !keep(table)) {
            tables.remove(number);
        }
    }
    if tables.is_empty() {
        document.remove(kind);
    }
}

/// Leaves those patterns in an array, or in place of one, that stand for somebody; without any, the key goes.
fn keep(table: &mut Table, key: &str, wanted: impl Fn(&str) -> bool) {
    let is_wanted = |value: &Value| value.as_str().is_none_or(&wanted);
    let is_empty = match table.get_mut(key) {
        Some(Item::Value(Value::Array(array))) => {
            array.retain(is_wanted);
            array.is_empty()
        }
        Some(Item::Value(value)) => !is_wanted(value),
        _ => false,
    };
    if is_empty {
        table.remove(key);
    }
}

fn is_one(pattern: &str, hosts: &[String]) -> bool {
    if !Selector::is_glob(pattern) {
        return hosts.iter().any(|host| host == pattern);
    }
    // What is no glob is left for the reader to refuse.
    Glob::new(pattern).map_or(true, |glob| {
        let glob = glob.compile_matcher();
        hosts.iter().any(|host| glob.is_match(host))
    })
}

fn name(table: &Table) -> Option<String> {
    table.get("name").and_then(Item::as_str).map(str::to_owned)
}

/// The names that the tables of a kind stand for.
fn hosts(document: &DocumentMut, kind: &str) -> Vec<String> {
    let of = |table: &Table| {
        let name = name(table).unwrap_or_default();
        match table.get("count").and_then(Item::as_integer) {
            None => vec![name],
            Some(count) => (1..=count).map(|number| format!("{name}-{number}")).collect(),
        }
    };
    tables(document, kind).into_iter().flatten().flat_map(of).collect()
}
