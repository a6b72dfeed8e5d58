//! The report as JSON, and back.

use std::error::Error;
use std::fmt;

use serde::Deserialize;

use crate::model::{Report, SCHEMA_VERSION};

impl Report {
    /// The report as indented JSON with a final newline. The same report always gives the same bytes.
    ///
    /// # Panics
    ///
    /// Never: the model has only string keys, and serde_json writes every number in it.
    #[must_use]
    pub fn to_json_pretty(&self) -> String {
        let mut text =
            serde_json::to_string_pretty(self).expect("a model of strings and numbers is always JSON");
        text.push('\n');
        text
    }

    /// Reads what [`Report::to_json_pretty`] wrote. Unknown fields are ignored, so that a later minor addition to the
    /// format does not lock readers out.
    ///
    /// # Errors
    ///
    /// [`ReadError`] where the text is not a report of this [`SCHEMA_VERSION`].
    pub fn from_json(text: &str) -> Result<Self, ReadError> {
        // The version comes first: under another version any other complaint would mislead.
        let Version { schema_version } = serde_json::from_str(text).map_err(ReadError::Malformed)?;
        if schema_version != SCHEMA_VERSION {
            return Err(ReadError::OtherVersion { found: schema_version });
        }
        serde_json::from_str(text).map_err(ReadError::Malformed)
    }
}

#[derive(Deserialize)]
struct Version {
    schema_version: u32,
}

/// Why a text could not be read as a report.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// It is not JSON, or a field is missing or has another type; the source names line, column and field.
    Malformed(serde_json::Error),
    /// It is a report, written in another version of the format.
    OtherVersion {
        /// The version that the text names.
        found: u32,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => {
                write!(
                    f,
                    "this is not a report: {error}; expected a report.json as `relay-sim run --report` writes it"
                )
            }
            Self::OtherVersion { found } => write!(
                f,
                "the report has schema version {found}, this program reads version {SCHEMA_VERSION}: \
                 write it again with this version, or read it with the one that wrote it"
            ),
        }
    }
}

impl Error for ReadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Malformed(error) => Some(error),
            Self::OtherVersion { .. } => None,
        }
    }
}
