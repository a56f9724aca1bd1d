//! A running `disktime serve` with a vdisk of half the disk, `db`, and one of best effort, `bg`,
//! whose blocks are all stored; loaded over NBD by disktime's own client.

use crate::overlapping::{PART_BYTES, Stream, System};
use disktime_benches::BenchResult;
use disktime_benches::program::Program;
use disktime_benches::server_process::ServerProcess;
use disktime_nbd_protocol::NbdUri;
use serde_json::{Value, json};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The disk that is served.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind<'a> {
    /// A file of this machine, paced as this model if one is named.
    pub(crate) model: Option<&'a str>,
    pub(crate) policy: &'a str,
    /// What becomes of its trims.
    pub(crate) trim: &'a str,
}

/// What a client of `disktime load` got.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Got {
    /// Requests per second.
    pub(crate) rate: f64,
    /// The 99th percentile of its latencies in microseconds, if it had requests.
    pub(crate) p99_us: Option<f64>,
}

/// The server.
pub(crate) struct Served {
    program: Program,
    directory: PathBuf,
    file: PathBuf,
    milliseconds: u64,
    /// Stopped when it goes out of scope.
    _process: ServerProcess,
}

impl Served {
    /// Serves a disk in `directory`; loads by its clients take so many milliseconds.
    ///
    /// # Errors
    /// With what the server said, if it does not start.
    pub(crate) fn start(
        program: &Program,
        directory: &Path,
        kind: Kind<'_>,
        milliseconds: u64,
    ) -> BenchResult<Served> {
        let mut process = ServerProcess::new("disktime", directory)?;
        let mut disk = json!({
            "path": "d.disk", "size": format!("{}B", 2 * PART_BYTES + (64 << 20)),
            "policy": kind.policy, "trim": kind.trim,
        });
        match kind.model {
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
            directory: directory.to_owned(),
            file,
            milliseconds,
            _process: process,
        })
    }

    /// Where NBD clients find a vdisk.
    pub(crate) fn uri(&self, vdisk: &str) -> NbdUri {
        NbdUri::unix(self.directory.join("nbd.sock"), vdisk)
    }

    /// Its file.
    pub(crate) fn path_of(&self, vdisk: &str) -> PathBuf {
        self.directory.join("vdisks").join(vdisk)
    }

    /// Loads these vdisks at once; what each got.
    ///
    /// # Errors
    /// With what the client said, if it fails.
    pub(crate) fn load(&self, streams: &[(&str, Stream)]) -> BenchResult<Vec<Got>> {
        let mut arguments = vec!["load".to_owned(), self.file.display().to_string()];
        for (vdisk, stream) in streams {
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
        let got = |(vdisk, _): &(&str, Stream)| {
            let own = clients.values().find(|client| client["vdisk"] == *vdisk);
            own.and_then(got)
        };
        Ok(streams.iter().filter_map(got).collect())
    }
}

fn got(client: &Value) -> Option<Got> {
    Some(Got {
        rate: client["iops"].as_f64()?,
        p99_us: client["latency_us"]["p99"].as_f64(),
    })
}

/// Writes all of it: a block that was never written is read from nowhere.
pub(crate) fn fill(path: &Path) -> BenchResult {
    let mut file = File::options().write(true).open(path)?;
    let block = vec![0x5A; 1 << 20];
    for _ in 0..PART_BYTES >> 20 {
        file.write_all(&block)?;
    }
    Ok(file.sync_all()?)
}

impl System for Served {
    fn rates(&mut self, victim: Stream, aggressor: Option<Stream>) -> BenchResult<Vec<f64>> {
        let streams: Vec<_> = std::iter::once(("db", victim))
            .chain(aggressor.map(|stream| ("bg", stream)))
            .collect();
        Ok(self.load(&streams)?.iter().map(|got| got.rate).collect())
    }
}
