//! From a [`Figure`] to SVG: a title, a legend, panels two in a row.
//!
//! Text widths are estimated, as there is no font here to measure with; the estimate is generous.

use super::marker::{Marker, Shape};
use super::{Axis, Figure, Mark, Panel, Series};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::fmt::Display;

/// Okabe-Ito without black, which is the papers'.
const PALETTE: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(120, 120, 120),
];
const GRID: RGBColor = RGBColor(225, 225, 225);
const WIDTH: u32 = 900;
const PANEL_HEIGHT: u32 = 360;
const TITLE_HEIGHT: i32 = 34;
const LEGEND_LINE: i32 = 22;
/// Length of the sample of a line in the legend.
const SAMPLE: i32 = 34;
const MARGIN: i32 = 16;
/// Width of a letter at font size 1, estimated.
const LETTER: f64 = 0.54;
const TITLE_SIZE: i32 = 18;
const TEXT_SIZE: i32 = 14;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn<T = ()> = Result<T, String>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, Axis>>;

fn drawn(error: impl Display) -> String {
    error.to_string()
}

fn width_of(text: &str, size: i32) -> i32 {
    (text.chars().count() as f64 * LETTER * f64::from(size)).ceil() as i32
}

/// How one series looks, in the legend and in every panel.
#[derive(Debug, Clone, Copy)]
struct Look {
    colour: RGBColor,
    shape: Shape,
    /// Length of dashes and of gaps; 0 is a whole line.
    dashes: (u32, u32),
    width: u32,
}

impl Look {
    fn marker<C>(self, at: C) -> Marker<C> {
        Marker {
            at,
            shape: self.shape,
            colour: self.colour,
        }
    }
}

/// References are black and dashed; what was measured takes colours, markers and dashes in order.
fn look(figure: &Figure, name: &str) -> Look {
    const DASHES: [(u32, u32); 4] = [(0, 0), (9, 4), (3, 3), (14, 5)];
    const SHAPES: [Shape; 4] = [Shape::Disc, Shape::Triangle, Shape::Square, Shape::Diamond];
    let unique = figure.unique_series();
    let is_reference = unique
        .iter()
        .any(|series| series.name == name && series.reference);
    let same_kind = unique
        .iter()
        .filter(|series| series.reference == is_reference);
    let index = same_kind.take_while(|series| series.name != name).count();
    if is_reference {
        return Look {
            colour: if index == 0 {
                BLACK
            } else {
                RGBColor(90, 90, 90)
            },
            shape: if index == 0 {
                Shape::Ring
            } else {
                Shape::Cross
            },
            dashes: if index == 0 { (6, 4) } else { (2, 3) },
            width: 2,
        };
    }
    Look {
        colour: PALETTE[index % PALETTE.len()],
        shape: SHAPES[index % SHAPES.len()],
        dashes: DASHES[index % DASHES.len()],
        width: 2,
    }
}

/// Draws it.
pub(super) fn draw(figure: &Figure) -> Drawn<String> {
    let legend = legend_places(figure);
    let legend_lines = legend
        .iter()
        .map(|(_, _, line)| line + 1)
        .max()
        .unwrap_or(0);
    let top_height = TITLE_HEIGHT + legend_lines * LEGEND_LINE + 6;
    let columns = figure.panels.len().clamp(1, 2);
    let rows = figure.panels.len().div_ceil(columns);
    let height = top_height as u32 + PANEL_HEIGHT * rows as u32;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        root.fill(&WHITE).map_err(drawn)?;
        let (top, body) = root.split_vertically(top_height);
        draw_top(&top, figure, &legend)?;
        for (area, panel) in body
            .split_evenly((rows, columns))
            .iter()
            .zip(&figure.panels)
        {
            draw_panel(area, figure, panel)?;
        }
        root.present().map_err(drawn)?;
    }
    Ok(svg)
}

/// Name, x and line of each entry of the legend.
fn legend_places(figure: &Figure) -> Vec<(&str, i32, i32)> {
    let (mut x, mut line) = (MARGIN, 0);
    let mut places = Vec::new();
    for name in figure.series_names() {
        let width = SAMPLE + 8 + width_of(name, TEXT_SIZE) + 18;
        if x + width > WIDTH as i32 - MARGIN && x > MARGIN {
            (x, line) = (MARGIN, line + 1);
        }
        places.push((name, x, line));
        x += width;
    }
    places
}

fn draw_top(area: &Area<'_>, figure: &Figure, legend: &[(&str, i32, i32)]) -> Drawn {
    let left = Pos::new(HPos::Left, VPos::Center);
    // A long title is drawn smaller rather than cut.
    let room = f64::from(WIDTH as i32 - 2 * MARGIN);
    let wanted = f64::from(width_of(&figure.title, TITLE_SIZE));
    let size = f64::from(TITLE_SIZE) * (room / wanted).min(1.0);
    let title = ("sans-serif", size).into_font().color(&BLACK).pos(left);
    area.draw(&Text::new(figure.title.clone(), (MARGIN, 20), title))
        .map_err(drawn)?;
    let style = ("sans-serif", TEXT_SIZE)
        .into_font()
        .color(&BLACK)
        .pos(left);
    let unique = figure.unique_series();
    for (name, x, line) in legend {
        let y = TITLE_HEIGHT + line * LEGEND_LINE + LEGEND_LINE / 2;
        let look = look(figure, name);
        let mark = unique
            .iter()
            .find(|series| series.name == *name)
            .map_or(Mark::Line, |series| series.mark);
        draw_sample(area, look, mark, (*x, y))?;
        area.draw(&Text::new(
            (*name).to_owned(),
            (x + SAMPLE + 8, y),
            style.clone(),
        ))
        .map_err(drawn)?;
    }
    Ok(())
}

