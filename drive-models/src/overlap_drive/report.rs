//! The report of `disktime model` on a drive that overlaps requests, as text and as JSON; and the
//! list of all presets.

use super::{OverlapDrive, QUANTUM_BYTES};
use crate::ClassCost;
use crate::hdd::{HddModel, preset, preset_names};
use disktime_units::{Nanos, format_size};
use serde::Serialize;
use std::fmt::Write as _;

/// What one kind of request takes.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct KindFigures {
    /// Its operation and place.
    kind: &'static str,
    /// Its length; 0 for a flush.
    len_bytes: u64,
    /// What it takes of the device's throughput.
    occupancy_us: f64,
    /// How many fit into a second.
    per_second: f64,
    /// Bytes of so many, in MB; 0 for what moves none.
    mb_per_s: f64,
    /// How long it takes alone.
    alone_us: f64,
}

/// The figures of a drive that overlaps requests.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OverlapReport {
    /// The preset's name.
    name: &'static str,
    /// What it is, and where its figures come from.
    about: &'static str,
    /// Requests that it takes at once.
    max_in_flight: u32,
    /// Requests of at most this many bytes go to it in one piece.
    quantum_bytes: u32,
    /// W: a request of the quantum alone, with σ.
    worst_case_ms: f64,
    /// H: the occupancy in flight with which it is full enough.
    occupancy_bound_us: f64,
    /// σ: the time until reads are normal after writes stop.
    settle_us: f64,
    /// What requests take.
    requests: Vec<KindFigures>,
}

fn micros(time: Nanos) -> f64 {
    time.0 as f64 / 1e3
}

fn figures(kind: &'static str, class: &ClassCost, len_bytes: u64, moves: bool) -> KindFigures {
    let quote = class.quote(len_bytes);
    let per_second = 1e6 / micros(quote.occupancy);
    let moved = if moves { len_bytes } else { 0 };
    KindFigures {
        kind,
        len_bytes,
        occupancy_us: micros(quote.occupancy),
        per_second,
        mb_per_s: per_second * moved as f64 / 1e6,
        alone_us: micros(quote.lone),
    }
}

impl OverlapReport {
    /// Reports on a drive.
    pub fn new(drive: &OverlapDrive) -> OverlapReport {
        let cost = &drive.cost;
        let large = u64::from(QUANTUM_BYTES);
        let classes = [
            ("random read", &cost.random_read),
            ("sequential read", &cost.sequential_read),
            ("random write", &cost.random_write),
            ("sequential write", &cost.sequential_write),
        ];
        let mut requests = Vec::new();
        for len_bytes in [4096, large] {
            let both = classes.iter();
            requests.extend(both.map(|(kind, class)| figures(kind, class, len_bytes, true)));
        }
        requests.push(figures("discard", &cost.discard, large, false));
        requests.push(figures("flush", &cost.flush, 0, false));
        OverlapReport {
            name: drive.name,
            about: drive.about,
            max_in_flight: drive.queue_depth(),
            quantum_bytes: QUANTUM_BYTES,
            worst_case_ms: drive.worst_case.as_millis_f64(),
            occupancy_bound_us: micros(cost.occupancy_bound),
            settle_us: micros(cost.settle),
            requests,
        }
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
            "{}: {} requests in flight",
            self.name, self.max_in_flight
        )?;
        writeln!(out, "  {}", self.about)?;
        writeln!(
            out,
            "  prices: what probes of the model measure, sustained\n\n\
             request                       occupancy    a second      MB/s       alone"
        )?;
        for request in &self.requests {
            let size = match request.len_bytes {
                0 => String::new(),
                bytes => format_size(bytes),
            };
            let megabytes = match request.mb_per_s {
                0.0 => String::new(),
                rate => format!("{rate:.0}"),
            };
            writeln!(
                out,
                "{size:>8} {:<17} {:>9.1} us {:>11.0} {megabytes:>9} {:>8.1} us",
                request.kind, request.occupancy_us, request.per_second, request.alone_us
            )?;
        }
        writeln!(
            out,
            "\nW, any request up to {} alone, and σ  {:.2} ms",
            format_size(u64::from(self.quantum_bytes)),
            self.worst_case_ms
        )?;
        writeln!(
            out,
            "H, occupancy in flight when it is full     {:.0} us",
            self.occupancy_bound_us
        )?;
        writeln!(
            out,
            "σ, until reads are normal after writes     {:.0} us",
            self.settle_us
        )
    }
}

/// All presets with their main figures, a line each.
pub fn list_presets() -> String {
    let mut out = String::from(
        "preset                4 KiB random reads        128 KiB reads, writes   in flight        W\n\
         \u{20}                        alone    a second                    MB/s\n",
    );
    for name in preset_names() {
        let Some((parameters, _)) = preset(name) else {
            continue;
        };
        let Ok(model) = HddModel::scaled_to(&parameters, parameters.size_bytes()) else {
            continue;
        };
        let (read, drive) = (model.mean_random_read(4096), model.properties());
        let moved = model.zones().first().map_or(0.0, |zone| zone.mb_per_s);
        let outer = format!("up to {moved:.0}");
        let line = Line {
            name,
            alone: Nanos((read.mean_ms * 1e6) as u64),
            per_second: 1e3 / read.mean_ms,
            megabytes: outer,
            in_flight: drive.max_in_flight,
            worst_case: drive.worst_case,
        };
        line.write(&mut out);
    }
    for drive in OverlapDrive::names().filter_map(OverlapDrive::find) {
        let report = OverlapReport::new(&drive);
        let of = |kind: &str, len_bytes| {
            let mut all = report.requests.iter();
            all.find(|one| one.kind == kind && one.len_bytes == len_bytes)
        };
        let large = u64::from(QUANTUM_BYTES);
        let rate = |kind| of(kind, large).map_or(0.0, |figures| figures.mb_per_s);
        let small = drive.cost.random_read.quote(4096);
        let line = Line {
            name: drive.name,
            alone: small.lone,
            per_second: 1e9 / small.occupancy.0 as f64,
            megabytes: format!("{:.0}, {:.0}", rate("random read"), rate("random write")),
            in_flight: drive.queue_depth() as usize,
            worst_case: drive.worst_case,
        };
        line.write(&mut out);
    }
    out
}

/// A line of the list of presets.
struct Line<'a> {
    name: &'a str,
    alone: Nanos,
    per_second: f64,
    megabytes: String,
    in_flight: usize,
    worst_case: Nanos,
}

impl Line<'_> {
    fn write(&self, out: &mut String) {
        writeln!(
            out,
            "{:<20} {:>8.3} ms {:>11.0} {:>23} {:>11} {:>8.2} ms",
            self.name,
            self.alone.as_millis_f64(),
            self.per_second,
            self.megabytes,
            self.in_flight,
            self.worst_case.as_millis_f64()
        )
        .expect("a string takes whatever is written");
    }
}
