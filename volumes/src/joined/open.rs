//! Opening several disks together: their labels are compared, brought to what is configured, and
//! their vdisks opened with their logs, wherever those lie.
//!
//! Invariants: nothing is written before all of it was found possible; a log is on its disk, and
//! named by the label there, before the image's label names it.

use super::JoinedSets;
use super::ending::{NotEnded, end_history};
use crate::VolumeError;
use crate::driver::Driver;
use crate::label::{ChangeTimes, HistoryEntry, VdiskEntry};
use crate::labelled::LabelledDisk;
use crate::space::{MIN_HISTORY_BYTES, Misfit, Plan, PlannedDisk, VdiskSpec, reconcile_joined};
use crate::volume_set::{
    CloneConfig, CloneConfigs, FoundClones, OpenReport, SetOpening, VdiskConfig, add_logs,
    check_history, require_endable, require_untouched,
};
use disktime_disks::Disk;
use disktime_engine::StreamConfig;

/// Attributes an error to a disk.
fn on(disk: usize) -> impl Fn(VolumeError) -> Misfit {
    move |error| Misfit { disk, error }
}

/// What is configured; where a history is switched off and the label of the image says that its
/// log lies on the same disk, it is looked for there: the caller may remember an older log.
fn with_logs_of_labels<D: Disk>(
    disks: &[LabelledDisk<D>],
    vdisks: &[Vec<VdiskConfig>],
) -> Vec<Vec<VdiskConfig>> {
    let mut vdisks = vdisks.to_vec();
    for (disk, vdisks) in disks.iter().zip(&mut vdisks) {
        let label = disk.label();
        for vdisk in vdisks.iter_mut().filter(|vdisk| vdisk.spec.history_off) {
            let entry = label.find(&vdisk.spec.name);
            let record = entry.and_then(|entry| label.history_of(entry.uuid()));
            if record.is_some_and(|record| record.log_disk() == label.disk_uuid()) {
                vdisk.spec.log_disk = None;
            }
        }
    }
    vdisks
}

/// Frees logs of histories that are switched off of which no image's label has a record any more: a
/// crash came before they were freed.
fn free_given_up<D: Disk, R: Driver>(
    disks: &mut [LabelledDisk<D>],
    driver: &mut R,
    vdisks: &[Vec<VdiskConfig>],
) -> Result<(), Misfit> {
    for (image, vdisks) in vdisks.iter().enumerate() {
        for vdisk in vdisks.iter().filter(|vdisk| vdisk.spec.history_off) {
            let label = disks[image].label();
            let uuid = label.find(&vdisk.spec.name).map(VdiskEntry::uuid);
            let uuid = uuid.filter(|uuid| label.history_of(*uuid).is_none());
            let (Some(uuid), Some(log)) = (uuid, vdisk.spec.log_disk) else {
                continue;
            };
            let record = disks[log].label().history_of(uuid);
            let is_given_up = record.is_some_and(HistoryEntry::is_of_clone);
            if is_given_up && !disks[log].is_read_only() {
                disks[log].free_log(driver, uuid).map_err(on(log))?;
            }
        }
    }
    Ok(())
}

impl<D: Disk> JoinedSets<D> {
    /// Serves the vdisks of several disks whose labels are known; `vdisks` are those of each disk,
    /// and positions of log disks are those in `disks`. Nothing is written if anything is refused.
    ///
    /// # Errors
    /// As [`VolumeSet::open`](crate::VolumeSet::open), with the disk that it is about.
    pub fn from_labelled<R: Driver>(
        disks: Vec<LabelledDisk<D>>,
        driver: &mut R,
        vdisks: &[Vec<VdiskConfig>],
    ) -> Result<(JoinedSets<D>, Vec<OpenReport>), Misfit> {
        let spare = &mut |_, name: &str, settings: &str| {
            Some(CloneConfig {
                name: name.to_owned(),
                stream: StreamConfig::BEST_EFFORT,
                max_bytes: MIN_HISTORY_BYTES,
                settings: settings.to_owned(),
            })
        };
        Self::with_clones(disks, driver, vdisks, spare)
    }

