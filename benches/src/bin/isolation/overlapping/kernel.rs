//! What users have instead of disktime, on a file of this machine: nothing, bfq under a loop
//! device, QEMU's throttle filter. fio is the client, with the kernel's io_uring.
//!
//! Invariant: loop devices and cgroups that were made are removed when a system goes out of scope.

use super::{PART_BYTES, Stream, System};
use crate::served::fill;
use disktime_benches::BenchResult;
use disktime_benches::fio::{self, FioRun};
use disktime_benches::server_process::ServerProcess;
use serde_json::Value;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where cgroups of version 1 that schedule disks are.
const CGROUPS: &str = "/sys/fs/cgroup/blkio";

/// A system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kernel {
    /// The file as it is.
    Nothing,
    /// A loop device with bfq, the same weight for both clients' cgroups.
    Bfq,
    /// qemu-storage-daemon's FUSE export of the file, each client with a throttle group of half of
    /// what the file does: operations by its small random reads, bytes by its large writes.
    QemuThrottle,
}

impl Kernel {
    pub(super) const ALL: [Kernel; 3] = [Kernel::Nothing, Kernel::Bfq, Kernel::QemuThrottle];

    pub(super) fn name(self) -> &'static str {
        match self {
            Kernel::Nothing => "nothing",
            Kernel::Bfq => "bfq",
            Kernel::QemuThrottle => "QEMU throttle",
        }
    }

    /// Sets it up in `directory`; each measurement takes so long.
    ///
    /// # Errors
    /// A program or a privilege that is missing, with what to do.
    pub(super) fn start(self, directory: &Path, milliseconds: u64) -> BenchResult<Box<dyn System>> {
        fs::create_dir_all(directory)?;
        let files = ["db", "bg"].map(|name| directory.join(name));
        for file in &files {
            File::create(file)?.set_len(PART_BYTES)?;
            fill(file)?;
        }
        let mut plain = OnFiles {
            places: files.clone().map(|file| (file, 0)),
            groups: None,
            milliseconds,
            process: None,
            undo: Vec::new(),
        };
        match self {
            Kernel::Nothing => {}
            Kernel::Bfq => plain.use_bfq(directory)?,
            Kernel::QemuThrottle => plain.use_qemu(directory)?,
        }
        Ok(Box::new(plain))
    }
}

/// Two clients on files or devices. What was set up is undone when it goes out of scope.
struct OnFiles {
    /// Where each client's part begins.
    places: [(PathBuf, u64); 2],
    /// The cgroup of each client.
    groups: Option<[PathBuf; 2]>,
    milliseconds: u64,
    /// What has to be undone.
    process: Option<ServerProcess>,
    undo: Vec<Undo>,
}

/// Runs its command when it goes out of scope.
struct Undo(Vec<String>);

impl Drop for Undo {
    fn drop(&mut self) {
        if let Err(error) = run(&self.0) {
            eprintln!("{}: {error}", self.0.join(" "));
        }
    }
}

/// Runs a command to its end; what it printed.
fn run(words: &[String]) -> BenchResult<String> {
    let output = Command::new(&words[0]).args(&words[1..]).output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{}: {said}", words.join(" ")).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn words(text: &[&str]) -> Vec<String> {
    text.iter().map(|word| (*word).to_owned()).collect()
}

impl OnFiles {
    /// One loop device over one file for both clients, as one scheduler has to see them.
    fn use_bfq(&mut self, directory: &Path) -> BenchResult {
        let file = directory.join("both");
        File::create(&file)?.set_len(2 * PART_BYTES)?;
        let path = file.display().to_string();
        let device = run(&words(&[
            "losetup",
            "--direct-io=on",
            "--find",
            "--show",
            &path,
        ]))
        .map_err(|error| format!("{error}; loop devices need root"))?;
        self.undo.push(Undo(words(&["losetup", "-d", &device])));
        let name = device.trim_start_matches("/dev/");
        fs::write(format!("/sys/block/{name}/queue/scheduler"), "bfq")?;
        let all = words(&[
            "dd",
            "if=/dev/zero",
            &format!("of={device}"),
            "bs=1M",
            "oflag=direct",
        ]);
        // It ends with an error where the device ends.
        let _ = run(&all);
        let groups =
            ["db", "bg"].map(|name| PathBuf::from(CGROUPS).join(format!("disktime-{name}")));
        for group in &groups {
            fs::create_dir_all(group)
                .map_err(|error| format!("{}: {error}; cgroup v1 is needed", group.display()))?;
            let path = group.display().to_string();
            self.undo.push(Undo(words(&["rmdir", &path])));
            fs::write(group.join("blkio.bfq.weight"), "500")?;
        }
        self.places = [0, PART_BYTES].map(|start| (PathBuf::from(&device), start));
        self.groups = Some(groups);
        Ok(())
    }

