//! `every`, `times` and `until`: a fault that happens again and again.

use std::time::Duration;

use relay_chaos::quantity::duration;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::super::super::error::{Problem, Problems};
use super::super::super::parts::Phase;
use super::super::settings::positive;
use super::super::table::Table;
use super::{set_time, tables_mut, time_of};

/// How often one fault may happen.
const MAX_REPEATS: u32 = 10_000;

/// How often, and how far apart.
struct Repeat {
    every: Duration,
    times: u32,
}

/// Writes out the faults that are repeated.
pub(super) fn apply(document: &mut DeTable<'_>, phases: &[Phase], end: Duration, problems: &Problems) {
    let Some(items) = tables_mut(document, "fault") else { return };
    let mut written = DeArray::new();
    for item in items.iter() {
        written.push(item.clone());
        let DeValue::Table(table) = item.get_ref() else { continue };
        let Some(at) = time_of(table, "at") else {
            // What is missing or wrong is noted by whoever reads it; so is what is said about the repetition here.
            read(table, item.span(), (Duration::ZERO, Duration::MAX), problems);
            continue;
        };
        let phase = table.get("phase").and_then(|name| name.get_ref().as_str());
        let last = phases.iter().find(|it| Some(it.name.as_str()) == phase).map_or(end, |phase| phase.end);
        let Some(repeat) = read(table, item.span(), (at, last), problems) else { continue };
        problems.repeats(table.values().map(Spanned::span));
        for number in 1..repeat.times {
            let mut again = table.clone();
            set_time(&mut again, "at", at + repeat.every * number, item.span());
            written.push(Spanned::new(item.span(), DeValue::Table(again)));
        }
    }
    *items = written;
}

/// How often a fault happens that begins at `at`, in a run or a phase that ends at `last`.
fn read(
    table: &DeTable<'_>,
    span: std::ops::Range<usize>,
    (at, last): (Duration, Duration),
    problems: &Problems,
) -> Option<Repeat> {
    let mut table = Table::new(table, span, "[[fault]]", problems);
    let every = positive(&mut table, "every");
    let times = table.read::<u32>("times");
    let until = table.read::<Duration>("until");
    if !table.has("every") {
        if let Some(key) = ["times", "until"].into_iter().find(|key| table.has(key)) {
            let message = format!("`{key}` without `every`");
            let label = "expected `every` beside it, the time from one to the next";
            table.problem(Problem::new(message, table.key_span(key), label));
        }
        return None;
    }
    if let (Some(_), Some(until)) = (&times, &until) {
        let label = "expected one of them";
        table.problem(Problem::new("`times` and `until` say the same", until.span(), label));
        return None;
    }
    let every = every?;
    let fits = |end: Duration| end.saturating_sub(at).as_nanos().div_ceil(every.as_nanos());
    let count = match (&times, &until) {
        (Some(times), _) => u128::from(*times.get_ref()),
        (None, Some(until)) => fits((*until.get_ref()).min(last)),
        (None, None) => fits(last),
    };
    if count == 0 {
        let key = if times.is_some() { "times" } else { "until" };
        let message = "this fault never happens";
        table.problem(Problem::new(message, table.value_span(key), "expected at least one time"));
        return None;
    }
    let Some(times) = u32::try_from(count).ok().filter(|count| *count <= MAX_REPEATS) else {
        // Without an end of the run that one can believe nothing is to be said.
        if last != Duration::MAX {
            let message = format!("this fault happens {count} times");
            let label = format!("expected at most {MAX_REPEATS}: a longer time");
            table.problem(Problem::new(message, table.value_span("every"), label));
        }
        return None;
    };
    let begins = at.saturating_add(every.saturating_mul(times - 1));
    if times > 1 && begins >= last {
        let message =
            format!("the last of these faults begins at {}, after the end", duration::format(begins));
        let label = format!("expected at most {} times before {}", fits(last), duration::format(last));
        table.problem(Problem::new(message, table.value_span("times"), label));
        return None;
    }
    Some(Repeat { every, times })
}
