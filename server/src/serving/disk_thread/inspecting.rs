//! Reading a disk's label, and the clones that its logs record, without opening the disk for
//! writing, for `list`, `info` and `check --disks`: what a start would find on it, and what it
//! would create there.
//!
//! Invariant: nothing is written, created, grown or locked.

use super::changes::changes_together;
use super::clock;
use super::hidden_clones::refuse_hidden;
use super::label_reading::{disk_failure, found_disk, uuid_seed};
use crate::assembly::{self, AnyDisk};
use crate::failure::CommandResult;
use crate::serving::known_disks::FoundDisk;
use disktime_disks::is_write_protected;
use disktime_reservations::{Admission, Configuration, Disk as DiskConfig};
use disktime_volumes::{
    Driver, Format, Label, LabelledDisk, OpenOptions, RealDriver, RecordedClones, Uuid,
    VolumeError, require_endable_log,
};
use std::time::Instant;

/// A disk as a start would find it.
pub(crate) struct InspectedDisk {
    /// The disk by its label.
    pub(crate) found: FoundDisk,
    content: DiskContent,
    /// Whether it cannot be written to by anyone.
    pub(crate) is_write_protected: bool,
}

/// What was read of a disk.
pub(crate) struct DiskContent {
    pub(crate) label: Label,
    /// The label still has to be written: the disk is blank, or is not there yet.
    pub(crate) is_new: bool,
    /// The clones that its logs record.
    pub(crate) clones: RecordedClones,
    /// Vdisks whose logs lie here, and why their histories cannot be switched off, of those that
    /// the file may mean to.
    unendable: Vec<(Uuid, String)>,
}

impl InspectedDisk {
    /// The clones that its logs record.
    pub(crate) fn clones(&self) -> &RecordedClones {
        &self.content.clones
    }
}

/// Reads the label of a disk, or decides that it is blank.
///
/// # Errors
/// A disk that cannot be read, or that holds something else.
pub(crate) fn inspect(
    configuration: &Configuration,
    config: &DiskConfig,
    admission: &Admission,
) -> CommandResult<InspectedDisk> {
    assembly::refuse_to_grow(configuration, config)?;
    let content = read_disk(configuration, config, admission)?;
    Ok(InspectedDisk {
        found: found_disk(configuration, config, &content.label, content.is_new),
        is_write_protected: config.path().is_some_and(is_write_protected),
        content,
    })
}

/// What would change on each of the disks, as sentences; or why its vdisks do not fit. Of disks
/// that share a thread with one that could not be read nothing is said.
pub(crate) fn would_change(
    configuration: &Configuration,
    disks: &[InspectedDisk],
) -> Vec<(String, CommandResult<Vec<String>>)> {
    let mut changes = Vec::with_capacity(disks.len());
    for thread in configuration.threads() {
        let of_thread = thread.iter().map(|at| {
            let config = &configuration.disks[*at];
            let named = |disk: &&InspectedDisk| disk.found.name() == config.name.value;
            let disk = disks.iter().find(named)?;
            Some((config, &disk.content))
        });
        let Some(of_thread) = of_thread.collect::<Option<Vec<_>>>() else {
            continue;
        };
        let labels = of_thread.iter();
        let labels = labels.map(|(config, content)| (*config, &content.label, content.is_new));
        let changed = changes_together(configuration, &labels.collect::<Vec<_>>());
        for ((config, content), changed) in of_thread.iter().zip(changed) {
            let labels = of_thread.iter();
            let labels = labels.map(|(config, other)| (&*config.name.value, &other.label));
            let hidden = refuse_hidden(configuration, config, &content.clones, labels);
            let logs = of_thread.iter().flat_map(|(_, other)| &other.unendable);
            let endable = refuse_unendable(configuration, config, &content.label, logs);
            let changed = changed.and_then(|changed| {
                hidden?;
                endable?;
                Ok(changed)
            });
            changes.push((config.name.value.clone(), changed));
        }
    }
    changes
}

/// Refuses to switch off a history of a vdisk of the disk that a start would refuse. `logs`: which
/// cannot be, of all disks of its thread.
fn refuse_unendable<'l>(
    configuration: &Configuration,
    config: &DiskConfig,
    label: &Label,
    mut logs: impl Iterator<Item = &'l (Uuid, String)>,
) -> CommandResult {
    let ended = configuration.vdisks_on(&config.name.value);
    let ended = ended.filter(|vdisk| vdisk.history_off);
    let ended: Vec<_> = ended
        .filter_map(|vdisk| label.find(&vdisk.name.value))
        .collect();
    let refused = logs.find_map(|(uuid, problem)| {
        let vdisk = ended.iter().find(|vdisk| vdisk.uuid() == *uuid)?;
        Some(VolumeError::History {
            name: vdisk.name().to_owned(),
            problem: problem.clone(),
        })
    });
    refused.map_or(Ok(()), |error| {
        Err(disk_failure(configuration, config, &error))
    })
}

