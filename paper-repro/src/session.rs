//! Runs experiments: in virtual time on several threads, in real time one after the other.
//!
//! Invariant: the results come in the order of the list, whichever thread was first.

use crate::experiment::Experiment;
use crate::report::Entry;
use disktime_lab::real::RealDisk;
use disktime_lab::{Lab, LabError, LabResult, Length, Progress, parallel};
use disktime_units::Nanos;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// No more threads than this, however many processors there are.
const MAX_THREADS: usize = 8;

/// Runs all of them in virtual time.
///
/// # Errors
/// The first failure, with the name of its experiment.
pub fn run_simulated(experiments: &[Experiment], length: Length) -> LabResult<Vec<Entry>> {
    let progress = Progress::new(experiments.len() as u64);
    let running: Mutex<BTreeSet<&str>> = Mutex::default();
    let change = |of: &dyn Fn(&mut BTreeSet<&'static str>)| {
        let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
        of(&mut running);
        progress.message(running.iter().copied().collect::<Vec<_>>().join(" "));
    };
    let threads = parallel::processors().min(MAX_THREADS);
    let entries = parallel::map(experiments, threads, |experiment| {
        change(&|running| {
            running.insert(experiment.id);
        });
        let entry = run_one(experiment, &Lab::simulated(length));
        progress.step();
        change(&|running| {
            running.remove(experiment.id);
        });
        entry
    });
    progress.finish();
    entries.into_iter().collect()
}

/// Runs one in real time on a disk, each of its runs `each` long.
///
/// # Errors
/// If the disk fails or the experiment cannot be run on it.
pub fn run_real(experiment: &Experiment, disk: &RealDisk, each: Nanos) -> LabResult<Entry> {
    let mut entry = run_one(experiment, &Lab::real(disk, each))?;
    let disk_and_time = format!("In real time on {}, {each} for each run.", disk.describe());
    entry.finding.measured_on(&disk_and_time);
    for note in disk.notes() {
        entry.finding.note(note);
    }
    Ok(entry)
}

fn run_one(experiment: &Experiment, lab: &Lab<'_>) -> LabResult<Entry> {
    let finding = (experiment.run)(lab)
        .map_err(|error| LabError::new(format!("{}: {error}", experiment.id)))?;
    Ok(Entry {
        experiment: *experiment,
        finding,
    })
}
