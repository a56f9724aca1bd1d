//! `disktime adopt`: has the state directory remember the disks of a reservation file as they are
//! now, without a server. No disk is changed.

use crate::assembly::{self, emulation};
use crate::commands::known_disk;
use crate::diagnostics::print_sentence;
use crate::failure::CommandResult;
use crate::serving::known_disks::{FoundDisk, KnownDisks};
use crate::serving::starting::require_same_disks;
use crate::serving::{disk_thread, state_dir};
use std::path::Path;
use std::time::Instant;

/// Runs the command: for each disk, or for the one that is named.
pub(crate) fn run(file: &Path, disk: Option<&str>) -> CommandResult {
    let configuration = emulation::load(file)?;
    let report = assembly::require_admitted(&configuration)?;
    known_disk(&configuration, disk)?;
    let mut lock = state_dir::lock(&configuration)?;
    let mut known = match KnownDisks::load(&lock, file) {
        Ok(known) => known,
        Err(failure) if disk.is_some() => return Err(failure),
        Err(_) => {
            print_sentence("what was remembered cannot be read; it is made anew");
            KnownDisks::default()
        }
    };
    let epoch = Instant::now();
    let mut found: Vec<FoundDisk> = Vec::new();
    for (config, admission) in configuration.disks.iter().zip(&report.disks) {
        let name = config.name.value.as_str();
        if config.path().is_none() || disk.is_some_and(|wanted| wanted != name) {
            continue;
        }
        // A file that is created by opening is removed again.
        let (_created_file, labelled) =
            disk_thread::open_here(&configuration, config, admission, epoch, false)?;
        let (label, is_new) = (labelled.label(), labelled.is_new());
        found.push(disk_thread::found_disk(
            &configuration,
            config,
            label,
            is_new,
        ));
    }
    // Of two copies of one disk neither can be remembered.
    require_same_disks(&configuration, &KnownDisks::default(), &found)?;
    if disk.is_none() {
        known.keep_only(&found);
    }
    known.remember(&found);
    known.forget_cuts(&found);
    known.save(&mut lock)?;
    for disk in &found {
        let name = disk.name();
        match known.described(name) {
            Some(described) => println!("{name}: {described}"),
            None => println!("{name}: blank; the next `disktime serve` writes a label to it"),
        }
    }
    Ok(())
}
