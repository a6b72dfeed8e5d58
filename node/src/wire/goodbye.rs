//! `goodbye`: the sender closes the link, and says when to come back.
//!
//! A hub that closes would otherwise see all of its Homes again in the second in which it is back.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::WireError;
use super::envelope::Envelope;

/// A farewell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Goodbye {
    /// Why, in words.
    pub reason: String,
    /// When to come back, in milliseconds from now. Another for each neighbour.
    pub return_after_ms: u64,
}

impl Goodbye {
    /// When to come back.
    pub const fn return_after(&self) -> Duration {
        Duration::from_millis(self.return_after_ms)
    }

    pub(super) fn decode(envelope: &Envelope<'_>) -> Result<Self, WireError> {
        envelope.read_data()
    }
}
