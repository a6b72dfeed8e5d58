//! How full something was over virtual time: the mean of each interval, and the most.

use crate::chart::axis::ValueAxis;
use crate::chart::frame::{Frame, Plot};
use crate::chart::svg::{PathData, stretched};
use crate::format::{NS_PER_S, trimmed};
use crate::model::{Series, SeriesPoint};

const HEIGHT_PX: f64 = 90.0;
/// Bytes in a kibibyte, and of each larger unit in the next.
const KIBI: f64 = 1_024.0;

/// The chart, as number `place` of its kind; `None` where it was empty all the time.
pub(crate) fn level_chart(frame: &Frame, series: &Series, place: usize) -> Option<String> {
    let most = series.points.iter().map(|point| point.max).max().filter(|most| *most > 0)?;
    let axis = ValueAxis::linear(most as f64 * 1.04, HEIGHT_PX);
    let line = |value: fn(&SeriesPoint) -> u64| {
        let mut path = PathData::default();
        let mut open_until_ns = None;
        for point in &series.points {
            let middle = point.start_ns.saturating_add(point.width_ns / 2);
            let (x, y) = (frame.time.x(middle), axis.y(value(point) as f64));
            if open_until_ns.is_none_or(|until| point.start_ns > until) {
                path.move_to(x, y);
            }
            path.line_to(x, y);
            open_until_ns = Some(point.start_ns.saturating_add(point.width_ns.max(NS_PER_S)));
        }
        path
    };
    let content = line(|point| point.max).element("line p99") + &line(|point| point.mean).element("line p50");
    let shown = if is_bytes(series) { bytes } else { trimmed };
    Some(frame.draw(&Plot {
        name: &format!("level{place}"),
        description: format!("{} over virtual time, at most {}.", series.name, shown(most as f64)),
        tagged: false,
        height: HEIGHT_PX,
        axis: &axis,
        tick_label: shown,
        content: stretched(HEIGHT_PX, &content),
    }))
}

/// Whether it counts bytes; all else is pieces.
pub(crate) fn is_bytes(series: &Series) -> bool {
    series.unit == "bytes"
}

/// Bytes in the unit that fits: `512 B`, `1.5 MiB`.
pub(crate) fn bytes(value: f64) -> String {
    let mut value = value;
    for unit in ["B", "KiB", "MiB"] {
        if value < KIBI {
            return format!("{} {unit}", short(value));
        }
        value /= KIBI;
    }
    format!("{} GiB", short(value))
}

fn short(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { trimmed((value * 10.0).round() / 10.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(levels: &[(u64, u64, u64)]) -> Series {
        let point = |&(start_s, mean, max): &(u64, u64, u64)| SeriesPoint {
            start_ns: start_s * NS_PER_S,
            width_ns: NS_PER_S,
            mean,
            max,
        };
        Series {
            name: "live memory".to_owned(),
            unit: "bytes".to_owned(),
            of_machine: true,
            points: levels.iter().map(point).collect(),
        }
    }

    #[test]
    fn what_was_not_seen_is_a_gap_and_what_was_always_empty_is_no_chart() {
        let frame = Frame::new(10 * NS_PER_S, &[]);
        let chart = |levels: &[_]| level_chart(&frame, &series(levels), 0);
        assert_eq!(chart(&[(0, 0, 0)]), None);
        let drawing = chart(&[(0, 5, 9), (1, 5, 9), (6, 5, 9)]).expect("three points");
        let mean = drawing.split("class=\"line p50\" d=\"").nth(1).and_then(|rest| rest.split('"').next());
        assert_eq!(mean.expect("a path").matches('M').count(), 2, "{drawing}");
    }

    #[test]
    fn bytes_read_well() {
        assert_eq!([512.0, 1_536.0, 3_200_000.0, 5e9].map(bytes), ["512 B", "1.5 KiB", "3.1 MiB", "4.7 GiB"]);
    }
}
