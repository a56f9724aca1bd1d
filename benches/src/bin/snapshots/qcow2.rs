//! QEMU's side: qcow2 images served by qemu-storage-daemon past the page cache, changed by
//! `qemu-img` while they are closed.

use super::{
    CLONE, DELETE, DEPTHS, Figures, REVERT, SNAPSHOT, Setting, WRITES, fill, rate, reads_at, timed,
    write_blocks,
};
use disktime_benches::BenchResult;
use disktime_benches::server_process::ServerProcess;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

const PLAIN: &str = "qcow2, no snapshot";
const INTERNAL: &str = "qcow2, internal snapshot";
const CHAIN: &str = "qcow2, backing files";

struct Images<'s> {
    of: &'s Setting,
    directory: PathBuf,
}

impl Images<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn qemu_img(&self, arguments: &[&str]) -> BenchResult<f64> {
        let mut command = Command::new("qemu-img");
        timed(command.args(arguments).current_dir(&self.directory))
    }

    fn overlay(&self, name: &str, below: &str) -> BenchResult<f64> {
        let arguments = [
            "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", below, name,
        ];
        self.qemu_img(&arguments)
    }

    /// Serves an image while `during` uses it.
    fn serving<T>(
        &self,
        name: &str,
        during: impl FnOnce(&Path) -> BenchResult<T>,
    ) -> BenchResult<T> {
        let mut process = ServerProcess::new("qemu-storage-daemon", &self.directory)?;
        let socket = self.path("nbd.sock");
        // The one before may have left it.
        let _ = std::fs::remove_file(&socket);
        let image = self.path(name);
        let mut command = Command::new("qemu-storage-daemon");
        command.args(["--object", "iothread,id=t", "--blockdev"]);
        command.arg(format!(
            "driver=qcow2,node-name=q,discard=unmap,file.driver=file,file.filename={},\
             cache.direct=on,file.cache.direct=on,file.aio=native",
            image.display()
        ));
        let address = format!("addr.type=unix,addr.path={}", socket.display());
        command.args(["--nbd-server", &address, "--export"]);
        command.arg("type=nbd,id=e,node-name=q,name=v,writable=on,iothread=t");
        process.spawn(command, "qemu-utils")?;
        process.wait_until("answer", || UnixStream::connect(&socket).is_ok())?;
        during(&socket)
    }

    fn writes(&self, name: &str) -> BenchResult<f64> {
        let of = self.of;
        self.serving(name, |socket| rate(socket, "v", "randwrite", 16, of))
    }
}

/// All that is measured of qcow2.
pub(super) fn measure(of: &Setting, figures: &mut Figures) -> BenchResult {
    let directory = of.directory.join("qcow2");
    std::fs::create_dir_all(&directory)?;
    let images = Images { of, directory };
    let size = format!("{}M", of.size_mib);
    images.qemu_img(&["create", "-q", "-f", "qcow2", "base.qcow2", &size])?;
    images.serving("base.qcow2", |socket| fill(socket, "v", of.size_mib))?;
    figures.note(WRITES, PLAIN, images.writes("base.qcow2")?);

    let snapshot = |what: &str| images.qemu_img(&["snapshot", what, "one", "base.qcow2"]);
    figures.note(SNAPSHOT, INTERNAL, snapshot("-c")?);
    let after = images.writes("base.qcow2")?;
    figures.note(WRITES, "qcow2, right after an internal snapshot", after);
    figures.note(REVERT, INTERNAL, snapshot("-a")?);
    let copy = [
        "convert",
        "-l",
        "one",
        "-O",
        "qcow2",
        "base.qcow2",
        "copy.qcow2",
    ];
    figures.note(
        CLONE,
        "qcow2, internal snapshot (copied)",
        images.qemu_img(&copy)?,
    );
    // What was written since has to be given up, too.
    images.writes("base.qcow2")?;
    figures.note(DELETE, INTERNAL, snapshot("-d")?);

    figures.note(SNAPSHOT, CHAIN, images.overlay("top.qcow2", "base.qcow2")?);
    let after = images.writes("top.qcow2")?;
    figures.note(WRITES, "qcow2, right after a backing file", after);
    figures.note(CLONE, CHAIN, images.overlay("c1.qcow2", "base.qcow2")?);
    images.serving("c1.qcow2", |socket| write_blocks(socket, "v", 1, of))?;
    let mut depth = 1;
    for wanted in DEPTHS {
        while depth < wanted {
            let (below, next) = (format!("c{depth}.qcow2"), depth + 1);
            let name = format!("c{next}.qcow2");
            images.overlay(&name, &below)?;
            images.serving(&name, |socket| write_blocks(socket, "v", next, of))?;
            depth = next;
        }
        let name = format!("c{depth}.qcow2");
        let reads = images.serving(&name, |socket| rate(socket, "v", "randread", 1, of))?;
        figures.note(reads_at(wanted), CHAIN, reads);
    }
    // A revert is another overlay; to delete the snapshot is to merge what was written since.
    figures.note(REVERT, CHAIN, images.overlay("again.qcow2", "base.qcow2")?);
    let merge = images.qemu_img(&["commit", "-q", "-t", "none", "top.qcow2"])?;
    figures.note(DELETE, CHAIN, merge);
    Ok(())
}
