//! An axis: its label, its scale, and where its ticks are.
//!
//! One type for linear and logarithmic scales and for named groups, so that every panel is of one
//! kind. Invariant: the range covers every value that was announced, and is never empty.

use crate::number;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use std::fmt::Display;
use std::ops::Range;

#[derive(Debug, Clone, PartialEq)]
enum Scale {
    Linear,
    Logarithmic,
    /// Groups at 0, 1, 2 …
    Groups(Vec<String>),
}

/// An axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    label: String,
    scale: Scale,
    from: f64,
    to: f64,
    ticks: Option<Vec<f64>>,
}

impl Axis {
    /// A linear axis; `label` names the unit.
    pub fn linear(label: &str, from: f64, to: f64) -> Axis {
        let to = if to > from { to } else { from + 1.0 };
        Axis {
            label: label.to_owned(),
            scale: Scale::Linear,
            from,
            to,
            ticks: None,
        }
    }

    /// A logarithmic axis. What is not above zero is moved to where it can be drawn.
    pub fn logarithmic(label: &str, from: f64, to: f64) -> Axis {
        let from = if from > 0.0 { from } else { 1e-3 };
        Axis {
            scale: Scale::Logarithmic,
            ..Axis::linear(label, from, if to > from { to } else { from * 10.0 })
        }
    }

    /// An axis of named groups.
    pub fn groups<N: Display>(label: &str, names: impl IntoIterator<Item = N>) -> Axis {
        let names: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
        let end = names.len() as f64 - 0.5;
        Axis {
            scale: Scale::Groups(names),
            ..Axis::linear(label, -0.5, end)
        }
    }

    /// Ticks there and nowhere else.
    #[must_use]
    pub fn with_ticks(mut self, ticks: &[f64]) -> Axis {
        self.ticks = Some(ticks.to_vec());
        self
    }

    /// Its label.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Where it begins and ends.
    pub(crate) fn ends(&self) -> (f64, f64) {
        (self.from, self.to)
    }

    /// Its groups, if it is made of groups.
    pub(crate) fn group_count(&self) -> Option<usize> {
        match &self.scale {
            Scale::Groups(names) => Some(names.len()),
            _ => None,
        }
    }

    /// The value nearest to `value` that lies on the axis.
    pub(crate) fn clamp(&self, value: f64) -> f64 {
        value.clamp(self.from, self.to)
    }

    fn position(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Logarithmic => {
                (value.max(self.from * 1e-6) / self.from).ln() / (self.to / self.from).ln()
            }
            _ => (value - self.from) / (self.to - self.from),
        }
    }

    /// Ticks at round values, at most `most`.
    fn round_ticks(&self, most: usize) -> Vec<f64> {
        let most = most.clamp(2, 9);
        match &self.scale {
            Scale::Groups(names) => (0..names.len()).map(|index| index as f64).collect(),
            Scale::Linear => linear_ticks(self.from, self.to, most),
            Scale::Logarithmic => logarithmic_ticks(self.from, self.to, most),
        }
    }
}

fn linear_ticks(from: f64, to: f64, most: usize) -> Vec<f64> {
    let raw = (to - from) / most as f64;
    let power = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0]
        .map(|step| step * power)
        .into_iter()
        .find(|step| *step >= raw * 0.999_999)
        .unwrap_or(10.0 * power);
    let first = (from / step - 1e-9).ceil() as i64;
    let last = (to / step + 1e-9).floor() as i64;
    (first..=last).map(|index| index as f64 * step).collect()
}

fn logarithmic_ticks(from: f64, to: f64, most: usize) -> Vec<f64> {
    let decades = from.log10().floor() as i32..=to.log10().ceil() as i32;
    let within = |steps: &[f64]| -> Vec<f64> {
        decades
            .clone()
            .flat_map(|power| steps.iter().map(move |step| step * 10f64.powi(power)))
            .filter(|tick| *tick >= from * 0.999_999 && *tick <= to * 1.000_001)
            .collect()
    };
    let candidates = [
        within(&[1.0, 2.0, 5.0]),
        within(&[1.0, 3.0]),
        within(&[1.0]),
    ];
    let fits = candidates.iter().find(|ticks| ticks.len() <= most);
    fits.unwrap_or(&candidates[2]).clone()
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let span = f64::from(limit.1 - limit.0);
        // Far outside is as good as outside; the pixel must stay an integer.
        limit.0 + (self.position(*value).clamp(-2.0, 3.0) * span).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if !hint.weight().allow_light_points() {
            return match &self.ticks {
                Some(ticks) => ticks.clone(),
                None => self.round_ticks(hint.max_num_points()),
            };
        }
        Vec::new()
    }

    fn range(&self) -> Range<f64> {
        self.from..self.to
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        match &self.scale {
            Scale::Groups(names) => names
                .get(value.round().max(0.0) as usize)
                .cloned()
                .unwrap_or_default(),
            _ => number(*value),
        }
    }
}

#[cfg(test)]
mod tests;
