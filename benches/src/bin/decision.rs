//! How the cost of a decision grows with the number of streams: a table, and with `--svg FILE` a
//! picture.
//!
//! Each figure is the median of many batches; run it on an idle machine. `--bench scheduler` has the
//! same in criterion's care.

use clap::Parser;
use disktime_benches::Outcome;
use disktime_benches::decision::{DecisionBench, Device};
use disktime_benches::machine;
use disktime_lab::figure::{Axis, Figure, Mark, Series};
use disktime_units::Share;
use std::path::PathBuf;
use std::time::Instant;

/// Decisions of a batch, and batches.
const BATCH: u32 = 10_000;
const BATCHES: usize = 21;
/// Active streams; all of them are registered.
const COUNTS: [u32; 9] = [10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000];
/// In nanoseconds, by active streams: 10; 1,000; 1,000 of 100,000.
const TARGETS: [(f64, f64); 2] = [(10.0, 300.0), (1_000.0, 600.0)];

/// The cost of one scheduling decision against the number of streams.
#[derive(Debug, Parser)]
#[command(name = "decision")]
struct Arguments {
    /// Draws a picture there.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

fn median_ns(device: Device, registered: u32, active: u32, percent: u32) -> f64 {
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
    batches[BATCHES / 2]
}

fn main() -> Outcome {
    let arguments = Arguments::parse();
    println!("{}", machine::sentence());
    println!("| active streams | reserved | hard disk | no seeks |");
    println!("|---|---:|---:|---:|");
    let mut series = Vec::new();
    for percent in [80, 100] {
        let mut curves = [Vec::new(), Vec::new()];
        for count in COUNTS {
            let costs = [Device::HardDisk, Device::Flash]
                .map(|device| median_ns(device, count, count, percent));
            println!(
                "| {count} of {count} | {percent} % | {:.0} ns | {:.0} ns |",
                costs[0], costs[1]
            );
            for (curve, cost) in curves.iter_mut().zip(costs) {
                curve.push((f64::from(count), cost));
            }
        }
        let [seeks, flash] = curves;
        series.push(Series::new(
            format!("hard disk, {percent} % reserved"),
            Mark::Line,
            seeks,
        ));
        series.push(Series::new(
            format!("no seeks, {percent} % reserved"),
            Mark::Line,
            flash,
        ));
    }
    let costs =
        [Device::HardDisk, Device::Flash].map(|device| median_ns(device, 100_000, 1_000, 80));
    println!(
        "| 1000 of 100000 | 80 % | {:.0} ns | {:.0} ns |",
        costs[0], costs[1]
    );
    let Some(file) = arguments.svg else {
        return Ok(());
    };
    series.insert(
        0,
        Series::reference("at most, 10 and 1,000", Mark::Points, TARGETS.to_vec()),
    );
    let figure = Figure::single(
        "decision-cost",
        "Cost of one decision: arrival, dispatch and completion",
        Axis::logarithmic("active streams, all backlogged", 10.0, 100_000.0),
        Axis::logarithmic("ns", 100.0, 20_000.0),
        series,
    );
    std::fs::write(&file, figure.to_svg()?)
        .map_err(|error| format!("{} cannot be written: {error}", file.display()))?;
    Ok(())
}
