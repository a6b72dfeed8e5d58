//! What a file says in short, written out: parameters, templates, phases and repeated faults.
//!
//! All of it happens on the document, before anything is read from it. Whoever reads it then meets plain tables; a
//! value keeps the place where somebody wrote it, so that problems point there.

mod params;
mod phases;
mod repeat;
mod templates;

use std::time::Duration;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::super::error::Problems;
use super::super::parts::{Parameter, Phase};
use super::settings;
use super::table::Table;

pub(super) use phases::window;

/// A parameter set from outside the file: its name and its value as text.
pub(super) type Setting = (String, String);

/// The keys that every `[[key]]` table may have besides its own, because they are dealt with here.
pub(super) fn common_keys(section: &str) -> &'static [&'static str] {
    match section {
        "fault" => &["use", "phase", "every", "times", "until"],
        "load" | "upgrade" | "lookup" => &["use", "phase"],
        "phase" | "profile" | "expect" => &[],
        _ => &["use"],
    }
}

/// A document in which everything is written out.
pub(super) struct Expanded<'a> {
    pub(super) document: DeTable<'a>,
    pub(super) phases: Vec<Phase>,
    pub(super) parameters: Vec<Parameter>,
}

/// Writes everything out.
pub(super) fn expand<'a>(
    mut document: DeTable<'a>,
    settings: &'a [Setting],
    problems: &Problems,
) -> Expanded<'a> {
    let parameters = params::apply(&mut document, settings, problems);
    templates::apply(&mut document, problems);
    let phases = phases::read(&document, problems);
    let end = duration_of(&document, &phases);
    phases::place(&mut document, &phases, problems);
    repeat::apply(&mut document, &phases, end, problems);
    Expanded { document, phases, parameters }
}

/// How long the run lasts, as far as can be told. A wrong `duration` is noted by whoever reads it in earnest.
fn duration_of(document: &DeTable<'_>, phases: &[Phase]) -> Duration {
    let quiet = Problems::default();
    settings::run(&mut Table::new(document, 0..0, "the scenario", &quiet), phases).duration
}

/// The tables `[[key]]` of a document, or of a table in it.
fn tables_mut<'t, 'a>(table: &'t mut DeTable<'a>, key: &str) -> Option<&'t mut DeArray<'a>> {
    match table.get_mut(key)?.get_mut() {
        DeValue::Array(items) => Some(items),
        _ => None,
    }
}

/// Sets `key` of a table to a duration, as if it stood where the old value stands, or at `span` where there was none.
fn set_time(table: &mut DeTable<'_>, key: &'static str, time: Duration, span: std::ops::Range<usize>) {
    let text = DeValue::String(relay_chaos::quantity::duration::format(time).into());
    match table.get_mut(key) {
        Some(value) => *value.get_mut() = text,
        None => {
            table.insert(Spanned::new(span.clone(), key.into()), Spanned::new(span, text));
        }
    }
}

/// The duration that `key` of a table holds; `None` where there is none, or no duration.
fn time_of(table: &DeTable<'_>, key: &str) -> Option<Duration> {
    let text = table.get(key)?.get_ref().as_str()?;
    relay_chaos::quantity::duration::parse(text).ok()
}
