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
mod place;
mod report;

use cells::{Cell, Client, cells, sample};
use clap::Parser;
use disktime_benches::BenchResult;
use disktime_benches::compare::{self, Plan, Ratios, Row};
use disktime_benches::machine;
use disktime_benches::process::Processors;
use disktime_benches::program::Program;
use peers::{Backing, Peer, Server};
use std::path::{Path, PathBuf};

/// Our NBD door beside nbdkit, qemu-nbd and qemu-storage-daemon.
#[derive(Debug, Parser)]
#[command(name = "doors")]
struct Arguments {
    #[command(flatten)]
    plan: Plan,
    /// Only these backings.
    #[arg(long, value_enum, value_delimiter = ',')]
    backings: Vec<Backing>,
    /// Only these servers.
    #[arg(long, value_enum, value_delimiter = ',')]
    peers: Vec<Peer>,
    /// Who asks.
    #[arg(long, value_enum, default_value_t = Client::Lean)]
    client: Client,
    /// Client and server share one processor in all cells and not only at depth 1: what waking the other
    /// one costs is left out, and varies most.
    #[arg(long)]
    one_processor: bool,
    /// Size of each export.
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    size_mib: u64,
    /// Where the files of the servers lie, on the disk that is to be measured; a temporary
    /// directory without it.
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
    /// Draws a picture there.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

fn main() -> BenchResult {
    let arguments = Arguments::parse();
    let program = arguments.plan.program()?;
    let directory = match &arguments.directory {
        Some(directory) => tempfile::tempdir_in(directory)?,
        None => tempfile::tempdir()?,
    };
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
    let ratios = Ratios {
        table: &report::ratios,
        to_json: &report::ratios_to_json,
    };
    let names = Peer::ALL.map(Peer::name);
    arguments.plan.report(&rows, &names, &ratios)?;
    if let Some(file) = &arguments.svg {
        compare::write(file, &report::picture(&rows)?)?;
    }
    Ok(())
}

/// All cells of a backing, the servers running side by side.
fn measure(
    arguments: &Arguments,
    backing: Backing,
    program: &Program,
    directory: &Path,
) -> BenchResult<Vec<Row>> {
    let wanted = |peer: &Peer| {
        peer.serves(backing) && (arguments.peers.is_empty() || arguments.peers.contains(peer))
    };
    let cells: Vec<Cell> = cells(backing)
        .into_iter()
        .filter(|cell| arguments.plan.wants(&cell.name()))
        .collect();
    if cells.is_empty() {
        return Ok(Vec::new());
    }
    let size_bytes = arguments.size_mib << 20;
    let mut servers = Vec::new();
    let mut shared = None;
    for peer in Peer::ALL.into_iter().filter(wanted) {
        eprintln!("{}: starting {}", backing.name(), peer.name());
        let directory = directory.join(format!("{peer:?}"));
        let shared_place = shared.as_ref();
        let server = Server::start(peer, backing, size_bytes, shared_place, &directory, program)?;
        if backing != Backing::Null {
            client::fill(&server.socket, server.export())?;
        }
        if backing == Backing::File && peer == Peer::Disktime {
            shared = Some(place::find(&server, directory.join("disk"), size_bytes)?);
        }
        servers.push(server);
    }
    let row = |cell: Cell| {
        let processors = if arguments.one_processor || cell.is_pinned() {
            Processors::One
        } else {
            Processors::All
        };
        let client = arguments.client;
        let sample = |server: &Server, time| sample(&cell, server, client, processors, time);
        arguments.plan.measure(cell.name(), &servers, sample)
    };
    cells.into_iter().map(row).collect()
}
