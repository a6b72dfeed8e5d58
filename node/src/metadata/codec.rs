//! Metadata as the value of an item of the DHT: a byte string that holds a dictionary, both bencoded.

use std::net::IpAddr;

use super::record::{Content, Endpoint, Metadata, RelayUse};
use crate::dht::bencode::{BencodeError, DictWriter, Value, Writer};
use crate::dht::{Id, OWN_VALUE_BYTES_MAX};
use crate::wire::NodeType;

/// A node names at most this many protocols.
pub const PROTOCOLS_MAX: usize = 16;

/// A node names at most this many capabilities.
pub const CAPABILITIES_MAX: usize = 32;

/// The name of a protocol or a capability is at most this long.
pub const NAME_BYTES_MAX: usize = 64;

/// The id of a session at a relay is at most this long.
pub const SESSION_ID_BYTES_MAX: usize = 128;

/// The address of a relay is at most this long: a URL with the longest name of a host fits.
pub const ADDRESS_BYTES_MAX: usize = 300;

/// The version of a program is at most this long.
pub const VERSION_BYTES_MAX: usize = 64;

/// Why something cannot be metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// It does not fit into an item of the DHT.
    #[error("the metadata takes {bytes} bytes, at most {OWN_VALUE_BYTES_MAX} are possible")]
    TooLong {
        /// Its length, before it is bencoded once more.
        bytes: usize,
    },
    /// It is not bencoded, or not in the one canonical way.
    #[error("the metadata is not canonically bencoded: {0}")]
    NotBencoded(#[from] BencodeError),
    /// It is something else.
    #[error("the metadata is no byte string that holds a dictionary")]
    NoDictionary,
    /// A field is not there.
    #[error("the metadata lacks {field}")]
    Missing {
        /// Its key.
        field: &'static str,
    },
    /// A field is of another type, too long, out of its range, or no text.
    #[error("{field} of the metadata is not {expected}")]
    Bad {
        /// Its key.
        field: &'static str,
        /// What it has to be.
        expected: &'static str,
    },
    /// There are too many of something.
    #[error("the metadata names more than {limit} {field}")]
    TooMany {
        /// Its key.
        field: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// All versions are used up.
    #[error("no sequence number is left for another version of the metadata; give the node a new key")]
    NoSequenceLeft,
}

impl Metadata {
    /// The value of the item: bencoded, and the same bytes for the same metadata.
    ///
    /// # Errors
    /// When a field is over its limit, or all together take more than [`OWN_VALUE_BYTES_MAX`] bytes.
    pub fn encode(&self) -> Result<Vec<u8>, MetadataError> {
        check(self)?;
        let mut inner = Writer::new();
        inner.dict(|out| write(self, out));
        let inner = inner.finish();
        if inner.len() > OWN_VALUE_BYTES_MAX {
            return Err(MetadataError::TooLong { bytes: inner.len() });
        }
        let mut value = Writer::new();
        value.bytes(&inner);
        Ok(value.finish())
    }

    /// Reads the value of an item. Keys that are not known are passed over.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(value: &[u8]) -> Result<Self, MetadataError> {
        let inner = Value::parse_canonical(value)?.as_bytes().ok_or(MetadataError::NoDictionary)?;
        if inner.len() > OWN_VALUE_BYTES_MAX {
            return Err(MetadataError::TooLong { bytes: inner.len() });
        }
        let dictionary = Value::parse_canonical(inner)?;
        if dictionary.entries().is_none() {
            return Err(MetadataError::NoDictionary);
        }
        Reader(dictionary).metadata()
    }
}

fn write(metadata: &Metadata, out: &mut DictWriter<'_>) {
    let Metadata { content, timestamp, sequence } = metadata;
    let names = |names: &[String], out: &mut Writer| {
        out.list(|out| names.iter().for_each(|name| out.bytes(name.as_bytes())));
    };
    out.entry(b"capabilities", |out| names(&content.capabilities, out));
    if let Some(relay) = &content.relay {
        out.bytes(b"connected_relay", relay.peer_id.to_string().as_bytes());
    }
    out.int(b"is_relay", content.is_relay.into());
    if let Some(node_id) = &content.node_id {
        out.bytes(b"node_id", node_id.as_str().as_bytes());
    }
    out.bytes(b"node_type", content.node_type.as_str().as_bytes());
    if let Some(ip) = content.private.ip {
        out.bytes(b"private_ip", ip.to_string().as_bytes());
    }
    out.int(b"private_port", content.private.port.into());
    out.entry(b"protocols", |out| names(&content.protocols, out));
    if let Some(ip) = content.public.ip {
        out.bytes(b"public_ip", ip.to_string().as_bytes());
    }
    out.int(b"public_port", content.public.port.into());
    if let Some(relay) = &content.relay {
        out.bytes(b"relay_address", relay.address.as_bytes());
        out.bytes(b"relay_session_id", relay.session_id.as_bytes());
    }
    out.int(b"sequence", *sequence);
    out.int(b"timestamp", *timestamp);
    out.int(b"using_relay", content.relay.is_some().into());
    out.bytes(b"version", content.version.as_bytes());
}

