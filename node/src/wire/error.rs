//! `error`: something that the receiver sent cannot be handled. Failed calls come as a `response` instead.

use serde::{Deserialize, Serialize};

use super::WireError;
use super::envelope::Envelope;

/// What was wrong, for the operator of the other side.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorReport {
    /// A JSON-RPC error code, see [`CallError`](crate::federation::CallError).
    pub code: i64,
    /// What is wrong and what to do.
    pub message: String,
}

impl ErrorReport {
    pub(super) fn decode(envelope: &Envelope<'_>) -> Result<Self, WireError> {
        envelope.read_data()
    }
}
