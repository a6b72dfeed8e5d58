//! Sizes: `64B`, `4KiB`, `1MB`.

use std::fmt;
use std::str::FromStr;

use super::{QuantityError, as_string, number};

const EXPECTED: &str = "a size such as \"64B\", \"4KiB\" or \"1MB\"";
/// Largest first; binary before decimal, so that 1 MiB prints as such.
const UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("B", 1),
];

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize {
    bytes: u64,
}

impl ByteSize {
    /// So many bytes.
    pub const fn from_bytes(bytes: u64) -> ByteSize {
        ByteSize { bytes }
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.bytes
    }
}

impl FromStr for ByteSize {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<ByteSize, QuantityError> {
        let text = text.trim();
        let wrong =
            |problem: &str| QuantityError { problem: format!("\"{text}\" {problem}"), expected: EXPECTED };
        let (value, unit) = number::split(text);
        let (_, scale) =
            UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(|| wrong("is not a size"))?;
        let bytes = number::scaled(value, *scale).ok_or_else(|| wrong("is not a whole number of bytes"))?;
        Ok(ByteSize { bytes })
    }
}

/// In the largest unit that leaves a whole number.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = |scale: u64| self.bytes >= scale && self.bytes.is_multiple_of(scale);
        let (name, scale) = UNITS.into_iter().find(|(_, scale)| exact(*scale)).unwrap_or(("B", 1));
        write!(f, "{}{name}", self.bytes / scale)
    }
}

as_string!(ByteSize);
