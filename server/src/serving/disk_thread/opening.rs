//! A disk that was opened and checked on a thread of its own, and waits for the other disks of the
//! file: the thread opens the disk, reads its label and checks that the vdisks fit; it goes on at
//! [`OpenedDisk::serve`], and closes the disk unchanged if another disk is refused.

use super::label_reading::{disk_failure, open_here};
use super::{DiskThread, StartedDisk, serve};
use crate::assembly::{self, AnyDisk};
use crate::failure::CommandResult;
use crate::serving::created_file::CreatedFileGuard;
use crate::serving::served_vdisks::DiskTraits;
use disktime_reservations::{Admission, Configuration, Disk as DiskConfig, Policy};
use disktime_volumes::{LabelledDisk, VdiskSpec};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::sync::watch;

/// A disk that was opened and checked; its thread waits for [`OpenedDisk::serve`].
pub(crate) struct OpenedDisk {
    name: String,
    policy: Policy,
    traits: DiskTraits,
    /// Sentences for the user.
    notices: Vec<String>,
    go: SyncSender<()>,
    started: Receiver<CommandResult<StartedDisk>>,
    running: watch::Receiver<()>,
    thread: JoinHandle<CommandResult>,
}

/// What a thread reports when its disk was checked.
struct CheckedDisk {
    traits: DiskTraits,
    notices: Vec<String>,
}

/// Opens the disk at position `index` of the file on a thread of its own, and checks that its
/// vdisks fit.
///
/// # Errors
/// As [`open_here`]; vdisks that shrank or do not fit.
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
            serve(&configuration, config, labelled, epoch, &started_sender)
        })?;
    let checked: CheckedDisk = checked.recv()??;
    Ok(OpenedDisk {
        name,
        policy,
        traits: checked.traits,
        notices: checked.notices,
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
    let vdisks = assembly::vdisk_configs(configuration, &config.name.value);
    let specs: Vec<VdiskSpec> = vdisks.into_iter().map(|vdisk| vdisk.spec).collect();
    disktime_volumes::reconcile(labelled.label(), &specs)
        .map_err(|error| disk_failure(configuration, config, &error))?;
    let properties = labelled.disk_loop().properties();
    let checked = CheckedDisk {
        traits: DiskTraits::of(properties),
        notices: properties.notices.clone(),
    };
    Ok((created_file, labelled, checked))
}

impl OpenedDisk {
    /// Sentences for the user about the disk.
    pub(crate) fn notices(&self) -> &[String] {
        &self.notices
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
            traits,
            running,
            thread,
            ..
        } = self;
        Ok(DiskThread {
            name,
            policy,
            traits,
            started,
            running,
            thread,
        })
    }
}
