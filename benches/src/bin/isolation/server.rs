//! A running `disktime serve` on a paced hard disk in a temporary directory: sparse, so that it
//! takes no space to speak of. It is stopped when it goes out of scope.

use disktime_benches::BenchResult;
use disktime_benches::program::Program;
use disktime_benches::server_process::ServerProcess;
use disktime_observe::ServerStatus;
use serde_json::json;
use std::path::PathBuf;

/// The server.
pub(crate) struct Server {
    program: Program,
    // Stopped before its directory goes.
    process: ServerProcess,
    directory: tempfile::TempDir,
}

/// A share in per cent with its period in ms.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reserve {
    pub(crate) percent: u32,
    pub(crate) period_ms: u64,
}

impl Server {
    /// Serves a vdisk of 8 GiB for each reservation, `v0` and on.
    ///
    /// # Errors
    /// With what the server said, if it does not start.
    pub(crate) fn start(
        program: &Program,
        policy: &str,
        reserves: &[Reserve],
    ) -> BenchResult<Server> {
        let directory = tempfile::tempdir()?;
        let vdisks = reserves.iter().enumerate().map(|(index, reserve)| {
            let vdisk = json!({
                "disk": "hdd0",
                "size": "8GiB",
                "reserve": format!("{}%", reserve.percent),
                "period": format!("{}ms", reserve.period_ms),
            });
            (format!("v{index}"), vdisk)
        });
        let vdisks: serde_json::Map<_, _> = vdisks.collect();
        let configuration = json!({
            "state_dir": "state",
            "disks": {
                "hdd0": {
                    "path": "hdd0.disk",
                    "size": "64GiB",
                    "emulate": "desktop-7200-2008",
                    "policy": policy,
                },
            },
            "vdisks": vdisks,
            "nbd": { "socket": "nbd.sock" },
            "control": { "socket": "control.sock" },
        });
        let file = directory.path().join("disktime.json");
        std::fs::write(&file, configuration.to_string())?;
        let mut command = program.command();
        command.arg("serve").arg(&file);
        let mut process = ServerProcess::new("disktime", directory.path())?;
        process.spawn(command, "disktime")?;
        let mut server = Server {
            program: program.clone(),
            process,
            directory,
        };
        let arguments = ["status".as_ref(), file.as_os_str(), "--json".as_ref()];
        let answers = || program.json(&arguments).is_ok();
        server.process.wait_until("answer", answers)?;
        Ok(server)
    }

    /// Where a vdisk is found.
    pub(crate) fn uri(&self, vdisk: &str) -> String {
        let socket = self.directory.path().join("state/nbd.sock");
        format!("nbd+unix:///{vdisk}?socket={}", socket.display())
    }

    /// The server's status.
    ///
    /// # Errors
    /// If it does not answer.
    pub(crate) fn status(&self) -> BenchResult<ServerStatus> {
        let file: PathBuf = self.directory.path().join("disktime.json");
        let arguments = ["status".as_ref(), file.as_os_str(), "--json".as_ref()];
        Ok(serde_json::from_value(self.program.json(&arguments)?)?)
    }

    /// What it warned of.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }
}
