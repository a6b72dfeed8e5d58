//! How often something was seen.

use std::time::Duration;

/// How often something was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sighting {
    /// How often.
    pub times: u64,
    /// When for the first time.
    pub first: Option<Duration>,
}

impl Sighting {
    pub(super) fn add(&mut self, at: Duration) {
        self.times += 1;
        self.first.get_or_insert(at);
    }
}
