//! Side by side as files: disktime's FUSE frontend, a null file system on the fuse3 crate, nbdfuse
//! over nbdkit and qemu-storage-daemon's FUSE export, asked by fio (io_uring, direct I/O), in turn,
//! in rounds.
//!
//! Server CPU per request is the figure to trust: where the client needs the other processor,
//! IOPS say as much about the client. Depth 1 runs with client and server on one processor, on
//! all sides.

mod cells;
mod null_fuse3;
mod peers;
mod report;

use cells::{loads, sample};
use clap::Parser;
use disktime_benches::BenchResult;
use disktime_benches::compare::{Cell, SideBySide, name_of};
use disktime_benches::load::Load;
use peers::{Backing, Peer, Server};
use std::path::PathBuf;

/// Our FUSE frontend beside fuse3, nbdfuse and qemu-storage-daemon.
#[derive(Debug, Parser)]
#[command(name = "fuse")]
struct Arguments {
    #[command(flatten)]
    compared: SideBySide<Backing, Peer>,
    /// Size of each file.
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    size_mib: u64,
    /// Only serves the null file system on the fuse3 crate there.
    #[arg(long, value_name = "DIRECTORY", hide = true)]
    null_fuse3: Option<PathBuf>,
}

fn main() -> BenchResult {
    let arguments = Arguments::parse();
    let size_bytes = arguments.size_mib << 20;
    if let Some(directory) = &arguments.null_fuse3 {
        return null_fuse3::serve(directory, size_bytes);
    }
    let compared = &arguments.compared;
    let program = compared.plan().program()?;
    let directory = tempfile::tempdir()?;
    println!("FUSE over io_uring: {}", over_io_uring());
    let cells = |backing: Backing| {
        let cell = |load: Load| Cell {
            name: format!("{} {}", name_of(backing), load.name()),
            load,
        };
        loads().into_iter().map(cell).collect()
    };
    let start = |peer, backing, directory: PathBuf| -> BenchResult<Server> {
        let server = Server::start(peer, backing, size_bytes, &directory, &program)?;
        server.fill()?;
        Ok(server)
    };
    let measure = |server: &Server, load, time| sample(load, server, time);
    let rows = compared.run(directory.path(), cells, start, measure)?;
    compared.report(&rows, &report::ratios, &report::ratios_to_json)
}

/// The kernel's switch, `Y` or `N`, which is read at a mount; servers that do not know of it are
/// not affected.
fn over_io_uring() -> String {
    let switch = std::fs::read_to_string("/sys/module/fuse/parameters/enable_uring");
    switch.map_or_else(|error| error.to_string(), |state| state.trim().to_owned())
}