/// The label of a disk, and what its logs say of clones.
///
/// # Errors
/// As [`inspect`].
pub(crate) fn read_disk(
    configuration: &Configuration,
    config: &DiskConfig,
    admission: &Admission,
) -> CommandResult<DiskContent> {
    match assembly::size_if_empty(configuration, config)? {
        Some(size_bytes) => {
            let uuid = Uuid::derive(uuid_seed(), &[b"inspected"]);
            Ok(DiskContent {
                label: Label::empty(uuid, size_bytes, true),
                is_new: true,
                clones: RecordedClones::default(),
                unendable: Vec::new(),
            })
        }
        None => read(configuration, config, admission),
    }
}

/// What formatting a disk that is there would destroy, by name; empty if it cannot be told.
pub(crate) fn overwrites(
    configuration: &Configuration,
    config: &DiskConfig,
    admission: &Admission,
) -> Vec<String> {
    let format = Format::Force { known_zero: false };
    let disk = assembly::open_as_it_is(configuration, config);
    let labelled = disk.and_then(|disk| labelled(configuration, config, admission, disk, format));
    labelled.map_or_else(|_| Vec::new(), |labelled| labelled.overwrites().to_vec())
}

/// The same, of a disk that is there.
fn read(
    configuration: &Configuration,
    config: &DiskConfig,
    admission: &Admission,
) -> CommandResult<DiskContent> {
    let format = Format::IfBlank { known_zero: false };
    let disk = assembly::open_to_read(configuration, config)?;
    let mut labelled = labelled(configuration, config, admission, disk, format)?;
    let mut driver = RealDriver::new(clock(Instant::now()));
    let clones = labelled.recorded_clones(&mut driver);
    let clones = clones.map_err(|error| disk_failure(configuration, config, &error))?;
    let unendable = unendable(configuration, config, &mut labelled, &mut driver);
    Ok(DiskContent {
        label: labelled.label().clone(),
        is_new: labelled.is_new(),
        clones,
        unendable,
    })
}

/// Which logs on the disk cannot be given up, of those that the file may mean: it does not say
/// where the log of a history lies that is switched off.
fn unendable(
    configuration: &Configuration,
    config: &DiskConfig,
    disk: &mut LabelledDisk<AnyDisk>,
    driver: &mut impl Driver,
) -> Vec<(Uuid, String)> {
    let ended = configuration.vdisks.iter();
    let ended = ended.filter(|vdisk| vdisk.history_off);
    let (here, elsewhere): (Vec<_>, Vec<_>) =
        ended.partition(|vdisk| vdisk.disk.value == config.name.value);
    let label = disk.label();
    let here = here
        .iter()
        .filter_map(|vdisk| label.find(&vdisk.name.value));
    let here: Vec<Uuid> = here.map(|vdisk| vdisk.uuid()).collect();
    let records = label
        .histories()
        .iter()
        .filter(|record| !record.is_of_clone());
    let meant = records.filter(|record| match record.image_disk() == label.disk_uuid() {
        true => here.contains(&record.vdisk()),
        false => !elsewhere.is_empty(),
    });
    let meant: Vec<Uuid> = meant.map(|record| record.vdisk()).collect();
    let refused = meant.into_iter().filter_map(|uuid| {
        // Who asks puts the name in.
        match require_endable_log(disk, driver, ("", uuid)).err()? {
            VolumeError::History { problem, .. } => Some((uuid, problem)),
            error => Some((uuid, error.to_string())),
        }
    });
    refused.collect()
}

fn labelled(
    configuration: &Configuration,
    config: &DiskConfig,
    admission: &Admission,
    disk: AnyDisk,
    format: Format,
) -> CommandResult<LabelledDisk<AnyDisk>> {
    let disk_loop = assembly::schedule(disk, admission, config);
    let options = OpenOptions {
        format,
        uuid_seed: uuid_seed(),
        background: assembly::background_streams(admission),
    };
    let mut driver = RealDriver::new(clock(Instant::now()));
    LabelledDisk::open(disk_loop, &mut driver, options)
        .map_err(|error| disk_failure(configuration, config, &error))
}
