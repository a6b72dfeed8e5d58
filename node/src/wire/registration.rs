//! `registration`: who I am and what I offer.
//!
//! The dialler sends it first; the other side answers with its own, whose `correlation_id` is the first one's id.

use serde::{Deserialize, Deserializer, Serialize};

use super::envelope::{Envelope, null_as_default};
use super::{PeerAddress, PeerIdentity, WireError, check_service_name};
use crate::federation::Policy;

/// Services that one registration or announcement may list.
pub(super) const MAX_OFFERS: usize = 16_384;

/// A node's introduction. All of it is optional on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Registration {
    /// The services that the node offers by itself.
    #[serde(deserialize_with = "null_as_default")]
    pub services: Vec<ServiceOffer>,
    /// The node's Ed25519 public key, 64 hex digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// Drawn anew at each start, so that a restarted node is told from one that reconnects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot: Option<String>,
    /// A Main's own URL for its peers, where it was told one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The port that a Main listens on: with the address that it is seen from, where it cannot know its own URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen_port: Option<u16>,
    /// Whether that port speaks TLS.
    #[serde(skip_serializing_if = "std::ops::Not::not", deserialize_with = "null_as_default")]
    pub tls: bool,
    /// The Mains that this Main is connected to.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub peers: Vec<PeerAddress>,
    /// Who it is in the DHT, where it takes part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<PeerIdentity>,
}

/// One service that a node offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceOffer {
    /// Its name.
    pub name: String,
    /// Its methods, for people; empty where they are not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub methods: Vec<String>,
    /// How its node wants calls to be spread over the service's instances; absent where it has no wish. One that
    /// this version does not know reads as absent.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "known_policy")]
    pub balance: Option<Policy>,
}

/// A wish that only a later version understands must not cost the registration.
pub(super) fn known_policy<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Policy>, D::Error> {
    let wish = serde_json::Value::deserialize(from)?;
    Ok(wish.as_str().and_then(|text| text.parse().ok()))
}

impl Registration {
    pub(super) fn decode(envelope: &Envelope<'_>) -> Result<Self, WireError> {
        let registration: Registration = envelope.read_data()?;
        if registration.services.len() > MAX_OFFERS {
            let reason = format!("{} services, at most {MAX_OFFERS}", registration.services.len());
            return Err(WireError::invalid("data.services", reason));
        }
        registration.identity.as_ref().map_or(Ok(()), PeerIdentity::check)?;
        for service in &registration.services {
            check_service_name(&service.name).map_err(|error| WireError::invalid("data.services", error))?;
        }
        Ok(registration)
    }
}
