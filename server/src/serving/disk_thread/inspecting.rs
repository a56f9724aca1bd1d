//! Reading a disk's label without opening the disk for writing, for `check --disks`: what a start
//! would find on it, and what it would create there.
//!
//! Invariant: nothing is written, created, grown or locked.

use super::changes::changes;
use super::clock;
use super::label_reading::{disk_failure, found_disk, uuid_seed};
use crate::assembly;
use crate::failure::CommandResult;
use crate::serving::known_disks::FoundDisk;
use disktime_reservations::{Admission, Configuration, Disk as DiskConfig};
use disktime_volumes::{Format, Label, LabelledDisk, OpenOptions, RealDriver, Uuid, VdiskSpec};
use std::time::Instant;

/// A disk as a start would find it.
pub(crate) struct InspectedDisk {
    /// The disk by its label.
    pub(crate) found: FoundDisk,
    /// What would change on it, as sentences; or why its vdisks do not fit.
    pub(crate) changes: CommandResult<Vec<String>>,
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
    let (label, is_new) = match assembly::size_if_empty(configuration, config)? {
        Some(size_bytes) => {
            let uuid = Uuid::derive(uuid_seed(), &[b"inspected"]);
            (Label::empty(uuid, size_bytes, true), true)
        }
        None => read(configuration, config, admission)?,
    };
    let vdisks = assembly::vdisk_configs(configuration, &config.name.value);
    let specs: Vec<VdiskSpec> = vdisks.into_iter().map(|vdisk| vdisk.spec).collect();
    Ok(InspectedDisk {
        changes: disktime_volumes::reconcile(&label, &specs)
            .map(|plan| changes(config, is_new, &plan))
            .map_err(|error| disk_failure(configuration, config, &error)),
        found: found_disk(configuration, config, &label, is_new),
    })
}

/// The label of a disk that is there, and whether it still has to be written.
fn read(
    configuration: &Configuration,
    config: &DiskConfig,
    admission: &Admission,
) -> CommandResult<(Label, bool)> {
    let disk = assembly::open_to_read(configuration, config)?;
    let disk_loop = assembly::schedule(disk, admission, config);
    let options = OpenOptions {
        format: Format::IfBlank { known_zero: false },
        uuid_seed: uuid_seed(),
        background: assembly::background_streams(admission),
    };
    let mut driver = RealDriver::new(clock(Instant::now()));
    let labelled = LabelledDisk::open(disk_loop, &mut driver, options)
        .map_err(|error| disk_failure(configuration, config, &error))?;
    Ok((labelled.label().clone(), labelled.is_new()))
}
