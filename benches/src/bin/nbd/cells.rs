//! What is measured: the cells of the table, and one sample of one server in one of them.

use crate::client;
use crate::fio;
use crate::peers::{Backing, Server};
use disktime_benches::BenchResult;
use disktime_benches::compare::{Sample, name_of};
use disktime_benches::load::Load;
use disktime_benches::process::Processors;
use std::time::Duration;

/// As in `memory 4K randread d32 c1`; `--cells` takes parts of it.
pub(crate) fn name(backing: Backing, load: &Load) -> String {
    format!("{} {} c{}", name_of(backing), load.name(), load.connections)
}

/// What is asked of each backing, in the order of the table.
pub(crate) fn loads() -> Vec<Load> {
    let random = [(1, 1), (32, 1), (32, 4), (128, 1), (128, 4)];
    let random = random.map(|(depth, connections)| Load::random(depth, connections));
    let sequential = [(64 << 10, 16), (1 << 20, 4)];
    let sequential = sequential.map(|(bytes, depth)| Load::sequential(bytes, depth));
    Load::both_ways(random.into_iter().chain(sequential))
}

/// Which client asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Client {
    /// The one in here: it costs little, so that it is not what is measured.
    Lean,
    /// fio's nbd engine, the hardest case for every server: it sends each request by itself and is
    /// the limit itself at most depths, so servers are woken for nearly every request.
    Fio,
}

/// Measures a server for `time` after a warm-up, with both sides on these processors.
///
/// # Errors
/// If it fails meanwhile.
pub(crate) fn sample(
    load: Load,
    server: &Server,
    client: Client,
    processors: Processors,
    time: Duration,
) -> BenchResult<Sample> {
    let process = server.process();
    process.pin_with_us(processors)?;
    let mut marks = Vec::with_capacity(2);
    let mut mark = || marks.push(process.cpu_time());
    let measured = match client {
        Client::Lean => {
            let times = (time / 4, time);
            client::run(server.socket(), server.export(), load, times, mark)
                .map_err(|error| format!("{} in {}: {error}", process.name(), load.name()))?
        }
        Client::Fio => {
            mark();
            let measured = fio::run(server.socket(), server.export(), load, time)?;
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
    Sample::new(process.name(), load.block_bytes, came, cpu, quantile)
}

#[cfg(test)]
mod tests;
