//! How long the views took to agree after each disturbance: one stem per disturbance, as tall as it took.

use crate::chart::axis::ValueAxis;
use crate::chart::frame::{Frame, Plot};
use crate::chart::svg::px;
use crate::format::{NS_PER_S, latency, tick};
use crate::model::ConvergencePoint;

const HEIGHT_PX: f64 = 120.0;

/// The chart; `None` where nothing was disturbed.
pub(crate) fn convergence_chart(frame: &Frame, points: &[ConvergencePoint]) -> Option<String> {
    if points.is_empty() {
        return None;
    }
    let slowest_ns = points.iter().filter_map(|p| p.settled_after_ns).max();
    let axis = ValueAxis::linear(slowest_ns.unwrap_or(NS_PER_S) as f64, HEIGHT_PX);
    let unsettled = points.iter().filter(|p| p.settled_after_ns.is_none()).count();
    let description = match slowest_ns {
        Some(ns) => format!(
            "Time until all views agreed, at most {}; {unsettled} of {} never did.",
            latency(ns),
            points.len()
        ),
        None => format!("Time until all views agreed: none of {} disturbances settled.", points.len()),
    };
    Some(frame.draw(&Plot {
        name: "convergence",
        description,
        tagged: false,
        height: HEIGHT_PX,
        axis: &axis,
        tick_label: |ns| tick(ns.round() as u64),
        content: points.iter().map(|p| stem(frame, &axis, p)).collect(),
    }))
}

fn stem(frame: &Frame, axis: &ValueAxis, point: &ConvergencePoint) -> String {
    let x = frame.time.x(point.start_ns).percent();
    let base = px(HEIGHT_PX);
    match point.settled_after_ns {
        Some(ns) => {
            let y = px(axis.y(ns as f64));
            format!(
                "<line class=\"stem\" x1=\"{x}\" x2=\"{x}\" y1=\"{base}\" y2=\"{y}\"/>\
                 <circle class=\"head\" cx=\"{x}\" cy=\"{y}\" r=\"4.5\"/>"
            )
        }
        None => format!(
            "<line class=\"stem never\" x1=\"{x}\" x2=\"{x}\" y1=\"{base}\" y2=\"20\"/>\
             <text class=\"never-mark\" x=\"{x}\" y=\"10\" dy=\"0.35em\">✗</text>"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(start_s: u64, settled_after_s: Option<u64>) -> ConvergencePoint {
        ConvergencePoint {
            start_ns: start_s * NS_PER_S,
            settled_after_ns: settled_after_s.map(|s| s * NS_PER_S),
            cause: "healed".to_owned(),
        }
    }

    #[test]
    fn what_never_settled_is_marked_as_such() {
        let drawing =
            convergence_chart(&Frame::new(100 * NS_PER_S, &[]), &[point(10, Some(4)), point(50, None)]);
        let drawing = drawing.expect("two points");
        assert_eq!(drawing.matches("class=\"head\"").count(), 1);
        assert_eq!(drawing.matches("stem never").count(), 1);
        assert!(drawing.contains("1 of 2 never did"));
    }

    #[test]
    fn without_disturbance_there_is_no_chart() {
        assert_eq!(convergence_chart(&Frame::new(NS_PER_S, &[]), &[]), None);
        assert!(convergence_chart(&Frame::new(NS_PER_S, &[]), &[point(0, None)]).is_some());
    }
}
