//! Servers side by side: each is measured in turn, in rounds; medians over the rounds, and in each
//! round the ratio of ours to the best of others, so that what changes between rounds is in the
//! spread of the ratios and not in the ratios.
//!
//! The best is, for each figure, the server with the best median: the luckiest of each round would
//! be a rival that cannot be run, and the better the more rivals and the more noise there are.
//!
//! What is not known here: which servers there are, and how they are asked.

use crate::BenchResult;
use crate::load::Load;
use crate::machine;
use crate::program::Program;
use crate::spread::Spread;
use clap::ValueEnum;
use disktime_lab::Table;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The name of ours.
pub const OURS: &str = "disktime";

/// What is run, and for how long, as the command line says.
#[derive(Debug, Clone, clap::Args)]
pub struct Plan {
    /// One round of short runs.
    #[arg(long)]
    quick: bool,
    /// Rounds; in each, every server has its turn in every cell.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How long each server is measured in each cell and round.
    #[arg(long, value_name = "MS", default_value_t = 1500)]
    milliseconds: u64,
    /// Only cells whose name has one of these in it, as in `randread d32`.
    #[arg(long, value_delimiter = ',')]
    cells: Vec<String>,
    /// The disktime to measure; else the one beside this program.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Writes all samples there.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Plan {
    /// Whether a cell of that name is wanted.
    pub fn wants(&self, cell: &str) -> bool {
        self.cells.is_empty() || self.cells.iter().any(|part| cell.contains(part.as_str()))
    }

    /// The disktime to measure.
    ///
    /// # Errors
    /// If there is none.
    pub fn program(&self) -> BenchResult<Program> {
        Program::find(self.program.as_deref())
    }

    /// Measures all servers in one cell.
    ///
    /// # Errors
    /// If one fails meanwhile.
    pub fn measure<S>(
        &self,
        cell: String,
        servers: &[S],
        sample: impl Fn(&S, Duration) -> BenchResult<Sample>,
    ) -> BenchResult<Row> {
        eprintln!("{cell}");
        let time = Duration::from_millis(if self.quick { 300 } else { self.milliseconds });
        let rounds = if self.quick { 1 } else { self.rounds.max(1) };
        // Each round begins with another server.
        let round = |round: usize| -> BenchResult<Vec<Sample>> {
            let turns = (0..servers.len()).map(|at| &servers[(at + round) % servers.len()]);
            turns.map(|server| sample(server, time)).collect()
        };
        let rounds = (0..rounds).map(round).collect::<BenchResult<_>>()?;
        Ok(Row { cell, rounds })
    }
}

/// What lies below servers: a value of the command line, and the tables in its order.
pub trait Backing: ValueEnum + Copy + Send + Sync + 'static {}

impl<B: ValueEnum + Copy + Send + Sync + 'static> Backing for B {}

/// The name of a value, as on the command line.
pub fn name_of(value: impl ValueEnum) -> String {
    let value = value.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

/// A kind of server: a value of the command line, and the tables in its order.
pub trait Peer<B>: ValueEnum + Copy + PartialEq + std::fmt::Debug + Send + Sync + 'static {
    /// Its name.
    fn name(self) -> &'static str;

    /// Whether it has such a backing: like is compared with like only.
    fn serves(self, backing: B) -> bool;
}

/// A cell of the table: what is asked of the servers.
#[derive(Debug, Clone)]
pub struct Cell {
    /// Its name; `--cells` takes parts of it.
    pub name: String,
    /// What is asked.
    pub load: Load,
}

/// Which servers are compared on which backings, as the command line says.
#[derive(Debug, Clone, clap::Args)]
pub struct SideBySide<B: Backing, P: Peer<B>> {
    #[command(flatten)]
    plan: Plan,
    /// Only these backings.
    #[arg(long, value_enum, value_delimiter = ',')]
    backings: Vec<B>,
    /// Only these servers.
    #[arg(long, value_enum, value_delimiter = ',')]
    peers: Vec<P>,
}

