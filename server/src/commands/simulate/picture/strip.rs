//! The strip at the top of a disk: what each vdisk used of each interval, stacked.

use super::drawing::DrawnDisk;
use super::fill_style::{FillStyle, REMAINDER_STYLE};
use super::time_axis::TimeAxis;
use super::{
    LEFT, Lane, LaneKind, MARGIN, RIGHT, SMALL, SOFT, STRIP_HEIGHT, area, draw_frame, percent,
};
use crate::commands::simulate::svg::{Anchor, Svg, fitting, width_of};
use crate::commands::simulate::timeline::Interval;
use disktime_engine::StreamId;

/// Its fill, the vdisk's name, and its lower and upper edge in each interval.
type Layer<'a> = (FillStyle, &'a str, Vec<(f64, f64)>);

/// Draws the whole disk: what each vdisk used, stacked.
pub(crate) fn draw_strip(
    svg: &mut Svg,
    top: f64,
    disk: &DrawnDisk<'_>,
    lanes: &[Lane<'_>],
    intervals: &[Interval],
    axis: &TimeAxis,
) {
    let bottom = top + STRIP_HEIGHT;
    axis.draw_grid(svg, top, bottom);
    let mut levels = vec![0.0; intervals.len()];
    let mut stack = |part: &dyn Fn(&Interval) -> f64| -> Vec<(f64, f64)> {
        let steps = intervals.iter().zip(levels.iter_mut());
        let heights = steps.map(|(interval, level)| {
            let lower = bottom - *level * STRIP_HEIGHT;
            *level = (*level + part(interval) / interval.length().max(1.0)).min(1.0);
            (lower, bottom - *level * STRIP_HEIGHT)
        });
        heights.collect()
    };
    let mut layers: Vec<Layer<'_>> = Vec::new();
    // What a group received is what its members did.
    let lanes: Vec<&Lane<'_>> = lanes
        .iter()
        .filter(|lane| lane.kind != LaneKind::Group)
        .collect();
    for lane in &lanes {
        let used = |interval: &Interval| lane.used(interval).total();
        layers.push((lane.style, lane.name, stack(&used)));
    }
    let drawn = lanes.iter().flat_map(|lane| &lane.streams);
    let drawn: Vec<StreamId> = drawn.copied().collect();
    let rest = |interval: &Interval| interval.used_by_others(&drawn);
    layers.push((REMAINDER_STYLE, "", stack(&rest)));
    for (style, name, heights) in &layers {
        style.fill(svg, &area(intervals, axis, heights), false);
        if let Some(place) = place_for(name, heights, intervals, axis) {
            let halo =
                "stroke=\"#fff\" stroke-width=\"3\" paint-order=\"stroke\" font-weight=\"bold\"";
            svg.text(place, 12.0, Anchor::Middle, name, halo);
        }
    }
    draw_frame(svg, (top, STRIP_HEIGHT), 1.0);
    draw_strip_texts(svg, top, disk);
}

/// Where a layer's name fits: in the longest stretch that is thick enough.
fn place_for(
    name: &str,
    heights: &[(f64, f64)],
    intervals: &[Interval],
    axis: &TimeAxis,
) -> Option<(f64, f64)> {
    const THICK: f64 = 15.0;
    let width = width_of(name, 12.0) + 8.0;
    let mut best: Option<(f64, f64, f64)> = None;
    for start in 0..heights.len() {
        // The stretch from here on in which one line of text stays inside the layer.
        let (mut upper, mut lower) = (f64::MIN, f64::MAX);
        for end in start..heights.len() {
            upper = upper.max(heights[end].1);
            lower = lower.min(heights[end].0);
            if lower - upper < THICK {
                break;
            }
            let (from, to) = (
                axis.x(intervals[start].start()),
                axis.x(intervals[end].end()),
            );
            if best.is_none_or(|(length, ..)| to - from > length + 0.01) {
                best = Some((to - from, (from + to) / 2.0, (upper + lower) / 2.0 + 4.2));
            }
        }
    }
    best.filter(|(length, ..)| *length >= width && !name.is_empty())
        .map(|(_, x, y)| (x, y))
}

fn draw_strip_texts(svg: &mut Svg, top: f64, disk: &DrawnDisk<'_>) {
    let figures = disk.whole();
    let name = fitting(disk.report().name(), 14.0, LEFT - 44.0);
    let bold = "font-weight=\"bold\"";
    svg.text((MARGIN, top + 14.0), 14.0, Anchor::Start, &name, bold);
    svg.text(
        (MARGIN, top + 30.0),
        SMALL,
        Anchor::Start,
        "the whole disk,",
        SOFT,
    );
    svg.text(
        (MARGIN, top + 44.0),
        SMALL,
        Anchor::Start,
        "share of its time",
        SOFT,
    );
    let lines = [
        ("busy", figures.busy_share),
        ("waiting", figures.waiting_share),
        ("idle", figures.idle_share),
        ("switching", figures.switching_share),
    ];
    for (index, (what, share)) in lines.iter().enumerate() {
        let text = format!("{what} {}", percent(*share));
        let y = top + 14.0 + 15.0 * index as f64;
        svg.text((RIGHT + 8.0, y), SMALL, Anchor::Start, &text, "");
    }
}
