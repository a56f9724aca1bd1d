//! Side by side over NBD: disktime, nbdkit, qemu-nbd and qemu-storage-daemon, each started from
//! Debian's packages on the same backing and asked by the same client, in turn, in rounds.
//!
//! Server CPU per request is the figure to trust: where the client needs the other processor,
//! IOPS say as much about the client. Depth 1 runs with client and server on one processor, on
//! all sides.

mod cells;
mod client;
mod fio;
mod peers;
mod report;

use cells::{Cell, Client, cells, sample};
use clap::Parser;
use disktime_benches::Outcome;
use disktime_benches::machine;
use disktime_benches::program::Program;
use peers::{Backing, Peer, Server};
use report::Row;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Our NBD door beside nbdkit, qemu-nbd and qemu-storage-daemon.
#[derive(Debug, Parser)]
#[command(name = "doors")]
struct Arguments {
    /// One round of short runs.
    #[arg(long)]
    quick: bool,
    /// Rounds; in each, every server has its turn in every cell.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How long each server is measured in each cell and round.
    #[arg(long, value_name = "MS", default_value_t = 1500)]
    milliseconds: u64,
    /// Only these backings.
    #[arg(long, value_enum, value_delimiter = ',')]
    backings: Vec<Backing>,
    /// Only these servers.
    #[arg(long, value_enum, value_delimiter = ',')]
    peers: Vec<Peer>,
    /// Only cells whose name has one of these in it, as in `randread d32`.
    #[arg(long, value_delimiter = ',')]
    cells: Vec<String>,
    /// Who asks.
    #[arg(long, value_enum, default_value_t = Client::Lean)]
    client: Client,
    /// Size of each export.
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    size_mib: u64,
    /// Where the files of the servers lie, on the disk that is to be measured; a temporary
    /// directory without it.
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
    /// The disktime to measure; else the one beside this program.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Writes all samples there.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draws a picture there.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

impl Arguments {
    fn wants(&self, cell: &Cell) -> bool {
        let name = cell.name();
        self.cells.is_empty() || self.cells.iter().any(|part| name.contains(part.as_str()))
    }

    fn time(&self) -> Duration {
        Duration::from_millis(if self.quick { 300 } else { self.milliseconds })
    }

    fn rounds(&self) -> usize {
        if self.quick { 1 } else { self.rounds.max(1) }
    }
}

fn main() -> Outcome {
    let arguments = Arguments::parse();
    let program = Program::find(arguments.program.as_deref())?;
    let directory = match &arguments.directory {
        Some(directory) => tempfile::tempdir_in(directory)?,
        None => tempfile::tempdir()?,
    };
    let machine = machine::describe();
    println!("{}", machine::sentence());
    let backings = match arguments.backings.as_slice() {
        [] => &Backing::ALL[..],
        chosen => chosen,
    };
    let mut rows = Vec::new();
    for backing in backings {
        let directory = directory.path().join(backing.name());
        rows.extend(measure(&arguments, *backing, &program, &directory)?);
    }
    println!("\n{}", report::absolute(&rows));
    println!("Ours to the best of the others in the same round: median (least-greatest)\n");
    println!("{}", report::ratios(&rows));
    println!("load at the end {:.2}", machine::load());
    if let Some(file) = &arguments.json {
        let json = serde_json::to_string_pretty(&report::to_json(&rows, machine))?;
        write(file, &json)?;
    }
    if let Some(file) = &arguments.svg {
        write(file, &report::picture(&rows)?)?;
    }
    Ok(())
}

fn write(file: &Path, text: &str) -> Outcome {
    std::fs::write(file, text)
        .map_err(|error| format!("{} cannot be written: {error}", file.display()).into())
}

/// All cells of a backing, the servers running side by side.
fn measure(
    arguments: &Arguments,
    backing: Backing,
    program: &Program,
    directory: &Path,
) -> Outcome<Vec<Row>> {
    let wanted = |peer: &Peer| {
        peer.serves(backing) && (arguments.peers.is_empty() || arguments.peers.contains(peer))
    };
    let cells: Vec<Cell> = cells(backing)
        .into_iter()
        .filter(|cell| arguments.wants(cell))
        .collect();
    if cells.is_empty() {
        return Ok(Vec::new());
    }
    let size_bytes = arguments.size_mib << 20;
    let mut servers = Vec::new();
    for peer in Peer::ALL.into_iter().filter(wanted) {
        eprintln!("{}: starting {}", backing.name(), peer.name());
        let directory = directory.join(format!("{peer:?}"));
        let server = Server::start(peer, backing, size_bytes, &directory, program)?;
        if backing != Backing::Null {
            client::fill(&server.socket, server.export())?;
        }
        servers.push(server);
    }
    let mut rows = Vec::new();
    for cell in cells {
        eprintln!("{}", cell.name());
        let mut rounds = Vec::new();
        for round in 0..arguments.rounds() {
            let mut samples = Vec::new();
            // Each round begins with another server.
            for at in 0..servers.len() {
                let server = &servers[(at + round) % servers.len()];
                samples.push(sample(&cell, server, arguments.client, arguments.time())?);
            }
            rounds.push(samples);
        }
        rows.push(Row { cell, rounds });
    }
    Ok(rows)
}
