//! How the cost of a decision grows with the number of streams: a table, and with `--svg FILE` a
//! picture.
//!
//! Each figure is what a tenth of many short batches stayed below. The median would say how much
//! else the machine does: with a thousand streams a decision waits for memory, and other programs
//! that use the caches make it ten times as long. `--bench scheduler` has the same in criterion's
//! care.

use clap::Parser;
use disktime_benches::decision::{DecisionBench, Device};
use disktime_benches::{BenchResult, compare, machine};
use disktime_lab::figure::{Axis, Figure, Panel, Series};
use disktime_lab::{Table, cells};
use disktime_units::Share;
use std::path::PathBuf;
use std::time::Instant;

/// Decisions of a batch, and batches.
const BATCH: u32 = 2_000;
const BATCHES: usize = 201;
/// Active streams; all of them are registered.
const COUNTS: [u32; 9] = [10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000];
const DEVICES: [Device; 3] = [Device::HardDisk, Device::Flash, Device::Overlapping];
/// In nanoseconds on the hard disk, by active streams.
const TARGETS: [(f64, f64); 2] = [(10.0, 300.0), (1_000.0, 600.0)];

/// The cost of one scheduling decision against the number of streams.
#[derive(Debug, Parser)]
#[command(name = "decision")]
struct Arguments {
    /// Draws a picture there.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

fn fast_tenth_ns(device: Device, registered: u32, active: u32, percent: u32) -> f64 {
    let used = Share::from_percent(percent);
    let mut bench = DecisionBench::new(device, registered, active, used);
    let mut batches: Vec<f64> = (0..BATCHES)
        .map(|_| {
            let start = Instant::now();
            (0..BATCH).for_each(|_| bench.step());
            start.elapsed().as_nanos() as f64 / f64::from(BATCH)
        })
        .collect();
    batches.sort_by(f64::total_cmp);
    batches[BATCHES / 10]
}

fn main() -> BenchResult {
    let arguments = Arguments::parse();
    println!("{}", machine::sentence());
    let mut table = Table::new([
        "active streams",
        "reserved",
        "hard disk",
        "no seeks",
        "overlapping",
    ]);
    let mut series = Vec::new();
    let mut measure = |registered: u32, active: u32, percent: u32| {
        let costs = DEVICES.map(|device| fast_tenth_ns(device, registered, active, percent));
        let mut row = cells![format!("{active} of {registered}"), format!("{percent} %")];
        row.extend(costs.map(|cost| format!("{cost:.0} ns")));
        table.row(row);
        costs
    };
    for percent in [80, 100] {
        let costs = COUNTS.map(|count| measure(count, count, percent));
        for (index, device) in DEVICES.iter().enumerate() {
            let points = COUNTS.iter().zip(&costs);
            let points = points.map(|(count, costs)| (f64::from(*count), costs[index]));
            let name = format!("{}, {percent} % reserved", device.name());
            series.push(Series::line(name, points));
        }
    }
    measure(100_000, 1_000, 80);
    println!("{table}");
    let Some(file) = arguments.svg else {
        return Ok(());
    };
    let panel = Panel::new(
        "",
        Axis::logarithmic("active streams, all backlogged", 10.0, 100_000.0),
        Axis::logarithmic("ns", 100.0, 20_000.0),
    );
    let targets = Series::points("at most, 10 and 1,000", TARGETS).reference();
    let panel = panel.with(targets).with_all(series);
    let title = "Cost of one decision: arrival, dispatch and completion";
    let figure = Figure::new("decision-cost", title, [panel]);
    compare::write(&file, &figure.to_svg()?)
}
