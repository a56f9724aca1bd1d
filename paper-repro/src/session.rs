//! Runs experiments: in virtual time on several threads, in real time one after the other.
//!
//! Invariant: the results come in the order of the list, whichever thread was first.

use crate::experiment::Experiment;
use crate::report::Entry;
use disktime_lab::Progress;
use disktime_lab::real::RealDisk;
use disktime_lab::{Lab, Length};
use disktime_lab::{LabError, LabResult};
use disktime_units::Nanos;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

/// No more threads than this, however many processors there are.
const MAX_THREADS: usize = 8;

/// Runs all of them in virtual time.
///
/// # Errors
/// The first failure, with the name of its experiment.
pub fn run_simulated(experiments: &[Experiment], length: Length) -> LabResult<Vec<Entry>> {
    let progress = Progress::new(experiments.len() as u64);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.min(MAX_THREADS).min(experiments.len());
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<LabResult<Entry>>>> =
        experiments.iter().map(|_| Mutex::new(None)).collect();
    let running: Mutex<BTreeSet<&str>> = Mutex::default();
    let tell = |id: &'static str, starts: bool| {
        let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
        if starts {
            running.insert(id);
        } else {
            running.remove(id);
            progress.step();
        }
        progress.message(running.iter().copied().collect::<Vec<_>>().join(" "));
    };
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(experiment) = experiments.get(index) else {
                return;
            };
            tell(experiment.id, true);
            let result = run_one(experiment, &Lab::simulated(length));
            tell(experiment.id, false);
            *results[index]
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = Some(result);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    progress.finish();
    let taken = results
        .into_iter()
        .zip(experiments)
        .map(|(slot, experiment)| {
            let result = slot.into_inner().unwrap_or_else(PoisonError::into_inner);
            result.unwrap_or_else(|| {
                let sentence = format!("{}: was not run; this is a bug", experiment.id);
                Err(LabError::new(sentence))
            })
        });
    taken.collect()
}

/// Runs one in real time on a disk, each of its runs `each` long.
///
/// # Errors
/// If the disk fails or the experiment cannot be run on it.
pub fn run_real(experiment: &Experiment, disk: &RealDisk, each: Nanos) -> LabResult<Entry> {
    let mut entry = run_one(experiment, &Lab::real(disk, each))?;
    entry.finding.set_up = format!(
        "In real time on {}, {each} for each run. {}",
        disk.describe(),
        entry.finding.set_up
    );
    entry.finding.notes.extend(disk.notes());
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
