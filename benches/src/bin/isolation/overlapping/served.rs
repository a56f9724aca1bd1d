//! A running `disktime serve` with a vdisk of half the disk, `db`, and one of best effort, `bg`,
//! whose blocks are all stored; loaded over NBD by disktime's own client.

use super::{PART_BYTES, Stream, System};
use disktime_benches::BenchResult;
use disktime_benches::program::Program;
use disktime_benches::server_process::ServerProcess;
use serde_json::json;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The server.
pub(super) struct Served {
    program: Program,
    file: PathBuf,
    milliseconds: u64,
    /// Stopped when it goes out of scope.
    _process: ServerProcess,
}

impl Served {
    /// Serves a disk in `directory`, paced as `model` if one is named.
    ///
    /// # Errors
    /// With what the server said, if it does not start.
    pub(super) fn start(
        program: &Program,
        directory: &Path,
        model: Option<&str>,
        policy: &str,
        milliseconds: u64,
    ) -> BenchResult<Served> {
        let mut process = ServerProcess::new("disktime", directory)?;
        let mut disk = json!({
            "path": "d.disk", "size": format!("{}B", 2 * PART_BYTES + (64 << 20)), "policy": policy,
        });
        match model {
            Some(model) => disk["emulate"] = model.into(),
            None => disk["seeks"] = false.into(),
        }
        let size = format!("{PART_BYTES}B");
        let configuration = json!({
            "state_dir": ".",
            "disks": { "d": disk },
            "vdisks": {
                "db": { "disk": "d", "size": size, "reserve": "50%", "period": "100ms" },
                "bg": { "disk": "d", "size": size },
            },
            "nbd": {}, "fuse": { "mount": "vdisks" },
        });
        let file = directory.join("disktime.json");
        std::fs::write(&file, configuration.to_string())?;
        let mut command = program.command();
        command.arg("serve").arg(&file);
        process.spawn(command, "disktime")?;
        let files = ["db", "bg"].map(|name| directory.join("vdisks").join(name));
        let shown = || files.iter().all(|file| file.exists());
        process.wait_until("show its files", shown)?;
        files.iter().try_for_each(|file| fill(file))?;
        Ok(Served {
            program: program.clone(),
            file,
            milliseconds,
            _process: process,
        })
    }
}

/// Writes all of it: a block that was never written is read from nowhere.
pub(super) fn fill(path: &Path) -> BenchResult {
    let mut file = File::options().write(true).open(path)?;
    let block = vec![0x5A; 1 << 20];
    for _ in 0..PART_BYTES >> 20 {
        file.write_all(&block)?;
    }
    Ok(file.sync_all()?)
}

impl System for Served {
    fn rates(&mut self, victim: Stream, aggressor: Option<Stream>) -> BenchResult<Vec<f64>> {
        let mut arguments = vec!["load".to_owned(), self.file.display().to_string()];
        let streams = [("db", Some(victim)), ("bg", aggressor)];
        for (vdisk, stream) in streams {
            let Some(stream) = stream else { continue };
            let (block, depth) = (stream.block_bytes, stream.depth);
            let read = if stream.writes { "0%" } else { "100%" };
            arguments.push("--client".to_owned());
            arguments.push(format!(
                "random,vdisk={vdisk},block={block}B,depth={depth},read={read}"
            ));
        }
        let duration = format!("{}ms", self.milliseconds);
        for word in ["--overwrite", "--json", "--duration", &duration] {
            arguments.push(word.to_owned());
        }
        let report = self.program.json(&arguments)?;
        let clients = report["clients"].as_object().ok_or("no clients")?;
        let rate = |vdisk: &str| {
            let own = clients.values().find(|client| client["vdisk"] == vdisk);
            own.and_then(|client| client["iops"].as_f64())
        };
        Ok(["db", "bg"].into_iter().filter_map(rate).collect())
    }
}
