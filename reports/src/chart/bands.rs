//! Faults behind the curves: shaded bands with a tag each, `F1`, `F2`, … in order of their start.

use crate::chart::axis::TimeAxis;
use crate::chart::svg::{X, X_UNITS, px};
use crate::format::Text;
use crate::model::FaultBand;

/// Rows for the tags above the plot.
const TAG_ROWS: usize = 2;
/// From this number of bands on they are drawn without edges, and only one chart carries their tags.
const MANY: usize = 16;
/// Height of one row, px.
const TAG_ROW_PX: f64 = 17.0;
/// Width of a letter of a tag, in units of the x axis on a wide page, where the plot has some 950 px.
const LETTER_UNITS: u32 = 68;
/// Width of a whole tag (`F12`) on a narrow page, where the plot has some 290 px.
const NARROW_TAG_UNITS: u32 = 1_000;

/// The bands of one run, laid out once for all its charts.
#[derive(Debug)]
pub(crate) struct Bands {
    bands: Vec<Band>,
    rows: usize,
}

#[derive(Debug)]
struct Band {
    start: X,
    end: X,
    class: &'static str,
    label: Option<Label>,
}

#[derive(Debug)]
struct Label {
    tag: String,
    /// The words beside the tag, where there is room.
    words: Option<String>,
    row: usize,
    /// Whether a narrow page has room for the tag too.
    narrow: bool,
}

/// The class that gives a kind of fault its colour. A fixed list: a class is no place for foreign text.
pub(crate) fn kind_class(kind: &str) -> &'static str {
    match kind {
        "partition" => "k-partition",
        "crash" | "stop" => "k-crash",
        "link" | "streams" | "slow" => "k-link",
        _ => "k-other",
    }
}

impl Bands {
    pub(crate) fn new(faults: &[FaultBand], axis: TimeAxis) -> Self {
        // Where each row is free again, on a wide and on a narrow page.
        let mut free_wide = [0_u32; TAG_ROWS];
        let mut free_narrow = [0_u32; TAG_ROWS];
        let mut bands: Vec<Band> = Vec::with_capacity(faults.len());
        for (i, fault) in faults.iter().enumerate() {
            let start = axis.x(fault.start_ns);
            let end = axis.x(fault.end_ns.unwrap_or(u64::MAX)).max(start);
            let tag = format!("F{}", i + 1);
            let tag_units = letters(&tag);
            let label = (0..TAG_ROWS)
                .find(|row| free_wide[*row] <= start.0 && start.0 + tag_units <= X_UNITS)
                .map(|row| {
                    let with_words = start.0 + tag_units + letters(&fault.label);
                    let next_start = faults.get(i + 1).map_or(X_UNITS, |next| axis.x(next.start_ns).0);
                    let room = with_words <= next_start.max(start.0) && !fault.label.is_empty();
                    let words = room.then(|| fault.label.clone());
                    let gap = LETTER_UNITS;
                    free_wide[row] = if room { with_words } else { start.0 + tag_units } + gap;
                    let narrow = free_narrow[row] <= start.0 && start.0 + NARROW_TAG_UNITS / 2 <= X_UNITS;
                    if narrow {
                        free_narrow[row] = start.0 + NARROW_TAG_UNITS;
                    }
                    Label { tag, words, row, narrow }
                });
            bands.push(Band { start, end, class: kind_class(&fault.kind), label });
        }
        let rows = bands.iter().filter_map(|b| b.label.as_ref()).map(|l| l.row + 1).max().unwrap_or(0);
        Self { bands, rows }
    }

    /// Whether there are so many that they would drown the curves if drawn in full on every chart.
    pub(crate) fn are_many(&self) -> bool {
        self.bands.len() >= MANY
    }

    /// Height of the rows of tags, px.
    pub(crate) fn tags_height(&self) -> f64 {
        self.rows as f64 * TAG_ROW_PX
    }

    /// The shades, for a plot of this height with its top at zero.
    pub(crate) fn shades(&self, height: f64) -> String {
        let height = px(height);
        self.bands
            .iter()
            .map(|band| {
                let (x, width) = (band.start.percent(), X(band.end.0 - band.start.0).percent());
                let class = band.class;
                format!(
                    "<rect class=\"band {class}\" x=\"{x}\" width=\"{width}\" y=\"0\" height=\"{height}\"/>\
                     <line class=\"band-edge {class}\" x1=\"{x}\" x2=\"{x}\" y1=\"0\" y2=\"{height}\"/>"
                )
            })
            .collect()
    }

    /// The tags, above the plot's top.
    pub(crate) fn tags(&self) -> String {
        self.bands
            .iter()
            .filter_map(|band| band.label.as_ref().map(|label| (band, label)))
            .map(|(band, label)| {
                let y = px(-5.0 - label.row as f64 * TAG_ROW_PX);
                let class = if label.narrow { "" } else { " wide-only" };
                let words = label.words.as_ref().map(|w| format!("<tspan class=\"wide-only\" dx=\"5\">{}</tspan>", Text(w)));
                format!(
                    "<text class=\"tag{class}\" x=\"{}\" y=\"{y}\"><tspan class=\"tag-id {}\">{}</tspan>{}</text>",
                    band.start.percent(),
                    band.class,
                    label.tag,
                    words.unwrap_or_default(),
                )
            })
            .collect()
    }
}

fn letters(text: &str) -> u32 {
    (text.chars().count() as u32 + 1).saturating_mul(LETTER_UNITS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::NS_PER_S;

    fn fault(start_s: u64, end_s: Option<u64>, label: &str) -> FaultBand {
        FaultBand {
            start_ns: start_s * NS_PER_S,
            end_ns: end_s.map(|s| s * NS_PER_S),
            kind: "partition".to_owned(),
            label: label.to_owned(),
            hosts: Vec::new(),
        }
    }

    #[test]
    fn words_stand_only_where_there_is_room_before_the_next_fault() {
        let axis = TimeAxis::new(600 * NS_PER_S);
        let bands = Bands::new(
            &[fault(60, Some(90), "one"), fault(70, Some(80), "two"), fault(71, None, "three")],
            axis,
        );
        let labels: Vec<_> =
            bands.bands.iter().map(|b| b.label.as_ref().map(|l| (l.row, l.words.is_some()))).collect();
        assert_eq!(labels, [Some((0, false)), Some((1, false)), None]);
        assert_eq!(bands.bands[2].end, X(10_000));
        assert_eq!(bands.rows, 2);
    }

    #[test]
    fn a_thousand_faults_are_all_shaded_and_never_panic() {
        let axis = TimeAxis::new(10 * NS_PER_S);
        let faults: Vec<_> = (0..1_000).map(|i| fault(i / 100, Some(i / 100 + 1), "x")).collect();
        let bands = Bands::new(&faults, axis);
        assert_eq!(bands.shades(100.0).matches("<rect").count(), 1_000);
        assert!(bands.tags().matches("<text").count() < 100);
    }

    #[test]
    fn a_fault_that_ends_before_it_starts_has_no_width() {
        let bands = Bands::new(&[fault(50, Some(10), "odd")], TimeAxis::new(100 * NS_PER_S));
        assert!(bands.shades(10.0).contains("width=\"0%\""));
    }
}
