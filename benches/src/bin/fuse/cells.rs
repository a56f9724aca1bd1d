//! What is measured: the cells of the table, and one sample of one server in one of them.

use crate::peers::{Backing, Server};
use disktime_benches::compare::Sample;
use disktime_benches::process::{self, Processors};
use disktime_benches::{BenchResult, fio};
use std::time::Duration;

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    pub backing: Backing,
    pub write: bool,
    pub block_bytes: u32,
    pub depth: u32,
}

impl Cell {
    /// As in `null 4K randread d32`; `--cells` takes parts of it.
    pub fn name(&self) -> String {
        let (block, pattern) = match self.is_large() {
            true => ("1M", "seq"),
            false => ("4K", "rand"),
        };
        let direction = if self.write { "write" } else { "read" };
        format!(
            "{} {block} {pattern}{direction} d{}",
            self.backing.name(),
            self.depth
        )
    }

    fn is_large(&self) -> bool {
        self.block_bytes > 4 << 10
    }

    /// Whether client and server share one processor, on all sides: waking another one costs more
    /// than a request does, and as much as it likes.
    fn is_pinned(&self) -> bool {
        self.depth == 1
    }
}

/// All cells of a backing, in the order of the table.
pub fn cells(backing: Backing) -> Vec<Cell> {
    let kinds = [(4 << 10, 1), (4 << 10, 32), (4 << 10, 128), (1 << 20, 4)];
    kinds
        .into_iter()
        .flat_map(|(block_bytes, depth)| {
            [false, true].map(|write| Cell {
                backing,
                write,
                block_bytes,
                depth,
            })
        })
        .collect()
}

/// Measures a server for `time`.
///
/// # Errors
/// If it fails under way.
pub fn sample(cell: &Cell, server: &Server, time: Duration) -> BenchResult<Sample> {
    let processors = if cell.is_pinned() {
        Processors::One
    } else {
        Processors::All
    };
    server.pin(processors)?;
    // fio inherits it.
    process::pin(0, processors)?;
    let pattern = match (cell.is_large(), cell.write) {
        (true, false) => "read",
        (true, true) => "write",
        (false, false) => "randread",
        (false, true) => "randwrite",
    };
    let size_bytes = std::fs::metadata(&server.file)?.len();
    let before = server.cpu_time()?;
    let report = fio::run([
        "--name=fuse".to_owned(),
        "--ioengine=io_uring".to_owned(),
        "--direct=1".to_owned(),
        "--time_based".to_owned(),
        "--norandommap".to_owned(),
        "--allow_file_create=0".to_owned(),
        format!("--filename={}", server.file.display()),
        format!("--size={size_bytes}"),
        format!("--rw={pattern}"),
        format!("--bs={}", cell.block_bytes),
        format!("--iodepth={}", cell.depth),
        format!("--runtime={}ms", time.as_millis()),
    ])?;
    let cpu = server.cpu_time()?.saturating_sub(before);
    let part = fio::part(&report, cell.write)?;
    let quantile = |wanted: f64| {
        let found = part.percentiles.iter().find(|(at, _)| *at >= wanted - 1e-9);
        found.map_or(f64::NAN, |(_, nanos)| *nanos as f64)
    };
    let came = (part.requests, part.elapsed);
    Sample::new(server.peer.name(), cell.block_bytes, came, cpu, quantile)
}

#[cfg(test)]
mod tests;
