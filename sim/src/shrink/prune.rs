//! Takes away what speaks of nobody. Who is meant is looked up as the reader of scenarios does it.

use std::collections::BTreeSet;

use relay_chaos::Selector;
use toml_edit::{DocumentMut, Item, Table, Value};

use super::units::tables;
use crate::scenario::{Host, Hosts, hosts_of};

/// Begins the name of a group.
const GROUP: char = '@';
/// Begins a pattern whose hosts are not meant.
const NOT: char = '!';
/// Stands between a Main and its Homes.
const OF_MAIN: char = '/';

/// Keys of lists that stand for hosts. A table of a list that loses one of them goes.
const SELECTORS: [(&str, &[&str]); 10] = [
    ("fault", &["host", "hosts", "from", "to"]),
    ("upgrade", &["host", "hosts"]),
    ("load", &["from", "to"]),
    ("lookup", &["from", "to"]),
    ("stranger", &["bootstrap", "near"]),
    ("link", &["from", "to"]),
    ("dns", &["targets"]),
    ("gate", &["of"]),
    ("sometimes", &["of"]),
    ("expect", &["of"]),
];

/// Takes away every mention of hosts, services, loads and gates that are not there, and what says nothing without it.
pub(super) fn prune(document: &mut DocumentMut) {
    // Homes find their Mains through groups, and groups name Homes by their Mains: the former first.
    groups(document, |pattern| pattern.contains(OF_MAIN));
    services(document);
    mains_of_hosts(document);
    groups(document, |_| false);
    let all = hosts_of(&document.to_string());
    for (kind, keys) in SELECTORS {
        each(document, kind, |table| {
            let there: Vec<&str> = keys.iter().copied().filter(|key| table.contains_key(key)).collect();
            there.iter().for_each(|key| keep_hosts(table, key, "*", &all));
            there.iter().all(|key| table.contains_key(key))
        });
    }
    for (section, key, usual) in [("dht", "bootstrap", "mains"), ("broadcast", "hosts", "*")] {
        if let Some(table) = document.get_mut(section).and_then(Item::as_table_mut) {
            keep_hosts(table, key, usual, &all);
        }
    }
    loads_and_gates(document);
    templates(document);
    for kind in ["gates", "network", "node", "host", "groups", "template"] {
        if document.get(kind).and_then(Item::as_table).is_some_and(Table::is_empty) {
            document.remove(kind);
        }
    }
}

/// Leaves those members of groups that stand for somebody, and those that are `spared`; groups without any go.
fn groups(document: &mut DocumentMut, spared: fn(&str) -> bool) {
    let hosts = hosts_of(&document.to_string());
    let Some(groups) = document.get_mut("groups").and_then(Item::as_table_mut) else { return };
    // A group that goes may be all that another is made of.
    loop {
        let there: BTreeSet<String> = groups.iter().map(|(name, _)| name.to_owned()).collect();
        for name in &there {
            keep(groups, name, Some("*"), |pattern| match pattern.strip_prefix(GROUP) {
                Some(group) => there.contains(group),
                None => spared(pattern) || is_somebody(pattern, &hosts),
            });
        }
        if groups.len() == there.len() {
            return;
        }
    }
}

fn services(document: &mut DocumentMut) {
    let services = names(document, "service");
    for kind in ["home", "main"] {
        each(document, kind, |host| {
            keep(host, "services", None, |it| services.contains(it));
            true
        });
    }
}

/// A Home without its Main connects to another; one that has none at all is refused when the file is read.
fn mains_of_hosts(document: &mut DocumentMut) {
    let hosts = hosts_of(&document.to_string());
    let first = hosts.iter().map(|(_, host)| host).find(|host| Host::is_main(host));
    for kind in ["home", "main"] {
        each(document, kind, |host| {
            for key in ["main", "fallback", "peers"] {
                let was_there = host.contains_key(key);
                keep_hosts(host, key, "mains", &hosts);
                if let Some(first) = first.filter(|_| key == "main" && was_there && !host.contains_key(key)) {
                    host.insert(key, toml_edit::value(&first.name));
                }
            }
            true
        });
    }
}

