//! Quantities as people write them: `90s`, `1/s`, `100Mbit/s`, `64B`, `0.1%`.
//!
//! Each parses from text, prints as text that parses to the same value, and is a string in serde formats. Numbers
//! are kept as integers, so that the same text means the same value everywhere.

mod bandwidth;
mod byte_size;
mod drift;
pub mod duration;
mod number;
mod offset;
mod rate;
mod share;

pub use bandwidth::Bandwidth;
pub use byte_size::ByteSize;
pub use drift::Drift;
pub use offset::Offset;
pub use rate::Rate;
pub use share::Share;

/// Text that is not the quantity it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}; expected {expected}")]
pub struct QuantityError {
    /// What is wrong with the text, in words.
    pub problem: String,
    /// What would have been right, with examples: `a duration such as "90s", "1m30s" or "20ms"`.
    pub expected: &'static str,
}

/// Strings in serde formats, through `FromStr` and `Display`.
macro_rules! as_string {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
use as_string;

#[cfg(test)]
mod tests;
