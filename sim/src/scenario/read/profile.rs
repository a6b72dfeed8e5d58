//! `profile` of a `[[load]]`: rates that change with time.

use std::time::Duration;

use relay_chaos::Rate;
use relay_chaos::quantity::duration;

use super::super::error::Problem;
use super::super::model::Pacing;
use super::super::parts::Window;
use super::super::profile::{Profile, Segment, Shape};
use super::loads::MAX_CALLS_PER_SECOND;
use super::settings::{positive, require_positive};
use super::table::Table;
use super::values::Rates;

/// The most segments that a profile may have, steps counted one by one.
const MAX_SEGMENTS: usize = 10_000;
/// The most calls that one host makes at once.
const MAX_BURST: u32 = 10_000;

#[derive(Clone, Copy)]
enum Kind {
    Constant,
    Ramp,
    Steps,
    Wave,
    Burst,
    Pause,
}

const KINDS: [(&str, Kind); 6] = [
    ("constant", Kind::Constant),
    ("ramp", Kind::Ramp),
    ("steps", Kind::Steps),
    ("wave", Kind::Wave),
    ("burst", Kind::Burst),
    ("pause", Kind::Pause),
];

/// A segment, and how long it lasts; `None`: to the end of the load.
type Part = (Option<Duration>, Shape);

/// The profile, counted from the beginning of its load. [`place`] puts it where it belongs.
pub(super) fn read(load: &mut Table<'_>, pacing: Pacing) -> Option<Profile> {
    let mut parts: Vec<Part> = Vec::new();
    let (mut complete, tables) = (true, load.tables("profile"));
    let count = tables.len();
    for (number, mut table) in tables.into_iter().enumerate() {
        // A ramp goes on from where the rate is.
        let before = parts.last().and_then(|(_, shape)| match shape {
            Shape::Constant(rate) => Some(*rate),
            Shape::Ramp(_, to) => *to,
            _ => None,
        });
        match segment(&mut table, before, number + 1 == count) {
            Some(segments) => parts.extend(segments),
            None => complete = false,
        }
        table.finish();
    }
    let is_list = load.raw("profile").is_some_and(|value| value.get_ref().is_array());
    if count == 0 && is_list {
        let label = "expected segments, such as { kind = \"constant\", rate = \"1/s\", lasts = \"1m\" }";
        load.problem(Problem::new("this profile has no segment", load.value_span("profile"), label));
        return None;
    }
    if parts.len() > MAX_SEGMENTS {
        let label = format!("expected at most {MAX_SEGMENTS}, steps counted one by one");
        load.problem(Problem::new("too many segments", load.value_span("profile"), label));
        return None;
    }
    let mut from = Duration::ZERO;
    let segments = parts.into_iter().map(|(lasts, shape)| {
        let to = lasts.map_or(Duration::MAX, |lasts| from.saturating_add(lasts));
        let window = Window { from, to };
        from = to;
        Segment { window, shape }
    });
    (complete && count > 0).then(|| Profile { segments: segments.collect(), pacing })
}

/// Moves a profile to its load, which lasts from `start` to `stop`. Returns when the load's last call may be made.
pub(super) fn place(load: &Table<'_>, profile: &mut Profile, start: Duration, stop: Duration) -> Duration {
    let lasts = profile.segments.last().map_or(Duration::MAX, |last| last.window.to);
    let room = stop.saturating_sub(start);
    if lasts != Duration::MAX && lasts > room {
        let message = format!("the segments last {} together", duration::format(lasts));
        let label = format!("expected at most {}: the load lasts no longer", duration::format(room));
        load.problem(Problem::new(message, load.value_span("profile"), label));
    } else if profile.segments.last().is_some_and(|last| last.window.from >= room) {
        let label = "expected some time for it before the load stops";
        load.problem(Problem::new("the last segment never begins", load.value_span("profile"), label));
    }
    for segment in &mut profile.segments {
        let at = |time: Duration| start.saturating_add(time).min(stop);
        segment.window = Window { from: at(segment.window.from), to: at(segment.window.to) };
    }
    profile.segments.last().map_or(stop, |last| last.window.to)
}

