//! Bytes ⇄ message. One file per message family, each with its encoding, decoding and round-trip test.
//!
//! A frame is a [`Header`], which every relay on the way reads, and a [`Body`]. Payloads ([`Request::call`],
//! [`Response::data`]) are kept as the JSON text that they came in: a Main forwards them unparsed.
//!
//! Decoding starts from a plain envelope struct and then looks at `type`, because `RawValue` does not survive
//! serde's tagged and flattened forms.

mod address;
mod cancel;
mod discovery;
mod envelope;
mod error;
mod goodbye;
mod heartbeat;
mod identity;
mod key;
pub mod older;
mod proof;
mod quick;
mod registration;
mod request;
mod response;
mod writer;

#[cfg(test)]
mod tests;

pub use address::{AddressError, MAX_NAME_BYTES, NodeAddress, NodeId, NodeKind, Target, check_service_name};
pub use cancel::Cancel;
pub use discovery::{Announced, Discovery, PeerAddress, Withdrawn};
pub use error::ErrorReport;
pub use goodbye::Goodbye;
pub use heartbeat::Heartbeat;
pub use identity::{KNOWN_PEERS_PER_MESSAGE, NodeType, PeerId, PeerIdentity, SharedPeer, SharedPeers};
pub use key::{Hex, HexError, Nonce, PublicKey, Signature, Tag};
pub use proof::{Challenge, End, Handshake, Party, Proof, public};
pub use registration::{Registration, ServiceOffer};
pub use request::{JsonRpcCall, Request, payload};
pub use response::Response;

use std::borrow::Borrow;

use envelope::Envelope;
pub(crate) use envelope::read;
use serde::{Deserialize, Serialize};
pub use smol_str::SmolStr;
use writer::Writer;

/// The WebSocket subprotocol that relays of this version speak.
pub const SUBPROTOCOL: &str = "relay.1";

/// Hops that a message may make in all: Home → Main → Main → Home.
pub const MAX_HOPS: usize = 3;

/// `ttl` of a message whose sender says nothing.
pub const DEFAULT_TTL: u32 = 10;

/// Entries that `routing_path` may have; one that is longer was not made by relays.
pub const MAX_PATH_ENTRIES: usize = 16;

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// What every relay on the way reads.
    pub header: Header,
    /// What it is about.
    pub body: Body,
}

/// The fields that all messages share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Unique per sender.
    pub message_id: SmolStr,
    /// The `message_id` that this answers.
    pub correlation_id: Option<SmolStr>,
    /// The sender's wall clock, RFC 3339. For people; never used for ordering.
    pub timestamp: String,
    /// Who made the message.
    pub source: NodeAddress,
    /// Whom it is for, where it is for one node.
    pub destination: Option<NodeAddress>,
    /// Ids of the nodes that it has passed, the first sender first.
    pub path: Vec<NodeId>,
    /// Hops that it may still make, 0 to 2³²−1.
    pub ttl: u32,
    /// A higher one leaves a queue first; absent counts as 0.
    pub priority: Option<i64>,
    /// Present where the caller wants to know the time of each hop. On its way back a response collects them here.
    pub trace: Option<Vec<HopTime>>,
    /// W3C trace context, carried unread.
    pub traceparent: Option<String>,
}

/// How long one node waited for an answer, from sending a call on to having its answer; the node that served the
/// call: how long its service took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HopTime {
    /// The node.
    pub node: NodeId,
    /// Microseconds on that node's clock.
    pub micros: u64,
}

/// What a message is about, by its `type`.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Who I am and what I offer: the first message on a connection, in both directions.
    Registration(Registration),
    /// I am here.
    Heartbeat(Heartbeat),
    /// Call a service.
    Request(Request),
    /// What a call gave.
    Response(Response),
    /// What one Main tells another of its services.
    Discovery(Discovery),
    /// Something that the receiver sent cannot be handled.
    Error(ErrorReport),
    /// The sender closes the link, and says when to come back. Only between relays of this version.
    Goodbye(Goodbye),
    /// Nobody waits for the answer to a request any more. Only between relays of this version.
    Cancel(Cancel),
    /// Show that you have your key. Only between relays of this version.
    Challenge(Challenge),
    /// Here it is. Only between relays of this version.
    Proof(Proof),
    /// Whom the sender knows in the DHT. Only to those that said who they are there.
    KnownPeers(SharedPeers),
}

