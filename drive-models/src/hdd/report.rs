//! The report of `disktime model` on a modelled disk, as text and as JSON.

use super::drives::{Drive, OverheadSource};
use super::judge::{TraceReport, judge};
use super::model::{HDD_QUANTUM_BYTES, HddModel, MeanTime, ZoneSummary};
use super::parameters::HddError;
use super::presets::Provenance;
use super::trace::MeasuredRequest;
use disktime_units::{Nanos, format_size};
use serde::Serialize;
use std::fmt::Write as _;

/// A point of the seek curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SeekCurvePoint {
    /// Distance in bytes.
    pub distance_bytes: u64,
    /// Seek time.
    pub seek_ms: f64,
}

/// The figures of a modelled disk.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelReport {
    /// The preset's or the drive's name.
    pub name: String,
    /// What the figures are based on.
    #[serde(rename = "standing")]
    pub provenance: Provenance,
    /// Whether they were compared with service times measured on the drive.
    pub validated: bool,
    /// Where the figures come from.
    pub source: String,
    /// Where the command overheads come from.
    pub overhead_source: OverheadSource,
    /// Size served.
    pub size_bytes: u64,
    /// Turns a minute.
    pub rpm: f64,
    /// Seek time by distance.
    pub seek_curve: Vec<SeekCurvePoint>,
    /// Zones, outermost first.
    pub zones: Vec<ZoneSummary>,
    /// Mean seek between random places.
    pub mean_seek_ms: f64,
    /// 4 KiB reads at random places.
    pub random_read_4k: MeanTime,
    /// 4 KiB reads in order from the start of the disk.
    pub sequential_read_4k: MeanTime,
    /// Requests of at most this many bytes go to the disk in one piece.
    pub quantum_bytes: u32,
    /// W: no such request takes longer, with the write cache off.
    pub worst_case_ms: f64,
    /// s: mean seek and half a turn.
    pub switch_cost_ms: f64,
    /// R: longest seek and a turn.
    pub worst_seek_ms: f64,
    /// Comparison with a measured trace.
    pub trace: Option<TraceReport>,
}

impl ModelReport {
    /// Reports on a drive serving `size_bytes` (by default its own size), and compares it with a
    /// trace measured on the real one.
    ///
    /// # Errors
    /// A sentence when the parameters, the size or the trace do not fit.
    pub fn new(
        drive: &Drive,
        size_bytes: Option<u64>,
        trace: Option<&[MeasuredRequest]>,
    ) -> Result<ModelReport, HddError> {
        let size_bytes = size_bytes.unwrap_or(drive.parameters.size_bytes());
        let model = HddModel::scaled_to(&drive.parameters, size_bytes)?;
        let ms = Nanos::as_millis_f64;
        let point = |point: crate::SeekPoint| SeekCurvePoint {
            distance_bytes: point.distance_bytes,
            seek_ms: ms(point.seek),
        };
        Ok(ModelReport {
            name: drive.name.clone(),
            provenance: drive.provenance,
            validated: drive.provenance == Provenance::ValidatedOnHardware,
            source: drive.parameters.src.clone(),
            overhead_source: drive.overheads,
            size_bytes: model.size_bytes(),
            rpm: drive.parameters.rpm,
            seek_curve: model.seek_curve().into_iter().map(point).collect(),
            zones: model.zones(),
            mean_seek_ms: ms(model.mean_seek()),
            random_read_4k: model.mean_random_read(4096),
            sequential_read_4k: model.mean_sequential_read(4096),
            quantum_bytes: HDD_QUANTUM_BYTES,
            worst_case_ms: ms(model.worst_case(u64::from(HDD_QUANTUM_BYTES))),
            switch_cost_ms: ms(model.switch_cost()),
            worst_seek_ms: ms(model.worst_seek()),
            trace: trace.map(|trace| judge(drive, trace)).transpose()?,
        })
    }

    /// The report as text.
    pub fn render(&self) -> String {
        let mut text = String::new();
        self.render_into(&mut text)
            .expect("a string takes whatever is written");
        text
    }

    fn render_into(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "{}: {}, {:.0} rpm",
            self.name,
            format_size(self.size_bytes),
            self.rpm
        )?;
        writeln!(out, "  {}", self.provenance.describe())?;
        writeln!(out, "  source: {}", self.source)?;
        writeln!(
            out,
            "  command overheads: {}",
            describe_overheads(self.overhead_source)
        )?;
        let random = self.random_read_4k;
        writeln!(
            out,
            "\n4 KiB random read      {:8.2} ms ± {:.2}  ({:.1} a second)",
            random.mean_ms,
            random.deviation_ms,
            1e3 / random.mean_ms
        )?;
        writeln!(
            out,
            "4 KiB sequential read  {:8.3} ms",
            self.sequential_read_4k.mean_ms
        )?;
        writeln!(out, "mean seek              {:8.2} ms", self.mean_seek_ms)?;
        writeln!(
            out,
            "W, any request up to {}, write cache off  {:.2} ms",
            format_size(u64::from(self.quantum_bytes)),
            self.worst_case_ms
        )?;
        writeln!(
            out,
            "s, mean seek + half a turn                   {:.2} ms",
            self.switch_cost_ms
        )?;
        writeln!(
            out,
            "R, longest seek + a turn                     {:.2} ms",
            self.worst_seek_ms
        )?;
        writeln!(out, "\n    seek over        ms")?;
        for point in self.seek_curve.iter().step_by(4) {
            writeln!(
                out,
                "{:>13} {:9.3}",
                format_size(point.distance_bytes),
                point.seek_ms
            )?;
        }
        writeln!(out, "\n    zone from        size  sectors/track    MB/s")?;
        for zone in &self.zones {
            writeln!(
                out,
                "{:>13} {:>11} {:14} {:7.1}",
                format_size(zone.first_byte),
                format_size(zone.bytes),
                zone.sectors_per_track,
                zone.mb_per_s
            )?;
        }
        self.trace
            .as_ref()
            .map_or(Ok(()), |trace| trace.render_into(out))
    }
}

fn describe_overheads(source: OverheadSource) -> &'static str {
    match source {
        OverheadSource::Given => "given with the drive",
        OverheadSource::FittedToMeasuredTrace => "fitted to the first half of the measured trace",
        OverheadSource::DiskSim => "those of the drive's DiskSim 4.0 parameters",
        OverheadSource::Assumed => "not known, assumed",
    }
}
