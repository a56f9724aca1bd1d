//! Opening one disk on the calling thread, up to its label. Nothing is written to it.

use super::clock;
use crate::assembly::{self, AnyDisk};
use crate::failure::{CommandResult, Failure};
use crate::serving::created_file::{CreatedFileGuard, FileBefore};
use crate::serving::known_disks::FoundDisk;
use disktime_reservations::{Admission, Configuration, Disk as DiskConfig};
use disktime_volumes::{Format, Label, LabelledDisk, OpenOptions, RealDriver};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Opens a disk on this thread and reads its label. Nothing is written to it. The guard removes a
/// file that was created for the disk, or gives one its length back that was grown, unless it is
/// told to keep it; so the disk has to be dropped before the guard (variables are dropped in
/// reverse order of their binding).
///
/// # Errors
/// A device that is missing, in use, too small, or that holds something else.
pub(crate) fn open_here(
    configuration: &Configuration,
    config: &DiskConfig,
    admission: &Admission,
    epoch: Instant,
    force: bool,
) -> CommandResult<(CreatedFileGuard, LabelledDisk<AnyDisk>)> {
    if !force {
        assembly::refuse_to_grow(configuration, config)?;
    }
    let before = FileBefore::look(config.path());
    let opened = assembly::open_real(configuration, config);
    let created_file = before.after_opening();
    let (disk, known_zero) = opened?;
    let disk_loop = assembly::schedule(disk, admission, config);
    let format = if force {
        Format::Force { known_zero }
    } else {
        Format::IfBlank { known_zero }
    };
    let options = OpenOptions {
        format,
        uuid_seed: uuid_seed(),
        background: assembly::background_streams(admission),
    };
    LabelledDisk::open(disk_loop, &mut RealDriver::new(clock(epoch)), options)
        .map(|labelled| (created_file, labelled))
        .map_err(|error| disk_failure(configuration, config, &error))
}

/// A disk of the file by its label. `is_new`: the label is not written yet.
pub(crate) fn found_disk(
    configuration: &Configuration,
    config: &DiskConfig,
    label: &Label,
    is_new: bool,
) -> FoundDisk {
    let name = &config.name.value;
    let vdisks = configuration.vdisks_on(name);
    let wanted = vdisks.map(|vdisk| vdisk.name.value.clone()).collect();
    let path = config.path().map(std::path::Path::to_owned);
    let with_logs = configuration.vdisks.iter();
    let with_logs = with_logs.filter(|vdisk| vdisk.log_disk() == Some(name));
    let logs = with_logs.map(|vdisk| vdisk.name.value.clone()).collect();
    FoundDisk::new(name, path, label, is_new, wanted).with_wanted_logs(logs)
}

/// A seed that differs for each disk, for its uuid.
pub(super) fn uuid_seed() -> u64 {
    let time = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    (time.as_nanos() as u64) ^ (u64::from(std::process::id()) << 40)
}

/// An error of the disk as one of its line in the file.
pub(super) fn disk_failure(
    configuration: &Configuration,
    config: &DiskConfig,
    error: &dyn std::error::Error,
) -> Failure {
    let message = format!("disk `{}`: {error}", config.name.value);
    configuration
        .error_at(config.medium.span, message, "")
        .into()
}
