//! Latency over virtual time: one line per percentile, with gaps where there were no calls.

use crate::chart::axis::ValueAxis;
use crate::chart::frame::{Frame, Plot};
use crate::chart::svg::{PathData, X, stretched};
use crate::format::{latency, tick};
use crate::model::LatencyPoint;

const HEIGHT_PX: f64 = 220.0;
/// From this number of points on the lines are drawn finer, so that they do not run together.
const FINE_FROM_POINTS: usize = 240;

/// The chart, and whether its value axis is logarithmic; `None` where there was no call to show.
pub(crate) fn latency_chart(frame: &Frame, points: &[LatencyPoint]) -> Option<(String, bool)> {
    let runs = runs(points);
    let shown = || runs.iter().flat_map(|run| run.iter());
    let min = shown().map(|p| p.p50_ns).filter(|ns| *ns > 0).min().unwrap_or(0) as f64;
    let max = shown().map(|p| p.p99_ns.max(p.p90_ns).max(p.p50_ns)).max()? as f64;
    let axis = ValueAxis::fitting(min, max, HEIGHT_PX);
    let x = |p: &LatencyPoint| frame.time.x(p.start_ns.saturating_add(p.width_ns / 2));

    let mut content = spread(&runs, &axis, x).element("spread");
    for (class, value) in percentiles() {
        let fine = if points.len() >= FINE_FROM_POINTS { " fine" } else { "" };
        content.push_str(&line(&runs, &axis, x, value).element(&format!("{class}{fine}")));
    }
    let description = format!(
        "Latency of calls that succeeded over virtual time. The 99th percentile goes up to {}.",
        latency(shown().map(|p| p.p99_ns).max()?)
    );
    let drawing = frame.draw(&Plot {
        name: "latency",
        description,
        tagged: true,
        height: HEIGHT_PX,
        axis: &axis,
        tick_label: |ns| tick(ns.round() as u64),
        content: stretched(HEIGHT_PX, &content),
    });
    Some((drawing, axis.is_log()))
}

type Percentile = fn(&LatencyPoint) -> u64;

fn percentiles() -> [(&'static str, Percentile); 3] {
    [("line p99", |p| p.p99_ns), ("line p90", |p| p.p90_ns), ("line p50", |p| p.p50_ns)]
}

/// Cuts the points where there were no calls, or where an interval is missing.
fn runs(points: &[LatencyPoint]) -> Vec<Vec<&LatencyPoint>> {
    let mut runs: Vec<Vec<&LatencyPoint>> = Vec::new();
    let mut open_until_ns = None;
    for point in points {
        if point.calls == 0 {
            open_until_ns = None;
            continue;
        }
        match runs.last_mut() {
            Some(run) if open_until_ns.is_some_and(|until| point.start_ns <= until) => run.push(point),
            _ => runs.push(vec![point]),
        }
        open_until_ns = Some(point.start_ns.saturating_add(point.width_ns));
    }
    runs
}

fn line(
    runs: &[Vec<&LatencyPoint>],
    axis: &ValueAxis,
    x: impl Fn(&LatencyPoint) -> X,
    value: Percentile,
) -> PathData {
    let mut path = PathData::default();
    for run in runs {
        for (i, point) in run.iter().enumerate() {
            let y = axis.y(value(point) as f64);
            if i == 0 {
                path.move_to(x(point), y);
            }
            // Also for the first point: a run of one is then a dot, by its round line caps.
            if i > 0 || run.len() == 1 {
                path.line_to(x(point), y);
            }
        }
    }
    path
}

/// The area between median and 99th percentile.
fn spread(runs: &[Vec<&LatencyPoint>], axis: &ValueAxis, x: impl Fn(&LatencyPoint) -> X) -> PathData {
    let mut path = PathData::default();
    for run in runs.iter().filter(|run| run.len() > 1) {
        for (i, point) in run.iter().enumerate() {
            let y = axis.y(point.p99_ns as f64);
            if i == 0 {
                path.move_to(x(point), y);
            } else {
                path.line_to(x(point), y);
            }
        }
        for point in run.iter().rev() {
            path.line_to(x(point), axis.y(point.p50_ns as f64));
        }
        path.close();
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{NS_PER_MS, NS_PER_S};

    fn point(start_s: u64, calls: u64) -> LatencyPoint {
        LatencyPoint {
            start_ns: start_s * NS_PER_S,
            width_ns: NS_PER_S,
            calls,
            p50_ns: 20 * NS_PER_MS,
            p90_ns: 30 * NS_PER_MS,
            p99_ns: 40 * NS_PER_MS,
            max_ns: 50 * NS_PER_MS,
        }
    }

    #[test]
    fn silence_and_missing_intervals_are_gaps() {
        let points = [point(0, 3), point(1, 3), point(2, 0), point(3, 3), point(6, 3), point(7, 3)];
        let lengths: Vec<usize> = runs(&points).iter().map(Vec::len).collect();
        assert_eq!(lengths, [2, 1, 2]);
    }

    #[test]
    fn a_lonely_point_is_a_dot_and_not_nothing() {
        let (drawing, log) =
            latency_chart(&Frame::new(10 * NS_PER_S, &[]), &[point(4, 1)]).expect("one point");
        assert!(drawing.contains("class=\"line p50\" d=\"M4500 110L4500 110\""), "{drawing}");
        assert!(!log);
    }

    #[test]
    fn without_calls_there_is_no_chart() {
        assert_eq!(latency_chart(&Frame::new(NS_PER_S, &[]), &[point(0, 0)]), None);
        assert_eq!(latency_chart(&Frame::new(0, &[]), &[]), None);
    }
}
