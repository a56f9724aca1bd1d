//! `disktime format`: writes an empty label to the disks of a reservation file, without a server.

use crate::assembly::{self, emulation};
use crate::commands::{consent, known_disk, print_messages, remember};
use crate::failure::{CommandResult, Failure};
use crate::serving::known_disks::KnownDisks;
use crate::serving::starting::require_same_disks;
use crate::serving::{disk_thread, state_dir};
use disktime_disks::is_write_protected;
use disktime_reservations::Disk as DiskConfig;
use disktime_units::Nanos;
use disktime_volumes::RealDriver;
use std::path::Path;
use std::time::Instant;

/// Runs the command: writes an empty label to each disk, or to the one that is named. What is lost
/// by that is named first, and has to be agreed to.
pub(crate) fn run(file: &Path, disk: Option<&str>, force: bool, yes: bool) -> CommandResult {
    let configuration = emulation::load(file)?;
    let report = assembly::require_admitted(&configuration)?;
    known_disk(&configuration, disk)?;
    let mut lock = state_dir::lock(&configuration)?;
    let mut known = KnownDisks::load(&lock, configuration.file())?;
    let epoch = Instant::now();
    // All disks are opened and their labels read before the first is written.
    let mut opened = Vec::new();
    for (config, admission) in configuration.disks.iter().zip(&report.disks) {
        let name = config.name.value.as_str();
        if disk.is_some_and(|wanted| wanted != name) {
            continue;
        }
        if config.path().is_none() {
            println!(
                "{name}: nothing to format: this disk has no path and is empty at every start"
            );
            continue;
        }
        if let Some(path) = config.path().filter(|path| is_write_protected(path)) {
            return Err(Failure::new(format!(
                "disk `{name}` ({}) cannot be written to (a read-only file system, `chattr +i`, a \
                 write-protected device); nothing was changed. Make it writable first",
                path.display()
            )));
        }
        // Opening by force lengthens the file, which moves the end of what it holds.
        let grows = force && assembly::refuse_to_grow(&configuration, config).is_err();
        if grows {
            let found = disk_thread::overwrites(&configuration, config, admission);
            let held = match found.is_empty() {
                true => "something else".to_owned(),
                false => found.join(", "),
            };
            consent::require(&will_be_lost(config, &held), yes)?;
        }
        let (created_file, labelled) =
            disk_thread::open_here(&configuration, config, admission, epoch, force)?;
        let vdisks = labelled.label().vdisks().len();
        if !force && vdisks > 0 {
            return Err(Failure::new(format!(
                "disk `{name}` has a label with {vdisks} vdisks already; nothing was changed. To \
                 lose them, use --disk {name} --force"
            )));
        }
        if !force {
            let found = disk_thread::found_disk(
                &configuration,
                config,
                labelled.label(),
                labelled.is_new(),
            );
            require_same_disks(&configuration, &known, &[found])?;
        }
        if !grows && !labelled.overwrites().is_empty() {
            let held = labelled.overwrites().join(", ");
            consent::require(&will_be_lost(config, &held), yes)?;
        }
        opened.push((config, labelled, created_file));
    }
    for (config, mut labelled, created_file) in opened {
        let name = config.name.value.as_str();
        created_file.keep();
        let mut driver = RealDriver::new(move || Nanos::from(epoch.elapsed()));
        labelled
            .write_format(&mut driver)
            .map_err(|error| Failure::new(format!("disk `{name}`: {error}")))?;
        print_messages(name, &mut labelled);
        let found = disk_thread::found_disk(&configuration, config, labelled.label(), false);
        known.remember_formatted(&found);
        let done = format!("{name}: formatted");
        remember(&known, &mut lock, file, &done)?;
        println!("{done}");
    }
    Ok(())
}

fn will_be_lost(config: &DiskConfig, held: &str) -> String {
    let name = &config.name.value;
    let place = config.path().map(|path| format!(" ({})", path.display()));
    let place = place.unwrap_or_default();
    format!("disk `{name}`{place} holds {held}, which will be lost")
}
