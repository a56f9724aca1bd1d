//! The disks of a thread, opened and checked, and waiting for the other disks of the file: the
//! thread opens its disks, reads their labels and checks whether the vdisks fit; it goes on at
//! [`OpenedThread::serve`], and closes the disks unchanged if one of them or another is refused.

use super::changes::changes_together;
use super::counters::Counters;
use super::hidden_clones::refuse_hidden;
use super::label_reading::{disk_failure, found_disk, open_here};
use super::{DiskThread, StartedDisk, clock, serve};
use crate::assembly::AnyDisk;
use crate::diagnostics::print_sentence;
use crate::failure::{CommandResult, Failure};
use crate::serving::backing_watch::WatchedFile;
use crate::serving::created_file::CreatedFileGuard;
use crate::serving::known_disks::FoundDisk;
use crate::serving::served_vdisks::DiskTraits;
use disktime_disks::Disk;
use disktime_reservations::{Admission, Configuration, Disk as DiskConfig, Policy};
use disktime_volumes::{Label, LabelledDisk, RealDriver};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::sync::watch;

/// Disks that were opened and checked; their thread waits for [`OpenedThread::serve`].
pub(crate) struct OpenedThread {
    disks: Vec<OpenedDisk>,
    go: SyncSender<()>,
    started: Receiver<CommandResult<Vec<StartedDisk>>>,
    running: watch::Receiver<()>,
    thread: JoinHandle<CommandResult>,
}

/// A disk that was opened and checked.
pub(crate) struct OpenedDisk {
    /// Its position in the file.
    position: usize,
    name: String,
    policy: Policy,
    checked: CheckedDisk,
}

/// What a thread reports of a disk when it was checked.
struct CheckedDisk {
    traits: DiskTraits,
    /// Sentences for the user about the disk.
    notices: Vec<String>,
    /// The disk by its label.
    found: FoundDisk,
    /// What has to change on it, as sentences; or why its vdisks do not fit.
    changes: CommandResult<Vec<String>>,
    /// Its file or device; `None` if it has no path.
    file: Option<WatchedFile>,
}

/// Opens the disks at these positions of the file on a thread of their own, and checks whether
/// their vdisks fit. `admissions` are those of all disks.
///
/// # Errors
/// As [`open_here`].
pub(crate) fn open(
    configuration: &Arc<Configuration>,
    positions: &[usize],
    admissions: &[Admission],
    epoch: Instant,
) -> CommandResult<OpenedThread> {
    let configs = positions.iter().map(|at| &configuration.disks[*at]);
    let names: Vec<String> = configs.map(|config| config.name.value.clone()).collect();
    let (checked_sender, checked) = sync_channel(1);
    let (started_sender, started) = sync_channel(1);
    let (go, may_go) = sync_channel(1);
    let (runs, running) = watch::channel(());
    let (of_thread, admissions) = (Arc::clone(configuration), admissions.to_vec());
    let served = positions.to_vec();
    let thread = std::thread::Builder::new()
        .name(format!("disk {}", names.join("+")))
        .spawn(move || {
            let _runs = runs;
            let configuration = of_thread;
            let opened = open_and_check(&configuration, &served, &admissions, epoch);
            // A disk is dropped before the guard of its file.
            let (created_files, labelled) = match opened {
                Ok((created_files, labelled, checked)) => {
                    let _ = checked_sender.send(Ok(checked));
                    (created_files, labelled)
                }
                Err(failure) => {
                    let _ = checked_sender.send(Err(failure));
                    return Ok(());
                }
            };
            // The sender is dropped when another disk of the file is refused.
            if may_go.recv().is_err() {
                return Ok(());
            }
            created_files.into_iter().for_each(CreatedFileGuard::keep);
            let disks = (served.as_slice(), admissions.as_slice());
            serve(&configuration, disks, labelled, epoch, &started_sender)
        })?;
    let checked: Vec<CheckedDisk> = checked.recv()??;
    let opened = positions.iter().zip(names).zip(checked);
    let disks = opened.map(|((position, name), checked)| OpenedDisk {
        position: *position,
        name,
        policy: configuration.disks[*position].policy,
        checked,
    });
    Ok(OpenedThread {
        disks: disks.collect(),
        go,
        started,
        running,
        thread,
    })
}

/// The guards of the disks' files, the disks, and what was found.
type OpenedAndChecked = (
    Vec<CreatedFileGuard>,
    Vec<LabelledDisk<AnyDisk>>,
    Vec<CheckedDisk>,
);

