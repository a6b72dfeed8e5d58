//! What all charts of a run share: time axis, grid, bands, and the place of the hover cursor.

use crate::chart::axis::{TimeAxis, ValueAxis};
use crate::chart::bands::Bands;
use crate::chart::svg::px;
use crate::format::{ClockStyle, Text};

/// Height under the plot for the time labels, px.
const TIME_LABELS_PX: f64 = 24.0;
/// Room above the plot for the topmost value label, px.
const TOP_PX: f64 = 10.0;

/// The frame that every chart of one run is drawn into, so that all share one x axis.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) time: TimeAxis,
    clock: ClockStyle,
    bands: Bands,
}

/// What one chart puts into the frame.
pub(crate) struct Plot<'a> {
    /// Name for the script: `latency`.
    pub(crate) name: &'a str,
    /// What the chart shows, in a sentence, for those who do not see it.
    pub(crate) description: String,
    /// Whether it names the faults even where there are many: the first chart does.
    pub(crate) tagged: bool,
    /// Height of the plot without labels, px.
    pub(crate) height: f64,
    /// Tick values of this axis become grid lines.
    pub(crate) axis: &'a ValueAxis,
    /// How its ticks are written.
    pub(crate) tick_label: fn(f64) -> String,
    /// The curves: elements, origin at the plot's upper left.
    pub(crate) content: String,
}

impl Frame {
    pub(crate) fn new(duration_ns: u64, bands: &[crate::model::FaultBand]) -> Self {
        let time = TimeAxis::new(duration_ns);
        Self { time, clock: ClockStyle::for_run(duration_ns), bands: Bands::new(bands, time) }
    }

    /// The whole drawing: bands, grid, curves, labels.
    pub(crate) fn draw(&self, plot: &Plot<'_>) -> String {
        let tagged = plot.tagged || !self.bands.are_many();
        let top = TOP_PX + if tagged { self.bands.tags_height() } else { 0.0 };
        let total = px(top + plot.height + TIME_LABELS_PX);
        let top = px(top);
        let height = px(plot.height);
        format!(
            "<svg class=\"plot{many}\" role=\"img\" aria-label=\"{description}\" data-plot=\"{name}\" height=\"{total}\">\
             <svg y=\"{top}\" width=\"100%\" height=\"{height}\" class=\"open\">\
             {shades}{grid}{content}{ticks}{tags}\
             <line class=\"cursor\" x1=\"0\" x2=\"0\" y1=\"0\" y2=\"{height}\"/></svg></svg>",
            description = Text(&plot.description),
            name = plot.name,
            many = if self.bands.are_many() { " many" } else { "" },
            shades = self.bands.shades(plot.height),
            grid = grid(plot),
            content = plot.content,
            ticks = self.time_ticks(plot.height),
            tags = if tagged { self.bands.tags() } else { String::new() },
        )
    }

    fn time_ticks(&self, height: f64) -> String {
        let ticks = self.time.ticks_ns();
        // A narrow page has room for six labels.
        let every = ticks.len().div_ceil(7).max(1);
        let label_y = px(height + 19.0);
        let (y1, y2) = (px(height), px(height + 5.0));
        ticks
            .into_iter()
            .enumerate()
            .map(|(i, at_ns)| {
                let x = self.time.x(at_ns).percent();
                let class = if i % every == 0 { "" } else { " wide-only" };
                format!(
                    "<line class=\"tick{class}\" x1=\"{x}\" x2=\"{x}\" y1=\"{y1}\" y2=\"{y2}\"/>\
                     <text class=\"tick-time{class}\" x=\"{x}\" y=\"{label_y}\">{}</text>",
                    self.clock.axis(at_ns)
                )
            })
            .collect()
    }
}

fn grid(plot: &Plot<'_>) -> String {
    plot.axis
        .ticks
        .iter()
        .enumerate()
        .map(|(i, value)| {
            let y = px(plot.axis.y(*value));
            let class = if i == 0 { "base" } else { "grid" };
            format!(
                "<line class=\"{class}\" x1=\"0\" x2=\"100%\" y1=\"{y}\" y2=\"{y}\"/>\
                 <text class=\"tick-value\" x=\"-10\" y=\"{y}\" dy=\"0.32em\">{}</text>",
                (plot.tick_label)(*value)
            )
        })
        .collect()
}