    /// Half of what the file does for each client.
    fn use_qemu(&mut self, directory: &Path) -> BenchResult {
        let small = self.rates(Stream::reads(4 << 10, 128), None)?[0];
        let large = self.rates(Stream::writes(1 << 20, 8), None)?[0];
        let limits = format!(
            "x-iops-total={:.0},x-bps-total={:.0}",
            small / 2.0,
            large / 2.0 * f64::from(1 << 20)
        );
        let mut process = ServerProcess::new("qemu-storage-daemon", directory)?;
        let mut command = Command::new("qemu-storage-daemon");
        let mut mounts = Vec::new();
        for (place, _) in &self.places {
            let (file, name) = (place.display(), place.file_name().unwrap_or_default());
            let name = name.display();
            let mount = directory.join(format!("{name}-throttled"));
            File::create(&mount)?;
            for (option, value) in [
                ("--object", format!("throttle-group,id=g-{name},{limits}")),
                (
                    "--blockdev",
                    format!(
                        "driver=file,node-name=f-{name},filename={file},cache.direct=on,aio=io_uring"
                    ),
                ),
                (
                    "--blockdev",
                    format!(
                        "driver=throttle,node-name=t-{name},throttle-group=g-{name},file=f-{name}"
                    ),
                ),
                (
                    "--export",
                    format!(
                        "type=fuse,id=e-{name},node-name=t-{name},mountpoint={},writable=on",
                        mount.display()
                    ),
                ),
            ] {
                command.args([option, &value]);
            }
            mounts.push(mount);
        }
        process.spawn(command, "qemu-utils")?;
        let shown =
            |mount: &PathBuf| fs::metadata(mount).is_ok_and(|file| file.len() == PART_BYTES);
        process.wait_until("show its files", || mounts.iter().all(shown))?;
        self.process = Some(process);
        self.places = [0, 1].map(|index: usize| (mounts[index].clone(), 0));
        Ok(())
    }

    /// Starts fio as a client.
    fn client(&self, index: usize, stream: Stream) -> BenchResult<FioRun> {
        let (path, start) = &self.places[index];
        let mode = if stream.writes {
            "randwrite"
        } else {
            "randread"
        };
        let arguments = [
            "--thread".to_owned(),
            "--name=job".to_owned(),
            "--ioengine=io_uring".to_owned(),
            "--direct=1".to_owned(),
            "--norandommap".to_owned(),
            "--time_based".to_owned(),
            "--allow_file_create=0".to_owned(),
            format!("--filename={}", path.display()),
            format!("--offset={start}"),
            format!("--size={PART_BYTES}"),
            format!("--rw={mode}"),
            format!("--bs={}", stream.block_bytes),
            format!("--iodepth={}", stream.depth),
            "--ramp_time=300ms".to_owned(),
            format!("--runtime={}ms", self.milliseconds),
        ];
        let run = fio::start(arguments)?;
        if let Some(groups) = &self.groups {
            // Its job is a thread, so that it goes along.
            fs::write(
                groups[index].join("cgroup.procs"),
                run.process_id().to_string(),
            )?;
        }
        Ok(run)
    }
}

impl System for OnFiles {
    fn rates(&mut self, victim: Stream, aggressor: Option<Stream>) -> BenchResult<Vec<f64>> {
        let streams = [Some(victim), aggressor].into_iter().flatten();
        let running: Vec<FioRun> = streams
            .enumerate()
            .map(|(index, stream)| self.client(index, stream))
            .collect::<BenchResult<_>>()?;
        let reports: Vec<Value> = running
            .into_iter()
            .map(FioRun::report)
            .collect::<BenchResult<_>>()?;
        Ok(reports.iter().map(|report| fio::rate(report, 0)).collect())
    }
}
