//! Tables: of a report's page, and in Markdown with columns that line up in plain text as well.
//!
//! Invariant: a row has a cell for each column.

use serde_json::{Value, json};
use std::fmt;

/// A table: the first column is text, the others are figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    title: String,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns, written as in Markdown: `mix | period (ms) | efficiency`.
    pub fn headed(columns: &str) -> Table {
        Table::new(columns.split(" | "))
    }

    /// A table with these columns, without a title and without rows.
    pub fn new<C: fmt::Display>(columns: impl IntoIterator<Item = C>) -> Table {
        let columns = columns.into_iter();
        Table {
            title: String::new(),
            columns: columns.map(|column| column.to_string()).collect(),
            rows: Vec::new(),
        }
    }

    /// The same with a title that says what it shows.
    #[must_use]
    pub fn with_title(mut self, title: impl Into<String>) -> Table {
        self.title = title.into();
        self
    }

    /// Adds a row; it has as many cells as there are columns.
    pub fn row(&mut self, cells: Vec<String>) {
        assert_eq!(
            cells.len(),
            self.columns.len(),
            "a row has a cell for each column"
        );
        self.rows.push(cells);
    }

    /// What it shows; empty if that is said elsewhere.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The columns' names.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The rows.
    pub fn rows(&self) -> &[Vec<String>] {
        &self.rows
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        json!({ "title": self.title, "columns": self.columns, "rows": self.rows })
    }
}

/// The cells of a row, each of which can be displayed.
#[macro_export]
macro_rules! cells {
    ($($cell:expr),* $(,)?) => {
        vec![$($cell.to_string()),*]
    };
}

/// In Markdown, without the title.
impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = || std::iter::once(&self.columns).chain(&self.rows);
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| {
                let cells = lines().map(|row| row[column].chars().count());
                cells.max().unwrap_or(0).max(3)
            })
            .collect();
        for (index, row) in lines().enumerate() {
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                match column {
                    0 => write!(formatter, "| {cell:<width$} ")?,
                    _ => write!(formatter, "| {cell:>width$} ")?,
                }
            }
            writeln!(formatter, "|")?;
            if index == 0 {
                for (column, width) in widths.iter().enumerate() {
                    let dashes = "-".repeat(*width);
                    let colon = if column == 0 { '-' } else { ':' };
                    write!(formatter, "|-{dashes}{colon}")?;
                }
                writeln!(formatter, "|")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
