//! What serving a disk is about to create or grow on it, as sentences, so that nothing comes to be
//! on a disk in silence.

use super::label_reading::disk_failure;
use crate::assembly;
use crate::failure::CommandResult;
use disktime_reservations::{Configuration, Disk as DiskConfig};
use disktime_units::{format_size, format_sizes};
use disktime_volumes::label::Label;
use disktime_volumes::{Plan, PlannedDisk, VdiskSpec, reconcile_joined};

/// Names in a sentence; more are counted.
const SHOWN: usize = 100;

/// What serving the disks of one thread would change on each of them; or, of the first that does
/// not fit, why. A disk comes with its label, and whether that still has to be written.
pub(super) fn changes_together(
    configuration: &Configuration,
    disks: &[(&DiskConfig, &Label, bool)],
) -> Vec<CommandResult<Vec<String>>> {
    let specs = disks.iter().map(|(config, ..)| {
        let name = &config.name.value;
        assembly::vdisk_specs(configuration, name)
    });
    let specs: Vec<Vec<VdiskSpec>> = specs.collect();
    let planned = disks.iter().zip(&specs);
    let planned = planned.map(|((_, label, is_new), specs)| PlannedDisk {
        label,
        is_new: *is_new,
        specs,
    });
    match reconcile_joined(&planned.collect::<Vec<_>>()) {
        Ok(plans) => {
            let planned = disks.iter().zip(&plans);
            let changed = planned.map(|((config, _, is_new), plan)| changes(config, *is_new, plan));
            changed.map(Ok).collect()
        }
        Err(misfit) => {
            let all = disks.iter().enumerate();
            let results = all.map(|(at, (config, ..))| match at == misfit.disk {
                true => Err(disk_failure(configuration, config, &misfit.error)),
                false => Ok(Vec::new()),
            });
            results.collect()
        }
    }
}

/// What carrying out the plan changes on the disk. `is_new`: it has no label yet. A disk that lives
/// as long as the server is new at every start, which its own notice says.
fn changes(config: &DiskConfig, is_new: bool, plan: &Plan) -> Vec<String> {
    let (name, Some(path)) = (&config.name.value, config.path()) else {
        return Vec::new();
    };
    let mut sentences = Vec::new();
    if is_new {
        sentences.push(format!(
            "{name}: {} is blank: a new label is written to it",
            path.display()
        ));
    }
    let created = plan.create();
    if !created.is_empty() {
        let size_of = |vdisk: &String| {
            let size_bytes = plan.label().find(vdisk).map(|entry| entry.size_bytes());
            format!("`{vdisk}` ({})", format_size(size_bytes.unwrap_or(0)))
        };
        let shown: Vec<String> = created.iter().take(SHOWN).map(size_of).collect();
        let more = match created.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let noun = if created.len() == 1 {
            "vdisk"
        } else {
            "vdisks"
        };
        sentences.push(format!(
            "{name}: new, and empty: {noun} {}{more}",
            shown.join(", ")
        ));
    }
    for (vdisk, bytes) in plan.histories() {
        sentences.push(format!(
            "{name}: vdisk `{vdisk}` gets a history, with {} for its log",
            format_size(bytes)
        ));
    }
    for (vdisk, bytes) in plan.ended_histories() {
        sentences.push(format!(
            "{name}: the history of vdisk `{vdisk}` will be switched off: its past, with all marks \
             and branches, will be lost, and the {} of its log will be free",
            format_size(*bytes)
        ));
    }
    for vdisk in plan.unlinked() {
        sentences.push(format!(
            "{name}: the history of vdisk `{vdisk}` was switched off but for its records, which go"
        ));
    }
    for (vdisk, from_bytes, to_bytes) in plan.grown_histories() {
        let [from, to] = format_sizes([*from_bytes, *to_bytes]);
        sentences.push(format!(
            "{name}: the log of vdisk `{vdisk}` grows from {from} to {to}"
        ));
    }
    for (vdisk, from_bytes, to_bytes) in plan.grow() {
        let [from, to] = format_sizes([*from_bytes, *to_bytes]);
        sentences.push(format!("{name}: vdisk `{vdisk}` grows from {from} to {to}"));
    }
    sentences
}
