//! Where two runs that should be the same part.

use std::fmt;

use super::words::{Line, Words};
use super::{Kind, Trace};

/// Events shown before the first one that differs.
const CONTEXT_EVENTS: usize = 5;
/// Events shown from the first one that differs on.
const AFTER_EVENTS: usize = 3;

/// Columns of text, unless asked for others: a terminal, or a CI log.
const COLUMNS: usize = 140;
/// In fewer columns than this the two sides stand one over the other.
const COLUMNS_SIDE_BY_SIDE_MIN: usize = 110;
/// Between the two sides.
const BAR: &str = " │ ";

/// The first event in which two traces differ, with what came before and after it on both sides.
///
/// Its `Display` is meant for people: side by side in 140 columns, or in as many as the format's width says
/// (`{divergence:160}`); one side over the other where there is no room.
#[derive(Debug)]
pub struct Divergence {
    /// How many events both have in common.
    pub index: u64,
    /// The last remark and the last fault before it.
    before: Vec<Line>,
    common: Vec<Line>,
    left: Vec<Line>,
    right: Vec<Line>,
}

/// Compares two recorded traces; `None` where they are the same.
///
/// Traces that were not recorded have no events to compare and count as the same.
pub fn first_divergence(left: &Trace, right: &Trace) -> Option<Divergence> {
    let (a, b) = (left.events(), right.events());
    let index = a.iter().zip(b).take_while(|(one, two)| one == two).count();
    if index == a.len() && index == b.len() {
        return None;
    }
    let kept = left.kept.as_ref()?;
    let words = Words::new(&kept.names);
    let lines = |trace: &Trace, from: usize, to: usize| -> Vec<Line> {
        let Some(kept) = &trace.kept else { return Vec::new() };
        let (from, to) = (from.min(kept.events.len()), to.min(kept.events.len()));
        let words = Words::new(&kept.names);
        kept.events[from..to].iter().map(|event| words.line(event)).collect()
    };
    let last = |kind: Kind, earlier: usize| {
        a[..index].iter().rev().find(|event| event.kind == kind).or(kept.before[earlier].as_ref())
    };
    let mut before: Vec<_> = [last(Kind::Note, 0), last(Kind::Fault, 1)].into_iter().flatten().collect();
    before.sort_by_key(|event| event.at);
    Some(Divergence {
        index: kept.first() + index as u64,
        before: before.into_iter().map(|event| words.line(event)).collect(),
        common: lines(left, index.saturating_sub(CONTEXT_EVENTS), index),
        left: lines(left, index, index + AFTER_EVENTS),
        right: lines(right, index, index + AFTER_EVENTS),
    })
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = f.width().unwrap_or(COLUMNS);
        writeln!(f, "the runs part at event {}:", self.index)?;
        for line in &self.before {
            writeln!(f, "  last before it, at {}: {}{}", line.at, on(&line.host), line.what)?;
        }
        let widths = self.widths();
        for line in &self.common {
            writeln!(f, "  both    {}", cells(line, widths))?;
        }
        match columns >= COLUMNS_SIDE_BY_SIDE_MIN {
            true => self.side_by_side(f, columns),
            false => self.stacked(f, widths),
        }
    }
}

fn on(host: &str) -> String {
    if host.is_empty() { String::new() } else { format!("{host} ") }
}

/// A line with its time, host and task in columns of these widths.
fn cells(line: &Line, [at, host, task]: [usize; 3]) -> String {
    format!("{:>at$}  {:<host$}  {:<task$}  {}", line.at, line.host, line.task, line.what)
        .trim_end()
        .to_owned()
}

impl Divergence {
    /// The widest time, host and task.
    fn widths(&self) -> [usize; 3] {
        let all = || self.common.iter().chain(&self.left).chain(&self.right);
        let widest = |of: fn(&Line) -> &String| all().map(|line| of(line).chars().count()).max().unwrap_or(0);
        [widest(|line| &line.at), widest(|line| &line.host), widest(|line| &line.task)]
    }

    fn stacked(&self, f: &mut fmt::Formatter<'_>, widths: [usize; 3]) -> fmt::Result {
        for (name, lines) in [("first ", &self.left), ("second", &self.right)] {
            if lines.is_empty() {
                writeln!(f, "> {name}  (ended here)")?;
            }
            for (position, line) in lines.iter().enumerate() {
                let mark = if position == 0 { '>' } else { ' ' };
                writeln!(f, "{mark} {name}  {}", cells(line, widths))?;
            }
        }
        Ok(())
    }

    fn side_by_side(&self, f: &mut fmt::Formatter<'_>, columns: usize) -> fmt::Result {
        let width = (columns - BAR.chars().count()) / 2;
        writeln!(f, "  {:<width$}{BAR}  second", "first", width = width - 2)?;
        for position in 0..self.left.len().max(self.right.len()).max(1) {
            let mark = if position == 0 { "> " } else { "  " };
            let side = |lines: &[Line]| match lines.get(position) {
                Some(line) => wrap(line, width - mark.len()),
                None if position == 0 => vec!["(ended here)".to_owned()],
                None => Vec::new(),
            };
            let (left, right) = (side(&self.left), side(&self.right));
            for row in 0..left.len().max(right.len()) {
                let mark = if row == 0 { mark } else { "  " };
                let cell = |side: &[String]| side.get(row).cloned().unwrap_or_default();
                let (one, other) = (format!("{mark}{}", cell(&left)), format!("{mark}{}", cell(&right)));
                writeln!(f, "{}", format!("{one:<width$}{BAR}{other}").trim_end())?;
            }
        }
        Ok(())
    }
}

