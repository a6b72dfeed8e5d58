//! The fewest of many things that still fail: delta debugging.
//!
//! [`minimise`] is Zeller and Hildebrandt's ddmin over any list of removable units. What is tried at the same time is
//! handed over as one [`Batch`], so that whoever answers may try several side by side; the result is the same however
//! many are.

use std::ops::Range;

#[cfg(test)]
mod tests;

/// Candidates of which the first that still fails is wanted: each is the list with some units left out.
pub struct Batch<'a, T> {
    units: &'a [T],
    cuts: Vec<Range<usize>>,
}

impl<'a, T> Batch<'a, T> {
    /// How many candidates there are; at least one.
    pub fn len(&self) -> usize {
        self.cuts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.cuts.is_empty()
    }

    /// The units that are left in candidate `number`.
    ///
    /// # Panics
    /// Where there is no such candidate.
    pub fn candidate(&self, number: usize) -> Vec<&'a T> {
        let cut = &self.cuts[number];
        self.units[..cut.start].iter().chain(&self.units[cut.end..]).collect()
    }
}

/// What is left when nothing more can go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minimised<T> {
    /// Units that fail together.
    pub units: Vec<T>,
    /// Whether it is known that none of them can be left out. Otherwise the search was stopped before.
    pub is_minimal: bool,
}

/// What to do next, told by whoever tries candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The candidate of this number still fails; none before it does.
    Fails(usize),
    /// None of them fails.
    NoneFails,
    /// It is enough.
    Stop,
}

/// Leaves out units as long as what is left still fails.
///
/// `units` fail together; `test` says which candidate of a batch still does. The result fails, and where the search came
/// to its end, leaving out any single unit makes it pass: it is 1-minimal. That takes at most about n² candidates for n
/// units, and about 2 log₂ n for one that matters alone.
pub fn minimise<T: Clone>(units: Vec<T>, mut test: impl FnMut(&Batch<'_, T>) -> Answer) -> Minimised<T> {
    let mut units = units;
    let mut parts = 2;
    while !units.is_empty() {
        let count = parts.min(units.len());
        let mut cuts: Vec<Range<usize>> = pieces(units.len(), count).collect();
        if count == 2 && units.len() > 2 {
            // It is cheap to ask whether anything matters at all.
            cuts.insert(0, 0..units.len());
        }
        let batch = Batch { units: &units, cuts };
        match test(&batch) {
            Answer::Stop => return Minimised { units, is_minimal: false },
            Answer::Fails(number) => {
                let left = batch.candidate(number).into_iter().cloned().collect();
                units = left;
                parts = (count - 1).max(2);
            }
            Answer::NoneFails if count == units.len() => break,
            Answer::NoneFails => parts = count * 2,
        }
    }
    Minimised { units, is_minimal: true }
}

/// `length` units in `count` pieces of nearly the same size.
fn pieces(length: usize, count: usize) -> impl Iterator<Item = Range<usize>> {
    (0..count).map(move |piece| piece * length / count..(piece + 1) * length / count)
}
