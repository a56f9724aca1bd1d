//! Side by side as files: disktime's FUSE door, a null file system on the fuse3 crate, nbdfuse over
//! nbdkit and qemu-storage-daemon's FUSE export, asked by fio (io_uring, direct I/O), in turn, in rounds.
//!
//! Server CPU per request is the figure to trust: where the client needs the other processor,
//! IOPS say as much about the client. Depth 1 runs with client and server on one processor, on
//! all sides.

mod cells;
mod null_fuse3;
mod peers;
mod report;

use cells::{Cell, cells, sample};
use clap::Parser;
use disktime_benches::Outcome;
use disktime_benches::machine;
use disktime_benches::program::Program;
use peers::{Backing, Peer, Server};
use report::Row;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Our FUSE door beside fuse3, nbdfuse and qemu-storage-daemon.
#[derive(Debug, Parser)]
#[command(name = "fuse")]
struct Arguments {
    /// One round of short runs.
    #[arg(long)]
    quick: bool,
    /// Rounds; in each, every server has its turn in every cell.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How long each server is measured in each cell and round.
    #[arg(long, value_name = "MS", default_value_t = 2000)]
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
    /// Size of each file.
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    size_mib: u64,
    /// The disktime to measure; else the one beside this program.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Writes all samples there.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Only serves the null file system on the fuse3 crate there.
    #[arg(long, value_name = "DIRECTORY", hide = true)]
    null_fuse3: Option<PathBuf>,
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
    if let Some(directory) = &arguments.null_fuse3 {
        return null_fuse3::serve(directory, arguments.size_mib << 20);
    }
    let program = Program::find(arguments.program.as_deref())?;
    let directory = tempfile::tempdir()?;
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
        std::fs::write(file, json)
            .map_err(|error| format!("{} cannot be written: {error}", file.display()))?;
    }
    Ok(())
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
    let mut servers = Vec::new();
    for peer in Peer::ALL.into_iter().filter(wanted) {
        eprintln!("{}: starting {}", backing.name(), peer.name());
        let directory = directory.join(format!("{peer:?}"));
        let server = Server::start(peer, backing, arguments.size_mib << 20, &directory, program)?;
        server.fill()?;
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
                samples.push(sample(&cell, server, arguments.time())?);
            }
            rounds.push(samples);
        }
        rows.push(Row { cell, rounds });
    }
    Ok(rows)
}