    /// The same, with clones that are served as `clones` says; without it they get spare time.
    ///
    /// # Errors
    /// As there.
    pub fn with_clones<R: Driver>(
        mut disks: Vec<LabelledDisk<D>>,
        driver: &mut R,
        vdisks: &[Vec<VdiskConfig>],
        clones: &mut CloneConfigs<'_>,
    ) -> Result<(JoinedSets<D>, Vec<OpenReport>), Misfit> {
        let vdisks = &with_logs_of_labels(&disks, vdisks);
        let plans = plan(&mut disks, driver, vdisks)?;
        let mut reports: Vec<OpenReport> = plans.iter().map(OpenReport::of).collect();
        let ended = plans.iter().map(|plan| plan.ended_histories().to_vec());
        let ended: Vec<Vec<(String, u64)>> = ended.collect();
        let times = carry_out(&mut disks, driver, plans)?;
        let mut openings = Vec::with_capacity(disks.len());
        for (number, disk) in disks.iter_mut().enumerate() {
            let (times, vdisks) = (times[number].as_ref(), &vdisks[number]);
            let opening = SetOpening::begin(number as u8, disk, driver, times, vdisks);
            openings.push(opening.map_err(on(number))?);
        }
        let mut logged = Vec::with_capacity(disks.len());
        let mut found = Vec::with_capacity(disks.len());
        for (number, opening) in openings.iter_mut().enumerate() {
            let vdisks = &vdisks[number];
            let new = opening.open_histories(number, &mut disks, driver, vdisks);
            let mut new = new.map_err(on(number))?;
            let of_images = (&mut *new, &**vdisks);
            let of_disk = opening.open_clones(number, &mut disks, driver, of_images, clones);
            found.push(of_disk.map_err(on(number))?);
            logged.push(new);
        }
        free_given_up(&mut disks, driver, vdisks)?;
        for at in disks.iter_mut().enumerate() {
            FoundClones::free_rest(&mut found, at, driver);
        }
        let mut sets = Vec::with_capacity(disks.len());
        for ((opening, disk), report) in openings.into_iter().zip(disks).zip(&mut reports) {
            let (set, messages) = opening.finish(disk, driver);
            report.messages = messages;
            sets.push(set);
        }
        for (number, (logged, clones)) in logged.into_iter().zip(found).enumerate() {
            add_logs(&mut sets, number, logged, driver);
            reports[number]
                .messages
                .extend_from_slice(clones.messages());
            clones.serve(&mut sets, number, driver.now());
        }
        let mut joined = JoinedSets::new(sets);
        for (number, ended) in ended.into_iter().enumerate() {
            for (name, area_bytes) in ended {
                match end_history(&mut joined, driver, (number, &name)) {
                    Ok(()) => reports[number].ended_histories.push((name, area_bytes)),
                    Err(NotEnded::Kept(why)) => reports[number].messages.push(format!(
                        "the history of vdisk `{name}` is not switched off: {why}. The vdisk is \
                         served with it, and the next start tries again"
                    )),
                    Err(NotEnded::Failed(error)) => {
                        joined.abandon();
                        return Err(Misfit {
                            disk: number,
                            error,
                        });
                    }
                }
            }
        }
        Ok((joined, reports))
    }
}

/// What has to change on each disk, if all of it can.
fn plan<D: Disk, R: Driver>(
    disks: &mut [LabelledDisk<D>],
    driver: &mut R,
    vdisks: &[Vec<VdiskConfig>],
) -> Result<Vec<Plan>, Misfit> {
    assert!(
        disks.len() <= 256 && disks.len() == vdisks.len(),
        "as many as fit a handle"
    );
    for (number, vdisks) in vdisks.iter().enumerate() {
        for vdisk in vdisks {
            let log = vdisk.spec.log_disk.unwrap_or(number);
            let holds_data = disks[number].holds_data() && disks[log].holds_data();
            check_history(vdisk, holds_data).map_err(on(number))?;
        }
    }
    let specs = vdisks.iter().map(|vdisks| {
        let specs = vdisks.iter().map(|vdisk| vdisk.spec.clone());
        specs.collect()
    });
    let specs: Vec<Vec<VdiskSpec>> = specs.collect();
    let planned = disks.iter().zip(&specs).map(|(disk, specs)| PlannedDisk {
        label: disk.label(),
        is_new: disk.is_new(),
        specs,
    });
    let plans = reconcile_joined(&planned.collect::<Vec<_>>())?;
    for (number, plan) in plans.iter().enumerate() {
        for unknown in plan.unknown_logs() {
            require_untouched(&mut disks[number], driver, unknown).map_err(on(number))?;
        }
        for (name, _) in plan.ended_histories() {
            let mut specs = specs[number].iter();
            let log_disk = specs.find(|spec| spec.name == *name);
            let log = log_disk.and_then(|spec| spec.log_disk).unwrap_or(number);
            require_endable(disks, driver, (number, log), name).map_err(on(number))?;
        }
    }
    Ok(plans)
}

/// Carries the plans out, and makes the labels durable; the times that they said before.
fn carry_out<D: Disk, R: Driver>(
    disks: &mut [LabelledDisk<D>],
    driver: &mut R,
    plans: Vec<Plan>,
) -> Result<Vec<Option<ChangeTimes>>, Misfit> {
    let times = disks.iter().map(LabelledDisk::times).collect();
    let mut linked = Vec::with_capacity(plans.len());
    for (number, plan) in plans.into_iter().enumerate() {
        let (plan, with_links) = plan.split_links();
        disks[number].apply(driver, plan).map_err(on(number))?;
        linked.push(with_links);
    }
    for (number, linked) in linked.into_iter().enumerate() {
        let disk = &mut disks[number];
        if let Some(linked) = linked {
            disk.link(driver, linked).map_err(on(number))?;
        }
        disk.settle(driver).map_err(on(number))?;
        disk.open_times(driver).map_err(on(number))?;
    }
    Ok(times)
}
