//! The axis of time: seconds, minutes or hours, with round ticks.

use crate::commands::simulate::svg::{Anchor, Svg};
use disktime_units::Nanos;

/// From zero to the duration.
#[derive(Debug)]
pub(crate) struct TimeAxis {
    duration: Nanos,
    left: f64,
    right: f64,
    unit: &'static str,
    unit_seconds: f64,
    ticks: Vec<f64>,
}

impl TimeAxis {
    /// An axis between two places of the picture.
    pub(crate) fn new(duration: Nanos, left: f64, right: f64) -> TimeAxis {
        let seconds = duration.as_secs_f64().max(1e-9);
        let (unit, unit_seconds) = if seconds < 0.5 {
            ("ms", 0.001)
        } else if seconds < 180.0 {
            ("s", 1.0)
        } else if seconds < 3.0 * 3600.0 {
            ("min", 60.0)
        } else {
            ("h", 3600.0)
        };
        TimeAxis {
            duration,
            left,
            right,
            unit,
            unit_seconds,
            ticks: round_ticks(seconds / unit_seconds),
        }
    }

    /// Where a time is.
    pub(crate) fn x(&self, at: Nanos) -> f64 {
        let part = at.0 as f64 / self.duration.0.max(1) as f64;
        self.left + part.min(1.0) * (self.right - self.left)
    }

    fn tick_x(&self, tick: f64) -> f64 {
        self.x(Nanos((tick * self.unit_seconds * 1e9).round() as u64))
    }

    /// A line at every tick.
    pub(crate) fn draw_grid(&self, svg: &mut Svg, top: f64, bottom: f64) {
        for tick in &self.ticks {
            let x = self.tick_x(*tick);
            svg.line((x, top), (x, bottom), super::GRID);
        }
    }

    /// The ticks' labels, and what the axis is.
    pub(crate) fn draw_labels(&self, svg: &mut Svg, top: f64) {
        for tick in &self.ticks {
            let text = format!("{}", (tick * 1e6).round() / 1e6);
            let place = (self.tick_x(*tick), top + 10.0);
            svg.text(place, super::SMALL, Anchor::Middle, &text, "");
        }
        let place = ((self.left + self.right) / 2.0, top + 24.0);
        let label = format!("time ({})", self.unit);
        svg.text(place, 12.0, Anchor::Middle, &label, "");
    }
}

/// Ticks at round values from 0 to `to`, at most eleven.
fn round_ticks(to: f64) -> Vec<f64> {
    const MOST: f64 = 10.0;
    let power = 10f64.powf((to / MOST).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .map(|step| step * power)
        .into_iter()
        .find(|step| to / step <= MOST + 1e-9)
        .unwrap_or(10.0 * power);
    let count = (to / step + 1e-9).floor() as u32;
    (0..=count).map(|index| f64::from(index) * step).collect()
}

#[cfg(test)]
mod tests;
