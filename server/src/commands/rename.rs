//! `disktime rename`: gives a vdisk on a disk the name that the reservation file has for it,
//! without a server. Its data, uuid and size stay.

use crate::assembly::{self, emulation};
use crate::commands::{print_messages, remember};
use crate::failure::{CommandResult, Failure};
use crate::serving::known_disks::KnownDisks;
use crate::serving::starting::require_same_disks;
use crate::serving::{disk_thread, state_dir};
use disktime_reservations::Configuration;
use disktime_units::Nanos;
use disktime_volumes::RealDriver;
use std::path::Path;
use std::time::Instant;

/// Runs the command: what is called `old` on the disk where the file has `new` is called `new`.
pub(crate) fn run(file: &Path, old: &str, new: &str) -> CommandResult {
    let configuration = emulation::load(file)?;
    let disk = disk_of(&configuration, file, old, new)?;
    let report = assembly::require_admitted(&configuration)?;
    let mut lock = state_dir::lock(&configuration)?;
    let mut known = KnownDisks::load(&lock, configuration.file())?;
    let epoch = Instant::now();
    let disks = configuration.disks.iter().zip(&report.disks);
    let (config, admission) = disks
        .into_iter()
        .find(|(config, _)| config.name.value == disk)
        .ok_or_else(|| Failure::new(format!("there is no disk `{disk}`")))?;
    if config.path().is_none_or(|path| !path.exists()) {
        return Err(Failure::new(format!(
            "disk `{disk}` is not there, so it holds no vdisk `{old}`; no disk was changed"
        )));
    }
    let (created_file, mut labelled) =
        disk_thread::open_here(&configuration, config, admission, epoch, false)?;
    let found = disk_thread::found_disk(&configuration, config, labelled.label(), false);
    require_same_disks(&configuration, &known, &[found])?;
    let mut driver = RealDriver::new(move || Nanos::from(epoch.elapsed()));
    labelled
        .rename(&mut driver, old, new)
        .map_err(|error| Failure::new(format!("disk `{disk}`: {error}")))?;
    created_file.keep();
    print_messages(&disk, &mut labelled);
    let done = format!("{disk}: vdisk `{old}` is called `{new}` now");
    if known.rename_vdisk_on(&disk, old, new) {
        remember(&known, &mut lock, file, &done)?;
    }
    println!("{done}");
    Ok(())
}

/// The disk on which the file has the vdisk by its new name.
///
/// # Errors
/// The file still has the old name, so that the next start would make an empty vdisk of it; or it
/// does not have the new one.
fn disk_of(
    configuration: &Configuration,
    file: &Path,
    old: &str,
    new: &str,
) -> CommandResult<String> {
    let shown = file.display();
    if configuration.vdisk(old).is_some() {
        return Err(Failure::new(format!(
            "{shown} has a vdisk `{old}`, which the next start would make anew; call it `{new}` \
             there first. No disk was changed"
        )));
    }
    let Some(vdisk) = configuration.vdisk(new) else {
        return Err(Failure::new(format!(
            "{shown} has no vdisk `{new}`; call it so there first, so that its disk and size are \
             known. No disk was changed"
        )));
    };
    Ok(vdisk.disk.value.clone())
}
