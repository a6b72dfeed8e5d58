//! `[groups]`: hosts with a name in common.

use toml::Spanned;
use toml::de::DeValue;

use super::super::error::{Problem, Problems};
use super::super::hosts::{GROUP, HostIndex, Hosts};
use super::names::{Lookup, check_name};
use super::table::{FromToml, Table, kind_in_words};
use super::values::Names;

/// A group that is not resolved yet.
struct Group<'a> {
    name: &'a str,
    hosts: Spanned<Names>,
}

impl Group<'_> {
    /// The groups that it is made of.
    fn parts(&self) -> impl Iterator<Item = &str> {
        let names = self.hosts.get_ref().0.iter().map(|name| name.get_ref().trim_start_matches('!'));
        names.filter_map(|name| name.strip_prefix(GROUP))
    }
}

/// Has `@name` stand for the hosts that `[groups]` says.
pub(super) fn define(file: &mut Table<'_>, hosts: &mut Hosts, problems: &Problems) {
    let Some(section) = file.raw("groups") else { return };
    let DeValue::Table(entries) = section.get_ref() else {
        let message = format!("`groups` is {}", kind_in_words(section.get_ref()));
        problems.add(Problem::new(message, section.span(), "expected a table: [groups]"));
        problems.lose_name();
        return;
    };
    let table = Table::new(entries, section.span(), "[groups]", problems);
    let mut waiting = Vec::new();
    for (key, value) in entries {
        let name = Spanned::new(key.span(), key.get_ref().to_string());
        match Names::from_toml(value) {
            Ok(_) if !check_name(&table, &name, "group") => problems.lose_name(),
            Ok(hosts) => {
                waiting.push(Group { name: key.get_ref(), hosts: Spanned::new(value.span(), hosts) });
            }
            Err(wrong) => {
                let span = wrong.span.unwrap_or_else(|| value.span());
                let message = format!("bad value for the group `{}`: {}", key.get_ref(), wrong.problem);
                problems.add(Problem::new(
                    message,
                    span,
                    "expected hosts, such as [\"home-1\", \"main-b/*\"]",
                ));
                problems.lose_name();
            }
        }
    }
    resolve(waiting, hosts, problems);
}

/// Resolves the groups, those first that others are made of.
fn resolve(mut waiting: Vec<Group<'_>>, hosts: &mut Hosts, problems: &Problems) {
    while !waiting.is_empty() {
        let is_open = |name: &str| waiting.iter().any(|group| group.name == name);
        let (later, now): (Vec<bool>, _) =
            (waiting.iter().map(|group| group.parts().any(is_open)).collect(), waiting.len());
        let mut later = later.into_iter();
        let (stuck, ready): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|_| later.next().unwrap_or_default());
        for group in ready {
            let found = Lookup { hosts, problems }.select(&group.hosts);
            match found {
                Some(found) => hosts.define(group.name, found.hosts().to_vec()),
                None => {
                    hosts.define(group.name, Vec::<HostIndex>::new());
                    problems.lose_name();
                }
            }
        }
        if stuck.len() == now {
            for group in &stuck {
                let message = format!("the group `{}` is made of itself", group.name);
                let label = "expected no circle of groups";
                problems.add(Problem::new(message, group.hosts.span(), label));
            }
            problems.lose_name();
            return;
        }
        waiting = stuck;
    }
}
