//! Clones on a disk that is not served: which ones its logs record; what they begin with is kept.
//!
//! Invariant: a log is looked into without a change to the disk.

use super::LabelledDisk;
use crate::VolumeError;
use crate::driver::Driver;
use crate::histories::look_into_log;
use crate::label::{HistoryEntry, UNIT_BYTES, Uuid, VdiskEntry};
use crate::volume_set::{area_layout, log_settings};
use disktime_disks::Disk;
use disktime_history::{Log, Origin, SUPERBLOCK_UNITS, Seq};
use disktime_units::BackgroundWork;
use std::collections::{HashMap, VecDeque};

/// A clone that a log of the disk records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedClone {
    /// Its name.
    pub name: String,
    /// Its identity.
    pub uuid: Uuid,
    /// The vdisk, or clone, that it begins with, by its uuid if it lies on another disk,
    pub parent: String,
    /// and at which moment of that.
    pub moment: Seq,
    /// Its size.
    pub size_bytes: u64,
    /// The space of its log; 0: nothing was written to it.
    pub log_bytes: u64,
    /// How it is served, as the server wrote it.
    pub settings: String,
}

/// The clones that the logs of a disk record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordedClones {
    /// Clones of clones come behind these.
    pub clones: Vec<RecordedClone>,
    /// Vdisks and clones whose logs cannot be read, and why: they may have clones.
    pub unread: Vec<(String, String)>,
}

impl<D: Disk> LabelledDisk<D> {
    /// Refuses what would take away what a clone on this disk begins with.
    pub(super) fn refuse_cloned<R: Driver>(
        &mut self,
        driver: &mut R,
        name: &str,
    ) -> Result<(), VolumeError> {
        match self.label.find(name).map(VdiskEntry::uuid) {
            Some(vdisk) => self.refuse_log_of_cloned(driver, (name, vdisk)),
            None => Ok(()),
        }
    }

    /// The same, of a vdisk whose log lies here and that may lie on another disk itself.
    pub(super) fn refuse_log_of_cloned<R: Driver>(
        &mut self,
        driver: &mut R,
        (name, vdisk): (&str, Uuid),
    ) -> Result<(), VolumeError> {
        let refuse = |clones: usize| {
            Err(VolumeError::History {
                name: name.to_owned(),
                problem: format!(
                    "{clones} clones begin with moments of it, so it cannot be removed; drop them \
                     first on the running server (`disktime drop CLONE`)"
                ),
            })
        };
        // Clones to which nothing was written are recorded in its own log only.
        let log = self.label.history_of(vdisk).cloned();
        if let Some(log) = log.filter(|log| log.log_disk() == self.label.disk_uuid())
            && let Ok(log) = self.look_into(driver, &log, None)?
        {
            return match log.cloned().count() {
                0 => Ok(()),
                clones => refuse(clones),
            };
        }
        let of_clones = self.label.histories().iter();
        let of_clones = of_clones.filter(|entry| entry.is_of_clone());
        let starts = of_clones.filter_map(|entry| Some(entry.extents().first()?.0));
        let mut clones = 0;
        for start in starts.collect::<Vec<u64>>() {
            for unit in SUPERBLOCK_UNITS {
                let at = start + u64::from(unit) * UNIT_BYTES as u64;
                let mut disk = self.blocking(driver);
                let block = disk.read("reading the log of a clone", at, UNIT_BYTES as u64)?;
                let origin = disktime_history::origin_of(&block);
                if origin.is_some_and(|origin| origin.vdisk == vdisk.to_bytes()) {
                    clones += 1;
                    break;
                }
            }
        }
        match clones {
            0 => Ok(()),
            clones => refuse(clones),
        }
    }

    /// The clones that the logs on this disk record. Nothing is written. Beside a server that
    /// writes these logs they are what they were a moment ago, or cannot be read.
    ///
    /// # Errors
    /// When the disk gives nothing to wait for.
    pub fn recorded_clones<R: Driver>(
        &mut self,
        driver: &mut R,
    ) -> Result<RecordedClones, VolumeError> {
        let label = &self.label;
        let here = label.histories().iter();
        let here = here.filter(|log| log.log_disk() == label.disk_uuid());
        let mut logs: HashMap<Uuid, HistoryEntry> =
            here.map(|log| (log.vdisk(), log.clone())).collect();
        let mut found = RecordedClones::default();
        let of_vdisks = label.vdisks().iter();
        let of_vdisks = of_vdisks.filter_map(|vdisk| {
            let log = logs.remove(&vdisk.uuid())?;
            Some((vdisk.name().to_owned(), log, None))
        });
        let mut left: VecDeque<(String, HistoryEntry, Option<Origin>)> = of_vdisks.collect();
        // Logs of vdisks of other disks.
        logs.retain(|uuid, log| {
            if log.is_of_clone() {
                return true;
            }
            left.push_back((uuid.to_string(), log.clone(), None));
            false
        });
        while let Some((parent, entry, origin)) = left.pop_front() {
            let log = match self.look_into(driver, &entry, origin)? {
                Ok(log) => log,
                Err(why) => {
                    found.unread.push((parent, why));
                    continue;
                }
            };
            for clone in log.cloned() {
                let uuid = Uuid::from_bytes(clone.vdisk);
                // Each log is looked into once, whatever logs that are damaged say.
                let own = logs.remove(&uuid);
                found.clones.push(RecordedClone {
                    name: clone.name.clone(),
                    uuid,
                    parent: parent.clone(),
                    moment: clone.moment,
                    size_bytes: log.vdisk_blocks_at(clone.moment) * UNIT_BYTES as u64,
                    log_bytes: own.as_ref().map_or(0, HistoryEntry::area_bytes),
                    settings: clone.settings.clone(),
                });
                let origin = Origin {
                    vdisk: entry.vdisk().to_bytes(),
                    log: log.uuid(),
                    moment: clone.moment,
                };
                left.extend(own.map(|own| (clone.name.clone(), own, Some(origin))));
            }
        }
        Ok(found)
    }

    /// What a log on this disk says of itself, or why it cannot be read.
    fn look_into<R: Driver>(
        &mut self,
        driver: &mut R,
        log: &HistoryEntry,
        origin: Option<Origin>,
    ) -> Result<Result<Log, String>, VolumeError> {
        let stream = self.background(BackgroundWork::Metadata);
        let layout = area_layout(log, stream);
        let disk_loop = self.disk_loop_mut();
        let settings = log_settings(disk_loop);
        let of_log = (log, &layout, origin);
        look_into_log(disk_loop, driver, of_log, stream, settings)
    }
}