/// Holds what is written to the limits that hold for what is read.
fn check(metadata: &Metadata) -> Result<(), MetadataError> {
    let content = &metadata.content;
    for (field, number) in [("timestamp", metadata.timestamp), ("sequence", metadata.sequence)] {
        not_negative(field, number)?;
    }
    for (field, list, limit) in [
        ("protocols", &content.protocols, PROTOCOLS_MAX),
        ("capabilities", &content.capabilities, CAPABILITIES_MAX),
    ] {
        if list.len() > limit {
            return Err(MetadataError::TooMany { field, limit });
        }
        for name in list {
            text(field, name.as_bytes(), NAME_BYTES_MAX)?;
        }
    }
    if let Some(relay) = &content.relay {
        text("relay_session_id", relay.session_id.as_bytes(), SESSION_ID_BYTES_MAX)?;
        text("relay_address", relay.address.as_bytes(), ADDRESS_BYTES_MAX)?;
    }
    text("version", content.version.as_bytes(), VERSION_BYTES_MAX).map(drop)
}

/// Reads field by field.
struct Reader<'a>(Value<'a>);

impl Reader<'_> {
    fn metadata(&self) -> Result<Metadata, MetadataError> {
        Ok(Metadata {
            content: self.content()?,
            timestamp: self.number("timestamp")?,
            sequence: self.number("sequence")?,
        })
    }

    fn content(&self) -> Result<Content, MetadataError> {
        Ok(Content {
            node_id: self.parsed("node_id", "a node id", |text| text.parse().ok())?,
            node_type: self
                .parsed("node_type", "`public` or `private`", NodeType::of)?
                .ok_or(MetadataError::Missing { field: "node_type" })?,
            is_relay: self.flag("is_relay")?,
            public: self.endpoint("public_ip", "public_port")?,
            private: self.endpoint("private_ip", "private_port")?,
            relay: self.relay()?,
            protocols: self.names("protocols", PROTOCOLS_MAX)?,
            capabilities: self.names("capabilities", CAPABILITIES_MAX)?,
            version: self.text("version", VERSION_BYTES_MAX)?,
        })
    }

    fn endpoint(&self, ip: &'static str, port: &'static str) -> Result<Endpoint, MetadataError> {
        let number = self.int(port, "a port")?;
        let port =
            u16::try_from(number).map_err(|_| MetadataError::Bad { field: port, expected: "a port" })?;
        // In the one way in which we write it too: what was read takes no more room when it is written.
        let ip = self.parsed(ip, "an IP address", |text| {
            text.parse().ok().filter(|ip: &IpAddr| ip.to_string() == text)
        })?;
        Ok(Endpoint { ip, port })
    }

    fn relay(&self) -> Result<Option<RelayUse>, MetadataError> {
        if !self.flag("using_relay")? {
            return Ok(None);
        }
        let peer_id =
            self.parsed("connected_relay", "a peer id of 40 lowercase hexadecimal digits", |text| {
                text.parse().ok().filter(|id: &Id| id.to_string() == text)
            })?;
        Ok(Some(RelayUse {
            peer_id: peer_id.ok_or(MetadataError::Missing { field: "connected_relay" })?,
            session_id: self.text("relay_session_id", SESSION_ID_BYTES_MAX)?,
            address: self.text("relay_address", ADDRESS_BYTES_MAX)?,
        }))
    }

    fn value(&self, field: &'static str) -> Result<Value<'_>, MetadataError> {
        self.0.get(field.as_bytes()).ok_or(MetadataError::Missing { field })
    }

    fn int(&self, field: &'static str, expected: &'static str) -> Result<i64, MetadataError> {
        self.value(field)?.as_int().ok_or(MetadataError::Bad { field, expected })
    }

    fn number(&self, field: &'static str) -> Result<i64, MetadataError> {
        not_negative(field, self.int(field, NUMBER)?)
    }

    fn flag(&self, field: &'static str) -> Result<bool, MetadataError> {
        let expected = "0 or 1";
        match self.int(field, expected)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(MetadataError::Bad { field, expected }),
        }
    }

    fn text(&self, field: &'static str, limit: usize) -> Result<String, MetadataError> {
        let bytes = self.value(field)?.as_bytes().ok_or(MetadataError::Bad { field, expected: TEXT })?;
        text(field, bytes, limit).map(str::to_owned)
    }

    fn names(&self, field: &'static str, limit: usize) -> Result<Vec<String>, MetadataError> {
        let items =
            self.value(field)?.items().ok_or(MetadataError::Bad { field, expected: "a list of texts" })?;
        if items.clone().nth(limit).is_some() {
            return Err(MetadataError::TooMany { field, limit });
        }
        let mut names = Vec::with_capacity(items.clone().count());
        for item in items {
            let bytes = item.as_bytes().ok_or(MetadataError::Bad { field, expected: "a list of texts" })?;
            names.push(text(field, bytes, NAME_BYTES_MAX)?.to_owned());
        }
        Ok(names)
    }

    /// What `parse` makes of a text that may be absent.
    fn parsed<T>(
        &self,
        field: &'static str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, MetadataError> {
        let Some(value) = self.0.get(field.as_bytes()) else { return Ok(None) };
        let text = value.as_bytes().and_then(|bytes| std::str::from_utf8(bytes).ok());
        text.and_then(parse).map(Some).ok_or(MetadataError::Bad { field, expected })
    }
}

const NUMBER: &str = "a number that is not negative";
const TEXT: &str = "a text within its limit, without control characters";

fn not_negative(field: &'static str, number: i64) -> Result<i64, MetadataError> {
    if number >= 0 { Ok(number) } else { Err(MetadataError::Bad { field, expected: NUMBER }) }
}

/// A text that can be shown and logged as it is.
fn text<'a>(field: &'static str, bytes: &'a [u8], limit: usize) -> Result<&'a str, MetadataError> {
    std::str::from_utf8(bytes)
        .ok()
        .filter(|text| text.len() <= limit && !text.contains(char::is_control))
        .ok_or(MetadataError::Bad { field, expected: TEXT })
}

#[cfg(test)]
mod tests;
