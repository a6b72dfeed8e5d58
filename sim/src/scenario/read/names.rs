//! Names and what they stand for.

use std::ops::Range;

use relay_chaos::Selector;
use toml::Spanned;

use super::super::error::{Problem, Problems, did_you_mean, list};
use super::super::hosts::{HostIndex, HostSet, Hosts};
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
        let label = format!(
            "expected 1 to {MAX_NAME_CHARS} letters, digits, `-`, `_` or `.`, a letter or digit first"
        );
        table.problem(Problem::new(format!("not a name for a {what}"), name.span(), label));
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
        let mut found = Vec::new();
        let mut complete = true;
        for name in &names.get_ref().0 {
            match self.matching(name) {
                Some(hosts) => found.extend(hosts),
                None => complete = false,
            }
        }
        if names.get_ref().0.is_empty() {
            let label = "expected at least one name or pattern";
            self.problems.add(Problem::new("this list names no host", names.span(), label));
            return None;
        }
        let selector = Selector::new(names.get_ref().0.iter().map(Spanned::get_ref));
        complete.then(|| HostSet::new(selector, found))
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