impl<B: Backing, P: Peer<B>> SideBySide<B, P> {
    /// What is run, and for how long.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Measures all cells of all backings; the servers of a backing run side by side, each in a
    /// directory of its own below `directory`.
    ///
    /// # Errors
    /// If a server does not start or fails while it is measured.
    pub fn run<S>(
        &self,
        directory: &Path,
        cells: impl Fn(B) -> Vec<Cell>,
        mut start: impl FnMut(P, B, PathBuf) -> BenchResult<S>,
        sample: impl Fn(&S, Load, Duration) -> BenchResult<Sample>,
    ) -> BenchResult<Vec<Row>> {
        println!("{}", machine::sentence());
        let backings = match self.backings.as_slice() {
            [] => B::value_variants(),
            chosen => chosen,
        };
        let mut rows = Vec::new();
        for backing in backings.iter().copied() {
            let mut cells = cells(backing);
            cells.retain(|cell| self.plan.wants(&cell.name));
            let wanted = |peer: &&P| {
                let is_chosen = self.peers.is_empty() || self.peers.contains(peer);
                is_chosen && peer.serves(backing) && !cells.is_empty()
            };
            let mut servers = Vec::new();
            for peer in P::value_variants().iter().filter(wanted) {
                eprintln!("{}: starting {}", name_of(backing), peer.name());
                let own = directory.join(name_of(backing)).join(format!("{peer:?}"));
                servers.push(start(*peer, backing, own)?);
            }
            for cell in &cells {
                let sample = |server: &S, time| sample(server, cell.load, time);
                rows.push(self.plan.measure(cell.name.clone(), &servers, sample)?);
            }
        }
        Ok(rows)
    }

    /// Prints what the servers got and the ratios, and writes everything for programs if that is
    /// wanted.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn report(
        &self,
        rows: &[Row],
        ratios: &dyn Fn(&[Row]) -> Table,
        ratios_to_json: &dyn Fn(&Row) -> Map<String, Value>,
    ) -> BenchResult {
        let servers: Vec<&str> = P::value_variants().iter().map(|peer| peer.name()).collect();
        println!("\n{}", absolute(rows, &servers));
        println!(
            "Ours to the best of the others (by its median), round by round: median (least-greatest)\n"
        );
        println!("{}", ratios(rows));
        println!("load at the end {:.2}", machine::load());
        let Some(file) = &self.plan.json else {
            return Ok(());
        };
        let cell = |row: &Row| {
            let rounds = row.rounds.iter();
            let rounds = rounds.map(|round| round.iter().copied().map(Sample::to_json).collect());
            let rounds: Vec<Vec<Value>> = rounds.collect();
            json!({ "cell": row.cell, "rounds": rounds, "ratios": ratios_to_json(row) })
        };
        let cells: Vec<Value> = rows.iter().map(cell).collect();
        let report = json!({ "machine": machine::describe(), "cells": cells });
        write(file, &serde_json::to_string_pretty(&report)?)
    }
}

/// Writes a file.
///
/// # Errors
/// With its name.
pub fn write(file: &Path, text: &str) -> BenchResult {
    std::fs::write(file, text)
        .map_err(|error| format!("{} cannot be written: {error}", file.display()).into())
}

/// One server in one cell, once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Its name.
    pub server: &'static str,
    /// Requests per second.
    pub iops: f64,
    /// Bytes per second.
    pub bytes_per_second: f64,
    /// Half of the requests took at most this long.
    pub p50_us: f64,
    /// 99 % did.
    pub p99_us: f64,
    /// 99.9 % did.
    pub p99_9_us: f64,
    /// The server's processor time per request, all of its processes together.
    pub cpu_us: f64,
}

impl Sample {
    /// What came of `requests` of `block_bytes` in `elapsed`, which took the server `cpu`;
    /// `quantile` says in nanoseconds how long that per cent of them took at most.
    ///
    /// # Errors
    /// If there were none.
    pub fn new(
        server: &'static str,
        block_bytes: u32,
        (requests, elapsed): (u64, Duration),
        cpu: Duration,
        quantile: impl Fn(f64) -> f64,
    ) -> BenchResult<Sample> {
        if requests == 0 {
            return Err(format!("{server}: no reply within {elapsed:?}").into());
        }
        let iops = requests as f64 / elapsed.as_secs_f64();
        Ok(Sample {
            server,
            iops,
            bytes_per_second: iops * f64::from(block_bytes),
            p50_us: quantile(50.0) / 1e3,
            p99_us: quantile(99.0) / 1e3,
            p99_9_us: quantile(99.9) / 1e3,
            cpu_us: cpu.as_secs_f64() * 1e6 / requests as f64,
        })
    }

    fn to_json(self) -> Value {
        json!({
            "server": self.server,
            "iops": self.iops,
            "bytes_per_second": self.bytes_per_second,
            "p50_us": self.p50_us,
            "p99_us": self.p99_us,
            "p99_9_us": self.p99_9_us,
            "server_cpu_us_per_request": self.cpu_us,
        })
    }
}

