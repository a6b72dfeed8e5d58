//! The plain JSON object that every message is on the wire, as it is read. [`Writer`](super::Writer) writes it.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use smol_str::SmolStr;

use super::{DEFAULT_TTL, Header, HopTime, MAX_PATH_ENTRIES, NodeAddress, NodeId, WireError};

/// Length that a `message_id` or `correlation_id` may have, in bytes.
const MAX_ID_BYTES: usize = 128;

/// All fields that a message can have. Families take theirs out of it. Texts stay where they were read, as far as their
/// JSON has no escapes.
#[derive(Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(rename = "type", default, borrow)]
    pub(super) kind: Cow<'a, str>,
    #[serde(default)]
    pub(super) message_id: SmolStr,
    #[serde(default)]
    pub(super) correlation_id: Option<SmolStr>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub(super) timestamp: String,
    pub(super) source_node: Option<NodeAddress>,
    #[serde(default)]
    pub(super) destination_node: Option<NodeAddress>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub(super) routing_path: Vec<NodeId>,
    #[serde(default = "default_ttl")]
    pub(super) ttl: u32,
    #[serde(default)]
    pub(super) server_name: Option<SmolStr>,
    #[serde(default)]
    pub(super) method: Option<SmolStr>,
    #[serde(default, borrow)]
    pub(super) jsonrpc_request: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) data: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) priority: Option<i64>,
    #[serde(default)]
    pub(super) trace: Option<Vec<HopTime>>,
    #[serde(default)]
    pub(super) traceparent: Option<String>,
    #[serde(default)]
    pub(super) timeout_seconds: Option<u64>,
    #[serde(default)]
    pub(super) waited_us: Option<u64>,
}

/// Reads JSON. Where it is JSON of another shape, the words name the field: a line and a column help nobody who sends a
/// message of one line.
pub(crate) fn read<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| {
        if !error.is_data() {
            return error.to_string();
        }
        // Read once more, since looking for the field costs time that a good message need not pay.
        let again = serde_path_to_error::deserialize::<_, T>(&mut serde_json::Deserializer::from_str(text));
        let Err(located) = again else { return error.to_string() };
        let words = located.inner().to_string();
        let words = words.rsplit_once(" at line ").map_or(words.as_str(), |(words, _)| words);
        match located.path().to_string().as_str() {
            "." => words.to_owned(),
            path => format!("`{path}`: {words}"),
        }
    })
}

/// Some writers of JSON send `null` for an empty list or text.
pub(super) fn null_as_default<'de, T, D>(from: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Default,
    D: serde::Deserializer<'de>,
{
    Option::deserialize(from).map(Option::unwrap_or_default)
}

fn default_ttl() -> u32 {
    DEFAULT_TTL
}

impl<'a> Envelope<'a> {
    /// Takes the header out and checks what every message must have.
    pub(super) fn header(&mut self) -> Result<Header, WireError> {
        let missing = |field| Err(WireError::Missing { kind: "message", field });
        if self.kind.is_empty() {
            return missing("type");
        }
        if self.message_id.is_empty() {
            return missing("message_id");
        }
        let Some(source) = self.source_node.take() else {
            return missing("source_node");
        };
        for (field, id) in [
            ("message_id", Some(self.message_id.as_str())),
            ("correlation_id", self.correlation_id.as_deref()),
            ("traceparent", self.traceparent.as_deref()),
        ] {
            if let Some(id) = id
                && id.len() > MAX_ID_BYTES
            {
                return Err(WireError::invalid(field, format!("{} bytes, at most {MAX_ID_BYTES}", id.len())));
            }
        }
        let hops = self.trace.as_ref().map_or(0, Vec::len);
        for (field, entries) in [("routing_path", self.routing_path.len()), ("trace", hops)] {
            if entries > MAX_PATH_ENTRIES {
                let reason = format!("{entries} entries, at most {MAX_PATH_ENTRIES}");
                return Err(WireError::invalid(field, reason));
            }
        }
        Ok(Header {
            message_id: std::mem::take(&mut self.message_id),
            correlation_id: self.correlation_id.take(),
            timestamp: std::mem::take(&mut self.timestamp),
            source,
            destination: self.destination_node.take(),
            path: std::mem::take(&mut self.routing_path),
            ttl: self.ttl,
            priority: self.priority,
            trace: self.trace.take(),
            traceparent: self.traceparent.take(),
        })
    }

    /// Reads `data` as the object that this family carries there; an absent one reads as empty.
    pub(super) fn read_data<T: Deserialize<'a> + Default>(&self) -> Result<T, WireError> {
        match &self.data {
            None => Ok(T::default()),
            Some(data) => read(data.get()).map_err(|error| WireError::invalid("data", error)),
        }
    }

    /// Reads `data` as the object without which a message of this kind says nothing.
    pub(super) fn need_data<T: Deserialize<'a>>(&self, kind: &'static str) -> Result<T, WireError> {
        let data = self.data.as_ref().ok_or(WireError::Missing { kind, field: "data" })?;
        read(data.get()).map_err(|error| WireError::invalid("data", error))
    }
}