fn open_and_check(
    configuration: &Configuration,
    positions: &[usize],
    admissions: &[Admission],
    epoch: Instant,
) -> CommandResult<OpenedAndChecked> {
    // In this order, so that the disks are dropped first.
    let mut created_files = Vec::with_capacity(positions.len());
    let mut disks = Vec::with_capacity(positions.len());
    for at in positions {
        let (config, admission) = (&configuration.disks[*at], &admissions[*at]);
        let (created_file, labelled) = open_here(configuration, config, admission, epoch, false)?;
        created_files.push(created_file);
        disks.push(labelled);
    }
    let configs = || positions.iter().map(|at| &configuration.disks[*at]);
    let labels = configs().zip(&disks);
    let labels: Vec<_> = labels
        .map(|(config, disk)| (config, disk.label(), disk.is_new()))
        .collect();
    let mut changes = changes_together(configuration, &labels);
    let names = configs().map(|config| &*config.name.value);
    let names = names.zip(disks.iter().map(|disk| disk.label().clone()));
    let labels: Vec<(&str, Label)> = names.collect();
    let labels = || labels.iter().map(|(name, label)| (*name, label));
    if makes_a_vdisk(configuration, labels()) {
        for ((config, disk), changes) in configs().zip(&mut disks).zip(&mut changes) {
            let clones = disk.recorded_clones(&mut RealDriver::new(clock(epoch)));
            let clones = clones.map_err(|error| disk_failure(configuration, config, &error))?;
            if let Err(hidden) = refuse_hidden(configuration, config, &clones, labels()) {
                *changes = Err(hidden);
            }
        }
    }
    let all = configs().zip(&disks).zip(changes);
    let checked: CommandResult<Vec<CheckedDisk>> = all
        .map(|((config, disk), changes)| check(configuration, config, disk, changes))
        .collect();
    Ok((created_files, disks, checked?))
}

/// Whether the file has a vdisk on one of the disks of a thread that has to be made: only then logs
/// are looked into for a clone of its name.
fn makes_a_vdisk<'l>(
    configuration: &Configuration,
    mut disks: impl Iterator<Item = (&'l str, &'l Label)>,
) -> bool {
    disks.any(|(disk, label)| {
        let mut vdisks = configuration.vdisks_on(disk);
        vdisks.any(|vdisk| label.find(&vdisk.name.value).is_none())
    })
}

fn check(
    configuration: &Configuration,
    config: &DiskConfig,
    labelled: &LabelledDisk<AnyDisk>,
    changes: CommandResult<Vec<String>>,
) -> CommandResult<CheckedDisk> {
    let disk = labelled.disk_loop().disk();
    let file = config.path().map(|path| {
        let cut = disk.cut_mark().cloned().unwrap_or_default();
        let free = disk.free_space().cloned();
        WatchedFile::open(&config.name.value, path, cut, free)
    });
    Ok(CheckedDisk {
        traits: DiskTraits::of(disk),
        notices: labelled.disk_loop().properties().notices.clone(),
        found: found_disk(configuration, config, labelled.label(), labelled.is_new()),
        changes,
        file: file.transpose()?,
    })
}

impl OpenedDisk {
    /// The disk by its label.
    pub(crate) fn found(&self) -> &FoundDisk {
        &self.checked.found
    }

    /// Why its vdisks do not fit, if they do not.
    fn take_misfit(&mut self) -> Option<Failure> {
        let changes = &mut self.checked.changes;
        std::mem::replace(changes, Ok(Vec::new()))
            .map(|fitting| *changes = Ok(fitting))
            .err()
    }

    /// Prints what the user should know of the disk, and what is about to be created on it.
    pub(crate) fn print_notices(&self) {
        let changes = self.checked.changes.iter().flatten();
        for notice in self.checked.notices.iter().chain(changes) {
            print_sentence(notice);
        }
    }

    /// Its position in the file.
    pub(crate) fn position(&self) -> usize {
        self.position
    }
}

impl OpenedThread {
    /// Its disks.
    pub(crate) fn disks(&self) -> &[OpenedDisk] {
        &self.disks
    }

    /// Why the vdisks of one do not fit, if they do not.
    pub(crate) fn take_misfit(&mut self) -> Option<Failure> {
        self.disks.iter_mut().find_map(OpenedDisk::take_misfit)
    }

    /// Closes the disks; they are as they were before they were opened.
    pub(crate) fn close_unchanged(self) {
        let OpenedThread {
            disks, go, thread, ..
        } = self;
        drop(go);
        if !matches!(thread.join(), Ok(Ok(()))) {
            let names: Vec<String> = disks.into_iter().map(|disk| disk.name).collect();
            let names = names.join(", ");
            tracing::warn!("disk {names} was not closed in good order");
        }
    }

    /// Lets the thread write what is due, and serve. `number`: that of the thread.
    ///
    /// # Errors
    /// The disks' failures.
    pub(crate) fn serve(self, number: usize) -> CommandResult<Vec<DiskThread>> {
        let _ = self.go.send(());
        let started = self.started.recv()??;
        // The thread is joined by its first disk.
        let mut thread = Some(self.thread);
        let disks = self.disks.into_iter().zip(started);
        let disks = disks.map(|(disk, started)| DiskThread {
            position: disk.position,
            thread_number: number,
            counted: started.counted.clone(),
            policy: disk.policy,
            traits: disk.checked.traits,
            file: disk.checked.file,
            counters: Counters::new(started.first.clone()),
            started,
            running: self.running.clone(),
            thread: thread.take(),
        });
        Ok(disks.collect())
    }
}
