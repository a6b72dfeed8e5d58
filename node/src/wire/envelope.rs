//! The plain JSON object that every message is on the wire.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{DEFAULT_TTL, Header, HopTime, MAX_PATH_ENTRIES, NodeAddress, NodeId, WireError};

/// Length that a `message_id` or `correlation_id` may have, in bytes.
const MAX_ID_BYTES: usize = 128;

/// All fields that a message can have. Families take theirs out of it.
#[derive(Serialize, Deserialize, Default)]
pub(super) struct Envelope {
    #[serde(rename = "type", default)]
    pub(super) kind: String,
    #[serde(default)]
    message_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlation_id: Option<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    timestamp: String,
    source_node: Option<NodeAddress>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    destination_node: Option<NodeAddress>,
    #[serde(default, deserialize_with = "null_as_default")]
    routing_path: Vec<NodeId>,
    #[serde(default = "default_ttl")]
    ttl: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) server_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) method: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) jsonrpc_request: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    priority: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace: Option<Vec<HopTime>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) timeout_seconds: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) waited_us: Option<u64>,
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

impl Envelope {
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
            ("message_id", Some(&self.message_id)),
            ("correlation_id", self.correlation_id.as_ref()),
            ("traceparent", self.traceparent.as_ref()),
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

    pub(super) fn from_header(header: Header, kind: &str) -> Self {
        Envelope {
            kind: kind.to_owned(),
            message_id: header.message_id,
            correlation_id: header.correlation_id,
            timestamp: header.timestamp,
            source_node: Some(header.source),
            destination_node: header.destination,
            routing_path: header.path,
            ttl: header.ttl,
            priority: header.priority,
            trace: header.trace,
            traceparent: header.traceparent,
            ..Envelope::default()
        }
    }

    /// Reads `data` as the object that this family carries there; an absent one reads as empty.
    pub(super) fn read_data<'a, T: Deserialize<'a> + Default>(&'a self) -> Result<T, WireError> {
        match &self.data {
            None => Ok(T::default()),
            Some(data) => serde_json::from_str(data.get()).map_err(|error| WireError::invalid("data", error)),
        }
    }

    /// Reads `data` as the object without which a message of this kind says nothing.
    pub(super) fn need_data<'a, T: Deserialize<'a>>(&'a self, kind: &'static str) -> Result<T, WireError> {
        let data = self.data.as_ref().ok_or(WireError::Missing { kind, field: "data" })?;
        serde_json::from_str(data.get()).map_err(|error| WireError::invalid("data", error))
    }

    pub(super) fn write_data(&mut self, data: &impl Serialize) {
        self.data = Some(serde_json::value::to_raw_value(data).expect("our own data objects are plain JSON"));
    }
}
