//! What can be shorter, earlier or fewer. Each function gives smaller documents, those that gain the most first.

use std::time::Duration;

use relay_chaos::quantity::duration;
use toml_edit::{DocumentMut, Item, Table, value};

use super::prune::prune;
use super::units::tables;

/// A run needs this long for its federation to form before the first fault, in seconds.
const FORM_SECONDS: u64 = 20;

/// Times are not cut more finely than this.
const FINEST: Duration = Duration::from_millis(100);

/// Fewer hosts of a `count`, fewer callers.
pub(super) fn counts(document: &DocumentMut) -> Vec<DocumentMut> {
    let mut smaller = Vec::new();
    for (kind, key) in [("home", "count"), ("main", "count"), ("load", "callers")] {
        for number in 0..tables(document, kind).map_or(0, toml_edit::ArrayOfTables::len) {
            let count = tables(document, kind).and_then(|it| it.get(number)?.get(key)?.as_integer());
            let Some(count) = count else { continue };
            let mut less = vec![1, 2, count / 2, count - 1];
            less.retain(|it| (1..count).contains(it));
            less.dedup();
            smaller.extend(less.into_iter().filter_map(|less| {
                let mut fewer = with(document, kind, number, |table| drop(table.insert(key, value(less))))?;
                prune(&mut fewer);
                Some(fewer)
            }));
        }
    }
    smaller
}

/// Shorter faults.
pub(super) fn faults(document: &DocumentMut) -> Vec<DocumentMut> {
    let mut smaller = Vec::new();
    for (number, fault) in tables(document, "fault").into_iter().flatten().enumerate() {
        for key in ["lasts", "down", "pause"] {
            let Some(time) = time(fault, key) else { continue };
            for part in [8, 2] {
                let less = round(time / part);
                if less >= FINEST && less < time {
                    smaller.extend(with(document, "fault", number, |table| set(table, key, less)));
                }
            }
        }
    }
    smaller
}

/// Everything earlier, by the quiet time before the first fault: what lies between faults and loads stays.
pub(super) fn lead(document: &DocumentMut) -> Vec<DocumentMut> {
    let faults = tables(document, "fault").into_iter().flatten();
    let Some(first) = faults.filter_map(|fault| time(fault, "at")).min() else { return Vec::new() };
    let by = first.saturating_sub(Duration::from_secs(FORM_SECONDS));
    [by, round(by / 2)].into_iter().filter_map(|by| earlier(document, by)).collect()
}

/// A run that ends sooner.
pub(super) fn tail(document: &DocumentMut) -> Vec<DocumentMut> {
    let Some(whole) = time(document, "duration") else { return Vec::new() };
    let parts = [4, 2].into_iter().map(|part| whole / part).chain([whole * 3 / 4, whole * 9 / 10]);
    let shorter = parts.map(round).filter(|part| *part < whole && !part.is_zero());
    shorter
        .map(|part| {
            let mut document = document.clone();
            set(&mut document, "duration", part);
            // A load that is to stop later stops with the run.
            for kind in ["load", "lookup"] {
                let tables = document.get_mut(kind).and_then(Item::as_array_of_tables_mut);
                let tables = tables.into_iter().flat_map(toml_edit::ArrayOfTables::iter_mut);
                for table in tables.filter(|table| time(table, "stop").is_some_and(|it| it > part)) {
                    table.remove("stop");
                }
            }
            document
        })
        .collect()
}

/// Everything `by` so much earlier that comes later than that; `None` where nothing changes.
fn earlier(document: &DocumentMut, by: Duration) -> Option<DocumentMut> {
    if by < FINEST {
        return None;
    }
    let mut document = document.clone();
    let whole = time(&document, "duration")?;
    set(&mut document, "duration", whole.checked_sub(by).filter(|left| !left.is_zero())?);
    for (kind, keys) in [
        ("fault", &["at"][..]),
        ("load", &["start", "stop"]),
        ("lookup", &["start", "stop"]),
        ("dns", &["at"]),
    ] {
        let Some(tables) = document.get_mut(kind).and_then(Item::as_array_of_tables_mut) else { continue };
        for table in tables.iter_mut() {
            for key in keys {
                if let Some(at) = time(table, key).filter(|at| *at > by) {
                    set(table, key, at - by);
                }
            }
        }
    }
    Some(document)
}

fn with(
    document: &DocumentMut,
    kind: &str,
    number: usize,
    change: impl FnOnce(&mut Table),
) -> Option<DocumentMut> {
    let mut document = document.clone();
    change(document.get_mut(kind)?.as_array_of_tables_mut()?.get_mut(number)?);
    Some(document)
}

fn time(table: &Table, key: &str) -> Option<Duration> {
    duration::parse(table.get(key)?.as_str()?).ok()
}

fn set(table: &mut Table, key: &str, time: Duration) {
    table.insert(key, value(duration::format(time)));
}

/// Whole seconds, or else tenths: times are for people.
fn round(time: Duration) -> Duration {
    if time >= Duration::from_secs(1) {
        Duration::from_secs(time.as_secs())
    } else {
        Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX) / 100 * 100)
    }
}
