//! Figures of several rounds in one: the median, and how far apart they lie.

use serde_json::{Value, json};

/// A median with the least and the greatest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The least.
    pub least: f64,
    /// The one in the middle.
    pub median: f64,
    /// The greatest.
    pub greatest: f64,
}

impl Spread {
    /// Of these values, if there are any.
    pub fn of(mut values: Vec<f64>) -> Option<Spread> {
        values.sort_by(f64::total_cmp);
        Some(Spread {
            least: *values.first()?,
            median: values[values.len() / 2],
            greatest: *values.last()?,
        })
    }

    /// For programs.
    pub fn to_json(self) -> Value {
        json!({ "least": self.least, "median": self.median, "greatest": self.greatest })
    }

    /// For tables of ratios.
    pub fn text(self) -> String {
        format!(
            "{:.2} ({:.2}-{:.2})",
            self.median, self.least, self.greatest
        )
    }
}
