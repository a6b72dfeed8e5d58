//! The wire of the older mesh, the one before the hubs, and its translation into [`Frame`](super::Frame)s and back.
//!
//! [`Message`] is what stands on that wire; [`Translator`] turns the messages of one connection into frames for the
//! router and the router's frames into messages. All of it is pure. Nothing behind a translator knows of older peers:
//! to the router such a peer is a Home whose services are those that it announces.
//!
//! | older | here |
//! | --- | --- |
//! | `ping` | a heartbeat, and a heartbeat back that answers it: its `pong` |
//! | `server_call` | a request; its response becomes the `server_response` |
//! | `registry_sync` | a registration: the whole list of the peer's own services; and our whole list back |
//! | `route_message` | what it wraps |
//! | `error` | an error: the older mesh has none, its nodes log what they do not know and go on |

mod call;
mod message;
mod registry;
#[cfg(test)]
mod tests;
mod translator;

pub use message::{Kind, MAX_TEXT_BYTES, MAX_WRAPPINGS, Message};
pub use registry::{Listed, by_key};
pub use translator::{MAX_OWED_ANSWERS, Rejected, Taken, Translator, Unsent};

/// Why a text is no message of the older mesh. The text says where and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OlderError {
    /// Not JSON, or a field has another JSON type than it must have.
    #[error("not a mesh message: {0}")]
    Json(String),
    /// A field that this type needs is missing or empty.
    #[error("a {kind} needs the field `{field}`")]
    Missing {
        /// The message type.
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
    /// The `type` is none of the older mesh.
    #[error(
        "unknown message type `{0}`; the older mesh has ping, pong, server_call, server_response, registry_sync and \
         route_message"
    )]
    UnknownType(String),
}

impl OlderError {
    fn invalid(field: &'static str, reason: impl std::fmt::Display) -> Self {
        OlderError::Invalid { field, reason: reason.to_string() }
    }
}
