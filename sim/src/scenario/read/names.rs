//! Names and what they stand for.

use std::collections::BTreeSet;
use std::ops::Range;

use relay_chaos::Selector;
use toml::Spanned;

use super::super::error::{Problem, Problems, did_you_mean, list};
use super::super::hosts::{GROUP, Host, HostIndex, HostSet, Hosts, NOT, OF_MAIN};
use super::super::model::Service;
use super::table::Table;
use super::values::Names;

/// The longest name of a host, a service or a load.
pub(super) const MAX_NAME_CHARS: usize = 64;
/// The longest pattern that is looked for.
pub(super) const MAX_PATTERN_CHARS: usize = 200;

/// Notes a name that cannot be one. `what` it names: `host`.
pub(super) fn check_name(table: &Table<'_>, name: &Spanned<String>, what: &str) -> bool {
    let text = name.get_ref();
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let right = (1..=MAX_NAME_CHARS).contains(&text.len())
        && text.chars().all(allowed)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !right {
        let article = if what.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
        let label = format!(
            "expected 1 to {MAX_NAME_CHARS} letters, digits, `-`, `_` or `.`, a letter or digit first"
        );
        table.problem(Problem::new(format!("not a name for {article} {what}"), name.span(), label));
    }
    right
}

/// Looks names up, and notes those that nobody has.
pub(super) struct Lookup<'a> {
    pub(super) hosts: &'a Hosts,
    pub(super) problems: &'a Problems,
}

impl Lookup<'_> {
    /// The hosts that `names` stand for; `None` where a problem was noted.
    pub(super) fn select(&self, names: &Spanned<Names>) -> Option<HostSet> {
        if names.get_ref().0.is_empty() {
            let label = "expected at least one name or pattern";
            self.problems.add(Problem::new("this list names no host", names.span(), label));
            return None;
        }
        let found = self.in_turn(names.get_ref(), |_| true)?;
        if found.is_empty() {
            let label = "expected patterns that leave some host over";
            self.problems.add(Problem::new("nobody is left of these hosts", names.span(), label));
            return None;
        }
        let selector = Selector::new(names.get_ref().0.iter().map(Spanned::get_ref));
        Some(HostSet::new(selector, found))
    }

    /// The hosts that `names` stand for, in the order of the list, each once; `None` where a problem was noted. Where
    /// the list says only who is not meant, all others are that `usual` names.
    pub(super) fn in_turn(&self, names: &Names, usual: impl Fn(&Host) -> bool) -> Option<Vec<HostIndex>> {
        let mut without = Vec::new();
        let mut found: Vec<HostIndex> = Vec::new();
        let mut complete = true;
        if names.0.iter().all(|name| name.get_ref().starts_with(NOT)) && !names.0.is_empty() {
            found.extend(self.hosts.iter().filter(|(_, host)| usual(host)).map(|(index, _)| index));
        }
        for name in &names.0 {
            let (hosts, into) = match name.get_ref().strip_prefix(NOT) {
                Some(rest) => (self.matching(&Spanned::new(name.span(), rest.to_owned())), &mut without),
                None => (self.matching(name), &mut found),
            };
            match hosts {
                Some(hosts) => into.extend(hosts),
                None => complete = false,
            }
        }
        let without: BTreeSet<HostIndex> = without.into_iter().collect();
        let mut seen = BTreeSet::new();
        found.retain(|host| !without.contains(host) && seen.insert(*host));
        complete.then_some(found)
    }

    /// The hosts that one name or pattern stands for; `None` where a problem was noted.
    pub(super) fn matching(&self, pattern: &Spanned<String>) -> Option<Vec<HostIndex>> {
        let (text, span) = (pattern.get_ref(), pattern.span());
        if text.chars().count() > MAX_PATTERN_CHARS {
            let label = format!("expected at most {MAX_PATTERN_CHARS} characters");
            self.problems.add(Problem::new("this pattern is too long", span, label));
            return None;
        }
        match self.hosts.matching(text) {
            Ok(found) if found.is_empty() => {
                self.nobody(text, span);
                None
            }
            Ok(found) => Some(found),
            Err(error) => {
                let label = "expected a pattern such as \"home-*\"";
                self.problems.add(Problem::new(format!("not a pattern: {error}"), span, label));
                None
            }
        }
    }

    fn nobody(&self, text: &str, span: Range<usize>) {
        let names = || self.hosts.iter().map(|(_, host)| host.name.as_str());
        if let Some(group) = text.strip_prefix(GROUP) {
            let known: Vec<&str> = self.hosts.groups().collect();
            let help = did_you_mean(group, known.iter().copied()).unwrap_or_else(|| match known.as_slice() {
                [] => format!("add it to the file:  [groups]  {group} = [\"home-*\"]"),
                known => format!("the groups are {}", list(known.iter().copied())),
            });
            let problem = Problem::new(
                format!("no group is called `{group}`"),
                span,
                "expected the name of a group of [groups]",
            );
            self.problems.add_unknown_name(problem.help(help));
            return;
        }
        if let Some((main, home)) = text.split_once(OF_MAIN) {
            let mains = self.hosts.matching(main).unwrap_or_default();
            if !mains.iter().any(|index| self.hosts.get(*index).is_main()) {
                let names =
                    || self.hosts.iter().filter(|(_, host)| host.is_main()).map(|(_, it)| it.name.as_str());
                let help = did_you_mean(main, names());
                let help = help.unwrap_or_else(|| format!("the Mains are {}", list(names())));
                let problem = Problem::new(
                    format!("no Main is called `{main}`"),
                    span,
                    "expected a Main and its Homes, such as \"main-a/*\"",
                );
                self.problems.add_unknown_name(problem.help(help));
                return;
            }
            let message = format!("no Home of `{main}` is called `{home}`");
            let label = "expected a name or a pattern of its Homes";
            self.problems.add_unknown_name(Problem::new(message, span, label));
            return;
        }
        if Selector::is_glob(text) {
            let problem = Problem::new(
                format!("no host matches `{text}`"),
                span,
                "expected a pattern that some host matches",
            );
            self.problems.add_unknown_name(problem.help(format!("the hosts are {}", list(names()))));
            return;
        }
        let help = self.numbered(text).or_else(|| did_you_mean(text, names()));
        let help = help.unwrap_or_else(|| format!("the hosts are {}", list(names())));
        let problem =
            Problem::new(format!("no host is called `{text}`"), span, "expected the name of a host");
        self.problems.add_unknown_name(problem.help(help));
    }

    /// The help for the name of a table whose `count` made several hosts of it.
    fn numbered(&self, text: &str) -> Option<String> {
        let first = format!("{text}-1");
        self.hosts.find(&first)?;
        Some(format!(
            "`{text}` has a count: its hosts are `{first}` and so on, and `{text}-*` means all of them"
        ))
    }
}

/// The service called `name`, as an index into `services`; an unknown one is noted.
pub(super) fn find_service(
    services: &[Service],
    name: &Spanned<String>,
    problems: &Problems,
) -> Option<usize> {
    let found = services.iter().position(|service| service.name == *name.get_ref());
    if found.is_none() {
        let known = || services.iter().map(|service| service.name.as_str());
        let help = did_you_mean(name.get_ref(), known()).unwrap_or_else(|| match services {
            [] => "the scenario has no [[service]]".to_owned(),
            _ => format!("the services are {}", list(known())),
        });
        let message = format!("no service is called `{}`", name.get_ref());
        let problem = Problem::new(message, name.span(), "expected the name of a [[service]]");
        problems.add_unknown_name(problem.help(help));
    }
    found
}
