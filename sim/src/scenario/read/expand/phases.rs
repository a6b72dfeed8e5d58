//! `[[phase]]`: parts of a run with a name, and what counts its times from their beginnings.

use std::time::Duration;

use relay_chaos::quantity::duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::super::error::{Problem, Problems, did_you_mean, list};
use super::super::super::parts::{Phase, Window};
use super::super::names::check_name;
use super::super::settings::require_positive;
use super::super::table::Table;
use super::{set_time, tables_mut, time_of};

/// The most phases that a run may have.
const MAX_PHASES: usize = 1_000;

/// The phases, one after the other.
pub(super) fn read(document: &DeTable<'_>, problems: &Problems) -> Vec<Phase> {
    let mut file = Table::new(document, 0..0, "the scenario", problems);
    let mut phases: Vec<Phase> = Vec::new();
    let mut start = Duration::ZERO;
    for mut table in file.tables("phase") {
        let name = table.require::<String>("name");
        let name = name.filter(|name| check_name(&table, name, "phase"));
        let lasts = require_positive(&mut table, "lasts");
        if phases.len() == MAX_PHASES {
            let label = format!("expected at most {MAX_PHASES}");
            table.problem(Problem::new("too many phases", table.span(), label));
            break;
        }
        match (name, lasts) {
            (Some(name), _) if phases.iter().any(|phase| phase.name == *name.get_ref()) => {
                let message = format!("two phases are called `{}`", name.get_ref());
                table.problem(Problem::new(message, name.span(), "expected a name of its own"));
            }
            (Some(name), Some(lasts)) => {
                let end = start + lasts;
                phases.push(Phase { name: name.into_inner(), start, end });
                start = end;
            }
            _ => problems.lose_name(),
        }
        table.finish();
    }
    phases
}

/// The phase that is called `name`; an unknown one is noted.
fn find<'p>(phases: &'p [Phase], name: &Spanned<String>, problems: &Problems) -> Option<&'p Phase> {
    let found = phases.iter().find(|phase| phase.name == *name.get_ref());
    if found.is_none() {
        let known = || phases.iter().map(|phase| phase.name.as_str());
        let help = did_you_mean(name.get_ref(), known()).unwrap_or_else(|| match phases {
            [] => "the scenario has no [[phase]]".to_owned(),
            _ => format!("the phases are {}", list(known())),
        });
        let message = format!("no phase is called `{}`", name.get_ref());
        let problem = Problem::new(message, name.span(), "expected the name of a [[phase]]");
        problems.add_unknown_name(problem.help(help));
    }
    found
}

/// The part of the run that a table speaks of: `phase`, or `from` and `to`, or all of it.
pub(in super::super) fn window(table: &mut Table<'_>, phases: &[Phase], end: Duration) -> Window {
    let phase = table.read::<String>("phase");
    let from = table.read::<Duration>("from");
    let to = table.read::<Duration>("to");
    let phase = phase.and_then(|name| find(phases, &name, table.problems()).cloned());
    let all = phase.as_ref().map_or(Window { from: Duration::ZERO, to: end }, |phase| Window {
        from: phase.start,
        to: phase.end,
    });
    let what = phase.as_ref().map_or("run".to_owned(), |phase| format!("phase `{}`", phase.name));
    let placed = |time: &Spanned<Duration>| all.from.saturating_add(*time.get_ref());
    let window =
        Window { from: from.as_ref().map_or(all.from, placed), to: to.as_ref().map_or(all.to, placed) };
    if window.to > all.to || window.from >= window.to {
        let key = if table.has("to") { "to" } else { "from" };
        let lasts = duration::format(all.to.saturating_sub(all.from));
        let message = format!("this is no part of the {what}");
        let label = format!("expected `from` before `to`, and `to` at most {lasts}");
        table.problem(Problem::new(message, table.value_span(key), label));
    }
    window
}

/// Makes the times of what happens in a phase count from the start of the run.
pub(super) fn place(document: &mut DeTable<'_>, phases: &[Phase], problems: &Problems) {
    for (section, what) in [
        ("fault", "fault begins"),
        ("load", "load starts"),
        ("lookup", "lookup starts"),
        ("upgrade", "upgrade begins"),
    ] {
        let Some(items) = tables_mut(document, section) else { continue };
        for item in items.iter_mut() {
            let DeValue::Table(table) = item.get_mut() else { continue };
            let Some(name) = table.get("phase") else { continue };
            let DeValue::String(text) = name.get_ref() else {
                let label = "expected the name of a [[phase]] in quotes";
                problems.add(Problem::new("this is no name of a phase", name.span(), label));
                continue;
            };
            let name = Spanned::new(name.span(), text.to_string());
            match find(phases, &name, problems) {
                Some(phase) => move_into(table, section, what, &name, phase, problems),
                // Where it begins is not known: whatever is said of times would be wrong.
                None => {
                    ["at", "start", "stop", "until"].into_iter().for_each(|key| {
                        table.remove(key);
                    });
                    if !lasts(section) {
                        set_time(table, "at", Duration::ZERO, name.span());
                    }
                }
            }
        }
    }
}

/// Whether tables of this section have a `start` and a `stop`, and not a moment `at`.
fn lasts(section: &str) -> bool {
    matches!(section, "load" | "lookup")
}

fn move_into(
    table: &mut DeTable<'_>,
    section: &str,
    what: &str,
    name: &Spanned<String>,
    phase: &Phase,
    problems: &Problems,
) {
    let length = phase.end - phase.start;
    let begins = if lasts(section) { "start" } else { "at" };
    for (key, last) in [(begins, false), ("stop", true), ("until", true)] {
        let Some(time) = time_of(table, key) else { continue };
        if time > length || (time == length && !last) {
            let span = table.get(key).map_or(name.span(), Spanned::span);
            let message = match last {
                true => format!("`{key}` is after the end of the phase `{}`", phase.name),
                false => format!("this {what} after the end of the phase `{}`", phase.name),
            };
            let label = format!("expected a time before its end, {}", duration::format(length));
            let help = "times count from the start of the phase";
            problems.add(Problem::new(message, span, label).help(help));
            // Noted: no other message is to follow from it.
            problems.repeats(std::iter::once(table.get(key).map_or(name.span(), Spanned::span)));
            set_time(table, key, if last { phase.end } else { phase.start }, name.span());
        } else {
            set_time(table, key, phase.start + time, name.span());
        }
    }
    if !table.contains_key(begins) {
        set_time(table, begins, phase.start, name.span());
    }
    if lasts(section) && !table.contains_key("stop") {
        set_time(table, "stop", phase.end, name.span());
    }
}
