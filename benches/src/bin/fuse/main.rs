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
use disktime_benches::BenchResult;
use disktime_benches::compare::{Plan, Ratios, Row};
use disktime_benches::machine;
use disktime_benches::program::Program;
use peers::{Backing, Peer, Server};
use std::path::{Path, PathBuf};

/// Our FUSE door beside fuse3, nbdfuse and qemu-storage-daemon.
#[derive(Debug, Parser)]
#[command(name = "fuse")]
struct Arguments {
    #[command(flatten)]
    plan: Plan,
    /// Only these backings.
    #[arg(long, value_enum, value_delimiter = ',')]
    backings: Vec<Backing>,
    /// Only these servers.
    #[arg(long, value_enum, value_delimiter = ',')]
    peers: Vec<Peer>,
    /// Size of each file.
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    size_mib: u64,
    /// Only serves the null file system on the fuse3 crate there.
    #[arg(long, value_name = "DIRECTORY", hide = true)]
    null_fuse3: Option<PathBuf>,
}

fn main() -> BenchResult {
    let arguments = Arguments::parse();
    if let Some(directory) = &arguments.null_fuse3 {
        return null_fuse3::serve(directory, arguments.size_mib << 20);
    }
    let program = arguments.plan.program()?;
    let directory = tempfile::tempdir()?;
    println!("{}", machine::sentence());
    println!("FUSE over io_uring: {}", over_io_uring());
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
    Ok(())
}

/// The kernel's switch, `Y` or `N`, which is read at a mount; servers that do not know of it go on as before.
fn over_io_uring() -> String {
    let switch = std::fs::read_to_string("/sys/module/fuse/parameters/enable_uring");
    switch.map_or_else(|error| error.to_string(), |state| state.trim().to_owned())
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
    let mut servers = Vec::new();
    for peer in Peer::ALL.into_iter().filter(wanted) {
        eprintln!("{}: starting {}", backing.name(), peer.name());
        let directory = directory.join(format!("{peer:?}"));
        let server = Server::start(peer, backing, arguments.size_mib << 20, &directory, program)?;
        server.fill()?;
        servers.push(server);
    }
    let row = |cell: Cell| {
        let sample = |server: &Server, time| sample(&cell, server, time);
        arguments.plan.measure(cell.name(), &servers, sample)
    };
    cells.into_iter().map(row).collect()
}
