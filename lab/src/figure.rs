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
enum Mark {
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

/// Some values under one name; the same name in two panels has the same colour.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    name: String,
    mark: Mark,
    reference: bool,
    points: Vec<(f64, f64)>,
}

impl Series {
    fn new(
        name: impl Into<String>,
        mark: Mark,
        points: impl IntoIterator<Item = (f64, f64)>,
    ) -> Series {
        Series {
            name: name.into(),
            mark,
            reference: false,
            points: points.into_iter().collect(),
        }
    }

    /// A line with markers through these points.
    pub fn line(name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Series {
        Series::new(name, Mark::Line, points)
    }

    /// A line without markers, for many points.
    pub fn curve(name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Series {
        Series::new(name, Mark::Curve, points)
    }

    /// A line that stays until the next point.
    pub fn steps(name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Series {
        Series::new(name, Mark::Steps, points)
    }

    /// Markers alone, one for each group of the axis.
    pub fn markers(name: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Series {
        Series::new(name, Mark::Points, grouped(values))
    }

    /// Markers alone.
    pub fn points(name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Series {
        Series::new(name, Mark::Points, points)
    }

    /// Bars, one for each group of the axis.
    pub fn bars(name: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Series {
        Series::new(name, Mark::Bars, grouped(values))
    }

    /// What a paper says, or what would be ideal: black and dashed.
    #[must_use]
    pub fn reference(mut self) -> Series {
        self.reference = true;
        self
    }
}

/// Values at 0, 1, 2 and so on.
fn grouped(values: impl IntoIterator<Item = f64>) -> impl Iterator<Item = (f64, f64)> {
    let numbered = values.into_iter().enumerate();
    numbered.map(|(group, value)| (group as f64, value))
}

/// Two axes and what is between them.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    title: String,
    x: Axis,
    y: Axis,
    series: Vec<Series>,
}

impl Panel {
    /// A panel without series; the title may be empty when there is only one panel.
    pub fn new(title: impl Into<String>, x: Axis, y: Axis) -> Panel {
        Panel {
            title: title.into(),
            x,
            y,
            series: Vec::new(),
        }
    }

    /// Adds a series, on top of those before it.
    #[must_use]
    pub fn with(mut self, series: Series) -> Panel {
        self.series.push(series);
        self
    }

    /// Adds several.
    #[must_use]
    pub fn with_all(mut self, series: impl IntoIterator<Item = Series>) -> Panel {
        self.series.extend(series);
        self
    }

    /// Adds a reference at one height over the whole width.
    #[must_use]
    pub fn level(self, name: impl Into<String>, height: f64) -> Panel {
        let (from, to) = self.x.ends();
        self.with(Series::curve(name, [(from, height), (to, height)]).reference())
    }

    /// Its axes' labels.
    pub fn labels(&self) -> [&str; 2] {
        [self.x.label(), self.y.label()]
    }
}

/// A picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    name: String,
    title: String,
    panels: Vec<Panel>,
}

impl Figure {
    /// A picture of these panels, two in a row. `name` is its file's without `.svg`.
    pub fn new(name: &str, title: &str, panels: impl IntoIterator<Item = Panel>) -> Figure {
        Figure {
            name: name.to_owned(),
            title: title.to_owned(),
            panels: panels.into_iter().collect(),
        }
    }

    /// What it shows, as a sentence.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Its panels.
    pub fn panels(&self) -> &[Panel] {
        &self.panels
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
    pub fn series_names(&self) -> Vec<&str> {
        let unique = self.unique_series();
        unique.iter().map(|series| series.name.as_str()).collect()
    }

    /// The first series of each name, in order.
    fn unique_series(&self) -> Vec<&Series> {
        let mut unique: Vec<&Series> = Vec::new();
        for series in self.panels.iter().flat_map(|panel| &panel.series) {
            if unique.iter().all(|other| other.name != series.name) {
                unique.push(series);
            }
        }
        unique
    }

    /// Its values, for programs.
    pub fn to_json(&self) -> Value {
        let series = |series: &Series| {
            let points = series.points.iter();
            let points: Vec<Value> = points
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
