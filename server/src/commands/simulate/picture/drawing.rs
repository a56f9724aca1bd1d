//! What a picture shows: a heading, disks under each other with what they counted over time, and
//! sentences below.

use super::fill_style;
use super::{MARGIN, SMALL, SOFT, TimeAxis, WIDTH, draw_disk};
use crate::commands::simulate::svg::{Anchor, Svg};
use crate::commands::simulate::timeline::Timeline;
use crate::disk_report::DiskReport;
use disktime_observe::{DiskWindow, StreamWindow};
use disktime_units::Nanos;
use std::collections::BTreeMap;

const TITLE: &str = "Disk time per virtual disk over time";

/// What a picture shows.
#[derive(Debug)]
pub(crate) struct Drawing<'a> {
    subtitle: String,
    duration: Nanos,
    /// What the areas are averages of.
    interval: Nanos,
    disks: Vec<DrawnDisk<'a>>,
    sentences: Vec<String>,
}

/// A disk of a picture.
#[derive(Debug)]
pub(super) struct DrawnDisk<'a> {
    report: &'a DiskReport,
    timeline: Option<&'a Timeline>,
    whole: DiskWindow,
    windows: BTreeMap<&'a str, StreamWindow>,
}

impl<'a> Drawing<'a> {
    /// A picture of so much time, in steps of `interval`, without disks.
    pub(crate) fn new(subtitle: String, duration: Nanos, interval: Nanos) -> Drawing<'a> {
        Drawing {
            subtitle,
            duration,
            interval,
            disks: Vec::new(),
            sentences: Vec::new(),
        }
    }

    /// Adds a disk: its streams, what they received over time, and what the disk and each vdisk
    /// counted in all.
    pub(crate) fn add(
        &mut self,
        report: &'a DiskReport,
        timeline: Option<&'a Timeline>,
        whole: DiskWindow,
        window: &dyn Fn(&str) -> StreamWindow,
    ) {
        let vdisks = report.streams().vdisks().iter();
        let windows = vdisks.map(|(name, _)| (name.as_str(), window(name)));
        self.disks.push(DrawnDisk {
            report,
            timeline,
            whole,
            windows: windows.collect(),
        });
    }

    /// Adds a sentence below the disks; it has to fit a line.
    pub(crate) fn note(&mut self, sentence: String) {
        self.sentences.push(sentence);
    }

    /// The picture.
    pub(crate) fn to_svg(&self) -> String {
        let axis = TimeAxis::new(self.duration, super::LEFT, super::RIGHT);
        let mut svg = Svg::new();
        let mut notes = Vec::new();
        let mut y = self.draw_top(&mut svg);
        for disk in &self.disks {
            y = draw_disk(&mut svg, y, disk, &axis, self.interval, &mut notes);
        }
        for note in notes.iter().chain(&self.sentences) {
            svg.text((MARGIN, y + 12.0), SMALL, Anchor::Start, note, SOFT);
            y += 16.0;
        }
        svg.finish(WIDTH, y + 8.0, TITLE, &fill_style::definitions())
    }

    fn draw_top(&self, svg: &mut Svg) -> f64 {
        let bold = "font-weight=\"bold\"";
        svg.text((MARGIN, 22.0), 17.0, Anchor::Start, TITLE, bold);
        svg.text((MARGIN, 40.0), 12.0, Anchor::Start, &self.subtitle, SOFT);
        fill_style::draw_legend(svg, MARGIN, 58.0, WIDTH - MARGIN) + 10.0
    }
}

impl<'a> DrawnDisk<'a> {
    /// Its streams.
    pub(super) fn report(&self) -> &'a DiskReport {
        self.report
    }

    /// What they received over time.
    pub(super) fn timeline(&self) -> Option<&'a Timeline> {
        self.timeline
    }

    /// What the disk counted in all.
    pub(super) fn whole(&self) -> DiskWindow {
        self.whole
    }

    /// What a vdisk counted in all.
    pub(super) fn window(&self, vdisk: &str) -> StreamWindow {
        self.windows.get(vdisk).copied().unwrap_or_default()
    }
}
