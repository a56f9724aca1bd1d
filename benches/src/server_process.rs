//! The processes of one server under test: started, waited for, measured, pinned, and stopped when
//! they go out of scope or when the benchmark ends in any other way.

use crate::BenchResult;
use crate::process::{self, Processors};
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to start.
const START_TIME: Duration = Duration::from_secs(20);
/// How long it may take to stop.
const STOP_TIME: Duration = Duration::from_secs(10);

/// The processes of a server.
#[derive(Debug)]
pub struct ServerProcess {
    name: &'static str,
    directory: PathBuf,
    children: Vec<Child>,
}

impl ServerProcess {
    /// A server without processes yet, in a directory of its own.
    ///
    /// # Errors
    /// If the directory cannot be made.
    pub fn new(name: &'static str, directory: &Path) -> BenchResult<ServerProcess> {
        std::fs::create_dir_all(directory)?;
        Ok(ServerProcess {
            name,
            directory: directory.to_owned(),
            children: Vec::new(),
        })
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Starts a process of it; what that says goes to its log.
    ///
    /// # Errors
    /// If its program is missing, with the package that has it.
    pub fn spawn(&mut self, mut command: Command, package: &str) -> BenchResult {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.directory.join("log"))?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = ends_with_us(&mut command).spawn().map_err(|error| {
            let program = command.get_program().display();
            format!("{program} cannot be started ({error}); install it: apt-get install {package}")
        })?;
        self.children.push(child);
        Ok(())
    }

    /// Waits until it does what it is to do.
    ///
    /// # Errors
    /// With what it said, if it does not in time or ends before.
    pub fn wait_until(&mut self, does: &str, is_so: impl Fn() -> bool) -> BenchResult {
        let start = Instant::now();
        while !is_so() {
            let runs = |child: &mut Child| matches!(child.try_wait(), Ok(None));
            if start.elapsed() > START_TIME || !self.children.iter_mut().all(runs) {
                let (name, said) = (self.name, self.log());
                return Err(format!("{name} does not {does}; it said: {said}").into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// What it said so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    /// Processor time of its processes so far.
    ///
    /// # Errors
    /// If one has ended.
    pub fn cpu_time(&self) -> BenchResult<Duration> {
        let processes = self.children.iter();
        processes.map(|child| process::cpu_time(child.id())).sum()
    }

    /// Lets it, and this process, run on these processors only.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn pin_with_us(&self, processors: Processors) -> BenchResult {
        for child in &self.children {
            process::pin(child.id(), processors)?;
        }
        process::pin(0, processors)
    }

    fn stop(child: &mut Child) -> std::io::Result<()> {
        // SAFETY: kill with a signal has no memory to be wrong about, and the process is ours and
        // not yet waited for, so the number is still its own.
        unsafe { libc::kill(child.id() as libc::pid_t, libc::SIGTERM) };
        let start = Instant::now();
        while start.elapsed() < STOP_TIME {
            if child.try_wait()?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        child.kill()?;
        child.wait().map(drop)
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        for child in self.children.iter_mut().rev() {
            if let Err(error) = ServerProcess::stop(child) {
                eprintln!("{} cannot be stopped: {error}", self.name);
            }
        }
    }
}

/// The process that `command` starts is told to stop (SIGTERM) when this one ends.
pub(crate) fn ends_with_us(command: &mut Command) -> &mut Command {
    // SAFETY: between fork and exec only prctl is called, which is a system call without memory.
    unsafe {
        command.pre_exec(
            || match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            },
        )
    }
}
