//! How likely the failure still is where the randomness is drawn anew from some moment on.
//!
//! Before the moment that decides, most runs go well; after it, most fail: the step in the curve is where to look.

use crate::chart::axis::ValueAxis;
use crate::chart::frame::{Frame, Plot};
use crate::chart::svg::{PathData, px, stretched};
use crate::format::{percent, trimmed};
use crate::model::LikelihoodPoint;

const HEIGHT_PX: f64 = 140.0;

/// The chart; `None` where nobody has measured it.
pub(crate) fn likelihood_chart(frame: &Frame, points: &[LikelihoodPoint]) -> Option<String> {
    let points: Vec<_> = points.iter().filter(|point| point.runs > 0).collect();
    let most = points.iter().max_by(|a, b| share(a).total_cmp(&share(b)))?;
    let axis = ValueAxis::linear(100.0, HEIGHT_PX);
    let mut path = PathData::default();
    for (i, point) in points.iter().enumerate() {
        let (x, y) = (frame.time.x(point.from_ns), axis.y(share(point)));
        if i == 0 {
            path.move_to(x, y);
        }
        path.line_to(x, y);
    }
    let dots: String = points
        .iter()
        .map(|point| {
            let (x, y) = (frame.time.x(point.from_ns).percent(), px(axis.y(share(point))));
            format!("<circle class=\"head\" cx=\"{x}\" cy=\"{y}\" r=\"4.5\"/>")
        })
        .collect();
    Some(frame.draw(&Plot {
        name: "likelihood",
        description: format!(
            "Share of runs that fail where the randomness is drawn anew from a moment on, at most {}.",
            percent(most.failed.min(most.runs), most.runs)
        ),
        tagged: false,
        height: HEIGHT_PX,
        axis: &axis,
        tick_label: |value| format!("{} %", trimmed(value)),
        content: stretched(HEIGHT_PX, &path.element("line p50")) + &dots,
    }))
}

/// In per cent; more failures than runs count as all.
fn share(point: &LikelihoodPoint) -> f64 {
    point.failed.min(point.runs) as f64 / point.runs as f64 * 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::NS_PER_S;

    #[test]
    fn each_moment_is_a_dot_and_one_without_runs_is_none() {
        let point = |from_s: u64, runs, failed| LikelihoodPoint { from_ns: from_s * NS_PER_S, runs, failed };
        let frame = Frame::new(100 * NS_PER_S, &[]);
        let points = [point(0, 20, 1), point(50, 0, 0), point(60, 20, 20)];
        let drawing = likelihood_chart(&frame, &points).expect("two points");
        assert_eq!(drawing.matches("class=\"head\"").count(), 2);
        assert!(drawing.contains("at most 100 %"), "{drawing}");
        assert_eq!(likelihood_chart(&frame, &[point(0, 0, 0)]), None);
    }
}