fn draw_sample(area: &Area<'_>, look: Look, mark: Mark, (x, y): (i32, i32)) -> Drawn {
    if mark == Mark::Bars {
        let bar = Rectangle::new([(x + 8, y - 7), (x + 22, y + 7)], look.colour.filled());
        return area.draw(&bar).map_err(drawn);
    }
    if mark != Mark::Points {
        for (from, to) in dash_pieces(SAMPLE, look.dashes) {
            let style = look.colour.stroke_width(look.width);
            area.draw(&PathElement::new(vec![(x + from, y), (x + to, y)], style))
                .map_err(drawn)?;
        }
    }
    if matches!(mark, Mark::Line | Mark::Points) {
        area.draw(&look.marker((x + SAMPLE / 2, y)))
            .map_err(drawn)?;
    }
    Ok(())
}

/// From where to where the dashes of a line of that length go.
fn dash_pieces(length: i32, (dash, gap): (u32, u32)) -> Vec<(i32, i32)> {
    if dash == 0 {
        return vec![(0, length)];
    }
    let step = (dash + gap) as usize;
    (0..length)
        .step_by(step)
        .map(|from| (from, (from + dash as i32).min(length)))
        .collect()
}

fn draw_panel(area: &Area<'_>, figure: &Figure, panel: &Panel) -> Drawn {
    let mut builder = ChartBuilder::on(area);
    builder
        .margin(10)
        .margin_right(18)
        .x_label_area_size(46)
        .y_label_area_size(66);
    if !panel.title.is_empty() {
        builder.caption(&panel.title, ("sans-serif", 15));
    }
    let mut chart = builder
        .build_cartesian_2d(panel.x.clone(), panel.y.clone())
        .map_err(drawn)?;
    chart
        .configure_mesh()
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .x_desc(panel.x.label())
        .y_desc(panel.y.label())
        .x_labels(tick_count(&panel.x))
        .y_labels(8)
        .label_style(("sans-serif", 13))
        .axis_desc_style(("sans-serif", TEXT_SIZE))
        .draw()
        .map_err(drawn)?;
    let bars = panel
        .series
        .iter()
        .filter(|series| series.mark == Mark::Bars);
    let bar_count = bars.count();
    let mut bar = 0;
    for series in &panel.series {
        let look = look(figure, &series.name);
        if series.mark == Mark::Bars {
            draw_bars(&mut chart, panel, series, look, (bar, bar_count))?;
            bar += 1;
        } else {
            draw_series(&mut chart, panel, series, look)?;
        }
    }
    Ok(())
}

fn tick_count(axis: &Axis) -> usize {
    axis.group_count().unwrap_or(8)
}

fn draw_bars(
    chart: &mut Chart<'_, '_>,
    panel: &Panel,
    series: &Series,
    look: Look,
    (number, of): (usize, usize),
) -> Drawn {
    // The bars of a group together take 80 % of its place.
    let width = 0.8 / of.max(1) as f64;
    let foot = panel.y.clamp(0.0);
    for (x, y) in series.points.iter().filter(|(_, y)| y.is_finite()) {
        let left = x - 0.4 + width * number as f64;
        let corners = [(left, foot), (left + width * 0.92, panel.y.clamp(*y))];
        chart
            .draw_series(std::iter::once(Rectangle::new(
                corners,
                look.colour.filled(),
            )))
            .map_err(drawn)?;
    }
    Ok(())
}

fn draw_series(chart: &mut Chart<'_, '_>, panel: &Panel, series: &Series, look: Look) -> Drawn {
    let points: Vec<(f64, f64)> = series
        .points
        .iter()
        .filter(|(x, y)| x.is_finite() && y.is_finite())
        .map(|(x, y)| (panel.x.clamp(*x), panel.y.clamp(*y)))
        .collect();
    let line: Vec<(f64, f64)> = if series.mark == Mark::Steps {
        steps(&points)
    } else {
        points.clone()
    };
    if series.mark != Mark::Points {
        let style = look.colour.stroke_width(look.width);
        if look.dashes.0 == 0 {
            chart
                .draw_series(LineSeries::new(line, style))
                .map_err(drawn)?;
        } else {
            let (dash, gap) = look.dashes;
            let dashes = DashedLineSeries::new(line, dash, gap, style);
            chart.draw_series(dashes).map_err(drawn)?;
        }
    }
    if matches!(series.mark, Mark::Line | Mark::Points) {
        let markers = points.iter().map(|point| look.marker(*point));
        chart.draw_series(markers).map_err(drawn)?;
    }
    Ok(())
}

/// A line that stays until the next point.
fn steps(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut line = Vec::with_capacity(points.len() * 2);
    for (index, point) in points.iter().enumerate() {
        if let Some(before) = index.checked_sub(1).map(|before| points[before]) {
            line.push((point.0, before.1));
        }
        line.push(*point);
    }
    line
}
