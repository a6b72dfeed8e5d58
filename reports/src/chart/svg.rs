//! The few SVG elements that the charts are made of.

use std::fmt::Write as _;

/// Units across the stretched inner drawing: finer than a pixel on any screen.
pub(crate) const X_UNITS: u32 = 10_000;

/// A place along the x axis, 0 to [`X_UNITS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct X(pub(crate) u32);

impl X {
    /// As a percentage of the plot's width.
    pub(crate) fn percent(self) -> String {
        let (whole, rest) = (self.0 / 100, self.0 % 100);
        if rest == 0 { format!("{whole}%") } else { format!("{whole}.{rest:02}%") }
    }
}

/// The `d` of a path. Coordinates are absolute.
#[derive(Debug, Default)]
pub(crate) struct PathData(String);

impl PathData {
    pub(crate) fn move_to(&mut self, x: X, y: f64) {
        self.point('M', x, y);
    }

    pub(crate) fn line_to(&mut self, x: X, y: f64) {
        self.point('L', x, y);
    }

    pub(crate) fn close(&mut self) {
        self.0.push('Z');
    }

    fn point(&mut self, command: char, x: X, y: f64) {
        let _ = write!(self.0, "{command}{} {}", x.0, px(y));
    }

    /// The path element, or nothing where nothing was drawn.
    pub(crate) fn element(&self, class: &str) -> String {
        if self.0.is_empty() { String::new() } else { format!("<path class=\"{class}\" d=\"{}\"/>", self.0) }
    }
}

/// Stretches paths to the plot's width while their strokes keep theirs.
pub(crate) fn stretched(height: f64, content: &str) -> String {
    if content.is_empty() {
        return String::new();
    }
    let height = px(height);
    format!(
        "<svg class=\"stretch\" width=\"100%\" height=\"{height}\" viewBox=\"0 0 {X_UNITS} {height}\" \
         preserveAspectRatio=\"none\">{content}</svg>"
    )
}

/// A pixel value with at most one decimal.
pub(crate) fn px(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_short_as_they_can_be() {
        assert_eq!(X(2_000).percent(), "20%");
        assert_eq!(X(2_005).percent(), "20.05%");
        assert_eq!(px(12.0), "12");
        assert_eq!(px(12.34), "12.3");
    }

    #[test]
    fn an_empty_path_is_no_element() {
        assert_eq!(PathData::default().element("line"), "");
        let mut path = PathData::default();
        path.move_to(X(0), 1.0);
        path.line_to(X(10_000), 2.5);
        assert_eq!(path.element("line"), "<path class=\"line\" d=\"M0 1L10000 2.5\"/>");
    }
}
