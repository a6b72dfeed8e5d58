//! Charts as inline SVG, drawn for any width.
//!
//! Horizontal places are percentages (or, within paths, ten-thousandths of a stretched inner drawing), vertical ones
//! are pixels; strokes and text do not stretch. So one drawing is right at 390 and at 1280 pixels. Colours are left to
//! the page's style sheet: every element only has a class, which is what makes one drawing work on light and dark.

mod axis;
mod bands;
mod convergence;
mod frame;
mod latency;
mod level;
mod likelihood;
mod rate;
mod svg;

pub(crate) use bands::kind_class;
pub(crate) use convergence::convergence_chart;
pub(crate) use frame::Frame;
pub(crate) use latency::latency_chart;
pub(crate) use level::{is_bytes, level_chart};
pub(crate) use likelihood::likelihood_chart;
pub(crate) use rate::rate_chart;