/// A line in rows of at most so many characters: when and where, then what, indented.
fn wrap(line: &Line, width: usize) -> Vec<String> {
    let place = [&line.at, &line.host, &line.task].map(String::as_str);
    let place: Vec<&str> = place.into_iter().filter(|part| !part.is_empty()).collect();
    let mut rows = Vec::new();
    for (text, indent) in [(place.join("  "), ""), (line.what.clone(), "    ")] {
        let mut row = String::from(indent);
        for word in text.split(' ') {
            let is_first = row.trim().is_empty();
            if !is_first && row.chars().count() + 1 + word.chars().count() > width {
                rows.push(std::mem::replace(&mut row, String::from("    ")));
            } else if !is_first {
                row.push(' ');
            }
            row.push_str(word);
        }
        // What is one long word is cut into pieces.
        while row.chars().count() > width {
            let rest: String = row.chars().skip(width).collect();
            rows.push(row.chars().take(width).collect());
            row = rest;
        }
        rows.push(row);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::super::{Keep, NONE};
    use super::*;

    fn trace(ports: &[u64]) -> Trace {
        let mut trace = Trace::new(true);
        trace.name_host("hub");
        trace.name_process("director");
        trace.name_task(0, "director");
        trace.note(0, NONE, "fault: partition of main-b from everyone");
        for (at, port) in ports.iter().enumerate() {
            trace.enter(0, 0);
            trace.emit(at as u64 * 1_000_000, Kind::Dial, 0, *port, 0);
        }
        trace
    }

    #[test]
    fn equal_traces_do_not_diverge() {
        assert!(first_divergence(&trace(&[1, 2, 3]), &trace(&[1, 2, 3])).is_none());
    }

    #[test]
    fn the_first_event_that_differs_is_shown_side_by_side_with_its_context() {
        let found = first_divergence(&trace(&[1, 2, 3, 4]), &trace(&[1, 2, 7, 4])).unwrap();
        assert_eq!(found.index, 3);
        for columns in [120, 140, 160] {
            let text = format!("{found:columns$}");
            assert!(text.contains("last before it, at 0.000000ns: fault: partition of main-b"), "{text}");
            assert!(text.contains("both"), "{text}");
            let row = text.lines().find(|row| row.contains("dials port 3 of hub")).unwrap();
            assert!(row.contains("│") && row.contains("dials port 7 of hub"), "{text}");
            let place = text.lines().find(|row| row.starts_with("> ")).unwrap();
            assert!(place.contains("2.000000ms  hub  director#0") && place.contains("│ > "), "{text}");
            assert!(text.lines().all(|row| row.chars().count() <= columns), "{text}");
        }
    }

    #[test]
    fn a_window_shows_the_same_as_the_whole() {
        let fill = |keep: Keep, odd: u64| {
            let mut trace = Trace::new(keep);
            trace.name_host("hub");
            trace.name_host("home");
            trace.note(0, NONE, "early");
            trace.emit(1, Kind::Accept, 0, 4, 1);
            (0..100).for_each(|at| trace.emit(at, Kind::SegmentSent, 1, 4, at + u64::from(at == odd)));
            trace
        };
        let told = |keep: &Keep| {
            let found = first_divergence(&fill(keep.clone(), 101), &fill(keep.clone(), 50)).unwrap();
            (found.index, found.to_string())
        };
        let whole = told(&Keep::All);
        assert_eq!(whole, told(&Keep::Window(40..60)));
        assert!(whole.1.contains("early") && whole.1.contains("sends 51 bytes to hub"), "{}", whole.1);
        assert!(
            first_divergence(&fill(Keep::Window(60..90), 101), &fill(Keep::Window(60..90), 50)).is_none()
        );
    }

    #[test]
    fn where_there_is_no_room_one_side_stands_over_the_other() {
        let found = first_divergence(&trace(&[1, 2, 3, 4]), &trace(&[1, 2, 7, 4])).unwrap();
        let text = format!("{found:80}");
        assert!(text.contains("> first ") && text.contains("> second"), "{text}");
        assert!(!text.contains("│"), "{text}");
    }

    #[test]
    fn a_trace_that_ends_early_diverges_at_its_end() {
        let found = first_divergence(&trace(&[1, 2]), &trace(&[1])).unwrap();
        assert_eq!(found.index, 2);
        assert!(format!("{found}").contains("(ended here)"));
        assert!(format!("{found:60}").contains("> second  (ended here)"));
    }

    #[test]
    fn long_words_are_cut_to_their_column() {
        let what = "x".repeat(300);
        let line = Line { at: "1s".into(), host: "hub".into(), task: String::new(), what };
        let rows = wrap(&line, 60);
        assert!(rows.len() > 4 && rows.iter().all(|row| row.chars().count() <= 60), "{rows:?}");
    }
}
