//! What runs showed, as JSON, as a page, as JUnit XML and as Markdown.
//!
//! Pure: a [`Report`] in, text out. Nothing here reads a clock, a file or an environment variable, so the same model
//! always gives the same bytes.
//!
//! - [`model`]: the report as plain data; start here.
//! - `json`: [`Report::to_json_pretty`], [`Report::from_json`]; the format is described in `report.schema.json`.
//! - [`html`]: the report as one page that opens offline.
//! - [`digest`]: a run in brief, for lists of many; [`junit`] and [`markdown`] are made of it.
//! - [`compare`]: what differs between two reports; [`baseline`]: what a scenario's figures were, and may become.
//! - `chart`: axes and inline SVG for that page.
//! - `format`: numbers and times as people read them.

pub mod baseline;
mod chart;
pub mod compare;
pub mod digest;
mod format;
pub mod html;
mod json;
pub mod junit;
pub mod markdown;
pub mod model;
mod quantity;
mod tolerance;

pub use json::ReadError;
pub use model::Report;
pub use quantity::QuantityError;
pub use tolerance::{Tolerance, Tolerances};
