//! `service_discovery`: what one Main tells another of its own Homes' services.
//!
//! On link up a full list, then only what changed. Each message counts the sender's version on this link up by one,
//! so that a receiver sees when it missed something and asks for the full list again.

use serde::{Deserialize, Serialize};

use super::envelope::{Envelope, null_as_default};
use super::registration::{MAX_OFFERS, known_policy};
use super::{NodeId, NodeKind, WireError, check_service_name};
use crate::federation::Policy;

/// Peers that one announcement may list.
const MAX_PEERS: usize = 1_024;

/// An announcement, or the wish for one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Discovery {
    /// The sender asks for a full list; all else is empty.
    #[serde(skip_serializing_if = "is_false")]
    pub want_full: bool,
    /// `services` is everything the sender has, not what was added.
    #[serde(skip_serializing_if = "is_false")]
    pub full: bool,
    /// One more than that of the sender's message before on this link.
    pub version: u64,
    /// Services that are there now.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub services: Vec<Announced>,
    /// Services that are gone.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub removed: Vec<Withdrawn>,
    /// The Mains that the sender is connected to.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub peers: Vec<PeerAddress>,
}

/// A service at one of the sender's Homes, or at the sender itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    /// The service's name.
    pub name: String,
    /// The node that serves it.
    pub node_id: NodeId,
    /// Whether that is the Main itself or one of its Homes.
    #[serde(default = "home")]
    pub node_type: NodeKind,
    /// Its methods, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub methods: Vec<String>,
    /// How its node wants calls to be spread; as in [`ServiceOffer`](super::ServiceOffer).
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "known_policy")]
    pub balance: Option<Policy>,
}

/// A service that is gone from a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawn {
    /// The service's name.
    pub name: String,
    /// The node that served it.
    pub node_id: NodeId,
}

/// A Main and where it can be dialled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerAddress {
    /// The Main's id.
    pub id: NodeId,
    /// Its URL, `ws://host:port`.
    pub address: String,
}

fn home() -> NodeKind {
    NodeKind::Home
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Discovery {
    pub(super) fn decode(envelope: &Envelope<'_>) -> Result<Self, WireError> {
        let discovery: Discovery = envelope.read_data()?;
        for (field, len, most) in [
            ("data.services", discovery.services.len(), MAX_OFFERS),
            ("data.removed", discovery.removed.len(), MAX_OFFERS),
            ("data.peers", discovery.peers.len(), MAX_PEERS),
        ] {
            if len > most {
                return Err(WireError::invalid(field, format!("{len} entries, at most {most}")));
            }
        }
        for service in &discovery.services {
            check_service_name(&service.name).map_err(|error| WireError::invalid("data.services", error))?;
        }
        Ok(discovery)
    }
}
