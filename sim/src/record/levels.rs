//! How full things were over time: live memory, and the tables and queues that relays report.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::invariants::Reported;
use crate::scenario::HostIndex;

/// Points that a curve has.
const POINTS: u32 = 240;

/// Parts of a run that are held against each other.
const QUARTERS: usize = 4;

/// How full things were.
pub struct Levels {
    duration: Duration,
    /// Live bytes of the run's thread: the one figure here that two runs of one seed need not share to the byte.
    pub memory: Curve,
    tables: BTreeMap<String, Table>,
}

/// One figure over time.
#[derive(Clone, Debug)]
pub struct Curve {
    /// The points, evenly spread over the run; `None` where nothing was seen.
    pub points: Vec<Option<Point>>,
}

/// What was seen in one interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    sum: u128,
    seen: u64,
    /// The most.
    pub max: u64,
}

/// What all relays have in a table of one name.
struct Table {
    curve: Curve,
    latest: BTreeMap<HostIndex, u64>,
    total: u64,
}

impl Levels {
    /// Nothing seen yet, in a run that is to take so long.
    pub(super) fn new(duration: Duration) -> Self {
        Levels { duration, memory: Curve::new(), tables: BTreeMap::new() }
    }

    /// So many bytes are live.
    pub(super) fn holds(&mut self, at: Duration, bytes: u64) {
        self.memory.add(place(at, self.duration), bytes);
    }

    /// A relay told how full its tables are.
    pub(super) fn reported(&mut self, at: Duration, host: HostIndex, reported: &Reported) {
        for sample in reported.of("relay_table_entries") {
            let Some(name) = sample.label("table") else { continue };
            if !self.tables.contains_key(name) {
                let table = Table { curve: Curve::new(), latest: BTreeMap::new(), total: 0 };
                self.tables.insert(name.to_owned(), table);
            }
            let Some(table) = self.tables.get_mut(name) else { continue };
            let entries = sample.value.max(0.0) as u64;
            let before = table.latest.insert(host, entries).unwrap_or(0);
            table.total = table.total - before + entries;
            table.curve.add(place(at, self.duration), table.total);
        }
    }

    /// The tables of all relays together, by name.
    pub fn tables(&self) -> impl Iterator<Item = (&str, &Curve)> {
        self.tables.iter().map(|(name, table)| (name.as_str(), &table.curve))
    }

    /// The length of the interval that a point stands for.
    pub fn interval(&self) -> Duration {
        self.duration / POINTS
    }
}

fn place(at: Duration, duration: Duration) -> usize {
    let place = at.as_nanos() * u128::from(POINTS) / duration.as_nanos().max(1);
    usize::try_from(place).unwrap_or(usize::MAX)
}

impl Curve {
    fn new() -> Self {
        Curve { points: vec![None; POINTS as usize] }
    }

    fn add(&mut self, place: usize, value: u64) {
        let last = self.points.len() - 1;
        let point = self.points[place.min(last)].get_or_insert(Point { sum: 0, seen: 0, max: 0 });
        point.sum += u128::from(value);
        point.seen += 1;
        point.max = point.max.max(value);
    }

    /// The mean over a quarter of the run, from 0 to 3; `None` where nothing was seen in it.
    pub fn mean_in_quarter(&self, quarter: usize) -> Option<f64> {
        let length = self.points.len() / QUARTERS;
        let points = self.points.iter().skip(quarter * length).take(length).flatten();
        let (sum, seen) = points.fold((0, 0), |(sum, seen), point| (sum + point.sum, seen + point.seen));
        (seen > 0).then(|| sum as f64 / seen as f64)
    }

    /// The mean of the second quarter, in which everything has been started, and that of the last.
    pub fn second_and_last_quarter(&self) -> Option<(f64, f64)> {
        self.mean_in_quarter(1).zip(self.mean_in_quarter(QUARTERS - 1))
    }
}

impl Point {
    /// The mean, rounded.
    pub fn mean(&self) -> u64 {
        u64::try_from(self.sum / u128::from(self.seen.max(1))).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(minutes: u64) -> Duration {
        Duration::from_secs(60 * minutes)
    }

    #[test]
    fn quarters_are_held_against_each_other() {
        let mut levels = Levels::new(minutes(240));
        (0..240).for_each(|at| levels.holds(minutes(at), 100 + at));
        levels.holds(minutes(500), 339);
        assert_eq!(levels.interval(), minutes(1));
        assert_eq!(levels.memory.mean_in_quarter(0), Some(129.5));
        let (second, last) = levels.memory.second_and_last_quarter().unwrap();
        assert!((second - 189.5).abs() < 1e-9 && (last - 310.0).abs() < 1.0, "{second} {last}");
        let mut short = Levels::new(minutes(240));
        short.holds(minutes(1), 5);
        assert_eq!(short.memory.second_and_last_quarter(), None);
    }

    #[test]
    fn a_table_is_the_sum_of_what_each_relay_said_last() {
        let mut levels = Levels::new(minutes(240));
        let said = |entries: u64| {
            Reported::from_metrics(&format!("relay_table_entries{{table=\"calls\"}} {entries}\n"))
        };
        for (at, host, entries) in [(0, 0, 5), (1, 1, 7), (2, 0, 1)] {
            levels.reported(minutes(at), HostIndex(host), &said(entries));
        }
        let (name, curve) = levels.tables().next().unwrap();
        let means: Vec<u64> = curve.points.iter().flatten().map(Point::mean).collect();
        assert_eq!((name, means), ("calls", vec![5, 12, 8]));
    }
}
