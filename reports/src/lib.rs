//! What a run showed, as JSON and as a page.
//!
//! Pure: a [`Report`] in, text out. Nothing here reads a clock, a file or an environment variable, so the same model
//! always gives the same bytes.

pub mod model;

pub use model::Report;
