//! What is measured: the cells of the table, and one sample of one server in one of them.

use crate::client::{self, Load};
use crate::fio;
use crate::peers::{Backing, Server};
use disktime_benches::BenchResult;
use disktime_benches::compare::Sample;
use disktime_benches::process::{self, Processors};
use std::time::Duration;

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    pub backing: Backing,
    pub load: Load,
}

impl Cell {
    /// As in `memory 4K randread d32 c1`; `--cells` takes parts of it.
    pub fn name(&self) -> String {
        let load = self.load;
        let pattern = if load.sequential { "seq" } else { "rand" };
        let direction = if load.write { "write" } else { "read" };
        let block = match load.block_bytes {
            bytes if bytes >= 1 << 20 => format!("{}M", bytes >> 20),
            bytes => format!("{}K", bytes >> 10),
        };
        format!(
            "{} {block} {pattern}{direction} d{} c{}",
            self.backing.name(),
            load.depth,
            load.connections
        )
    }

    /// Whether client and server share one processor, on all sides: waking another one costs more
    /// than a request does, and as much as it likes.
    pub fn is_pinned(&self) -> bool {
        self.load.depth == 1
    }
}

/// All cells of a backing, in the order of the table.
pub fn cells(backing: Backing) -> Vec<Cell> {
    let random = [(1, 1), (32, 1), (32, 4), (128, 1), (128, 4)];
    let random = random.map(|(depth, connections)| (4 << 10, false, depth, connections));
    let sequential = [(64 << 10, true, 16, 1), (1 << 20, true, 4, 1)];
    random
        .into_iter()
        .chain(sequential)
        .flat_map(|(block_bytes, sequential, depth, connections)| {
            [false, true].map(|write| Cell {
                backing,
                load: Load {
                    write,
                    sequential,
                    block_bytes,
                    depth,
                    connections,
                },
            })
        })
        .collect()
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Client {
    /// The one in here: it costs little, so that it is not what is measured.
    Lean,
    /// fio's nbd engine: nobody's friend. It sends each request by itself and is the limit itself
    /// at most depths, so servers are woken for nearly every request.
    Fio,
}

/// Measures a server for `time` after a warm-up, with both sides on these processors.
///
/// # Errors
/// If it fails under way.
pub fn sample(
    cell: &Cell,
    server: &Server,
    client: Client,
    processors: Processors,
    time: Duration,
) -> BenchResult<Sample> {
    process::pin(server.process(), processors)?;
    process::pin(0, processors)?;
    let mut marks = Vec::with_capacity(2);
    let mut mark = || marks.push(process::cpu_time(server.process()));
    let load = cell.load;
    let measured = match client {
        Client::Lean => {
            let times = (time / 4, time);
            client::run(&server.socket, server.export(), load, times, mark)
                .map_err(|error| format!("{} in {}: {error}", server.peer.name(), cell.name()))?
        }
        Client::Fio => {
            mark();
            let measured = fio::run(&server.socket, server.export(), load, time)?;
            mark();
            measured
        }
    };
    let mut marks = marks.into_iter();
    let (Some(before), Some(after)) = (marks.next(), marks.next()) else {
        return Err("the processor time was not read".into());
    };
    let cpu = after?.saturating_sub(before?);
    let came = (measured.requests, measured.elapsed);
    let quantile = |percent| measured.latency.value_at_quantile(percent / 100.0) as f64;
    Sample::new(server.peer.name(), load.block_bytes, came, cpu, quantile)
}

#[cfg(test)]
mod tests;