impl Body {
    /// The wire's name of this family.
    pub const fn kind(&self) -> &'static str {
        match self {
            Body::Registration(_) => "registration",
            Body::Heartbeat(_) => "heartbeat",
            Body::Request(_) => "request",
            Body::Response(_) => "response",
            Body::Discovery(_) => "service_discovery",
            Body::Error(_) => "error",
            Body::Goodbye(_) => "goodbye",
            Body::Cancel(_) => "cancel",
            Body::Challenge(_) => "challenge",
            Body::Proof(_) => "proof",
            Body::KnownPeers(_) => "known_peers",
        }
    }
}

/// Why a text frame is not a message. The text says where and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Not JSON, or a field has another JSON type than it must have.
    #[error("not a federation message: {0}")]
    Json(String),
    /// A field that this family needs is missing or empty.
    #[error("a {kind} needs the field `{field}`")]
    Missing {
        /// The message family.
        kind: &'static str,
        /// The field.
        field: &'static str,
    },
    /// A field has a value that it cannot have.
    #[error("`{field}` is not valid: {reason}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The `type` is none that this version knows.
    #[error(
        "unknown message type `{0}`; known are registration, heartbeat, request, response, service_discovery, error, \
         goodbye, cancel, challenge, proof and known_peers"
    )]
    UnknownType(String),
}

impl WireError {
    fn invalid(field: &'static str, reason: impl std::fmt::Display) -> Self {
        WireError::Invalid { field, reason: reason.to_string() }
    }
}

/// Reads one text frame.
///
/// Unknown fields are ignored: a newer peer may send more than we know.
///
/// # Errors
/// [`WireError`] says in words what is wrong. Never panics, whatever the text is.
pub fn decode(text: &str) -> Result<Frame, WireError> {
    match quick::read(text) {
        Some(envelope) => frame(envelope),
        None => frame(envelope::read(text).map_err(WireError::Json)?),
    }
}

fn frame(mut envelope: Envelope<'_>) -> Result<Frame, WireError> {
    let header = envelope.header()?;
    let body = match &*envelope.kind {
        "registration" => Body::Registration(Registration::decode(&envelope)?),
        "heartbeat" => Body::Heartbeat(Heartbeat::decode(&envelope)?),
        "request" => Body::Request(Request::decode(&envelope)?),
        "response" => Body::Response(Response::decode(&envelope, &header)?),
        "service_discovery" => Body::Discovery(Discovery::decode(&envelope)?),
        "error" => Body::Error(ErrorReport::decode(&envelope)?),
        "goodbye" => Body::Goodbye(Goodbye::decode(&envelope)?),
        "cancel" => Body::Cancel(Cancel::decode(&header)?),
        "challenge" => Body::Challenge(Challenge::decode(&envelope)?),
        "proof" => Body::Proof(Proof::decode(&envelope)?),
        "known_peers" => Body::KnownPeers(SharedPeers::decode(&envelope)?),
        _ => return Err(WireError::UnknownType(envelope.kind.into_owned())),
    };
    Ok(Frame { header, body })
}

/// Writes one text frame.
///
/// Field by field and without a model of the whole in between: a relay writes every message that it forwards.
pub fn encode(frame: impl Borrow<Frame>) -> String {
    let frame = frame.borrow();
    let mut out = Writer::new(&frame.header, frame.body.kind(), payload_bytes(&frame.body));
    match &frame.body {
        Body::Registration(body) => out.json("data", body),
        Body::Heartbeat(body) => body.encode(&mut out),
        Body::Request(body) => body.encode(&mut out),
        Body::Response(body) => body.encode(&mut out),
        Body::Discovery(body) => out.json("data", body),
        Body::Error(body) => out.json("data", body),
        Body::Goodbye(body) => out.json("data", body),
        Body::Cancel(_) => {}
        Body::Challenge(body) => out.json("data", body),
        Body::Proof(body) => out.json("data", body),
        Body::KnownPeers(body) => out.json("data", body),
    }
    out.finish()
}

/// The part of a message that may be large.
fn payload_bytes(body: &Body) -> usize {
    match body {
        Body::Request(request) => request.call.as_ref().map_or(0, |call| call.get().len()),
        Body::Response(response) => response.data.get().len(),
        _ => 0,
    }
}

/// The `message_id` and `type` of a text that may not be a valid message, as far as they can be read, to answer it.
pub fn salvage_message_id(text: &str) -> Option<SmolStr> {
    #[derive(serde::Deserialize)]
    struct Scrap {
        message_id: Option<SmolStr>,
    }
    serde_json::from_str::<Scrap>(text).ok()?.message_id
}
