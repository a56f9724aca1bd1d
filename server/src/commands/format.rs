//! `disktime format`: writes an empty label to the disks of a reservation file, without a server.

use crate::assembly::{self, emulation};
use crate::commands::{known_disk, print_messages};
use crate::failure::{CommandResult, Failure};
use crate::serving::known_disks::KnownDisks;
use crate::serving::starting::require_same_disks;
use crate::serving::{disk_thread, state_dir};
use disktime_units::Nanos;
use disktime_volumes::RealDriver;
use std::path::Path;
use std::time::Instant;

/// Runs the command: writes an empty label to each disk, or to the one that is named.
pub(crate) fn run(file: &Path, disk: Option<&str>, force: bool) -> CommandResult {
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
        known.save(&mut lock)?;
        println!("{name}: formatted");
    }
    Ok(())
}
