//! Calls per second, stacked by how they ended.

use crate::chart::axis::ValueAxis;
use crate::chart::frame::{Frame, Plot};
use crate::chart::svg::{PathData, stretched};
use crate::format::{NS_PER_S, trimmed};
use crate::model::RatePoint;

const HEIGHT_PX: f64 = 170.0;

/// The chart; `None` where there was no call to show.
pub(crate) fn rate_chart(frame: &Frame, points: &[RatePoint]) -> Option<String> {
    let steps: Vec<Step> = points.iter().filter_map(|p| Step::new(frame, p)).collect();
    let max = steps.iter().map(|s| s.tops[2]).fold(0.0, f64::max);
    if max <= 0.0 {
        return None;
    }
    // Headroom: a steady rate should not look cut off at the top.
    let axis = ValueAxis::linear(max * 1.04, HEIGHT_PX);
    let content: String = ["area succeeded", "area expected", "area unexpected"]
        .into_iter()
        .enumerate()
        .map(|(layer, class)| area(&steps, layer, &axis).element(class))
        .collect();
    Some(frame.draw(&Plot {
        name: "rate",
        description: format!(
            "Calls per second over virtual time by how they ended, at most {}.",
            trimmed(max)
        ),
        tagged: false,
        height: HEIGHT_PX,
        axis: &axis,
        tick_label: trimmed,
        content: stretched(HEIGHT_PX, &content),
    }))
}

/// One interval as a column: its edges, and the heights of the three layers one upon the other, in calls per second.
struct Step {
    from: crate::chart::svg::X,
    to: crate::chart::svg::X,
    tops: [f64; 3],
}

impl Step {
    /// `None` for an interval without length, over which there is no rate.
    fn new(frame: &Frame, p: &RatePoint) -> Option<Self> {
        if p.width_ns == 0 {
            return None;
        }
        let per_second = |calls: u64| calls as f64 * NS_PER_S as f64 / p.width_ns as f64;
        let succeeded = per_second(p.succeeded);
        let expected = succeeded + per_second(p.failed_expected);
        let unexpected = expected + per_second(p.failed_unexpected);
        Some(Self {
            from: frame.time.x(p.start_ns),
            to: frame.time.x(p.start_ns.saturating_add(p.width_ns)),
            tops: [succeeded, expected, unexpected],
        })
    }

    fn base(&self, layer: usize) -> f64 {
        if layer == 0 { 0.0 } else { self.tops[layer - 1] }
    }

    fn is_empty(&self, layer: usize) -> bool {
        self.tops[layer] <= self.base(layer)
    }
}

/// One layer: an outline around each stretch of columns that touch and are not empty.
fn area(steps: &[Step], layer: usize, axis: &ValueAxis) -> PathData {
    let mut path = PathData::default();
    let stretches = steps
        .chunk_by(|a, b| a.to >= b.from && a.is_empty(layer) == b.is_empty(layer))
        .filter(|stretch| !stretch[0].is_empty(layer));
    for stretch in stretches {
        path.move_to(stretch[0].from, axis.y(stretch[0].tops[layer]));
        for step in stretch {
            let y = axis.y(step.tops[layer]);
            path.line_to(step.from, y);
            path.line_to(step.to, y);
        }
        for step in stretch.iter().rev() {
            let y = axis.y(step.base(layer));
            path.line_to(step.to, y);
            path.line_to(step.from, y);
        }
        path.close();
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(start_s: u64, succeeded: u64, failed_expected: u64, failed_unexpected: u64) -> RatePoint {
        RatePoint {
            start_ns: start_s * NS_PER_S,
            width_ns: NS_PER_S,
            succeeded,
            failed_expected,
            failed_unexpected,
        }
    }

    #[test]
    fn layers_stand_one_upon_the_other() {
        let frame = Frame::new(2 * NS_PER_S, &[]);
        let drawing = rate_chart(&frame, &[point(0, 4, 0, 0), point(1, 2, 1, 1)]).expect("calls");
        assert!(
            drawing.contains(
                "class=\"area succeeded\" d=\"M0 56.7L0 56.7L5000 56.7L5000 113.3L10000 113.3L10000 170"
            ),
            "{drawing}"
        );
        assert!(
            drawing.contains(
                "class=\"area unexpected\" d=\"M5000 56.7L5000 56.7L10000 56.7L10000 85L5000 85Z\""
            )
        );
    }

    #[test]
    fn a_layer_that_never_occurs_is_not_drawn() {
        let drawing = rate_chart(&Frame::new(NS_PER_S, &[]), &[point(0, 4, 0, 0)]).expect("calls");
        assert!(!drawing.contains("area unexpected"));
        assert_eq!(rate_chart(&Frame::new(NS_PER_S, &[]), &[point(0, 0, 0, 0)]), None);
    }

    #[test]
    fn an_interval_without_length_is_left_out() {
        let odd = RatePoint { width_ns: 0, ..point(0, 4, 0, 0) };
        assert_eq!(rate_chart(&Frame::new(NS_PER_S, &[]), &[odd]), None);
    }
}
