//! Experiments in real time: on the modelled drive, paced over a temporary file, or on a device or
//! file that the user names and allows to be read.
//!
//! Invariants: nothing but our own temporary file is ever opened for writing; a device or file of
//! the user's is opened for reading only, and only after it was named twice. Scheduler, loop and
//! clients are those of virtual time; only the clock is another.

mod driver;
mod read_only_disk;

use crate::experiment::{Experiment, Real};
use crate::progress::Progress;
use crate::run::{AnyDisk, Run, properties};
use crate::setup::{PAPER_DRIVE, Setup};
use crate::{Outcome, ReproError};
use disktime_disks::{DiskOptions, PacedDisk, open_disk};
use read_only_disk::ReadOnlyDisk;
use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};

/// More late requests than this, in parts of all, make a paced run doubtful.
const OVERRUNS_ALLOWED: f64 = 0.001;

#[derive(Debug)]
enum Place {
    Paced,
    ReadOnly(PathBuf),
}

/// A disk in real time, on which one experiment is run.
#[derive(Debug)]
pub struct RealDisk {
    place: Place,
    runs_expected: u32,
    runs_done: Cell<u32>,
    overruns: Cell<(u64, u64)>,
    notices: RefCell<Vec<String>>,
}

impl RealDisk {
    /// The disk that the user named. A device has to be named again as consent.
    ///
    /// # Errors
    /// If the consent is missing or names something else, or the experiment writes.
    pub fn choose(
        place: &Path,
        consent: Option<&Path>,
        experiment: &Experiment,
    ) -> Outcome<RealDisk> {
        let place = if place.as_os_str() == "paced" {
            Place::Paced
        } else {
            if let Real::Runs { writes: true, .. } = experiment.real {
                return Err(ReproError::new(format!(
                    "{} has clients that write, and {} is only ever read here; use --real paced",
                    experiment.id,
                    place.display()
                )));
            }
            require_consent(place, consent)?;
            // Found out now rather than after the first minute.
            ReadOnlyDisk::open(place)?;
            Place::ReadOnly(place.to_owned())
        };
        let runs_expected = match experiment.real {
            Real::Runs { runs, .. } => runs,
            Real::No(_) => 1,
        };
        Ok(RealDisk {
            place,
            runs_expected,
            runs_done: Cell::new(0),
            overruns: Cell::new((0, 0)),
            notices: RefCell::default(),
        })
    }

    /// What it is, for people.
    pub fn describe(&self) -> String {
        match &self.place {
            Place::Paced => format!("`{PAPER_DRIVE}` paced over a temporary file"),
            Place::ReadOnly(path) => format!("{} (read only)", path.display()),
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
        if matches!(self.place, Place::ReadOnly(_)) {
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
    pub fn run(&self, setup: &Setup) -> Outcome<Run> {
        let number = self.runs_done.get() + 1;
        self.runs_done.set(number);
        let progress = Progress::new(setup.end().0 / 1_000_000_000);
        progress.message(format!("run {number} of about {}", self.runs_expected));
        let directory = tempfile::tempdir().map_err(|error| {
            ReproError::new(format!("no temporary directory could be made: {error}"))
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

    fn open(&self, setup: &Setup, directory: &Path) -> Outcome<AnyDisk> {
        match &self.place {
            Place::ReadOnly(path) => Ok(Box::new(
                ReadOnlyDisk::open(path)?.with_quantum(setup.quantum_bytes),
            )),
            Place::Paced => {
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

fn require_consent(place: &Path, consent: Option<&Path>) -> Outcome {
    match consent {
        Some(named) if named == place => Ok(()),
        Some(named) => Err(ReproError::new(format!(
            "--real names {} but --i-consent-to-reading names {}; name the same one in both",
            place.display(),
            named.display()
        ))),
        None => Err(ReproError::new(format!(
            "this reads {path} at full load for minutes, which slows down whoever else uses it; \
             nothing is written. If that is all right, add --i-consent-to-reading {path}",
            path = place.display()
        ))),
    }
}
