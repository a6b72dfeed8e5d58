//! `cancel`: nobody waits for the answer to a request any more. `correlation_id` is the request's `message_id`,
//! `source_node` its source.

use super::{Header, WireError};

/// The wish that a call costs no more. Its whole content is in the header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cancel;

impl Cancel {
    pub(super) fn decode(header: &Header) -> Result<Self, WireError> {
        match header.correlation_id {
            Some(_) => Ok(Cancel),
            None => Err(WireError::Missing { kind: "cancel", field: "correlation_id" }),
        }
    }
}
