//! Reading a disk's label without opening the disk for writing, for `check --disks`: what a start
//! would find on it, and what it would create there.
//!
//! Invariant: nothing is written, created, grown or locked.

use super::changes::changes_together;
use super::clock;
use super::label_reading::{disk_failure, found_disk, uuid_seed};
use crate::assembly::{self, AnyDisk};
use crate::failure::CommandResult;
use crate::serving::known_disks::FoundDisk;
use disktime_disks::is_write_protected;
use disktime_reservations::{Admission, Configuration, Disk as DiskConfig};
use disktime_volumes::{Format, Label, LabelledDisk, OpenOptions, RealDriver, Uuid};
use std::time::Instant;

/// A disk as a start would find it.
pub(crate) struct InspectedDisk {
    /// The disk by its label.
    pub(crate) found: FoundDisk,
    label: Label,
    /// The label still has to be written.
    is_new: bool,
    /// Whether it cannot be written to by anyone.
    pub(crate) is_write_protected: bool,
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
    let (label, is_new) = read_label(configuration, config, admission)?;
    Ok(InspectedDisk {
        found: found_disk(configuration, config, &label, is_new),
        is_write_protected: config.path().is_some_and(is_write_protected),
        label,
        is_new,
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
            Some((config, &disk.label, disk.is_new))
        });
        let Some(of_thread) = of_thread.collect::<Option<Vec<_>>>() else {
            continue;
        };
        let names = of_thread
            .iter()
            .map(|(config, ..)| config.name.value.clone());
        changes.extend(names.zip(changes_together(configuration, &of_thread)));
    }
    changes
}

/// The label of a disk, and whether it still has to be written: then the disk is blank, or is not
/// there yet.
///
/// # Errors
/// As [`inspect`].
pub(crate) fn read_label(
    configuration: &Configuration,
    config: &DiskConfig,
    admission: &Admission,
) -> CommandResult<(Label, bool)> {
    match assembly::size_if_empty(configuration, config)? {
        Some(size_bytes) => {
            let uuid = Uuid::derive(uuid_seed(), &[b"inspected"]);
            Ok((Label::empty(uuid, size_bytes, true), true))
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

/// The label of a disk that is there, and whether it still has to be written.
fn read(
    configuration: &Configuration,
    config: &DiskConfig,
    admission: &Admission,
) -> CommandResult<(Label, bool)> {
    let format = Format::IfBlank { known_zero: false };
    let disk = assembly::open_to_read(configuration, config)?;
    let labelled = labelled(configuration, config, admission, disk, format)?;
    Ok((labelled.label().clone(), labelled.is_new()))
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