/// A number of a sample.
pub type Figure = fn(&Sample) -> f64;

/// A figure of a sample.
#[derive(Debug, Clone, Copy)]
pub struct Measure {
    /// Its name.
    pub name: &'static str,
    of: Figure,
    more_is_better: bool,
}

const fn measure(name: &'static str, of: Figure, more_is_better: bool) -> Measure {
    Measure {
        name,
        of,
        more_is_better,
    }
}

/// Processor time per request.
pub const CPU: Measure = measure("cpu", |sample| sample.cpu_us, false);
/// Requests per second.
pub const IOPS: Measure = measure("iops", |sample| sample.iops, true);
/// All that servers are compared by.
pub const MEASURES: [Measure; 4] = [
    CPU,
    IOPS,
    measure("p50", |sample| sample.p50_us, false),
    measure("p99", |sample| sample.p99_us, false),
];

/// A cell with its samples, round by round.
#[derive(Debug)]
pub struct Row {
    /// The cell's name.
    pub cell: String,
    /// The samples of each round.
    pub rounds: Vec<Vec<Sample>>,
}

impl Row {
    /// What a server got, in the middle of the rounds.
    pub fn median(&self, server: &str, of: Figure) -> Option<f64> {
        let samples = self.rounds.iter().flatten();
        let values = samples.filter(|sample| sample.server == server).map(of);
        Spread::of(values.collect()).map(|spread| spread.median)
    }

    /// Ours to the best of `rivals`, round by round.
    pub fn ratio(&self, measure: Measure, rivals: &[&str]) -> Option<Spread> {
        let best = self.best(measure, rivals)?;
        let ratios = self.rounds.iter().filter_map(|round| {
            let of = |server| {
                let sample = round.iter().find(|sample| sample.server == server);
                sample.map(measure.of)
            };
            Some(of(OURS)? / of(best)?)
        });
        Spread::of(ratios.collect())
    }

    /// Which of `rivals` has the best median.
    fn best<'a>(&self, measure: Measure, rivals: &[&'a str]) -> Option<&'a str> {
        let medians = rivals
            .iter()
            .filter_map(|rival| Some((*rival, self.median(rival, measure.of)?)));
        let (rival, _) = if measure.more_is_better {
            medians.max_by(|one, other| one.1.total_cmp(&other.1))?
        } else {
            medians.min_by(|one, other| one.1.total_cmp(&other.1))?
        };
        Some(rival)
    }

    /// The same for a table.
    pub fn ratio_text(&self, measure: Measure, rivals: &[&str]) -> String {
        let ratio = self.ratio(measure, rivals);
        ratio.map_or_else(|| "-".to_owned(), Spread::text)
    }

    /// Our median and the best of the rivals' medians.
    pub fn side_by_side(&self, measure: Measure, rivals: &[&str], digits: usize) -> String {
        let best = self.best(measure, rivals);
        let best = best.and_then(|rival| self.median(rival, measure.of));
        match (self.median(OURS, measure.of), best) {
            (Some(ours), Some(best)) => format!("{ours:.digits$} / {best:.digits$}"),
            (Some(ours), None) => format!("{ours:.digits$}"),
            _ => "-".to_owned(),
        }
    }
}

/// What each of these servers got: medians.
fn absolute(rows: &[Row], servers: &[&str]) -> Table {
    let mut table =
        Table::headed("cell | server | IOPS | MB/s | p50 us | p99 us | p99.9 us | server CPU us");
    let figures: [(usize, Figure); 6] = [
        (0, |sample| sample.iops),
        (0, |sample| sample.bytes_per_second / 1e6),
        (1, |sample| sample.p50_us),
        (1, |sample| sample.p99_us),
        (1, |sample| sample.p99_9_us),
        (2, |sample| sample.cpu_us),
    ];
    for row in rows {
        for server in servers {
            let figure = |(digits, of)| Some(format!("{:.*}", digits, row.median(server, of)?));
            // A server that does not serve this cell has none of them.
            let Some(figures) = figures.into_iter().map(figure).collect::<Option<Vec<_>>>() else {
                continue;
            };
            let mut cells = vec![row.cell.clone(), (*server).to_owned()];
            cells.extend(figures);
            table.row(cells);
        }
    }
    table
}

#[cfg(test)]
mod tests;
