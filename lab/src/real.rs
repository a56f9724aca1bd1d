//! Runs in real time: on the modelled drive, paced over a temporary file, or on a device or file
//! that is only read.
//!
//! Invariants: only a temporary file made here is opened for writing; a device or file of the
//! user's is opened for reading only. Scheduler, loop and clients are those of virtual time; only
//! the clock differs.

mod driver;
mod read_only_disk;

use crate::progress::Progress;
use crate::run::{AnyDisk, Run, properties};
use crate::setup::{PAPER_DRIVE, Setup};
use crate::{LabError, LabResult};
use disktime_disks::{DiskOptions, PacedDisk, open_disk};
use read_only_disk::ReadOnlyDisk;
use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};

/// More late requests than this, in parts of all, make a paced run doubtful.
const OVERRUNS_ALLOWED: f64 = 0.001;

#[derive(Debug)]
enum RealTarget {
    Paced,
    ReadOnly(PathBuf),
}

/// A disk in real time, on which one experiment is run.
#[derive(Debug)]
pub struct RealDisk {
    target: RealTarget,
    runs_expected: u32,
    runs_done: Cell<u32>,
    overruns: Cell<(u64, u64)>,
    notices: RefCell<Vec<String>>,
}

impl RealDisk {
    /// The modelled drive, paced over a temporary file. `runs_expected` is shown as progress.
    pub fn paced(runs_expected: u32) -> RealDisk {
        RealDisk::new(RealTarget::Paced, runs_expected)
    }

    /// A device or file, which is read and never written.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read_only(path: &Path, runs_expected: u32) -> LabResult<RealDisk> {
        // Checked now rather than after the first minute.
        ReadOnlyDisk::open(path)?;
        let target = RealTarget::ReadOnly(path.to_owned());
        Ok(RealDisk::new(target, runs_expected))
    }

    fn new(target: RealTarget, runs_expected: u32) -> RealDisk {
        RealDisk {
            target,
            runs_expected,
            runs_done: Cell::new(0),
            overruns: Cell::new((0, 0)),
            notices: RefCell::default(),
        }
    }

    /// Which disk it is, for a report.
    pub fn describe(&self) -> String {
        match &self.target {
            RealTarget::Paced => format!("`{PAPER_DRIVE}` paced over a temporary file"),
            RealTarget::ReadOnly(path) => format!("{} (read only)", path.display()),
        }
    }

    /// What has to be said about the runs that were made.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = self.notices.borrow().clone();
        let (late, all) = self.overruns.get();
        if late as f64 > OVERRUNS_ALLOWED * all as f64 {
            notes.push(format!(
                "{late} of {all} requests took longer on the real file than on the model: the \
                 figures are doubtful; run it on an idle machine or a faster file system"
            ));
        }
        if matches!(self.target, RealTarget::ReadOnly(_)) {
            notes.push(
                "The expected values are those of the papers' drive; another drive has its own. \
                 Requests go to the device one at a time, and nothing is written."
                    .to_owned(),
            );
        }
        notes
    }

    /// Runs it, by the clock.
    ///
    /// # Errors
    /// If the disk cannot be opened or fails.
    pub fn run(&self, setup: &Setup) -> LabResult<Run> {
        let number = self.runs_done.get() + 1;
        self.runs_done.set(number);
        let progress = Progress::new(setup.end().0 / 1_000_000_000);
        progress.message(format!("run {number} of about {}", self.runs_expected));
        let directory = tempfile::tempdir().map_err(|error| {
            LabError::new(format!("no temporary directory could be made: {error}"))
        })?;
        let disk = self.open(setup, directory.path())?;
        let result = driver::run(setup, disk, &progress);
        progress.finish();
        let run = result?;
        let (late, all) = self.overruns.get();
        self.overruns
            .set((late + run.overruns.0, all + run.overruns.1));
        Ok(run)
    }

    fn open(&self, setup: &Setup, directory: &Path) -> LabResult<AnyDisk> {
        match &self.target {
            RealTarget::ReadOnly(path) => Ok(Box::new(
                ReadOnlyDisk::open(path)?.with_quantum(setup.quantum_bytes),
            )),
            RealTarget::Paced => {
                let model = setup.drive.model()?;
                let properties = properties(setup, &model);
                // Sparse: it holds no more than what is written, and nothing is.
                let inner = open_disk(&DiskOptions {
                    size_bytes: Some(properties.size_bytes),
                    create: true,
                    paced: true,
                    ..DiskOptions::new(directory.join("paced.disk"))
                })?;
                Ok(Box::new(PacedDisk::new(model, properties, inner)))
            }
        }
    }
}
