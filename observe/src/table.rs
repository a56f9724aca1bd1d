//! A table in plain text: a heading, rows, columns as wide as their widest cell. The first column
//! is text and starts at the left, the others are figures and end at the right.
//!
//! Invariant: colour, where it is asked for, never carries a meaning alone, and takes no width.

use crate::text::cut;
use std::fmt;

/// The least width to which the first column is cut.
const LEAST_NAME: usize = 8;

/// Rows of cells under a heading.
#[derive(Debug, Clone)]
pub struct Table {
    rows: Vec<Vec<String>>,
    /// Cells that say that something is wrong: row and column.
    marked: Vec<(usize, usize)>,
    with_colour: bool,
    most_columns: usize,
}

impl Table {
    /// A table with a heading and no rows.
    pub fn new(heading: &[&str]) -> Table {
        Table {
            rows: vec![heading.iter().map(|cell| (*cell).to_owned()).collect()],
            marked: Vec::new(),
            with_colour: false,
            most_columns: usize::MAX,
        }
    }

    /// Adds a row with as many cells as the heading.
    pub fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.rows[0].len());
        self.rows.push(cells);
    }

    /// The cell of the last row says that something is wrong.
    pub(crate) fn mark(&mut self, column: usize) {
        self.marked.push((self.rows.len() - 1, column));
    }

    /// With colour, or without.
    pub(crate) fn with_colour(self, with_colour: bool) -> Table {
        Table {
            with_colour,
            ..self
        }
    }

    /// Names in the first column are cut so that no line is longer than that.
    pub(crate) fn within(self, most_columns: usize) -> Table {
        Table {
            most_columns,
            ..self
        }
    }

    fn widths(&self) -> Vec<usize> {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or(0)
        };
        let mut widths: Vec<usize> = (0..self.rows[0].len()).map(width).collect();
        let others: usize = widths[1..].iter().map(|width| width + 2).sum();
        let left = self.most_columns.saturating_sub(others).max(LEAST_NAME);
        widths[0] = widths[0].min(left);
        widths
    }

    /// A cell that is padded already, in the colour of what it says.
    fn shown(&self, row: usize, column: usize, padded: &str) -> String {
        let code = match (row, self.marked.contains(&(row, column))) {
            _ if !self.with_colour || padded.trim().is_empty() => return padded.to_owned(),
            (0, _) => "1",
            (_, true) => "1;31",
            (_, false) => return padded.to_owned(),
        };
        format!("\x1b[{code}m{padded}\x1b[0m")
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        for (number, row) in self.rows.iter().enumerate() {
            let name = cut(&row[0], widths[0]);
            let name = format!("{name:<width$}", width = widths[0]);
            let mut line = self.shown(number, 0, &name);
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate().skip(1) {
                let padded = format!("{cell:>width$}");
                line.push_str("  ");
                line.push_str(&self.shown(number, column, &padded));
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
