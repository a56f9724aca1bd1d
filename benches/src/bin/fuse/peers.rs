//! The servers that are compared, and how each is started. Each shows one file.

use crate::null_fuse3;
use disktime_benches::BenchResult;
use disktime_benches::compare;
use disktime_benches::program::Program;
use disktime_benches::server_process::ServerProcess;
use serde_json::json;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What lies below a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Backing {
    /// Reads are zeroes, writes are dropped.
    Null,
    Memory,
}

/// A kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Peer {
    Disktime,
    /// A file system on the fuse3 crate, in this program.
    NullFuse3,
    /// nbdfuse over nbdkit, two processes.
    NbdFuse,
    QemuStorageDaemon,
}

impl compare::Peer<Backing> for Peer {
    fn name(self) -> &'static str {
        match self {
            Peer::Disktime => "disktime",
            Peer::NullFuse3 => "null fuse3",
            Peer::NbdFuse => "nbdfuse + nbdkit",
            Peer::QemuStorageDaemon => "qemu-storage-daemon",
        }
    }

    /// Like is compared with like only.
    fn serves(self, backing: Backing) -> bool {
        backing == Backing::Null || matches!(self, Peer::Disktime | Peer::NbdFuse)
    }
}

/// A running server.
pub(crate) struct Server {
    process: ServerProcess,
    /// Its file.
    file: PathBuf,
    /// Where it is mounted.
    mount: PathBuf,
}

impl Server {
    /// Starts a server in `directory`, which is its own.
    ///
    /// # Errors
    /// If its program is missing, with how to install it; with what it said, if it does not serve.
    pub(crate) fn start(
        peer: Peer,
        backing: Backing,
        size_bytes: u64,
        directory: &Path,
        program: &Program,
    ) -> BenchResult<Server> {
        let backing = compare::name_of(backing);
        let mount = directory.join("vdisks");
        let mut server = Server {
            process: ServerProcess::new(compare::Peer::name(peer), directory)?,
            file: mount.join("v"),
            mount: mount.clone(),
        };
        let process = &mut server.process;
        if matches!(peer, Peer::NullFuse3 | Peer::NbdFuse) {
            std::fs::create_dir(&mount)?;
        }
        match peer {
            Peer::Disktime => {
                let frontend = ("fuse", json!({ "mount": "vdisks" }));
                let disk = json!({ backing: true });
                let command = program.serving(directory, size_bytes, disk, frontend)?;
                process.spawn(command, "disktime")?;
            }
            Peer::NullFuse3 => {
                let mut command = Command::new(std::env::current_exe()?);
                let size_mib = (size_bytes >> 20).to_string();
                command.arg("--null-fuse3").arg(&mount);
                command.args(["--size-mib", &size_mib]);
                server.file = mount.join(null_fuse3::NAME);
                process.spawn(command, "fuse3")?;
            }
            Peer::NbdFuse => {
                let socket = directory.join("nbd.sock");
                let mut nbdkit = Command::new("nbdkit");
                nbdkit.args(["--foreground", "--unix"]).arg(&socket);
                nbdkit.arg(backing).arg(size_bytes.to_string());
                process.spawn(nbdkit, "nbdkit")?;
                process.wait_until("make its socket", || socket.exists())?;
                let mut nbdfuse = Command::new("nbdfuse");
                nbdfuse.arg(&server.file).arg("--unix").arg(&socket);
                process.spawn(nbdfuse, "libnbd-bin")?;
            }
            Peer::QemuStorageDaemon => {
                // It mounts on a file.
                File::create(&mount)?;
                server.file = mount.clone();
                let command = qemu_storage_daemon(size_bytes, &mount);
                process.spawn(command, "qemu-utils")?;
            }
        }
        let file = server.file.clone();
        let has_size = |file: std::fs::Metadata| file.len() == size_bytes;
        server.process.wait_until("show its file", || {
            std::fs::metadata(&file).is_ok_and(has_size)
        })?;
        Ok(server)
    }

    pub(crate) fn process(&self) -> &ServerProcess {
        &self.process
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Writes all of its file once, so that nothing is measured that the first touch costs.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn fill(&self) -> BenchResult {
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
        // Its processes are stopped after this. The mount of a server that ended by itself is gone
        // already.
        let _ = Command::new("fusermount3")
            .args(["-u", "-z", "-q"])
            .arg(&self.mount)
            .stderr(Stdio::null())
            .status();
    }
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