fn segment(table: &mut Table<'_>, before: Option<Rate>, is_last: bool) -> Option<Vec<Part>> {
    table.call("a segment of `profile`");
    if !table.has("kind") {
        table.missing("kind");
    }
    let Some(kind) = table.word("kind", &KINDS) else {
        table.ask_all();
        return None;
    };
    let name = KINDS.iter().find(|(_, it)| *it as u8 == kind as u8).map_or("", |(name, _)| name);
    table.call(format!("a segment of kind \"{name}\""));
    if let Kind::Steps = kind {
        return steps(table, is_last);
    }
    let lasts = positive(table, "lasts");
    let is_endless = !table.has("lasts") && !is_last;
    if is_endless {
        table.missing("lasts");
    }
    let shape = match kind {
        Kind::Constant => Shape::Constant(rate(table, "rate", true)?),
        Kind::Ramp => {
            let (from, to) = (rate(table, "from", false), rate(table, "to", false));
            let from = if table.has("from") { Some(from?) } else { before };
            let to = if table.has("to") { Some(to?) } else { None };
            if from.is_none() && to.is_none() {
                let label = "expected `from`, `to` or both";
                table.problem(Problem::new("this ramp goes from nothing to nothing", table.span(), label));
            }
            Shape::Ramp(from, to)
        }
        Kind::Wave => {
            let (low, high) = (rate(table, "low", true), rate(table, "high", true));
            let period = require_positive(table, "period");
            let (low, high) = (low?, high?);
            if low.per_second() > high.per_second() {
                let label = format!("expected at least {low}, as `low`");
                table.problem(Problem::new("`high` is lower than `low`", table.value_span("high"), label));
            }
            Shape::Wave { low, high, period: period? }
        }
        Kind::Burst => {
            let calls = table.require::<u32>("calls");
            let every = require_positive(table, "every");
            let calls = calls?;
            if !(1..=MAX_BURST).contains(calls.get_ref()) {
                let message = format!("{} calls at once", calls.get_ref());
                table.problem(Problem::new(message, calls.span(), format!("expected 1 to {MAX_BURST}")));
            }
            Shape::Burst { calls: calls.into_inner(), every: every? }
        }
        Kind::Steps | Kind::Pause => Shape::Pause,
    };
    (!is_endless).then(|| vec![(lasts, shape)])
}

/// One rate after the other, each for the same time; the last one of a profile may last longer.
fn steps(table: &mut Table<'_>, is_last: bool) -> Option<Vec<Part>> {
    let rates = table.require::<Rates>("rates");
    let each = require_positive(table, "each");
    let (rates, each) = (rates?, each?);
    if rates.get_ref().0.is_empty() {
        table.problem(Problem::new("no step at all", rates.span(), "expected at least one rate"));
        return None;
    }
    for rate in &rates.get_ref().0 {
        check(table, rate);
    }
    let mut parts: Vec<Part> = rates
        .into_inner()
        .0
        .into_iter()
        .map(|rate| (Some(each), Shape::Constant(rate.into_inner())))
        .collect();
    if is_last && let Some(last) = parts.last_mut() {
        last.0 = None;
    }
    Some(parts)
}

fn rate(table: &mut Table<'_>, key: &'static str, needed: bool) -> Option<Rate> {
    let rate = if needed { table.require::<Rate>(key) } else { table.read::<Rate>(key) }?;
    check(table, &rate);
    Some(rate.into_inner())
}

/// Notes a rate that no host keeps up.
pub(super) fn check(table: &Table<'_>, rate: &toml::Spanned<Rate>) {
    if rate.get_ref().per_second() > MAX_CALLS_PER_SECOND {
        let label = format!("expected at most {MAX_CALLS_PER_SECOND}/s for each host");
        table.problem(Problem::new("too many calls", rate.span(), label));
    }
}
