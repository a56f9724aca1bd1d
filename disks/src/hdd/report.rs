//! What a modelled disk does, for people and for machines: the report of `disktime model`.

use super::bounds::{HDD_QUANTUM_BYTES, MeanTime, ZoneSummary};
use super::drives::{Drive, MEASURING_HOST_BUS, OverheadSource};
use super::fit::fit_overheads;
use super::model::HddModel;
use super::parameters::{CommandOverheads, HddError};
use super::presets::Standing;
use super::trace::{MeasuredRequest, demerit_percent, mean_ms, replay};
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

/// A measured trace against the model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TraceReport {
    /// Requests in the trace.
    pub requests: usize,
    /// Requests on which the figures below were taken: all, or the second half where the first
    /// was used for fitting.
    pub judged_requests: usize,
    /// Mean of the measured service times.
    pub measured_mean_ms: f64,
    /// Mean of the model's.
    pub modelled_mean_ms: f64,
    /// RMS horizontal distance of the two cumulative distributions in % of the measured mean.
    pub demerit_percent: f64,
    /// The same over the whole trace, the part used for fitting included.
    pub whole_trace_demerit_percent: f64,
    /// Whether overheads, bus rate, read-ahead and write cache were fitted to the first half of
    /// this very trace, because nobody gave them.
    pub fitted_to_first_half: bool,
    /// The drive was modelled with its write cache on.
    pub write_cache: bool,
    /// The overheads used.
    pub overheads_ms: CommandOverheads,
    /// The bus rate used, in units of 10⁶ bytes a second.
    pub bus_mb_per_s: Option<f64>,
}

/// What a modelled disk does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelReport {
    /// Preset or drive.
    pub name: String,
    /// What stands behind the figures.
    pub standing: Standing,
    /// Whether that is a comparison with service times measured on the drive.
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
    /// 4 KiB reads one behind the other at the start of the disk.
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
    /// Reports on a drive serving `size_bytes` (by default its own size), and on how it does
    /// against a trace measured on the real one.
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
            standing: drive.standing,
            validated: drive.standing == Standing::ValidatedOnHardware,
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

    /// For a terminal.
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
        writeln!(out, "  {}", self.standing.describe())?;
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

impl TraceReport {
    fn render_into(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "\nmeasured trace: {} requests", self.requests)?;
        if self.judged_requests < self.requests {
            writeln!(
                out,
                "  overheads were fitted to its first half; judged on the other {} requests",
                self.judged_requests
            )?;
        }
        writeln!(out, "  measured mean  {:.3} ms", self.measured_mean_ms)?;
        writeln!(out, "  modelled mean  {:.3} ms", self.modelled_mean_ms)?;
        writeln!(
            out,
            "  demerit        {:.2} % of the measured mean (whole trace {:.2} %)",
            self.demerit_percent, self.whole_trace_demerit_percent
        )?;
        for (name, [after_read, after_write]) in self.overheads_ms.pairs() {
            writeln!(
                out,
                "  overhead {name:10}  {after_read:.3} ms after a read, {after_write:.3} after a write"
            )?;
        }
        Ok(())
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

/// Compares with a trace. Overheads that nobody measured are fitted to its first half first. The
/// whole drive is modelled, whatever size is served, as the trace was measured on it.
fn judge(drive: &Drive, trace: &[MeasuredRequest]) -> Result<TraceReport, HddError> {
    let half = trace.len() / 2;
    let unknown = matches!(
        drive.overheads,
        OverheadSource::Assumed | OverheadSource::DiskSim
    );
    let fitted_to_first_half = unknown && half > 0;
    let mut parameters = drive.parameters.clone();
    if fitted_to_first_half {
        parameters = fit_overheads(&parameters, &trace[..half])?;
    } else if drive.overheads == OverheadSource::FittedToMeasuredTrace {
        // The known drives were measured with their write cache on, over the bus of that host.
        parameters.write_cache = true;
        parameters.bus_mb_per_s = parameters.bus_mb_per_s.or(MEASURING_HOST_BUS);
    }
    let times = replay(&mut HddModel::new(&parameters)?, trace)?;
    let measured: Vec<Nanos> = trace.iter().map(|request| request.service).collect();
    let judged_from = match drive.overheads {
        OverheadSource::Given => 0,
        _ => half,
    };
    Ok(TraceReport {
        requests: trace.len(),
        judged_requests: trace.len() - judged_from,
        measured_mean_ms: mean_ms(measured[judged_from..].iter().copied()),
        modelled_mean_ms: mean_ms(times[judged_from..].iter().copied()),
        demerit_percent: demerit_percent(&measured[judged_from..], &times[judged_from..]),
        whole_trace_demerit_percent: demerit_percent(&measured, &times),
        fitted_to_first_half,
        write_cache: parameters.write_cache,
        overheads_ms: parameters.overhead_ms.unwrap_or_default(),
        bus_mb_per_s: parameters.bus_mb_per_s,
    })
}
