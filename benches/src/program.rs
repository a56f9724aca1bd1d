//! The program under test: `disktime`, built in the profile of the benchmark and run as a user
//! would run it.

use crate::BenchResult;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where `disktime` is.
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
}

impl Program {
    /// The program at `path`, or else the one beside the running benchmark, built first if the
    /// benchmark was started by cargo.
    ///
    /// # Errors
    /// If it cannot be built or is not there.
    pub fn find(path: Option<&Path>) -> BenchResult<Program> {
        if let Some(path) = path {
            return Program::at(path.to_owned());
        }
        let own = std::env::current_exe()?;
        let directory = own.parent().ok_or("the benchmark has no directory")?;
        if let Some(cargo) = std::env::var_os("CARGO") {
            let mut build = Command::new(cargo);
            build.args(["build", "--package", "disktime"]);
            if directory.ends_with("release") {
                build.arg("--release");
            }
            if !build.status()?.success() {
                return Err("disktime could not be built; the compiler's messages say why".into());
            }
        }
        Program::at(directory.join("disktime"))
    }

    fn at(path: PathBuf) -> BenchResult<Program> {
        if path.is_file() {
            return Ok(Program { path });
        }
        let message = format!(
            "there is no {}; build it with `cargo build --release -p disktime`, or name it with \
             --program",
            path.display()
        );
        Err(message.into())
    }

    /// A command that runs it.
    pub fn command(&self) -> Command {
        Command::new(&self.path)
    }

    /// A command that serves one vdisk `v` of that size on a disk with these keys besides its size,
    /// with 80 % of it reserved, by one frontend; its files lie in `directory`.
    ///
    /// # Errors
    /// If the reservation file cannot be written.
    pub fn serving(
        &self,
        directory: &Path,
        size_bytes: u64,
        mut disk: Value,
        (frontend, keys): (&str, Value),
    ) -> BenchResult<Command> {
        // Room for the label beside the vdisk.
        disk["size"] = format!("{}B", size_bytes + (1 << 20)).into();
        let configuration = json!({
            "state_dir": ".",
            "disks": { "d": disk },
            "vdisks": { "v": {
                "disk": "d", "size": format!("{size_bytes}B"), "reserve": "80%", "period": "100ms",
            } },
            frontend: keys,
        });
        let file = directory.join("disktime.json");
        std::fs::write(&file, configuration.to_string())?;
        let mut command = self.command();
        command.arg("serve").arg(&file);
        Ok(command)
    }

    /// Runs it to its end and reads the JSON that it prints. What it warns of is not shown.
    ///
    /// # Errors
    /// With what it said, if it fails.
    pub fn json<I: AsRef<std::ffi::OsStr>>(&self, arguments: &[I]) -> BenchResult<Value> {
        let output = self.command().args(arguments).output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// What admission says of a reservation file, admitted or not.
    ///
    /// # Errors
    /// If there is no verdict.
    pub fn check(&self, file: &Path) -> BenchResult<Value> {
        let output = self
            .command()
            .arg("check")
            .arg(file)
            .arg("--json")
            .output()?;
        serde_json::from_slice(&output.stdout)
            .map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned().into())
    }
}
