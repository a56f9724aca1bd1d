//! The servers that are compared, and how each is started. Each shows one file.

use crate::null_fuse3;
use disktime_benches::BenchResult;
use disktime_benches::child::ends_with_us;
use disktime_benches::process::{self, Processors};
use disktime_benches::program::Program;
use serde_json::json;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to show its file.
const START_TIME: Duration = Duration::from_secs(20);

/// What lies below a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Backing {
    /// Reads are zeroes, writes are dropped.
    Null,
    Memory,
}

impl Backing {
    pub const ALL: [Backing; 2] = [Backing::Null, Backing::Memory];

    pub fn name(self) -> &'static str {
        match self {
            Backing::Null => "null",
            Backing::Memory => "memory",
        }
    }
}

/// A kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Peer {
    Disktime,
    /// A file system on the fuse3 crate, in this program.
    NullFuse3,
    /// nbdfuse over nbdkit, two processes.
    NbdFuse,
    QemuStorageDaemon,
}

impl Peer {
    pub const ALL: [Peer; 4] = [
        Peer::Disktime,
        Peer::NullFuse3,
        Peer::NbdFuse,
        Peer::QemuStorageDaemon,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Peer::Disktime => "disktime",
            Peer::NullFuse3 => "null fuse3",
            Peer::NbdFuse => "nbdfuse + nbdkit",
            Peer::QemuStorageDaemon => "qemu-storage-daemon",
        }
    }

    /// Like is compared with like only.
    pub fn serves(self, backing: Backing) -> bool {
        backing == Backing::Null || matches!(self, Peer::Disktime | Peer::NbdFuse)
    }
}

/// A running server.
pub struct Server {
    pub peer: Peer,
    /// Its file.
    pub file: PathBuf,
    /// Where it is mounted.
    mount: PathBuf,
    children: Vec<Child>,
}

impl Server {
    /// Starts a server in `directory`, which is its own.
    ///
    /// # Errors
    /// If its program is missing, with how to install it; with what it said, if it does not serve.
    pub fn start(
        peer: Peer,
        backing: Backing,
        size_bytes: u64,
        directory: &Path,
        program: &Program,
    ) -> BenchResult<Server> {
        std::fs::create_dir_all(directory)?;
        let mount = directory.join("vdisks");
        let mut server = Server {
            peer,
            file: mount.join("v"),
            mount: mount.clone(),
            children: Vec::new(),
        };
        match peer {
            Peer::Disktime => {
                let door = ("fuse", json!({ "mount": "vdisks" }));
                let disk = json!({ backing.name(): true });
                let command = program.serving(directory, size_bytes, disk, door)?;
                server.spawn(command, "disktime", directory)?;
            }
            Peer::NullFuse3 => {
                std::fs::create_dir(&mount)?;
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("--null-fuse3").arg(&mount);
                command
                    .arg("--size-mib")
                    .arg((size_bytes >> 20).to_string());
                server.file = mount.join(null_fuse3::NAME);
                server.spawn(command, "fuse3", directory)?;
            }
            Peer::NbdFuse => {
                std::fs::create_dir(&mount)?;
                let socket = directory.join("nbd.sock");
                let mut nbdkit = Command::new("nbdkit");
                nbdkit.args(["--foreground", "--unix"]).arg(&socket);
                nbdkit.arg(backing.name()).arg(size_bytes.to_string());
                server.spawn(nbdkit, "nbdkit", directory)?;
                wait_until("nbdkit has a socket", || socket.exists())?;
                let mut nbdfuse = Command::new("nbdfuse");
                nbdfuse.arg(&server.file).arg("--unix").arg(&socket);
                server.spawn(nbdfuse, "libnbd-bin", directory)?;
            }
            Peer::QemuStorageDaemon => {
                // It mounts on a file.
                File::create(&mount)?;
                server.file = mount.clone();
                let command = qemu_storage_daemon(size_bytes, &mount);
                server.spawn(command, "qemu-utils", directory)?;
            }
        }
        let serves = || {
            let shown = std::fs::metadata(&server.file);
            shown.is_ok_and(|file| file.len() == size_bytes)
        };
        if let Err(failure) = wait_until("it shows its file", serves) {
            let said = std::fs::read_to_string(directory.join("log"))?;
            return Err(format!("{}: {failure}; it said: {said}", peer.name()).into());
        }
        Ok(server)
    }

    fn spawn(&mut self, mut command: Command, package: &str, directory: &Path) -> BenchResult {
        let log = File::options()
            .create(true)
            .append(true)
            .open(directory.join("log"))?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = ends_with_us(&mut command).spawn().map_err(|error| {
            format!("{command:?} cannot be started ({error}); apt-get install {package}")
        })?;
        self.children.push(child);
        Ok(())
    }

    /// Processor time of its processes so far.
    ///
    /// # Errors
    /// If one has ended.
    pub fn cpu_time(&self) -> BenchResult<Duration> {
        let processes = self.children.iter();
        processes.map(|child| process::cpu_time(child.id())).sum()
    }

    /// Lets it run on these processors only.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn pin(&self, processors: Processors) -> BenchResult {
        self.children
            .iter()
            .try_for_each(|child| process::pin(child.id(), processors))
    }

    /// Writes all of its file once, so that nothing is measured that the first touch costs.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn fill(&self) -> BenchResult {
        let mut file = File::options().write(true).open(&self.file)?;
        let block = vec![0x5A; 1 << 20];
        for _ in 0..file.metadata()?.len() >> 20 {
            file.write_all(&block)?;
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The mount of a server that ended in good order is gone already.
        let _ = Command::new("fusermount3")
            .args(["-u", "-z", "-q"])
            .arg(&self.mount)
            .stderr(Stdio::null())
            .status();
        for child in self.children.iter_mut().rev() {
            if let Err(error) = child.kill().and_then(|()| child.wait()) {
                eprintln!("{} cannot be stopped: {error}", self.peer.name());
            }
        }
    }
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) -> BenchResult {
    let start = Instant::now();
    while !is_so() {
        if start.elapsed() > START_TIME {
            return Err(format!("within {START_TIME:?} not true: {what}").into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn qemu_storage_daemon(size_bytes: u64, file: &Path) -> Command {
    let mut command = Command::new("qemu-storage-daemon");
    let node = format!("driver=null-co,node-name=n,size={size_bytes},read-zeroes=on");
    let export = format!(
        "type=fuse,id=e,node-name=n,mountpoint={},writable=on",
        file.display()
    );
    command.args(["--blockdev", &node, "--export", &export]);
    command
}
