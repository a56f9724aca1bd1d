//! `disktime remove`: frees the space of a vdisk that the reservation file does not name, or has on
//! another disk, without a server.

use crate::assembly::{self, AnyDisk, emulation};
use crate::commands::{consent, known_disk, print_messages, remember};
use crate::failure::{CommandResult, Failure};
use crate::serving::created_file::CreatedFileGuard;
use crate::serving::known_disks::KnownDisks;
use crate::serving::starting::require_same_disks;
use crate::serving::{disk_thread, state_dir};
use disktime_units::{Nanos, format_size};
use disktime_volumes::label::{Uuid, VdiskEntry};
use disktime_volumes::{LabelledDisk, RealDriver};
use std::path::Path;
use std::time::Instant;

/// Runs the command: frees the space of a vdisk that the file does not name any more.
pub(crate) fn run(file: &Path, vdisk: &str, disk: Option<&str>, yes: bool) -> CommandResult {
    let configuration = emulation::load(file)?;
    let served = configuration
        .vdisk(vdisk)
        .map(|served| served.disk.value.as_str());
    if served.is_some() && (disk.is_none() || disk == served) {
        return Err(Failure::new(format!(
            "vdisk `{vdisk}` is in {}; take it out there first, so that no server serves it again. \
             One of that name on another disk is freed with --disk NAME (`disktime list {}` shows \
             where they are)",
            file.display(),
            file.display()
        )));
    }
    let report = assembly::require_admitted(&configuration)?;
    known_disk(&configuration, disk)?;
    let mut lock = state_dir::lock(&configuration)?;
    let mut known = KnownDisks::load(&lock, configuration.file())?;
    let epoch = Instant::now();
    let mut holders = Vec::new();
    for (config, admission) in configuration.disks.iter().zip(&report.disks) {
        let is_wanted = disk.is_none_or(|wanted| wanted == config.name.value);
        if !is_wanted || !config.path().is_some_and(|path| path.exists()) {
            continue;
        }
        let (created_file, labelled) =
            disk_thread::open_here(&configuration, config, admission, epoch, false)?;
        if labelled.label().find(vdisk).is_some() {
            holders.push((config, labelled, created_file));
        }
    }
    let (config, mut labelled, created_file) = match holders.len() {
        1 => holders.remove(0),
        0 => {
            return Err(Failure::new(format!(
                "no disk holds a vdisk `{vdisk}`; nothing was changed"
            )));
        }
        _ => {
            let names: Vec<&str> = holders
                .iter()
                .map(|(config, ..)| config.name.value.as_str())
                .collect();
            return Err(Failure::new(format!(
                "several disks hold a vdisk `{vdisk}`: {}; say which with --disk NAME",
                names.join(", ")
            )));
        }
    };
    let name = config.name.value.as_str();
    let found = disk_thread::found_disk(&configuration, config, labelled.label(), false);
    require_same_disks(&configuration, &known, &[found])?;
    let entry = labelled.label().find(vdisk);
    let size_bytes = entry.map_or(0, VdiskEntry::size_bytes);
    let uuid = entry.map(VdiskEntry::uuid);
    let has_log = uuid.is_some_and(|uuid| labelled.label().history_of(uuid).is_some());
    let image_disk = labelled.label().disk_uuid();
    let what = format!(
        "vdisk `{vdisk}` ({}) of disk `{name}` and its data will be lost",
        format_size(size_bytes)
    );
    consent::require(&what, yes)?;
    let others = configuration.disks.iter().zip(&report.disks);
    let others = others.filter(|(other, _)| other.name.value != config.name.value);
    for (other, admission) in others {
        let Some(uuid) = uuid.filter(|_| other.path().is_some_and(|path| path.exists())) else {
            continue;
        };
        match disk_thread::open_here(&configuration, other, admission, epoch, false) {
            Ok(opened) => free_log(&other.name.value, opened, (vdisk, uuid, image_disk), epoch)?,
            Err(why) if has_log => return Err(why),
            // It has no log, but for one that a crash has left there.
            Err(_) => {}
        }
    }
    created_file.keep();
    let mut driver = RealDriver::new(move || Nanos::from(epoch.elapsed()));
    labelled
        .remove(&mut driver, vdisk)
        .map_err(|error| Failure::new(format!("disk `{name}`: {error}")))?;
    print_messages(name, &mut labelled);
    if known.forget_vdisk_on(name, vdisk) {
        let done = format!("{name}: vdisk `{vdisk}` is freed");
        remember(&known, &mut lock, file, &done)?;
    }
    let specs = assembly::vdisk_specs(&configuration, name);
    println!(
        "{name}: vdisk `{vdisk}` is freed; {} others are kept",
        labelled.orphans(&specs).len()
    );
    Ok(())
}

/// Frees the log of the vdisk on another disk, if it lies there: before the vdisk itself, so that a
/// crash in between leaves a vdisk that can be removed again, and no log without one.
fn free_log(
    disk: &str,
    (created_file, mut labelled): (CreatedFileGuard, LabelledDisk<AnyDisk>),
    (vdisk, uuid, image_disk): (&str, Uuid, Uuid),
    epoch: Instant,
) -> CommandResult {
    let log = labelled.label().history_of(uuid);
    if log.is_none_or(|log| log.image_disk() != image_disk) {
        return Ok(());
    }
    created_file.keep();
    let mut driver = RealDriver::new(move || Nanos::from(epoch.elapsed()));
    labelled
        .remove_log(&mut driver, (vdisk, uuid))
        .map_err(|error| Failure::new(format!("disk `{disk}`: {error}")))?;
    print_messages(disk, &mut labelled);
    println!("{disk}: the log of vdisk `{vdisk}` is freed");
    Ok(())
}
