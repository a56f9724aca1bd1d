//! The servers that are compared, and how each is started: from Debian's packages, over a unix
//! socket, on the same backing. They run side by side and are measured in turn.
//!
//! On a file, QEMU's servers serve the very bytes that ours does, where our vdisk lies: two files
//! on one disk can be far apart in speed.

use crate::client;
use disktime_benches::BenchResult;
use disktime_benches::compare;
use disktime_benches::program::Program;
use disktime_benches::server_process::ServerProcess;
use serde_json::json;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What lies below a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Backing {
    Memory,
    Null,
    File,
}

/// A kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Peer {
    /// Ours, with its scheduler on.
    Disktime,
    /// Ours, first in, first out: what the scheduler costs.
    DisktimeFifo,
    Nbdkit,
    /// nbdkit's file plugin, which goes through the page cache: shown, but not compared with.
    NbdkitCached,
    QemuNbd,
    QemuStorageDaemon,
}

impl compare::Peer<Backing> for Peer {
    fn name(self) -> &'static str {
        match self {
            Peer::Disktime => "disktime",
            Peer::DisktimeFifo => "disktime, fifo",
            Peer::Nbdkit => "nbdkit",
            Peer::NbdkitCached => "nbdkit, page cache",
            Peer::QemuNbd => "qemu-nbd",
            Peer::QemuStorageDaemon => "qemu-storage-daemon",
        }
    }

    /// Whether it has such a backing. QEMU has no disk in memory.
    fn serves(self, backing: Backing) -> bool {
        match self {
            Peer::Disktime => true,
            Peer::DisktimeFifo | Peer::Nbdkit => backing != Backing::File,
            Peer::NbdkitCached => backing == Backing::File,
            Peer::QemuNbd | Peer::QemuStorageDaemon => backing != Backing::Memory,
        }
    }
}

impl Peer {
    /// Whether it is one to be compared with: like with like only.
    pub(crate) fn is_rival(self) -> bool {
        matches!(self, Peer::Nbdkit | Peer::QemuNbd | Peer::QemuStorageDaemon)
    }

    /// The package that has it.
    fn package(self) -> &'static str {
        match self {
            Peer::Nbdkit | Peer::NbdkitCached => "nbdkit",
            Peer::QemuNbd | Peer::QemuStorageDaemon => "qemu-utils",
            Peer::Disktime | Peer::DisktimeFifo => "disktime",
        }
    }

    fn export(self) -> &'static str {
        match self {
            Peer::Disktime | Peer::DisktimeFifo | Peer::QemuStorageDaemon => "v",
            Peer::Nbdkit | Peer::NbdkitCached | Peer::QemuNbd => "",
        }
    }
}

/// Where the bytes of an export lie.
#[derive(Debug, Clone)]
pub(crate) struct ExportBytes {
    pub(crate) file: PathBuf,
    pub(crate) offset_bytes: u64,
    pub(crate) size_bytes: u64,
}

/// A running server.
pub(crate) struct Server {
    process: ServerProcess,
    socket: PathBuf,
    export: &'static str,
}

impl Server {
    /// Starts a server in `directory`, which is its own. `shared` is where ours has its bytes on a
    /// file; a server without it makes a file of its own.
    ///
    /// # Errors
    /// If its program is missing, with how to install it; with what it said, if it does not answer.
    pub(crate) fn start(
        peer: Peer,
        backing: Backing,
        size_bytes: u64,
        shared: Option<&ExportBytes>,
        directory: &Path,
        program: &Program,
    ) -> BenchResult<Server> {
        let mut process = ServerProcess::new(compare::Peer::name(peer), directory)?;
        let socket = directory.join("nbd.sock");
        let own = ExportBytes {
            file: directory.join("disk"),
            offset_bytes: 0,
            size_bytes,
        };
        let bytes = match shared {
            Some(shared) if peer.is_rival() => shared,
            _ => &own,
        };
        if backing == Backing::File && peer != Peer::Disktime && bytes.file == own.file {
            File::create(&own.file)?.set_len(size_bytes)?;
        }
        let command = match peer {
            Peer::Disktime => disktime(program, "fahrrad", backing, size_bytes, directory)?,
            Peer::DisktimeFifo => disktime(program, "fifo", backing, size_bytes, directory)?,
            Peer::Nbdkit | Peer::NbdkitCached => nbdkit(backing, &socket, bytes),
            Peer::QemuNbd => qemu_nbd(backing, &socket, bytes),
            Peer::QemuStorageDaemon => qemu_storage_daemon(backing, &socket, bytes),
        };
        process.spawn(command, peer.package())?;
        let export = peer.export();
        process.wait_until("answer", || client::answers(&socket, export))?;
        Ok(Server {
            process,
            socket,
            export,
        })
    }

    pub(crate) fn process(&self) -> &ServerProcess {
        &self.process
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    pub(crate) fn export(&self) -> &'static str {
        self.export
    }
}

fn disktime(
    program: &Program,
    policy: &str,
    backing: Backing,
    size_bytes: u64,
    directory: &Path,
) -> BenchResult<Command> {
    let disk = match backing {
        Backing::Memory => json!({ "policy": policy, "memory": true }),
        Backing::Null => json!({ "policy": policy, "null": true }),
        Backing::File => json!({ "policy": policy, "path": "disk", "seeks": false }),
    };
    let frontend = ("nbd", json!({ "socket": "nbd.sock" }));
    program.serving(directory, size_bytes, disk, frontend)
}

fn nbdkit(backing: Backing, socket: &Path, bytes: &ExportBytes) -> Command {
    let mut command = Command::new("nbdkit");
    command.args(["--foreground", "--unix"]).arg(socket);
    let size_bytes = bytes.size_bytes.to_string();
    match backing {
        Backing::Memory => command.arg("memory").arg(size_bytes),
        Backing::Null => command.arg("null").arg(size_bytes),
        Backing::File => command.arg("file").arg(&bytes.file),
    };
    command
}

/// QEMU's description of a backing. Ours holds the lock on a file that they share.
fn node(backing: Backing, bytes: &ExportBytes) -> String {
    let ExportBytes {
        file,
        offset_bytes,
        size_bytes,
    } = bytes;
    match backing {
        Backing::File => format!(
            "driver=raw,offset={offset_bytes},size={size_bytes},file.driver=file,\
             file.filename={},file.aio=io_uring,file.cache.direct=on,file.locking=off",
            file.display()
        ),
        _ => format!("driver=null-co,size={size_bytes},read-zeroes=on"),
    }
}

fn qemu_nbd(backing: Backing, socket: &Path, bytes: &ExportBytes) -> Command {
    let mut command = Command::new("qemu-nbd");
    command.args(["--persistent", "--shared=16", "--image-opts"]);
    command.arg(node(backing, bytes));
    command.arg("--socket").arg(socket);
    command
}

fn qemu_storage_daemon(backing: Backing, socket: &Path, bytes: &ExportBytes) -> Command {
    let mut command = Command::new("qemu-storage-daemon");
    let node = format!("node-name=n,{}", node(backing, bytes));
    let server = format!(
        "addr.type=unix,addr.path={},max-connections=16",
        socket.display()
    );
    command.args(["--blockdev", &node, "--nbd-server", &server]);
    command.args(["--export", "type=nbd,id=e,node-name=n,writable=on,name=v"]);
    command
}
