//! The picture of a run: for each disk a strip with the whole of its time, and under it a lane per
//! vdisk, and per log and fold of a history, with what it received in each interval, against what
//! it has reserved, and its deadlines.
//!
//! Invariants: colour never carries a meaning alone (areas have patterns, lanes have names, missed
//! deadlines have a shape of their own); the same run gives the same bytes.

mod deadlines;
mod drawing;
mod fill_style;
mod strip;
mod time_axis;

use super::figures::SimulationReport;
use super::run::Run;
use super::svg::{Anchor, Svg, fitting, width_of};
use super::timeline::{Deadlines, Interval, Used};
use crate::disk_report::stream_window;
use deadlines::draw_deadlines;
use disktime_engine::StreamId;
use disktime_observe::StreamWindow;
use disktime_units::Nanos;
use drawing::DrawnDisk;
use fill_style::FillStyle;
use strip::draw_strip;
use time_axis::TimeAxis;

pub(crate) use drawing::Drawing;

const WIDTH: f64 = 800.0;
/// Where the axes begin: left of it are the lanes' names.
const LEFT: f64 = 150.0;
/// Where they end: right of it are the lanes' totals.
const RIGHT: f64 = 668.0;
const MARGIN: f64 = 8.0;
const STRIP_HEIGHT: f64 = 96.0;
/// Under each lane, for its deadlines.
const TICKS_HEIGHT: f64 = 12.0;
const GAP: f64 = 8.0;
/// The most lanes that are drawn; the strip shows the other vdisks as one area.
const MOST_LANES: usize = 24;

const GRID: &str = "stroke=\"#dddddd\" stroke-width=\"1\"";
const FRAME: &str = "stroke=\"#000\" stroke-width=\"1\"";
const SMALL: f64 = 11.0;
const SOFT: &str = "fill=\"#444444\"";

/// What a lane belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LaneKind<'a> {
    /// A vdisk that is in no group.
    Vdisk,
    /// A group: what its members received together.
    Group,
    /// A vdisk in the group of that name.
    MemberOf(&'a str),
    /// The log or the fold of a history.
    History,
}

/// What a lane shows.
struct Lane<'a> {
    name: &'a str,
    style: FillStyle,
    /// The streams whose time it shows: its own, or those of a group's members.
    streams: Vec<StreamId>,
    kind: LaneKind<'a>,
    reserved: Option<f64>,
    period: Option<Nanos>,
    limit: Option<f64>,
    figures: StreamWindow,
    deadlines: Vec<Deadlines>,
}

impl Lane<'_> {
    /// What it used of an interval.
    fn used(&self, interval: &Interval) -> Used {
        interval.used_by(&self.streams)
    }
}

/// Draws a run that was sampled; `interval` is what the areas are averages of.
pub(super) fn draw(run: &Run, report: &SimulationReport, interval: Nanos) -> String {
    let policies = run.disks().iter().map(|disk| disk.report().policy());
    let policies: Vec<&str> = policies.collect();
    let same = policies.windows(2).all(|pair| pair[0] == pair[1]);
    let policy = policies.first().filter(|_| same);
    let under = policy.map_or_else(String::new, |policy| format!(" under {policy}"));
    let subtitle = format!(
        "{} in virtual time{under}; each step is the mean of {interval}",
        report.duration()
    );
    let mut drawing = Drawing::new(subtitle, report.duration(), interval);
    for disk in run.disks() {
        let (counted, window) = (disk.report(), |name: &str| report.vdisk_window(name));
        drawing.add(counted, disk.timeline(), counted.total(), &window);
    }
    drawing.to_svg()
}

