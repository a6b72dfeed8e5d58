//! `response`: what a call gave.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::envelope::{Envelope, read};
use super::writer::Writer;
use super::{Header, WireError};
use crate::federation::CallError;

/// The answer to a request, on its way back. Its header's `correlation_id` is the request's `message_id`.
#[derive(Clone, Debug)]
pub struct Response {
    /// `{"success": true, "result": …}` or `{"success": false, "error": {…}}`, unparsed.
    pub data: Box<RawValue>,
    /// How long the node that sends this had the call, from its arrival to this answer (`waited_us`). Each hop says it
    /// anew; older relays do not.
    pub waited: Option<Duration>,
}

impl PartialEq for Response {
    fn eq(&self, other: &Self) -> bool {
        self.data.get() == other.data.get() && self.waited == other.waited
    }
}

#[derive(Serialize, Deserialize)]
struct Outcome {
    success: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<CallError>,
}

impl Response {
    /// The response that carries `outcome`.
    pub fn new(outcome: Result<Box<RawValue>, CallError>) -> Self {
        let outcome = match outcome {
            Ok(result) => Outcome { success: true, result: Some(result), error: None },
            Err(error) => Outcome { success: false, result: None, error: Some(error) },
        };
        Response { data: super::payload(&outcome), waited: None }
    }

    /// What the call gave. A success without a result reads as `null`.
    ///
    /// # Errors
    /// When `data` is no outcome.
    pub fn outcome(&self) -> Result<Result<Box<RawValue>, CallError>, WireError> {
        let outcome: Outcome = read(self.data.get()).map_err(|error| WireError::invalid("data", error))?;
        match (outcome.success, outcome.error) {
            (true, _) => Ok(Ok(outcome.result.unwrap_or_else(|| super::payload(&())))),
            (false, Some(error)) => Ok(Err(error)),
            (false, None) => Err(WireError::Missing { kind: "response", field: "data.error" }),
        }
    }

    /// The error that it carries, if it does. Cheap for a success: its text is not parsed.
    pub fn error(&self) -> Option<CallError> {
        // Relays of this version write a success like this; others are parsed.
        if self.data.get().starts_with("{\"success\":true") {
            return None;
        }
        self.outcome().ok()?.err()
    }

    pub(super) fn decode(envelope: &Envelope<'_>, header: &Header) -> Result<Self, WireError> {
        let missing = |field| WireError::Missing { kind: "response", field };
        if header.correlation_id.is_none() {
            return Err(missing("correlation_id"));
        }
        if header.destination.is_none() {
            return Err(missing("destination_node"));
        }
        let waited = envelope.waited_us.map(Duration::from_micros);
        Ok(Response { data: envelope.data.ok_or_else(|| missing("data"))?.to_owned(), waited })
    }

    pub(super) fn encode(&self, out: &mut Writer) {
        out.raw("data", &self.data);
        if let Some(waited) = self.waited {
            out.number("waited_us", u64::try_from(waited.as_micros()).unwrap_or(u64::MAX));
        }
    }
}
