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
mod vdisk_location;

use cells::{Client, loads, name, sample};
use clap::Parser;
use disktime_benches::BenchResult;
use disktime_benches::compare::{self, Cell, SideBySide};
use disktime_benches::load::Load;
use disktime_benches::process::Processors;
use peers::{Backing, Peer, Server};
use std::path::PathBuf;

/// Our NBD frontend beside nbdkit, qemu-nbd and qemu-storage-daemon.
#[derive(Debug, Parser)]
#[command(name = "nbd")]
struct Arguments {
    #[command(flatten)]
    compared: SideBySide<Backing, Peer>,
    /// Which client asks.
    #[arg(long, value_enum, default_value_t = Client::Lean)]
    client: Client,
    /// Client and server share one processor in all cells and not only at depth 1: what waking the
    /// other one costs is left out, and varies most.
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
    let compared = &arguments.compared;
    let program = compared.plan().program()?;
    let directory = match &arguments.directory {
        Some(directory) => tempfile::tempdir_in(directory)?,
        None => tempfile::tempdir()?,
    };
    let cells = |backing| {
        let cell = |load| Cell {
            name: name(backing, &load),
            load,
        };
        loads().into_iter().map(cell).collect()
    };
    let size_bytes = arguments.size_mib << 20;
    let mut shared = None;
    let start = |peer, backing, directory: PathBuf| -> BenchResult<Server> {
        let bytes = shared.as_ref();
        let server = Server::start(peer, backing, size_bytes, bytes, &directory, &program)?;
        if backing != Backing::Null {
            client::fill(server.socket(), server.export())?;
        }
        if backing == Backing::File && peer == Peer::Disktime {
            let file = directory.join("disk");
            shared = Some(vdisk_location::find(&server, file, size_bytes)?);
        }
        Ok(server)
    };
    let measure = |server: &Server, load: Load, time| {
        let processors = match arguments.one_processor {
            true => Processors::One,
            false => load.processors(),
        };
        sample(load, server, arguments.client, processors, time)
    };
    let rows = compared.run(directory.path(), cells, start, measure)?;
    compared.report(&rows, &report::ratios, &report::ratios_to_json)?;
    if let Some(file) = &arguments.svg {
        compare::write(file, &report::picture(&rows)?)?;
    }
    Ok(())
}
