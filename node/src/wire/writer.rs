//! The plain JSON object that every message is on the wire, as it is written.

use std::fmt::Write;

use serde::Serialize;
use serde_json::value::RawValue;

use super::{Header, NodeAddress, NodeId, NodeKind};

/// What a message takes besides its payload and what is counted, in bytes: field names, timestamp, numbers.
const FRAME_BYTES: usize = 384;

/// A JSON object under construction.
pub(super) struct Writer {
    out: String,
}

impl Writer {
    /// An object with the fields that all messages share, and room for a payload.
    pub(super) fn new(header: &Header, kind: &'static str, payload_bytes: usize) -> Self {
        let mut out = String::with_capacity(FRAME_BYTES + 64 * header.path.len() + payload_bytes);
        out.push_str("{\"type\":\"");
        out.push_str(kind);
        out.push('"');
        let mut writer = Writer { out };
        writer.text("message_id", &header.message_id);
        if let Some(id) = &header.correlation_id {
            writer.text("correlation_id", id);
        }
        writer.text("timestamp", &header.timestamp);
        writer.address("source_node", &header.source);
        if let Some(address) = &header.destination {
            writer.address("destination_node", address);
        }
        writer.path(&header.path);
        writer.number("ttl", header.ttl);
        if let Some(priority) = header.priority {
            writer.number("priority", priority);
        }
        if let Some(trace) = &header.trace {
            writer.json("trace", trace);
        }
        if let Some(traceparent) = &header.traceparent {
            writer.text("traceparent", traceparent);
        }
        writer
    }

    pub(super) fn text(&mut self, key: &'static str, text: &str) {
        self.key(key);
        // Nearly all texts are plain, and looking is cheaper than escaping byte by byte.
        if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
            self.quoted(text);
        } else {
            self.out.push_str(&serde_json::to_string(text).expect("a text is plain JSON"));
        }
    }

    pub(super) fn number(&mut self, key: &'static str, number: impl std::fmt::Display) {
        self.key(key);
        write!(self.out, "{number}").expect("a string takes what is written");
    }

    /// A field that is JSON already.
    pub(super) fn raw(&mut self, key: &'static str, value: &RawValue) {
        self.key(key);
        self.out.push_str(value.get());
    }

    /// The `data` of a request in which nothing but its timeout stands.
    pub(super) fn timeout(&mut self, millis: u64) {
        self.key("data");
        write!(self.out, "{{\"timeout_ms\":{millis}}}").expect("a string takes what is written");
    }

    pub(super) fn json(&mut self, key: &'static str, value: &impl Serialize) {
        self.key(key);
        self.out.push_str(&serde_json::to_string(value).expect("our own data objects are plain JSON"));
    }

    pub(super) fn finish(mut self) -> String {
        self.out.push('}');
        self.out
    }

    fn address(&mut self, key: &'static str, address: &NodeAddress) {
        self.key(key);
        self.out.push_str(match address.kind {
            NodeKind::Main => "{\"type\":\"main\",\"id\":",
            NodeKind::Home => "{\"type\":\"home\",\"id\":",
        });
        self.quoted(address.id.as_str());
        if let Some(main) = &address.main_relay {
            self.out.push_str(",\"main_relay\":");
            self.quoted(main.as_str());
        }
        self.out.push('}');
    }

    fn path(&mut self, path: &[NodeId]) {
        self.key("routing_path");
        self.out.push('[');
        for (at, node) in path.iter().enumerate() {
            if at > 0 {
                self.out.push(',');
            }
            self.quoted(node.as_str());
        }
        self.out.push(']');
    }

    /// A field's name; the object's first field is always there.
    fn key(&mut self, key: &'static str) {
        self.out.push_str(",\"");
        self.out.push_str(key);
        self.out.push_str("\":");
    }

    /// A text without characters that JSON escapes, as node ids are.
    fn quoted(&mut self, text: &str) {
        self.out.push('"');
        self.out.push_str(text);
        self.out.push('"');
    }
}