/// Each group with its members beneath it, then the vdisks that are in none.
fn lanes<'a>(disk: &DrawnDisk<'a>) -> Vec<Lane<'a>> {
    let (counted, timeline) = (disk.report(), disk.timeline());
    let mut lanes: Vec<Lane<'a>> = Vec::new();
    let mut add = |name: &'a str, account: StreamId, streams: Vec<StreamId>, figures, kind| {
        let config = &counted.stream(account).config;
        let style = FillStyle::of(lanes.len());
        lanes.push(Lane {
            name,
            style,
            streams,
            kind,
            reserved: config
                .reservation
                .map(|reservation| reservation.share.as_f64()),
            period: config.reservation.map(|reservation| reservation.period),
            limit: config.limit.map(|limit| limit.share.as_f64()),
            figures,
            deadlines: timeline.map_or_else(Vec::new, |timeline| timeline.deadlines(account)),
        });
    };
    let of_vdisk = |name: &str| disk.window(name);
    for group in counted.streams().groups() {
        let streams = group.members().iter().map(|(_, stream)| *stream).collect();
        let figures = group.windows(counted.counted()).total;
        let (name, figures) = (group.name(), stream_window(figures));
        add(name, group.account(), streams, figures, LaneKind::Group);
        for (member, stream) in group.members() {
            let kind = LaneKind::MemberOf(name);
            add(member, *stream, vec![*stream], of_vdisk(member), kind);
        }
    }
    for (name, stream) in counted.streams().vdisks() {
        if counted.streams().group_of(name).is_none() {
            add(
                name,
                *stream,
                vec![*stream],
                of_vdisk(name),
                LaneKind::Vdisk,
            );
        }
    }
    for (name, stream) in counted.streams().histories() {
        let figures = stream_window(counted.stream(*stream).windows.total);
        add(name, *stream, vec![*stream], figures, LaneKind::History);
    }
    lanes.truncate(MOST_LANES);
    lanes
}

fn draw_disk(
    svg: &mut Svg,
    top: f64,
    disk: &DrawnDisk<'_>,
    axis: &TimeAxis,
    interval: Nanos,
    notes: &mut Vec<String>,
) -> f64 {
    let intervals = disk
        .timeline()
        .map_or_else(Vec::new, |timeline| timeline.intervals(interval));
    let lanes = lanes(disk);
    let mut y = top + 12.0;
    draw_strip(svg, y, disk, &lanes, &intervals, axis);
    let disk = disk.report();
    y += STRIP_HEIGHT + 18.0;
    let (height, most) = (lane_height(lanes.len()), scale(&lanes, &intervals));
    for lane in &lanes {
        draw_lane(svg, (y, height), lane, &intervals, axis, most);
        draw_lane_texts(svg, (y, height), lane);
        notes.extend(draw_deadlines(
            svg,
            y + height,
            lane.name,
            &lane.deadlines,
            axis,
        ));
        y += height + TICKS_HEIGHT + GAP;
    }
    let is_vdisk = |lane: &&Lane<'_>| !matches!(lane.kind, LaneKind::Group | LaneKind::History);
    let hidden = disk.streams().vdisks().len() - lanes.iter().filter(is_vdisk).count();
    if hidden > 0 {
        notes.push(format!(
            "{hidden} more virtual disks of {} are drawn in its strip only, as one.",
            disk.name()
        ));
    }
    axis.draw_labels(svg, y - GAP + 2.0);
    y + 34.0
}

fn lane_height(lanes: usize) -> f64 {
    match lanes {
        0..=3 => 76.0,
        4..=6 => 56.0,
        7..=12 => 42.0,
        _ => 34.0,
    }
}

/// The share at the top of all lanes of a disk, so that they can be compared.
fn scale(lanes: &[Lane<'_>], intervals: &[Interval]) -> f64 {
    let marked = lanes.iter().flat_map(|lane| [lane.reserved, lane.limit]);
    let marked = marked.flatten().fold(0.0, f64::max);
    let received = intervals.iter().flat_map(|interval| {
        lanes
            .iter()
            .map(|lane| lane.used(interval).total() / interval.length())
    });
    let most = received.fold(marked, f64::max);
    let steps = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8];
    let step = steps.into_iter().find(|step| *step >= most);
    step.unwrap_or(1.0)
}

