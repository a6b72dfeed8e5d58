//! Who: node ids, kinds, and the compound address `alice.home@relay-a.com`.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStr;

/// Length that a node id or a service name may have, in bytes.
pub const MAX_NAME_BYTES: usize = 128;

/// Why a text is no node id, no address or no service name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Nothing there.
    #[error("{what} is empty")]
    Empty {
        /// What was expected.
        what: &'static str,
    },
    /// Over [`MAX_NAME_BYTES`].
    #[error("{what} has {len} bytes; at most {MAX_NAME_BYTES} are allowed")]
    TooLong {
        /// What was expected.
        what: &'static str,
        /// Its length.
        len: usize,
    },
    /// A character that ids and names cannot have.
    #[error("{what} `{text}` has the character {found:?}; letters, digits and . _ - are allowed")]
    BadCharacter {
        /// What was expected.
        what: &'static str,
        /// The whole text.
        text: String,
        /// The first bad character.
        found: char,
    },
}

fn check_name(what: &'static str, text: &str) -> Result<(), AddressError> {
    if text.is_empty() {
        return Err(AddressError::Empty { what });
    }
    if text.len() > MAX_NAME_BYTES {
        return Err(AddressError::TooLong { what, len: text.len() });
    }
    // Every message has several names: bytes first, characters only for the error.
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')) {
        return Ok(());
    }
    match text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))) {
        Some(found) => Err(AddressError::BadCharacter { what, text: text.to_owned(), found }),
        None => Ok(()),
    }
}

/// Checks that `text` can name a service: 1 to 128 letters, digits, `.`, `_`, `-`.
///
/// # Errors
/// Says which rule the text breaks.
pub fn check_service_name(text: &str) -> Result<(), AddressError> {
    check_name("the service name", text)
}

/// A node's id: 1 to 128 letters, digits, `.`, `_`, `-`. Cheap to clone, and up to 23 bytes without an allocation.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(SmolStr);

impl NodeId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NodeId {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        check_name("the node id", text)?;
        Ok(Self(text.into()))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for NodeId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Serialize for NodeId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = NodeId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a node id")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<NodeId, E> {
                text.parse().map_err(E::custom)
            }
        }
        from.deserialize_str(Text)
    }
}

/// The two kinds of relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeKind {
    /// A public hub.
    Main,
    /// A node behind NAT, connected to one Main.
    Home,
}

impl fmt::Display for NodeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NodeKind::Main => "main",
            NodeKind::Home => "home",
        })
    }
}

/// A node's compound address on the wire: `{type, id, main_relay?}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeAddress {
    /// Main or Home.
    #[serde(rename = "type")]
    pub kind: NodeKind,
    /// The node's id.
    pub id: NodeId,
    /// The Main that a Home hangs on, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub main_relay: Option<NodeId>,
}

impl fmt::Display for NodeAddress {
    /// `alice.home@relay-a.com`, or the bare id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.main_relay {
            Some(main) => write!(f, "{}@{main}", self.id),
            None => write!(f, "{}", self.id),
        }
    }
}

/// A node as callers write it: `bob.home@relay-a.com` or `bob.home`. Its kind is not in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The node's id.
    pub id: NodeId,
    /// The Main that it is said to hang on.
    pub main_relay: Option<NodeId>,
}

impl FromStr for Target {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text.split_once('@') {
            Some((id, main)) => Ok(Target { id: id.parse()?, main_relay: Some(main.parse()?) }),
            None => Ok(Target { id: text.parse()?, main_relay: None }),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.main_relay {
            Some(main) => write!(f, "{}@{main}", self.id),
            None => write!(f, "{}", self.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_round_trips() {
        for text in ["alice.home@relay-a.com", "bob.home", "relay_1"] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
        let target: Target = "alice.home@relay-a.com".parse().unwrap();
        assert_eq!(target.id.as_str(), "alice.home");
        assert_eq!(target.main_relay.unwrap().as_str(), "relay-a.com");
    }

    #[test]
    fn bad_ids_are_named() {
        let refused = |text: &str| text.parse::<Target>().unwrap_err().to_string();
        assert_eq!(refused(""), "the node id is empty");
        assert_eq!(refused("alice@"), "the node id is empty");
        assert!(refused("a b").contains("' '"));
        assert!(refused("a@b@c").contains("'@'"));
        assert!(refused(&"x".repeat(129)).contains("129 bytes"));
    }

    #[test]
    fn the_wire_form_has_type_id_and_main_relay() {
        let address = NodeAddress {
            kind: NodeKind::Home,
            id: "alice.home".parse().unwrap(),
            main_relay: Some("relay.example.com".parse().unwrap()),
        };
        let text = serde_json::to_string(&address).unwrap();
        assert_eq!(text, r#"{"type":"home","id":"alice.home","main_relay":"relay.example.com"}"#);
        assert_eq!(serde_json::from_str::<NodeAddress>(&text).unwrap(), address);
        assert_eq!(address.to_string(), "alice.home@relay.example.com");
    }
}
