//! Keys, nonces and signatures as they stand in messages: bytes in lower-case hex.

use std::fmt;
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// So many bytes, written as twice as many hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hex<const BYTES: usize>(pub [u8; BYTES]);

/// An Ed25519 public key (RFC 8032).
pub type PublicKey = Hex<32>;

/// Random bytes that are used once.
pub type Nonce = Hex<32>;

/// An Ed25519 signature.
pub type Signature = Hex<64>;

/// An HMAC-SHA-512 (RFC 2104) under a secret that both ends know.
pub type Tag = Hex<64>;

/// A text that is not so many bytes in hex.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {digits} hex digits: {reason}")]
pub struct HexError {
    digits: usize,
    reason: String,
}

impl<const BYTES: usize> FromStr for Hex<BYTES> {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        let mut bytes = [0; BYTES];
        match hex::decode_to_slice(text, &mut bytes) {
            Ok(()) => Ok(Hex(bytes)),
            Err(error) => Err(HexError { digits: 2 * BYTES, reason: error.to_string() }),
        }
    }
}

impl<const BYTES: usize> Default for Hex<BYTES> {
    fn default() -> Self {
        Hex([0; BYTES])
    }
}

impl<const BYTES: usize> fmt::Display for Hex<BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl<const BYTES: usize> fmt::Debug for Hex<BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<const BYTES: usize> Serialize for Hex<BYTES> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de, const BYTES: usize> Deserialize<'de> for Hex<BYTES> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}
