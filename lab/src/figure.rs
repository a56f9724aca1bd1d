//! Pictures as values: panels with axes and series. `axis` places values, `draw` makes the SVG,
//! `marker` the marks in it.
//!
//! Invariant: a series is told apart by more than its colour (dashes and markers), and colours are
//! the Okabe-Ito palette, which colour-blind readers can tell apart.

mod axis;
mod draw;
mod marker;

pub use axis::Axis;

use crate::{LabError, LabResult, json_number};
use serde_json::{Value, json};

/// How a series is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// A line with markers.
    Line,
    /// A line without markers, for curves and for what has many points.
    Curve,
    /// A line that stays until the next point.
    Steps,
    /// Markers alone.
    Points,
    /// Bars beside each other; x counts the groups from 0.
    Bars,
}

/// Some values under one name.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its name in the legend; the same name in two panels is the same colour.
    pub name: String,
    /// How it is drawn.
    pub mark: Mark,
    /// Whether it is what the paper says (black, dashed), not what was measured here.
    pub reference: bool,
    /// x and y.
    pub points: Vec<(f64, f64)>,
}

impl Series {
    /// What was measured here.
    pub fn new(name: impl Into<String>, mark: Mark, points: Vec<(f64, f64)>) -> Series {
        Series {
            name: name.into(),
            mark,
            reference: false,
            points,
        }
    }

    /// What the paper says, or what would be ideal.
    pub fn reference(name: impl Into<String>, mark: Mark, points: Vec<(f64, f64)>) -> Series {
        Series {
            reference: true,
            ..Series::new(name, mark, points)
        }
    }
}

/// Two axes and what is between them.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// What it shows; may be empty when there is only one.
    pub title: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// What is drawn, later ones on top.
    pub series: Vec<Series>,
}

/// A picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Its file's name without `.svg`; unique among all experiments.
    pub name: String,
    /// What it shows, as a sentence.
    pub title: String,
    /// Side by side, two in a row.
    pub panels: Vec<Panel>,
}

impl Figure {
    /// A picture with one panel.
    pub fn single(name: &str, title: &str, x: Axis, y: Axis, series: Vec<Series>) -> Figure {
        let panel = Panel {
            title: String::new(),
            x,
            y,
            series,
        };
        Figure {
            name: name.to_owned(),
            title: title.to_owned(),
            panels: vec![panel],
        }
    }

    /// The file's name.
    pub fn file_name(&self) -> String {
        format!("{}.svg", self.name)
    }

    /// The picture.
    ///
    /// # Errors
    /// If it cannot be drawn, e.g. because there is nothing in it.
    pub fn to_svg(&self) -> LabResult<String> {
        let is_empty = |panel: &Panel| panel.series.iter().all(|series| series.points.is_empty());
        if self.panels.iter().any(is_empty) {
            return Err(LabError::new(format!(
                "figure `{}` has a panel without a single point",
                self.name
            )));
        }
        draw::draw(self).map_err(|error| {
            LabError::new(format!("figure `{}` cannot be drawn: {error}", self.name))
        })
    }

    /// The names of all series, each once, in order.
    pub fn series_names(&self) -> Vec<(&str, &Series)> {
        let mut names: Vec<(&str, &Series)> = Vec::new();
        for series in self.panels.iter().flat_map(|panel| &panel.series) {
            if !names.iter().any(|(name, _)| *name == series.name) {
                names.push((&series.name, series));
            }
        }
        names
    }

    /// Its values, for programs.
    pub fn to_json(&self) -> Value {
        let series = |series: &Series| {
            let points: Vec<Value> = series
                .points
                .iter()
                .map(|(x, y)| json!([json_number(*x), json_number(*y)]))
                .collect();
            json!({ "name": series.name, "reference": series.reference, "points": points })
        };
        let panel = |panel: &Panel| {
            json!({
                "title": panel.title,
                "x": panel.x.label(),
                "y": panel.y.label(),
                "series": panel.series.iter().map(series).collect::<Vec<_>>(),
            })
        };
        json!({
            "file": self.file_name(),
            "title": self.title,
            "panels": self.panels.iter().map(panel).collect::<Vec<_>>(),
        })
    }
}
