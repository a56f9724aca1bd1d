//! Planning several disks together, because logs of one lie on another. Pure.
//!
//! Invariants: a log on another disk is the one that the image's label names, and belongs to that
//! image; what is planned for one disk is planned only if all of it is possible.

use super::histories::refused;
use super::{Plan, Planner, VdiskSpec};
use crate::VolumeError;
use crate::label::{HistoryEntry, Label, Uuid, VdiskEntry};

/// A disk of those that are planned together, because logs of one lie on another.
#[derive(Debug, Clone, Copy)]
pub struct PlannedDisk<'l> {
    /// Its table.
    pub label: &'l Label,
    /// It has no label yet.
    pub is_new: bool,
    /// What the configuration says of its vdisks.
    pub specs: &'l [VdiskSpec],
}

/// Why disks cannot be served together.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Misfit {
    /// The disk, by its position.
    pub disk: usize,
    /// What is wrong there.
    pub error: VolumeError,
}

/// What has to change on several disks so that they hold their vdisks, and the logs of these on one
/// another.
///
/// # Errors
/// The first disk with something that does not fit, or with a log that is another than an image
/// says. Nothing has changed then.
pub fn reconcile_joined(disks: &[PlannedDisk<'_>]) -> Result<Vec<Plan>, Misfit> {
    let mut planners = Vec::with_capacity(disks.len());
    for (at, disk) in disks.iter().enumerate() {
        planners.push(Planner::new(*disk).map_err(|error| Misfit { disk: at, error })?);
    }
    for (at, disk) in disks.iter().enumerate() {
        for spec in disk.specs {
            let Some(log) = spec.log_disk.filter(|log| *log != at) else {
                continue;
            };
            if spec.history_off {
                end_elsewhere(&mut planners, disks, (at, log), spec)?;
            } else if spec.history_bytes.is_some() {
                fit_elsewhere(&mut planners, disks, (at, log), spec)?;
            }
        }
    }
    let mut plans = Vec::with_capacity(disks.len());
    for (disk, mut planner) in planners.into_iter().enumerate() {
        planner.finish().map_err(|error| Misfit { disk, error })?;
        plans.push(planner.plan);
    }
    Ok(plans)
}

/// Plans the history of a vdisk of the disk at `image` whose log is to lie on the one at `log`.
fn fit_elsewhere(
    planners: &mut [Planner],
    disks: &[PlannedDisk<'_>],
    (image, log): (usize, usize),
    spec: &VdiskSpec,
) -> Result<(), Misfit> {
    let name = spec.name.as_str();
    let of_image = |error| Misfit { disk: image, error };
    let of_log = |error| Misfit { disk: log, error };
    let label = &planners[image].plan.label;
    let Some(uuid) = label.find(name).map(VdiskEntry::uuid) else {
        return Ok(());
    };
    let (image_disk, known) = (label.disk_uuid(), label.history_of(uuid).cloned());
    let label = &planners[log].plan.label;
    if let Some(known) = known
        .as_ref()
        .filter(|known| known.log_disk() != label.disk_uuid())
    {
        return Err(of_image(other_disk(name, known, (&disks[log], image_disk))));
    }
    let entry = match (&known, label.history_of(uuid).cloned()) {
        (_, Some(entry)) if entry.is_of_clone() => {
            let problem = "it was being switched off, and the vdisk has all of it; write \
                           \"history\": \"off\" for one start, which ends that, and give it a \
                           history then";
            return Err(of_image(refused(name, problem)));
        }
        (_, Some(entry)) if entry.image_disk() != image_disk => {
            let problem = format!(
                "the log on this disk belongs to an image on the disk {}, and the vdisk lies on the \
                 disk {image_disk}: one of the two disks is another than it was",
                entry.image_disk()
            );
            return Err(of_log(refused(name, problem)));
        }
        (_, Some(entry)) => {
            let bytes = spec.history_bytes.unwrap_or(0);
            let grown = planners[log].fit_log(name, uuid, bytes);
            grown.map_err(of_log)?;
            entry
        }
        (Some(_), None) => return Err(of_log(is_gone(name))),
        (None, None) => {
            let log = &mut planners[log];
            let entry = log.make_log(spec, uuid, image_disk).map_err(of_log)?;
            log.plan.label.add_history(entry.clone());
            entry
        }
    };
    if known.is_none() {
        let is_new = planners[log].plan.new_histories.iter();
        if !is_new.clone().any(|new| new.entry.vdisk() == uuid) {
            let unknown = &mut planners[log].plan.unknown_logs;
            unknown.push((name.to_owned(), entry.clone()));
        }
        let (log_disk, slot_units) = (entry.log_disk(), entry.slot_units());
        let link = HistoryEntry::new(uuid, image_disk, log_disk, slot_units, Vec::new());
        let plan = &mut planners[image].plan;
        plan.label.add_history(link.clone());
        plan.links.push(link);
    }
    Ok(())
}

/// Plans the end of a history whose log lies on the disk at `log`, as far as it is known.
fn end_elsewhere(
    planners: &mut [Planner],
    disks: &[PlannedDisk<'_>],
    (image, log): (usize, usize),
    spec: &VdiskSpec,
) -> Result<(), Misfit> {
    let name = spec.name.as_str();
    let label = &planners[image].plan.label;
    let uuid = label.find(name).map(VdiskEntry::uuid);
    let Some(known) = uuid.and_then(|uuid| label.history_of(uuid)).cloned() else {
        // What is left of it on the other disk is freed when all are open.
        return Ok(());
    };
    let image_disk = label.disk_uuid();
    let label = &planners[log].plan.label;
    if known.log_disk() == image_disk {
        return Ok(());
    }
    if known.log_disk() != label.disk_uuid() {
        let error = other_disk(name, &known, (&disks[log], image_disk));
        return Err(Misfit { disk: image, error });
    }
    let Some(entry) = label.history_of(known.vdisk()) else {
        let error = is_gone(name);
        return Err(Misfit { disk: log, error });
    };
    match entry.is_of_clone() {
        // The image has all of it: a crash came before that was said there.
        true => {
            let plan = &mut planners[image].plan;
            plan.label.take_out_history(known.vdisk());
            plan.unlinked.push(name.to_owned());
        }
        false => {
            let ended = (name.to_owned(), entry.area_bytes());
            planners[image].plan.ended_histories.push(ended);
        }
    }
    Ok(())
}

fn is_gone(name: &str) -> VolumeError {
    let problem = "its log, with its newest data, was on this disk, which does not hold it: the \
                   disk is an older copy of itself, or the log was removed from it";
    refused(name, problem)
}

/// The log lies elsewhere than the file says.
fn other_disk(
    name: &str,
    known: &HistoryEntry,
    (wanted, image_disk): (&PlannedDisk<'_>, Uuid),
) -> VolumeError {
    let is = match (wanted.is_new, known.log_disk() == image_disk) {
        (_, true) => {
            return refused(
                name,
                "its log lies on the vdisk's own disk, and the file has it on another; leave the \
                 `disk` of its `history` out (a log cannot be moved yet)",
            );
        }
        (true, false) => "which is blank".to_owned(),
        (false, false) => format!("which is the disk {}", wanted.label.disk_uuid()),
    };
    refused(
        name,
        format!(
            "its log, with its newest data, lies on the disk {}, and the file has it on one {is}; \
             bring the disk of its log back, or correct the `disk` of its `history`",
            known.log_disk()
        ),
    )
}
