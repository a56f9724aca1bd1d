//! What is measured: the cells of the table, and one sample of one server in one of them.

use crate::peers::Server;
use disktime_benches::compare::Sample;
use disktime_benches::load::Load;
use disktime_benches::{BenchResult, fio};
use std::time::Duration;

/// What is asked of each backing, in the order of the table.
pub(crate) fn loads() -> Vec<Load> {
    let random = [1, 32, 128].map(|depth| Load::random(depth, 1));
    Load::both_ways(random.into_iter().chain([Load::sequential(1 << 20, 4)]))
}

/// Measures a server for `time`.
///
/// # Errors
/// If it fails meanwhile.
pub(crate) fn sample(load: Load, server: &Server, time: Duration) -> BenchResult<Sample> {
    let process = server.process();
    // fio inherits where this process may run.
    process.pin_with_us(load.processors())?;
    let size_bytes = std::fs::metadata(server.file())?.len();
    let mut arguments = [
        "--name=fuse",
        "--ioengine=io_uring",
        "--direct=1",
        "--time_based",
        "--norandommap",
        "--allow_file_create=0",
    ]
    .map(str::to_owned)
    .to_vec();
    arguments.push(format!("--filename={}", server.file().display()));
    arguments.push(format!("--size={size_bytes}"));
    arguments.push(format!("--runtime={}ms", time.as_millis()));
    arguments.extend(load.fio());
    let before = process.cpu_time()?;
    let report = fio::run(arguments)?;
    let cpu = process.cpu_time()?.saturating_sub(before);
    let part = fio::part(&report, load.write)?;
    let quantile = |wanted: f64| {
        let found = part.percentiles.iter().find(|(at, _)| *at >= wanted - 1e-9);
        found.map_or(f64::NAN, |(_, nanos)| *nanos as f64)
    };
    let came = (part.requests, part.elapsed);
    Sample::new(process.name(), load.block_bytes, came, cpu, quantile)
}
