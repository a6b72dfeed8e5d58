//! Reads the requests and responses that relays of this version write, in the order in which
//! [`Writer`](super::Writer) writes their fields, without looking for anything. Whatever looks different in any way is
//! left to the general reader, which also has the words for what is wrong.
//!
//! A Main spends more time on reading the messages that it forwards than on anything else that it does itself.

use std::borrow::Cow;

use serde_json::value::RawValue;
use smol_str::SmolStr;

use super::envelope::Envelope;
use super::{NodeAddress, NodeId, NodeKind};

/// What a text says that is just as our own relays write it; `None` says nothing of a text.
pub(super) fn read(text: &str) -> Option<Envelope<'_>> {
    let mut rest = Rest(text);
    rest.take("{\"type\":\"")?;
    let kind = if rest.has("request\"") {
        "request"
    } else {
        rest.take("response\"")?;
        "response"
    };
    rest.take(",\"message_id\":")?;
    let message_id = rest.text()?.into();
    let correlation_id = if rest.has(",\"correlation_id\":") { Some(rest.text()?.into()) } else { None };
    rest.take(",\"timestamp\":")?;
    let timestamp = rest.text()?.to_owned();
    rest.take(",\"source_node\":")?;
    let source_node = Some(rest.address()?);
    let destination_node = if rest.has(",\"destination_node\":") { Some(rest.address()?) } else { None };
    rest.take(",\"routing_path\":[")?;
    let routing_path = rest.path()?;
    rest.take(",\"ttl\":")?;
    let ttl = u32::try_from(rest.number()?).ok()?;
    let priority = if rest.has(",\"priority\":") { Some(i64::try_from(rest.number()?).ok()?) } else { None };
    let traceparent = if rest.has(",\"traceparent\":") { Some(rest.text()?.to_owned()) } else { None };
    let mut envelope = Envelope {
        kind: Cow::Borrowed(kind),
        message_id,
        correlation_id,
        timestamp,
        source_node,
        destination_node,
        routing_path,
        ttl,
        server_name: None,
        method: None,
        jsonrpc_request: None,
        data: None,
        priority,
        trace: None,
        traceparent,
        timeout_seconds: None,
        waited_us: None,
    };
    if rest.has(",\"server_name\":") {
        envelope.server_name = Some(SmolStr::new(rest.text()?));
        rest.take(",\"method\":")?;
        envelope.method = Some(SmolStr::new(rest.text()?));
        if rest.has(",\"jsonrpc_request\":") {
            envelope.jsonrpc_request = rest.json()?;
        }
        if rest.has(",\"timeout_seconds\":") {
            envelope.timeout_seconds = Some(rest.number()?);
        }
    }
    if rest.has(",\"data\":") {
        envelope.data = rest.json()?;
    }
    if rest.has(",\"waited_us\":") {
        envelope.waited_us = Some(rest.number()?);
    }
    rest.take("}")?;
    rest.0.is_empty().then_some(envelope)
}

/// What has not been read yet.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    /// Goes past `expected` where that comes next.
    fn has(&mut self, expected: &str) -> bool {
        match self.0.strip_prefix(expected) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn take(&mut self, expected: &str) -> Option<()> {
        self.has(expected).then_some(())
    }

    /// A text without escapes.
    fn text(&mut self) -> Option<&'a str> {
        let inner = self.0.strip_prefix('"')?;
        let special = |byte: &u8| *byte == b'"' || *byte == b'\\' || *byte < b' ';
        let end = inner.as_bytes().iter().position(special)?;
        self.0 = inner[end..].strip_prefix('"')?;
        Some(&inner[..end])
    }

    fn node(&mut self) -> Option<NodeId> {
        self.text()?.parse().ok()
    }

    fn address(&mut self) -> Option<NodeAddress> {
        let kind = if self.has("{\"type\":\"home\",\"id\":") {
            NodeKind::Home
        } else {
            self.take("{\"type\":\"main\",\"id\":")?;
            NodeKind::Main
        };
        let id = self.node()?;
        let main_relay = if self.has(",\"main_relay\":") { Some(self.node()?) } else { None };
        self.take("}")?;
        Some(NodeAddress { kind, id, main_relay })
    }

    /// What comes behind the bracket that opens it.
    fn path(&mut self) -> Option<Vec<NodeId>> {
        let mut path = Vec::with_capacity(super::MAX_HOPS + 1);
        if self.has("]") {
            return Some(path);
        }
        loop {
            path.push(self.node()?);
            if path.len() > super::MAX_PATH_ENTRIES {
                return None;
            }
            if !self.has(",") {
                self.take("]")?;
                return Some(path);
            }
        }
    }

    /// A whole number that is not negative, as JSON has it.
    fn number(&mut self) -> Option<u64> {
        let digits = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = self.0.split_at(digits);
        // A fraction or an exponent may follow: what comes after a field is checked by whoever reads on.
        if digits > 1 && number.starts_with('0') {
            return None;
        }
        self.0 = rest;
        number.parse().ok()
    }

    /// Any JSON; `null` reads as nothing, as it does everywhere on the wire.
    fn json(&mut self) -> Option<Option<&'a RawValue>> {
        let mut values = serde_json::Deserializer::from_str(self.0).into_iter::<&RawValue>();
        let value = values.next()?.ok()?;
        self.0 = self.0.get(values.byte_offset()..)?;
        Some((value.get() != "null").then_some(value))
    }
}
