//! Durations: `90s`, `1m30s`, `20ms`. Use the module itself in `#[serde(with = "…")]`.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer};

use super::QuantityError;

/// The longest duration that is read: far beyond any run, and no sum of two of them overflows nanoseconds in 64 bits.
pub const MAX_DURATION_DAYS: u64 = 3660;

const EXPECTED: &str = "a duration such as \"90s\", \"1m30s\", \"10m\" or \"20ms\"";
const MAX: Duration = Duration::from_secs(MAX_DURATION_DAYS * 24 * 60 * 60);

/// Reads a duration.
///
/// # Errors
/// When `text` is no duration, or a longer one than [`MAX_DURATION_DAYS`].
pub fn parse(text: &str) -> Result<Duration, QuantityError> {
    let wrong = |problem| QuantityError { problem, expected: EXPECTED };
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && text != "0" {
        return Err(wrong(format!("\"{text}\" has no unit")));
    }
    match humantime::parse_duration(text) {
        Ok(duration) if duration <= MAX => Ok(duration),
        Ok(_) => Err(wrong(format!("\"{text}\" is longer than {MAX_DURATION_DAYS} days"))),
        Err(_) => Err(wrong(format!("\"{text}\" is not a duration"))),
    }
}

/// Writes a duration so that [`parse`] reads the same one: `1m30s`.
pub fn format(duration: Duration) -> String {
    humantime::format_duration(duration).to_string().replace(' ', "")
}

/// Writes a duration as a string.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*duration))
}

/// Reads a duration from a string.
///
/// # Errors
/// Those of [`parse`] and of the deserializer.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse(&Cow::<'de, str>::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// The same for `Option<Duration>`.
pub mod optional {
    use super::{Cow, Deserialize, Deserializer, Duration, Serializer};

    /// Writes a duration as a string, or nothing.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads a duration from a string, where there is one.
    ///
    /// # Errors
    /// Those of [`parse`](super::parse) and of the deserializer.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        let text = Option::<Cow<'de, str>>::deserialize(deserializer)?;
        text.map(|text| super::parse(&text)).transpose().map_err(serde::de::Error::custom)
    }
}