/// A stepped area between two heights per interval: empty if it is thin everywhere, with corners
/// only where a height changes.
fn area(intervals: &[Interval], axis: &TimeAxis, heights: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if heights.iter().all(|(lower, upper)| lower - upper < 0.05) {
        return Vec::new();
    }
    let edge = |height: fn(&(f64, f64)) -> f64| {
        let mut corners: Vec<(f64, f64)> = Vec::new();
        for (interval, heights) in intervals.iter().zip(heights) {
            let (to, height) = (axis.x(interval.end()), height(heights));
            match corners.last_mut() {
                Some(last) if (last.1 - height).abs() < 0.05 => last.0 = to,
                _ => corners.extend([(axis.x(interval.start()), height), (to, height)]),
            }
        }
        corners
    };
    let mut corners = edge(|heights| heights.1);
    corners.extend(edge(|heights| heights.0).into_iter().rev());
    corners
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// A share as it was written: without decimals that are zero.
fn short_percent(share: f64) -> String {
    format!("{} %", (share * 1e6).round() / 1e4)
}

fn draw_frame(svg: &mut Svg, (top, height): (f64, f64), most: f64) {
    svg.line((LEFT, top), (LEFT, top + height), FRAME);
    svg.line((LEFT, top + height), (RIGHT, top + height), FRAME);
    let full = short_percent(most);
    svg.text((LEFT - 4.0, top + 8.0), 10.0, Anchor::End, &full, SOFT);
    svg.text((LEFT - 4.0, top + height), 10.0, Anchor::End, "0", SOFT);
}

/// What a vdisk received: reserved time below, spare time on top.
fn draw_lane(
    svg: &mut Svg,
    (top, height): (f64, f64),
    lane: &Lane<'_>,
    intervals: &[Interval],
    axis: &TimeAxis,
    most: f64,
) {
    let bottom = top + height;
    axis.draw_grid(svg, top, bottom);
    let y = |share: f64| bottom - (share / most).min(1.0) * height;
    let reserved: Vec<(f64, f64)> = intervals
        .iter()
        .map(|interval| {
            (
                bottom,
                y(lane.used(interval).reserved / interval.length().max(1.0)),
            )
        })
        .collect();
    let spare: Vec<(f64, f64)> = intervals
        .iter()
        .zip(&reserved)
        .map(|(interval, (_, lower))| {
            let used = lane.used(interval).total();
            (*lower, y(used / interval.length().max(1.0)))
        })
        .collect();
    lane.style
        .fill(svg, &area(intervals, axis, &reserved), false);
    lane.style.fill(svg, &area(intervals, axis, &spare), true);
    if let Some(reserved) = lane.reserved {
        let line = y(reserved);
        svg.line((LEFT, line), (RIGHT, line), fill_style::RESERVED);
    }
    if let Some(limit) = lane.limit {
        svg.line((LEFT, y(limit)), (RIGHT, y(limit)), fill_style::LIMIT);
    }
    draw_frame(svg, (top, height), most);
}

fn draw_lane_texts(svg: &mut Svg, (top, height): (f64, f64), lane: &Lane<'_>) {
    let swatch = [
        (MARGIN, top + 1.0),
        (MARGIN + 12.0, top + 1.0),
        (MARGIN + 12.0, top + 12.0),
        (MARGIN, top + 12.0),
    ];
    lane.style.fill(svg, &swatch, false);
    let name = fitting(lane.name, 12.0, LEFT - MARGIN - 56.0);
    let full = super::svg::escaped(lane.name);
    svg.raw(&format!("<g><title>{full}</title>"));
    let bold = "font-weight=\"bold\"";
    svg.text(
        (MARGIN + 17.0, top + 11.0),
        12.0,
        Anchor::Start,
        &name,
        bold,
    );
    svg.raw("</g>");
    let entitled = match (lane.kind, lane.reserved, lane.period) {
        (LaneKind::MemberOf(group), ..) => {
            fitting(&format!("of {group}"), SMALL, LEFT - MARGIN - 36.0)
        }
        (LaneKind::Group, Some(reserved), Some(period)) => {
            format!("group, {} per {period}", short_percent(reserved))
        }
        (LaneKind::Group, ..) => "group, best effort".to_owned(),
        (LaneKind::Vdisk | LaneKind::History, Some(reserved), Some(period)) => {
            format!("{} per {period}", short_percent(reserved))
        }
        (LaneKind::Vdisk | LaneKind::History, ..) => "best effort".to_owned(),
    };
    svg.text((MARGIN, top + 25.0), SMALL, Anchor::Start, &entitled, SOFT);
    if let Some(limit) = lane.limit {
        let text = format!("at most {}", short_percent(limit));
        let y = top + 38.0;
        svg.text((MARGIN, y), SMALL, Anchor::Start, &text, SOFT);
    }
    let (received, spare) = (lane.figures.received_share, lane.figures.spare_share);
    let right = RIGHT + 8.0;
    let text = format!("received {}", percent(received));
    svg.text((right, top + 11.0), SMALL, Anchor::Start, &text, "");
    let text = format!("of it spare {}", percent(spare));
    svg.text((right, top + 25.0), SMALL, Anchor::Start, &text, SOFT);
    if lane.reserved.is_some() {
        let (met, missed) = (lane.figures.deadlines_met, lane.figures.deadlines_missed);
        let text = format!("{met} met, {missed} missed");
        // Many digits are drawn smaller rather than cut.
        let room = WIDTH - right - 4.0;
        let size = (SMALL * room / width_of(&text, SMALL)).clamp(7.0, SMALL);
        let y = top + height.max(36.0) + 3.0;
        svg.text((right, y), size.floor(), Anchor::Start, &text, "");
    }
}
