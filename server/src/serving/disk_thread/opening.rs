//! A disk that was opened and checked on a thread of its own, and waits for the other disks of the
//! file: the thread opens the disk, reads its label and checks whether the vdisks fit; it goes on
//! at [`OpenedDisk::serve`], and closes the disk unchanged if it or another disk is refused.

use super::changes::changes;
use super::counters::Counters;
use super::label_reading::{disk_failure, found_disk, open_here};
use super::{DiskThread, StartedDisk, serve};
use crate::assembly::{self, AnyDisk};
use crate::diagnostics::print_sentence;
use crate::failure::{CommandResult, Failure};
use crate::serving::backing_watch::WatchedFile;
use crate::serving::created_file::CreatedFileGuard;
use crate::serving::known_disks::FoundDisk;
use crate::serving::served_vdisks::DiskTraits;
use disktime_disks::Disk;
use disktime_reservations::{Admission, Configuration, Disk as DiskConfig, Policy};
use disktime_volumes::LabelledDisk;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::sync::watch;

/// A disk that was opened and checked; its thread waits for [`OpenedDisk::serve`].
pub(crate) struct OpenedDisk {
    name: String,
    policy: Policy,
    checked: CheckedDisk,
    go: SyncSender<()>,
    started: Receiver<CommandResult<StartedDisk>>,
    running: watch::Receiver<()>,
    thread: JoinHandle<CommandResult>,
}

/// What a thread reports when its disk was checked.
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

/// Opens the disk at position `index` of the file on a thread of its own, and checks whether its
/// vdisks fit.
///
/// # Errors
/// As [`open_here`].
pub(crate) fn open(
    configuration: &Arc<Configuration>,
    index: usize,
    admission: &Admission,
    epoch: Instant,
) -> CommandResult<OpenedDisk> {
    let config = &configuration.disks[index];
    let name = config.name.value.clone();
    let (checked_sender, checked) = sync_channel(1);
    let (started_sender, started) = sync_channel(1);
    let (go, may_go) = sync_channel(1);
    let (runs, running) = watch::channel(());
    let (configuration, admission) = (Arc::clone(configuration), admission.clone());
    let policy = config.policy;
    let thread = std::thread::Builder::new()
        .name(format!("disk {name}"))
        .spawn(move || {
            let _runs = runs;
            let config = &configuration.disks[index];
            let opened = open_and_check(&configuration, config, &admission, epoch);
            let (created_file, labelled) = match opened {
                Ok((created_file, labelled, checked)) => {
                    let _ = checked_sender.send(Ok(checked));
                    (created_file, labelled)
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
            created_file.keep();
            let config = (config, &admission);
            serve(&configuration, config, labelled, epoch, &started_sender)
        })?;
    let checked: CheckedDisk = checked.recv()??;
    Ok(OpenedDisk {
        name,
        policy,
        checked,
        go,
        started,
        running,
        thread,
    })
}

fn open_and_check(
    configuration: &Configuration,
    config: &DiskConfig,
    admission: &Admission,
    epoch: Instant,
) -> CommandResult<(CreatedFileGuard, LabelledDisk<AnyDisk>, CheckedDisk)> {
    let (created_file, labelled) = open_here(configuration, config, admission, epoch, false)?;
    let specs = assembly::vdisk_specs(configuration, &config.name.value);
    let is_new = labelled.is_new();
    let changes = disktime_volumes::reconcile(labelled.label(), &specs)
        .map(|plan| changes(config, is_new, &plan))
        .map_err(|error| disk_failure(configuration, config, &error));
    let properties = labelled.disk_loop().properties();
    let checked = CheckedDisk {
        traits: DiskTraits::of(labelled.disk_loop().disk()),
        notices: properties.notices.clone(),
        found: found_disk(configuration, config, labelled.label(), is_new),
        changes,
        file: config
            .path()
            .map(|path| {
                let disk = labelled.disk_loop().disk();
                let cut = disk.cut_mark().cloned().unwrap_or_default();
                let free = disk.free_space().cloned();
                WatchedFile::open(&config.name.value, path, cut, free)
            })
            .transpose()?,
    };
    Ok((created_file, labelled, checked))
}

impl OpenedDisk {
    /// The disk by its label.
    pub(crate) fn found(&self) -> &FoundDisk {
        &self.checked.found
    }

    /// Why its vdisks do not fit, if they do not.
    pub(crate) fn take_misfit(&mut self) -> Option<Failure> {
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

    /// Closes the disk; it is as it was before it was opened.
    pub(crate) fn close_unchanged(self) {
        let OpenedDisk {
            name, go, thread, ..
        } = self;
        drop(go);
        if !matches!(thread.join(), Ok(Ok(()))) {
            tracing::warn!("disk {name} was not closed in good order");
        }
    }

    /// Lets the thread write what is due, and serve.
    ///
    /// # Errors
    /// The disk's failures.
    pub(crate) fn serve(self) -> CommandResult<DiskThread> {
        let _ = self.go.send(());
        let started = self.started.recv()??;
        let OpenedDisk {
            name,
            policy,
            checked,
            running,
            thread,
            ..
        } = self;
        Ok(DiskThread {
            name,
            policy,
            traits: checked.traits,
            file: checked.file,
            counters: Counters::new(started.first.clone()),
            started,
            running,
            thread,
        })
    }
}
