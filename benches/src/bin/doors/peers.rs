//! The servers that are compared, and how each is started: from Debian's packages, over a unix
//! socket, on the same backing. They run side by side and are measured in turn.
//!
//! On a file, QEMU's servers serve the very bytes that ours does, in the place of our vdisk: two files
//! on one disk can be far apart in speed.

use crate::client;
use disktime_benches::BenchResult;
use disktime_benches::child::ends_with_us;
use disktime_benches::program::Program;
use serde_json::json;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to answer.
const START_TIME: Duration = Duration::from_secs(20);

/// What lies below a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Backing {
    Memory,
    Null,
    File,
}

impl Backing {
    pub const ALL: [Backing; 3] = [Backing::Memory, Backing::Null, Backing::File];

    pub fn name(self) -> &'static str {
        match self {
            Backing::Memory => "memory",
            Backing::Null => "null",
            Backing::File => "file",
        }
    }
}

/// A kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Peer {
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

impl Peer {
    pub const ALL: [Peer; 6] = [
        Peer::Disktime,
        Peer::DisktimeFifo,
        Peer::Nbdkit,
        Peer::NbdkitCached,
        Peer::QemuNbd,
        Peer::QemuStorageDaemon,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Peer::Disktime => "disktime",
            Peer::DisktimeFifo => "disktime, fifo",
            Peer::Nbdkit => "nbdkit",
            Peer::NbdkitCached => "nbdkit, page cache",
            Peer::QemuNbd => "qemu-nbd",
            Peer::QemuStorageDaemon => "qemu-storage-daemon",
        }
    }

    /// Whether it is one to be compared with: like with like only.
    pub fn is_rival(self) -> bool {
        matches!(self, Peer::Nbdkit | Peer::QemuNbd | Peer::QemuStorageDaemon)
    }

    /// Whether it has such a backing. QEMU has no disk in memory.
    pub fn serves(self, backing: Backing) -> bool {
        match self {
            Peer::Disktime => true,
            Peer::DisktimeFifo | Peer::Nbdkit => backing != Backing::File,
            Peer::NbdkitCached => backing == Backing::File,
            Peer::QemuNbd | Peer::QemuStorageDaemon => backing != Backing::Memory,
        }
    }

    fn program(self) -> (&'static str, &'static str) {
        match self {
            Peer::Nbdkit | Peer::NbdkitCached => ("nbdkit", "nbdkit"),
            Peer::QemuNbd => ("qemu-nbd", "qemu-utils"),
            Peer::QemuStorageDaemon => ("qemu-storage-daemon", "qemu-utils"),
            Peer::Disktime | Peer::DisktimeFifo => ("disktime", ""),
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
pub struct Place {
    pub file: PathBuf,
    pub offset_bytes: u64,
    pub size_bytes: u64,
}

/// A running server.
pub struct Server {
    pub peer: Peer,
    child: Child,
    pub socket: PathBuf,
}

impl Server {
    /// Starts a server in `directory`, which is its own. `shared` is where ours has its bytes on a
    /// file; a server without it makes a file of its own.
    ///
    /// # Errors
    /// If its program is missing, with how to install it; with what it said, if it does not answer.
    pub fn start(
        peer: Peer,
        backing: Backing,
        size_bytes: u64,
        shared: Option<&Place>,
        directory: &Path,
        program: &Program,
    ) -> BenchResult<Server> {
        std::fs::create_dir_all(directory)?;
        let socket = directory.join("nbd.sock");
        let own = Place {
            file: directory.join("disk"),
            offset_bytes: 0,
            size_bytes,
        };
        let place = match shared {
            Some(shared) if peer.is_rival() => shared,
            _ => &own,
        };
        if backing == Backing::File && peer != Peer::Disktime && place.file == own.file {
            File::create(&own.file)?.set_len(size_bytes)?;
        }
        let mut command = match peer {
            Peer::Disktime => disktime(program, "fahrrad", backing, size_bytes, directory)?,
            Peer::DisktimeFifo => disktime(program, "fifo", backing, size_bytes, directory)?,
            Peer::Nbdkit | Peer::NbdkitCached => nbdkit(backing, &socket, place),
            Peer::QemuNbd => qemu_nbd(backing, &socket, place),
            Peer::QemuStorageDaemon => qemu_storage_daemon(backing, &socket, place),
        };
        let log = directory.join("log");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?);
        let (name, package) = peer.program();
        let child = ends_with_us(&mut command).spawn().map_err(|error| {
            format!("{name} cannot be started ({error}); install it: apt-get install {package}")
        })?;
        let mut server = Server {
            peer,
            child,
            socket,
        };
        let start = Instant::now();
        while !client::answers(&server.socket, peer.export()) {
            let ended = !matches!(server.child.try_wait(), Ok(None));
            if ended || start.elapsed() > START_TIME {
                let said = std::fs::read_to_string(&log)?;
                return Err(format!("{name} does not answer; it said: {said}").into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }

    pub fn export(&self) -> &'static str {
        self.peer.export()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let ended = self.child.kill().and_then(|()| self.child.wait());
        if let Err(error) = ended {
            eprintln!("{} cannot be stopped: {error}", self.peer.name());
        }
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
    let door = ("nbd", json!({ "socket": "nbd.sock" }));
    program.serving(directory, size_bytes, disk, door)
}

fn nbdkit(backing: Backing, socket: &Path, place: &Place) -> Command {
    let mut command = Command::new("nbdkit");
    command.args(["--foreground", "--unix"]).arg(socket);
    let size_bytes = place.size_bytes.to_string();
    match backing {
        Backing::Memory => command.arg("memory").arg(size_bytes),
        Backing::Null => command.arg("null").arg(size_bytes),
        Backing::File => command.arg("file").arg(&place.file),
    };
    command
}

/// QEMU's description of a backing. Ours holds the lock on a file that they share.
fn node(backing: Backing, place: &Place) -> String {
    let Place {
        file,
        offset_bytes,
        size_bytes,
    } = place;
    match backing {
        Backing::File => format!(
            "driver=raw,offset={offset_bytes},size={size_bytes},file.driver=file,\
             file.filename={},file.aio=io_uring,file.cache.direct=on,file.locking=off",
            file.display()
        ),
        _ => format!("driver=null-co,size={size_bytes},read-zeroes=on"),
    }
}

fn qemu_nbd(backing: Backing, socket: &Path, place: &Place) -> Command {
    let mut command = Command::new("qemu-nbd");
    command.args(["--persistent", "--shared=16", "--image-opts"]);
    command.arg(node(backing, place));
    command.arg("--socket").arg(socket);
    command
}

fn qemu_storage_daemon(backing: Backing, socket: &Path, place: &Place) -> Command {
    let mut command = Command::new("qemu-storage-daemon");
    let node = format!("node-name=n,{}", node(backing, place));
    let server = format!(
        "addr.type=unix,addr.path={},max-connections=16",
        socket.display()
    );
    command.args(["--blockdev", &node, "--nbd-server", &server]);
    command.args(["--export", "type=nbd,id=e,node-name=n,writable=on,name=v"]);
    command
}
