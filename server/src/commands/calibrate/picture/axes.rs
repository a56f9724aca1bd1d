//! Two axes of a panel, linear or logarithmic, with round ticks.
//!
//! Invariant: every point that the axes were made for lies between them.

use crate::commands::simulate::svg::{Anchor, Svg};

const GRID: &str = "stroke=\"#ddd\"";

/// How values are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// From 0.
    Linear,
    /// In powers: of 2 from left to right, of 10 upwards.
    Logarithmic,
}

/// A panel's axes.
pub(super) struct Axes {
    sides: (f64, f64),
    heights: (f64, f64),
    scale: Scale,
    x: (f64, f64),
    y: (f64, f64),
}

impl Axes {
    /// Axes between `sides` (left, right) and `heights` (top, bottom) that hold all points.
    pub(super) fn new(
        sides: (f64, f64),
        heights: (f64, f64),
        scale: Scale,
        points: &[(f64, f64)],
    ) -> Axes {
        let most = |values: &mut dyn Iterator<Item = f64>| values.fold(1e-9, f64::max);
        let least = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::INFINITY, f64::min);
        let x_most = most(&mut points.iter().map(|point| point.0));
        let y_most = most(&mut points.iter().map(|point| point.1));
        let (x, y) = match scale {
            Scale::Linear => ((0.0, x_most), (0.0, (y_most * 1.05).max(0.1))),
            Scale::Logarithmic => {
                let x_least = least(&mut points.iter().map(|point| point.0));
                let y_least = least(&mut points.iter().map(|point| point.1));
                let decade = |value: f64| 10f64.powf(value.max(1e-9).log10().floor());
                let low = decade(if y_least.is_finite() { y_least } else { 1.0 });
                (
                    (x_least.min(x_most), x_most.max(2.0)),
                    (low, (decade(y_most) * 10.0).max(low * 10.0)),
                )
            }
        };
        Axes {
            sides,
            heights,
            scale,
            x,
            y,
        }
    }

    /// Left and right.
    pub(super) fn sides(&self) -> (f64, f64) {
        self.sides
    }

    fn part(&self, value: f64, (from, to): (f64, f64)) -> f64 {
        match self.scale {
            Scale::Linear => (value - from) / (to - from),
            Scale::Logarithmic => (value.max(from) / from).ln() / (to / from).ln(),
        }
    }

    /// Where a value lies from left to right.
    pub(super) fn x(&self, value: f64) -> f64 {
        let (left, right) = self.sides;
        left + self.part(value, self.x) * (right - left)
    }

    /// Where a value lies from the bottom up.
    pub(super) fn y(&self, value: f64) -> f64 {
        let (top, bottom) = self.heights;
        bottom - self.part(value, self.y) * (bottom - top)
    }

    fn ticks(&self, (from, to): (f64, f64), factor: f64) -> Vec<f64> {
        match self.scale {
            Scale::Logarithmic => {
                let ticks = std::iter::successors(Some(from), |tick| Some(tick * factor));
                ticks.take_while(|tick| *tick <= to * 1.001).collect()
            }
            Scale::Linear => {
                let raw = (to - from) / 6.0;
                let power = 10f64.powf(raw.log10().floor());
                let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
                let step = steps.into_iter().find(|step| *step >= raw).unwrap_or(raw);
                let ticks = std::iter::successors(Some(from), |tick| Some(tick + step));
                ticks.take_while(|tick| *tick <= to).collect()
            }
        }
    }

    /// Grid, ticks and labels: what goes up, and what goes to the right.
    pub(super) fn draw(&self, svg: &mut Svg, [up, right]: [&str; 2]) {
        let ((left, end), (top, bottom)) = (self.sides, self.heights);
        for tick in self.ticks(self.x, 2.0) {
            let x = self.x(tick);
            svg.line((x, top), (x, bottom), GRID);
            svg.text((x, bottom + 16.0), 11.0, Anchor::Middle, &number(tick), "");
        }
        for tick in self.ticks(self.y, 10.0) {
            let y = self.y(tick);
            svg.line((left, y), (end, y), GRID);
            svg.text((left - 6.0, y + 4.0), 11.0, Anchor::End, &number(tick), "");
        }
        svg.line((left, bottom), (end, bottom), "stroke=\"#000\"");
        svg.line((left, top), (left, bottom), "stroke=\"#000\"");
        svg.text(
            (left, top - 24.0),
            13.0,
            Anchor::Start,
            up,
            "font-weight=\"bold\"",
        );
        svg.text(
            ((left + end) / 2.0, bottom + 34.0),
            12.0,
            Anchor::Middle,
            right,
            "",
        );
    }
}

/// A tick's label.
fn number(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{}M", value / 1e6),
        value if value >= 1e4 => format!("{}k", value / 1e3),
        value if value >= 10.0 || value.fract() == 0.0 => format!("{value:.0}"),
        value => format!("{value:.2}"),
    }
}
