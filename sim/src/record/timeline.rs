//! What happened when, for people.

use std::time::Duration;

use crate::scenario::HostIndex;

/// Lines kept; a day of chaos has more, and nobody reads them.
const HAPPENINGS_KEPT_MAX: usize = 2_000;

/// One line of the timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// When.
    pub at: Duration,
    /// Where, where it was at one host.
    pub host: Option<HostIndex>,
    /// What kind: `start`, `fault`, `heal`, `restart`, `settled`.
    pub kind: &'static str,
    /// In words.
    pub text: String,
}

/// The first lines, by time, and how many there were.
#[derive(Default)]
pub struct Timeline {
    /// The lines kept.
    pub kept: Vec<Happening>,
    /// All of them.
    pub total: u64,
}

impl Timeline {
    /// Adds a line.
    pub fn push(&mut self, at: Duration, host: Option<HostIndex>, kind: &'static str, text: String) {
        self.total += 1;
        tracing::info!(target: "relay_sim", kind, "{text}");
        if self.kept.len() < HAPPENINGS_KEPT_MAX {
            self.kept.push(Happening { at, host, kind, text });
        }
    }
}
