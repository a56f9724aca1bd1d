//! A running `disktime serve` on a paced hard disk in a temporary directory: sparse, so that it
//! takes no room to speak of. It is stopped when it goes out of scope.

use disktime_benches::BenchResult;
use disktime_benches::child::ends_with_us;
use disktime_benches::program::Program;
use disktime_observe::ServerStatus;
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to stop.
const STOP_TIME: Duration = Duration::from_secs(10);

/// The server.
pub struct Server {
    program: Program,
    child: Child,
    directory: tempfile::TempDir,
}

/// A share in per cent with its period in ms.
#[derive(Debug, Clone, Copy)]
pub struct Reserve {
    pub percent: u32,
    pub period_ms: u64,
}

impl Server {
    /// Serves a vdisk of 8 GiB for each reservation, `v0` and on.
    ///
    /// # Errors
    /// With what the server said, if it does not start.
    pub fn start(program: &Program, policy: &str, reserves: &[Reserve]) -> BenchResult<Server> {
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
        let log = directory.path().join("log");
        let mut command = program.command();
        command.arg("serve").arg(&file);
        command
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log)?);
        let mut child = ends_with_us(&mut command).spawn()?;
        let output = child.stdout.take().ok_or("the server has no output")?;
        let mut lines = BufReader::new(output).lines();
        let ready = lines.any(|line| line.is_ok_and(|line| line == "ready"));
        // What it says from now on is read to nowhere, so that it never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        let server = Server {
            program: program.clone(),
            child,
            directory,
        };
        if !ready {
            let said = std::fs::read_to_string(&log)?;
            return Err(format!("the server did not start: {said}").into());
        }
        Ok(server)
    }

    /// Where a vdisk is found.
    pub fn uri(&self, vdisk: &str) -> String {
        let socket = self.directory.path().join("state/nbd.sock");
        format!("nbd+unix:///{vdisk}?socket={}", socket.display())
    }

    /// The server's status.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn status(&self) -> BenchResult<ServerStatus> {
        let file: PathBuf = self.directory.path().join("disktime.json");
        let arguments = ["status".as_ref(), file.as_os_str(), "--json".as_ref()];
        Ok(serde_json::from_value(self.program.json(&arguments)?)?)
    }

    /// What it warned of.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SAFETY: kill with a signal has no memory to be wrong about, and the process is ours and
        // not yet waited for, so the number is still its own.
        unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGTERM) };
        let start = Instant::now();
        while start.elapsed() < STOP_TIME {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        eprintln!("the server did not stop within {STOP_TIME:?} and is killed");
        let killed = self.child.kill().and_then(|()| self.child.wait());
        if let Err(error) = killed {
            eprintln!("the server cannot be killed: {error}");
        }
    }
}
