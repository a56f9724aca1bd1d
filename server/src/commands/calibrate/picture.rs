//! The picture of a profile: throughput and latency of random reads by depth, with the knee; for a
//! disk with seeks, the seek curve.

mod axes;

use crate::commands::palette::{BLUE, Colour, GREEN, VERMILLION};
use crate::commands::simulate::svg::{Anchor, Svg, hex};
use axes::{Axes, Scale};
use disktime_calibration::{DepthPoint, Profile, Seeks};
use disktime_units::format_size;

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 470.0;
const TOP: f64 = 80.0;
const BOTTOM: f64 = 390.0;

/// A line of the picture.
struct Series {
    name: String,
    colour: Colour,
    dash: &'static str,
    points: Vec<(f64, f64)>,
}

/// The whole SVG.
pub(super) fn draw(profile: &Profile) -> String {
    let mut svg = Svg::new();
    let device = &profile.device;
    let model = device.model.as_deref().unwrap_or("");
    let title = format!("{} {model} {}", device.path, format_size(device.size_bytes));
    svg.text((40.0, 32.0), 18.0, Anchor::Start, &title, "");
    match &profile.seeks {
        Some(seeks) => draw_seeks(&mut svg, seeks),
        None => draw_depths(&mut svg, profile),
    }
    for (line, sentence) in profile.advice().split_inclusive(". ").enumerate() {
        let y = HEIGHT - 28.0 + 16.0 * line as f64;
        svg.text((40.0, y), 12.0, Anchor::Start, sentence.trim_end(), "");
    }
    svg.finish(WIDTH, HEIGHT, &title, "")
}

fn draw_depths(svg: &mut Svg, profile: &Profile) {
    let quantum = u64::from(profile.quantum_bytes);
    let kinds = [(4096, BLUE), (quantum, VERMILLION)];
    let series = |figure: fn(&DepthPoint) -> f64, suffix: &str, dash| {
        kinds.map(|(len_bytes, colour)| Series {
            name: format!("{}{suffix}", format_size(len_bytes)),
            colour,
            dash,
            points: profile
                .depths
                .iter()
                .filter(|point| point.len_bytes == len_bytes)
                .map(|point| (f64::from(point.depth), figure(point)))
                .collect(),
        })
    };
    let knee = Some(f64::from(profile.knee_depth));
    let rates = series(|point| point.per_second as f64, "", "");
    panel(
        svg,
        (80.0, 480.0),
        ["Random reads a second", "reads in flight"],
        &rates,
        knee,
    );
    let means = series(|point| point.mean.0 as f64 / 1000.0, " mean", "");
    let tails = series(
        |point| point.p99.0 as f64 / 1000.0,
        " p99",
        "stroke-dasharray=\"5 4\"",
    );
    let latencies: Vec<Series> = means.into_iter().chain(tails).collect();
    panel(
        svg,
        (570.0, 970.0),
        ["Latency, µs", "reads in flight"],
        &latencies,
        knee,
    );
}

fn draw_seeks(svg: &mut Svg, seeks: &Seeks) {
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    let points = seeks.curve.iter();
    let points = points.map(|point| (gigabytes(point.distance_bytes), point.seek.0 as f64 / 1e6));
    let series = [Series {
        name: "seek".to_owned(),
        colour: GREEN,
        dash: "",
        points: points.collect(),
    }];
    let axes = Axes::new(
        (80.0, 970.0),
        (TOP, BOTTOM),
        Scale::Linear,
        &series[0].points,
    );
    axes.draw(svg, ["Seek, ms", "distance, GB"]);
    draw_series(svg, &axes, &series);
}

fn panel(
    svg: &mut Svg,
    sides: (f64, f64),
    labels: [&str; 2],
    series: &[Series],
    knee: Option<f64>,
) {
    let all: Vec<(f64, f64)> = series.iter().flat_map(|one| one.points.clone()).collect();
    let axes = Axes::new(sides, (TOP, BOTTOM), Scale::Logarithmic, &all);
    axes.draw(svg, labels);
    if let Some(knee) = knee {
        let x = axes.x(knee);
        svg.line(
            (x, TOP),
            (x, BOTTOM),
            "stroke=\"#777\" stroke-dasharray=\"2 3\"",
        );
        svg.text(
            (x - 4.0, TOP + 12.0),
            11.0,
            Anchor::End,
            "knee",
            "fill=\"#555\"",
        );
    }
    draw_series(svg, &axes, series);
}

fn draw_series(svg: &mut Svg, axes: &Axes, series: &[Series]) {
    for (index, one) in series.iter().enumerate() {
        let colour = hex(one.colour);
        let place = |&(x, y): &(f64, f64)| (axes.x(x), axes.y(y));
        let style = format!("stroke=\"{colour}\" stroke-width=\"2\" {}", one.dash);
        for pair in one.points.windows(2) {
            svg.line(place(&pair[0]), place(&pair[1]), &style);
        }
        if one.dash.is_empty() {
            for (x, y) in one.points.iter().map(place) {
                svg.raw(&format!(
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>"
                ));
            }
        }
        let (left, _) = axes.sides();
        let column = left - 40.0 + 112.0 * index as f64;
        svg.line((column, TOP - 10.0), (column + 18.0, TOP - 10.0), &style);
        svg.text(
            (column + 23.0, TOP - 6.0),
            11.0,
            Anchor::Start,
            &one.name,
            "",
        );
    }
}

#[cfg(test)]
mod tests;
