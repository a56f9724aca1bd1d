//! A picture of disk time over time: one panel per run, the shares of the vdisks stacked.

use crate::commands::palette::{self, Colour};
use crate::failure::{CommandResult, Failure};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::fmt::Display;
use std::path::Path;

const PALETTE: [Colour; 7] = [
    palette::BLUE,
    palette::ORANGE,
    palette::GREEN,
    palette::PURPLE,
    palette::SKY_BLUE,
    palette::VERMILLION,
    palette::GREY,
];
const WIDTH: u32 = 960;
const PANEL_HEIGHT: u32 = 300;
const LEGEND_HEIGHT: u32 = 64;

/// One run.
#[derive(Debug, Clone)]
pub(crate) struct Panel {
    /// What it shows.
    title: String,
    /// Seconds since the start, and the share of the disk's time (0 to 1) that each series got in
    /// the interval that ends there.
    samples: Vec<(f64, Vec<f64>)>,
}

impl Panel {
    /// A panel without samples; `title` says what it shows.
    pub(crate) fn new(title: &str) -> Panel {
        Panel {
            title: title.to_owned(),
            samples: Vec::new(),
        }
    }

    /// Adds an interval that ends so many seconds after the start: the share of the disk's time (0
    /// to 1) that each series got in it.
    pub(crate) fn add_interval(&mut self, end_s: f64, shares: Vec<f64>) {
        self.samples.push((end_s, shares));
    }

    /// Removes the last interval.
    pub(crate) fn remove_last_interval(&mut self) {
        self.samples.pop();
    }
}

/// Draws the panels under each other, with a legend of the series on top. `reserved` are the shares
/// that the first series have reserved, drawn as dashed lines on top of each other.
pub(crate) fn draw(
    file: &Path,
    heading: &str,
    series: &[String],
    reserved: &[f64],
    panels: &[Panel],
) -> CommandResult {
    let height = LEGEND_HEIGHT + PANEL_HEIGHT * panels.len() as u32;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        root.fill(&WHITE).map_err(drawn)?;
        let (top, body) = root.split_vertically(LEGEND_HEIGHT);
        legend(&top, heading, series)?;
        for (area, panel) in body
            .split_evenly((panels.len().max(1), 1))
            .iter()
            .zip(panels)
        {
            stacked(area, series.len(), reserved, panel)?;
        }
        root.present().map_err(drawn)?;
    }
    std::fs::write(file, svg).map_err(|error| {
        Failure::new(format!(
            "the picture {} cannot be written: {error}",
            file.display()
        ))
    })
}

fn colour(series: usize) -> RGBColor {
    let (red, green, blue) = PALETTE[series % PALETTE.len()];
    RGBColor(red, green, blue)
}

fn drawn(error: impl Display) -> Failure {
    Failure::new(format!("the picture cannot be drawn: {error}"))
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn legend(area: &Area<'_>, heading: &str, series: &[String]) -> CommandResult {
    let left = Pos::new(HPos::Left, VPos::Center);
    let title = ("sans-serif", 20).into_font().color(&BLACK).pos(left);
    area.draw(&Text::new(heading.to_owned(), (16, 18), title))
        .map_err(drawn)?;
    let style = ("sans-serif", 14).into_font().color(&BLACK).pos(left);
    let step = (WIDTH as i32 - 32) / series.len().max(1) as i32;
    for (index, name) in series.iter().enumerate() {
        let x = 16 + step * index as i32;
        let colour = colour(index);
        area.draw(&Rectangle::new([(x, 40), (x + 14, 54)], colour.filled()))
            .map_err(drawn)?;
        area.draw(&Text::new(name.clone(), (x + 20, 48), style.clone()))
            .map_err(drawn)?;
    }
    Ok(())
}

fn stacked(area: &Area<'_>, series: usize, reserved: &[f64], panel: &Panel) -> CommandResult {
    let end = panel.samples.last().map_or(1.0, |(time, _)| *time);
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..end, 0.0..1.0)
        .map_err(drawn)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("time (s)")
        .y_desc("share of the disk's time")
        .y_label_formatter(&|share| format!("{:.0} %", share * 100.0))
        .label_style(("sans-serif", 13))
        .axis_desc_style(("sans-serif", 14))
        .draw()
        .map_err(drawn)?;
    let mut start = 0.0;
    for (time, shares) in &panel.samples {
        let mut bottom = 0.0;
        for (index, share) in shares.iter().enumerate().take(series) {
            let top = (bottom + share).min(1.0);
            let colour = colour(index).filled();
            chart
                .draw_series(std::iter::once(Rectangle::new(
                    [(start, bottom), (*time, top)],
                    colour,
                )))
                .map_err(drawn)?;
            bottom = top;
        }
        start = *time;
    }
    let mut level = 0.0;
    for share in reserved {
        level += share;
        let line = [(0.0, level), (end, level)];
        let dashes = DashedLineSeries::new(line, 6, 4, BLACK.stroke_width(1));
        chart.draw_series(dashes).map_err(drawn)?;
    }
    Ok(())
}
