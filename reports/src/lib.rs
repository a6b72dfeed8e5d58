//! What a run showed, as JSON and as a page.
//!
//! Pure: a [`Report`] in, text out. Nothing here reads a clock, a file or an environment variable, so the same model
//! always gives the same bytes.
//!
//! - [`model`]: the report as plain data; start here.
//! - `json`: [`Report::to_json_pretty`], [`Report::from_json`]; the format is described in `report.schema.json`.
//! - [`html`]: the report as one page that opens offline.
//! - `chart`: axes and inline SVG for that page.
//! - `format`: numbers and times as people read them.

mod chart;
mod format;
pub mod html;
mod json;
pub mod model;

pub use json::ReadError;
pub use model::Report;