/// Gates of loads and lookups that are gone go, and so does what waits for gates that are gone.
fn loads_and_gates(document: &mut DocumentMut) {
    for what in ["load", "lookup"] {
        let there = names(document, what);
        for kind in ["gate", "sometimes"] {
            each(document, kind, |table| {
                table.get(what).and_then(Item::as_str).is_none_or(|it| there.contains(it))
            });
        }
    }
    let gates = names(document, "gate");
    let is_own = |name: &str| gates.contains(name);
    let sections: BTreeSet<String> = document
        .get("gates")
        .and_then(Item::as_table)
        .into_iter()
        .flatten()
        .map(|(key, _)| key.to_owned())
        .collect();
    each(document, "upgrade", |upgrade| {
        keep(upgrade, "abort_on", None, |name| is_own(name) || sections.contains(name));
        if !upgrade.contains_key("abort_on") {
            upgrade.remove("on_abort");
        }
        true
    });
}

/// Takes away templates that nobody uses: scenarios with such are refused.
fn templates(document: &mut DocumentMut) {
    loop {
        let mut used = BTreeSet::new();
        for (_, item) in document.iter() {
            let tables = item.as_array_of_tables().into_iter().flatten();
            tables.for_each(|table| used.extend(used_by(table)));
        }
        let Some(templates) = document.get_mut("template").and_then(Item::as_table_mut) else { return };
        let own = templates.iter().filter_map(|(_, item)| item.as_table());
        own.for_each(|table| used.extend(used_by(table)));
        let before = templates.len();
        templates.retain(|name, _| used.contains(name));
        if templates.len() == before {
            return;
        }
    }
}

fn used_by(table: &Table) -> Vec<String> {
    match table.get("use") {
        Some(Item::Value(Value::Array(names))) => {
            names.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        Some(item) => item.as_str().map(str::to_owned).into_iter().collect(),
        None => Vec::new(),
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

/// As [`keep`], for patterns of hosts: those stay that stand for somebody, and none where they leave nobody over.
fn keep_hosts(table: &mut Table, key: &str, everybody: &str, hosts: &Hosts) {
    keep(table, key, Some(everybody), |pattern| is_somebody(pattern, hosts));
    let patterns: Vec<&str> = match table.get(key) {
        Some(Item::Value(Value::Array(array))) => array.iter().filter_map(Value::as_str).collect(),
        Some(Item::Value(value)) => value.as_str().into_iter().collect(),
        _ => return,
    };
    if !patterns.is_empty() && hosts.select(&Selector::new(patterns)).hosts().is_empty() {
        table.remove(key);
    }
}

/// Leaves those texts in an array, or in place of one, that are wanted; without any, the key goes. Where the list says
/// only who is not meant, and nobody of them is there, `everybody` takes its place.
fn keep(table: &mut Table, key: &str, everybody: Option<&str>, wanted: impl Fn(&str) -> bool) {
    let is_not = |value: &Value| value.as_str().is_some_and(|it| it.starts_with(NOT));
    let is_wanted = |value: &Value| {
        value.as_str().is_none_or(|it| wanted(everybody.and(it.strip_prefix(NOT)).unwrap_or(it)))
    };
    let Some(Item::Value(value)) = table.get_mut(key) else { return };
    let says_who_is_meant = match value {
        Value::Array(array) => array.iter().any(|it| !is_not(it)),
        _ => !is_not(value),
    };
    let is_left = match value {
        Value::Array(array) => {
            array.retain(is_wanted);
            // Without those that are meant, what is left would mean all others.
            array.iter().any(|it| !(says_who_is_meant && is_not(it)))
        }
        _ => is_wanted(value),
    };
    match everybody.filter(|_| !says_who_is_meant) {
        _ if is_left => {}
        Some(everybody) => *value = Value::from(everybody),
        None => drop(table.remove(key)),
    }
}

/// What is no glob is left for the reader to refuse.
fn is_somebody(pattern: &str, hosts: &Hosts) -> bool {
    hosts.matching(pattern).map_or(true, |found| !found.is_empty())
}

/// The names of the tables of a list.
fn names(document: &DocumentMut, kind: &str) -> BTreeSet<String> {
    let tables = tables(document, kind).into_iter().flatten();
    tables.filter_map(|table| table.get("name")?.as_str().map(str::to_owned)).collect()
}
