//! Our side: one server, a vdisk with a history and one without on the same file.

use super::{
    CLONE, DELETE, DEPTHS, Figures, REVERT, SNAPSHOT, Setting, WRITES, fill, rate, reads_at, timed,
    write_blocks,
};
use disktime_benches::BenchResult;
use disktime_benches::server_process::ServerProcess;
use serde_json::json;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

const WITH: &str = "disktime, history";
const WITHOUT: &str = "disktime, no history";
/// Of a clone; more than its blocks take.
const CLONE_MIB: u64 = 64;

struct Served<'s> {
    of: &'s Setting,
    socket: PathBuf,
    file: PathBuf,
    _process: ServerProcess,
}

impl Served<'_> {
    fn start(of: &Setting) -> BenchResult<Served<'_>> {
        let directory = of.directory.join("disktime");
        let mut process = ServerProcess::new("disktime", &directory)?;
        let (size, log) = (of.size_mib, 4 * of.size_mib);
        let clones = (DEPTHS[DEPTHS.len() - 1] as u64 + 2) * CLONE_MIB;
        let disk = json!({
            "path": "d.disk", "seeks": false, "size": format!("{}MiB", 2 * size + log + clones + 64),
        });
        let history = json!({ "window": "24h", "max": format!("{log}MiB") });
        let configuration = json!({
            "state_dir": ".",
            "disks": { "d": disk },
            "vdisks": {
                "v": { "disk": "d", "size": format!("{size}MiB"), "history": history },
                "plain": { "disk": "d", "size": format!("{size}MiB") },
            },
            "nbd": {},
        });
        let file = directory.join("disktime.json");
        std::fs::write(&file, configuration.to_string())?;
        let mut command = of.program.command();
        command.arg("serve").arg(&file);
        process.spawn(command, "disktime")?;
        let socket = directory.join("nbd.sock");
        process.wait_until("answer", || UnixStream::connect(&socket).is_ok())?;
        Ok(Served {
            of,
            socket,
            file,
            _process: process,
        })
    }

    fn command(&self, arguments: &[&str]) -> BenchResult<f64> {
        let mut command = self.of.program.command();
        timed(command.args(arguments).arg("--config").arg(&self.file))
    }
}

/// All that is measured of ours.
pub(super) fn measure(of: &Setting, figures: &mut Figures) -> BenchResult {
    let served = Served::start(of)?;
    let socket = &served.socket;
    for export in ["plain", "v"] {
        fill(socket, export, of.size_mib)?;
    }
    figures.note(WRITES, WITHOUT, rate(socket, "plain", "randwrite", 16, of)?);
    figures.note(WRITES, WITH, rate(socket, "v", "randwrite", 16, of)?);
    figures.note(SNAPSHOT, WITH, served.command(&["mark", "v", "one"])?);
    let after = rate(socket, "v", "randwrite", 16, of)?;
    figures.note(WRITES, "disktime, history, right after a mark", after);
    let revert = ["revert", "v", "--to", "one", "--disconnect"];
    figures.note(REVERT, WITH, served.command(&revert)?);
    let max = format!("{CLONE_MIB}MiB");
    let clone = ["clone", "v@one", "c1", "--max", &max];
    figures.note(CLONE, WITH, served.command(&clone)?);
    write_blocks(socket, "c1", 1, of)?;
    let mut depth = 1;
    for wanted in DEPTHS {
        while depth < wanted {
            let next = depth + 1;
            let moment = format!("c{depth}@-0s");
            served.command(&["clone", &moment, &format!("c{next}"), "--max", &max])?;
            write_blocks(socket, &format!("c{next}"), next, of)?;
            depth = next;
        }
        let reads = rate(socket, &format!("c{depth}"), "randread", 1, of)?;
        figures.note(reads_at(wanted), "disktime, clones of clones", reads);
    }
    while depth > 0 {
        let name = format!("c{depth}");
        let took = served.command(&["drop", &name, "--disconnect"])?;
        figures.note("a clone's deletion, ms", WITH, took);
        depth -= 1;
    }
    figures.note(DELETE, WITH, served.command(&["drop", "v@one"])?);
    Ok(())
}
