//! The servers that are compared, and how each is started: from Debian's packages, over a unix
//! socket, on the same backing. They run side by side and are measured in turn.

use crate::client;
use disktime_benches::Outcome;
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
    QemuNbd,
    QemuStorageDaemon,
}

impl Peer {
    pub const ALL: [Peer; 5] = [
        Peer::Disktime,
        Peer::DisktimeFifo,
        Peer::Nbdkit,
        Peer::QemuNbd,
        Peer::QemuStorageDaemon,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Peer::Disktime => "disktime",
            Peer::DisktimeFifo => "disktime, fifo",
            Peer::Nbdkit => "nbdkit",
            Peer::QemuNbd => "qemu-nbd",
            Peer::QemuStorageDaemon => "qemu-storage-daemon",
        }
    }

    /// Whether it is one to be compared with.
    pub fn is_foreign(self) -> bool {
        !matches!(self, Peer::Disktime | Peer::DisktimeFifo)
    }

    /// Whether it has such a backing. nbdkit's file plugin goes through the page cache, and QEMU
    /// has no disk in memory: like is compared with like only.
    pub fn serves(self, backing: Backing) -> bool {
        match backing {
            Backing::Memory => !matches!(self, Peer::QemuNbd | Peer::QemuStorageDaemon),
            Backing::Null => true,
            Backing::File => !matches!(self, Peer::Nbdkit | Peer::DisktimeFifo),
        }
    }

    fn program(self) -> (&'static str, &'static str) {
        match self {
            Peer::Nbdkit => ("nbdkit", "nbdkit"),
            Peer::QemuNbd => ("qemu-nbd", "qemu-utils"),
            Peer::QemuStorageDaemon => ("qemu-storage-daemon", "qemu-utils"),
            Peer::Disktime | Peer::DisktimeFifo => ("disktime", ""),
        }
    }

    fn export(self) -> &'static str {
        if self == Peer::Nbdkit || self == Peer::QemuNbd {
            ""
        } else {
            "v"
        }
    }
}

/// A running server.
pub struct Server {
    pub peer: Peer,
    child: Child,
    pub socket: PathBuf,
}

impl Server {
    /// Starts a server in `directory`, which is its own.
    ///
    /// # Errors
    /// If its program is missing, with how to install it; with what it said, if it does not answer.
    pub fn start(
        peer: Peer,
        backing: Backing,
        size_bytes: u64,
        directory: &Path,
        program: &Program,
    ) -> Outcome<Server> {
        std::fs::create_dir_all(directory)?;
        let socket = directory.join("nbd.sock");
        let file = directory.join("disk");
        if backing == Backing::File && peer.is_foreign() {
            File::create(&file)?.set_len(size_bytes)?;
        }
        let mut command = match peer {
            Peer::Disktime => disktime(program, "fahrrad", backing, size_bytes, directory)?,
            Peer::DisktimeFifo => disktime(program, "fifo", backing, size_bytes, directory)?,
            Peer::Nbdkit => nbdkit(backing, size_bytes, &socket, &file),
            Peer::QemuNbd => qemu_nbd(backing, size_bytes, &socket, &file),
            Peer::QemuStorageDaemon => qemu_storage_daemon(backing, size_bytes, &socket, &file),
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
) -> Outcome<Command> {
    let disk = match backing {
        Backing::Memory => json!({ "policy": policy, "memory": true }),
        Backing::Null => json!({ "policy": policy, "null": true }),
        Backing::File => json!({ "policy": policy, "path": "disk", "seeks": false }),
    };
    let door = ("nbd", json!({ "socket": "nbd.sock" }));
    program.serving(directory, size_bytes, disk, door)
}

fn nbdkit(backing: Backing, size_bytes: u64, socket: &Path, file: &Path) -> Command {
    let mut command = Command::new("nbdkit");
    command.args(["--foreground", "--unix"]).arg(socket);
    match backing {
        Backing::Memory => command.arg("memory").arg(size_bytes.to_string()),
        Backing::Null => command.arg("null").arg(size_bytes.to_string()),
        Backing::File => command.arg("file").arg(file),
    };
    command
}

/// QEMU's description of a backing.
fn node(backing: Backing, size_bytes: u64, file: &Path) -> String {
    match backing {
        Backing::File => format!(
            "driver=file,filename={},aio=io_uring,cache.direct=on",
            file.display()
        ),
        _ => format!("driver=null-co,size={size_bytes},read-zeroes=on"),
    }
}

fn qemu_nbd(backing: Backing, size_bytes: u64, socket: &Path, file: &Path) -> Command {
    let mut command = Command::new("qemu-nbd");
    command.args(["--persistent", "--shared=16", "--image-opts"]);
    command.arg(node(backing, size_bytes, file));
    command.arg("--socket").arg(socket);
    command
}

fn qemu_storage_daemon(backing: Backing, size_bytes: u64, socket: &Path, file: &Path) -> Command {
    let mut command = Command::new("qemu-storage-daemon");
    let node = format!("node-name=n,{}", node(backing, size_bytes, file));
    let server = format!(
        "addr.type=unix,addr.path={},max-connections=16",
        socket.display()
    );
    command.args(["--blockdev", &node, "--nbd-server", &server]);
    command.args(["--export", "type=nbd,id=e,node-name=n,writable=on,name=v"]);
    command
}
