//! `[template.NAME]` and `use = "NAME"`: keys that several tables have in common.

use std::collections::{BTreeMap, BTreeSet};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::super::error::{Problem, Problems, did_you_mean, list};
use super::super::table::{FromToml, kind_in_words};
use super::super::values::Names;

/// Templates that a template may use in turn, one below the other.
const DEPTH_MAX: usize = 8;

struct Templates<'a> {
    by_name: BTreeMap<String, Spanned<DeTable<'a>>>,
    used: BTreeSet<String>,
}

/// Gives every table that uses templates the keys that it does not have itself.
pub(super) fn apply(document: &mut DeTable<'_>, problems: &Problems) {
    let mut templates = Templates { by_name: collect(document, problems), used: BTreeSet::new() };
    for (_, value) in document.iter_mut().filter(|(key, _)| key.get_ref() != "template") {
        let DeValue::Array(items) = value.get_mut() else { continue };
        for item in items.iter_mut() {
            let span = item.span();
            if let DeValue::Table(table) = item.get_mut()
                && templates.inherit(table, 0, problems).is_none()
            {
                problems.lacks_keys(&span);
            }
        }
    }
    for (name, template) in templates.by_name.iter().filter(|(name, _)| !templates.used.contains(*name)) {
        let label = format!("expected `use = \"{name}\"` in some table");
        let problem = Problem::new(format!("the template `{name}` is used nowhere"), template.span(), label);
        problems.add(problem.help("leave it out, or use it"));
    }
}

fn collect<'a>(document: &DeTable<'a>, problems: &Problems) -> BTreeMap<String, Spanned<DeTable<'a>>> {
    let mut templates = BTreeMap::new();
    let Some(section) = document.get("template") else { return templates };
    let not_a_table = |value: &Spanned<DeValue<'_>>, what: &str| {
        let message = format!("{what} is {}", kind_in_words(value.get_ref()));
        problems.add(Problem::new(message, value.span(), "expected a table: [template.NAME]"));
        problems.lose_name();
    };
    let DeValue::Table(entries) = section.get_ref() else {
        not_a_table(section, "`template`");
        return templates;
    };
    for (name, value) in entries {
        match value.get_ref() {
            DeValue::Table(table) => {
                templates.insert(name.get_ref().to_string(), Spanned::new(name.span(), table.clone()));
            }
            _ => not_a_table(value, &format!("the template `{}`", name.get_ref())),
        }
    }
    templates
}

impl<'a> Templates<'a> {
    /// Adds what the templates named in `use` have and `table` has not; `None` where not all of that is known.
    fn inherit(&mut self, table: &mut DeTable<'a>, depth: usize, problems: &Problems) -> Option<()> {
        let Some(value) = table.get("use") else { return Some(()) };
        let names = match Names::from_toml(value) {
            Ok(names) => names.0,
            Err(wrong) => {
                let span = wrong.span.unwrap_or_else(|| value.span());
                let label = "expected the name of a template in quotes, or a list of them";
                problems.add(Problem::new(format!("bad value for `use`: {}", wrong.problem), span, label));
                return None;
            }
        };
        let mut complete = Some(());
        for name in names {
            let Some(template) = self.by_name.get(name.get_ref()) else {
                self.unknown(&name, problems);
                complete = None;
                continue;
            };
            self.used.insert(name.get_ref().clone());
            if depth == DEPTH_MAX {
                let message = format!("templates use each other more than {DEPTH_MAX} deep");
                problems.add(Problem::new(message, name.span(), "expected no circle of templates"));
                return None;
            }
            let mut keys = template.get_ref().clone();
            complete = complete.and(self.inherit(&mut keys, depth + 1, problems));
            keys.remove("use");
            merge(table, keys);
        }
        complete
    }

    fn unknown(&self, name: &Spanned<String>, problems: &Problems) {
        let known = || self.by_name.keys().map(String::as_str);
        let label = match self.by_name.is_empty() {
            true => format!("expected [template.{}] in this file", name.get_ref()),
            false => format!("expected one of {}", list(known())),
        };
        let message = format!("no template is called `{}`", name.get_ref());
        let problem = Problem::new(message, name.span(), label);
        problems.add_unknown_name(problem.maybe_help(did_you_mean(name.get_ref(), known())));
    }
}

/// Adds the keys that `table` does not have; tables within tables are merged as well.
fn merge<'a>(table: &mut DeTable<'a>, keys: DeTable<'a>) {
    for (key, value) in keys {
        match table.get_mut(key.get_ref().as_ref()) {
            None => {
                table.insert(key, value);
            }
            Some(own) => {
                if let (DeValue::Table(own), DeValue::Table(inherited)) = (own.get_mut(), value.into_inner())
                {
                    merge(own, inherited);
                }
            }
        }
    }
}
