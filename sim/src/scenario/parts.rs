//! Parts of a run with a name, and the values that a file was given from outside.

use std::time::Duration;

/// A part of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// Its name, unique in the scenario.
    pub name: String,
    /// When it begins, from the start of the run.
    pub start: Duration,
    /// When it is over.
    pub end: Duration,
}

/// A span of time: from `from` until before `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// When it begins, from the start of the run.
    pub from: Duration,
    /// When it is over.
    pub to: Duration,
}

impl Window {
    /// Whether `time` lies in it.
    pub fn contains(&self, time: Duration) -> bool {
        self.from <= time && time < self.to
    }

    /// How long it is.
    pub fn length(&self) -> Duration {
        self.to.saturating_sub(self.from)
    }
}

/// A value that the file names under `[params]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// What it was in this reading of the file, as text.
    pub value: String,
    /// Whether the command line gave it.
    pub is_set: bool,
}
