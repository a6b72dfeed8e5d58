//! Tables that fit a CI log.

use std::fmt;
use std::time::Duration;

/// Rows of text in columns, a mark before each. Columns that hold only numbers and units are set to the right.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

/// Spaces between columns.
const GAP: usize = 2;

impl Table {
    /// A table with these titles; the first column takes the mark.
    pub(crate) fn new<const N: usize>(titles: [&str; N]) -> Self {
        Table { rows: vec![titles.map(str::to_owned).into()] }
    }

    /// Adds a row of all columns but the mark.
    pub(crate) fn row<const N: usize>(&mut self, holds: bool, cells: [String; N]) {
        let mark = if holds { "✓" } else { "✗" };
        self.rows.push(std::iter::once(mark.to_owned()).chain(cells).collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows[0].len();
        let cells = |column: usize| self.rows.iter().map(move |row| row[column].as_str());
        let widths: Vec<usize> = (0..columns)
            .map(|column| cells(column).map(|cell| cell.chars().count()).max().unwrap_or(0))
            .collect();
        let numeric: Vec<bool> = (0..columns)
            .map(|column| {
                cells(column).skip(1).all(|cell| cell.starts_with(|letter: char| letter.is_ascii_digit()))
            })
            .collect();
        let rule = "─".repeat(widths.iter().sum::<usize>() + GAP * (columns - 1));
        writeln!(f, "{rule}")?;
        for (number, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let width = widths[column];
                line.push_str(&if numeric[column] {
                    format!("{cell:>width$}")
                } else {
                    format!("{cell:<width$}")
                });
                line.push_str(&" ".repeat(GAP));
            }
            writeln!(f, "{}", line.trim_end())?;
            if number == 0 {
                writeln!(f, "{rule}")?;
            }
        }
        write!(f, "{rule}")
    }
}

/// Wall time for people.
pub(crate) fn seconds(wall: Duration) -> String {
    format!("{:.1} s wall", wall.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_to_the_right_and_text_to_the_left() {
        let mut table = Table::new(["", "name", "calls"]);
        table.row(true, ["a".into(), "7".into()]);
        table.row(false, ["longer".into(), "1234".into()]);
        let text = table.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], "   name    calls");
        assert_eq!(lines[3], "✓  a           7");
        assert_eq!(lines[4], "✗  longer   1234");
        assert_eq!(lines[5].chars().count(), 16);
    }
}
