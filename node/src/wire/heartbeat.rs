//! `heartbeat`: I am here. Between Mains it also says how new the announced registry is.

use serde::{Deserialize, Serialize};

use super::WireError;
use super::envelope::Envelope;
use super::writer::Writer;

/// A sign of life.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Heartbeat {
    /// Version of the sender's last [`Discovery`](super::Discovery) on this link: equal to what the receiver holds,
    /// it renews all of the sender's entries; otherwise the receiver asks for a full list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry_version: Option<u64>,
}

impl Heartbeat {
    pub(super) fn decode(envelope: &Envelope<'_>) -> Result<Self, WireError> {
        envelope.read_data()
    }

    pub(super) fn encode(&self, out: &mut Writer) {
        if *self != Heartbeat::default() {
            out.json("data", self);
        }
    }
}
