//! Clones that the logs of a disk's vdisks record: opened with the disk, before anything is served.
//!
//! Invariants: a clone is served with what was written to it, or not at all, and then the others
//! are served; one to which nothing was written has no log and begins with its moment; a log of a
//! clone that nothing records any more is freed only if all logs of the disk are there and have
//! lost nothing.

use super::VolumeSet;
use super::clones::{CloneConfig, ServedClone, deferred_log};
use super::logs::{NewLog, area_layout, log_settings};
use crate::VolumeError;
use crate::driver::Driver;
use crate::histories::{OpenedLog, Parent, look_into_log, open_log, open_view};
use crate::label::{HistoryEntry, Label, UNIT_BYTES, Uuid};
use crate::labelled::LabelledDisk;
use crate::layout::Layout;
use disktime_disks::Disk;
use disktime_engine::StreamId;
use disktime_history::{CloneEntry, Log, Origin, Seq, ViewId};
use disktime_units::Nanos;
use std::collections::HashMap;

/// Says how a clone is served that is found on a disk (by its position): by its name, and by the
/// settings that were kept with it. `None`: another vdisk has its name, so it is not served.
pub type CloneConfigs<'c> = dyn FnMut(usize, &str, &str) -> Option<CloneConfig> + 'c;

/// A clone that was found, until it is served.
pub(crate) struct FoundClone {
    entry: CloneEntry,
    opened: OpenedLog,
    layout: Layout,
    /// Where its log lies, if something was written to it.
    area: Option<HistoryEntry>,
    max_bytes: u64,
    stream: StreamId,
    /// Where in the set's list its parent will be.
    parent: usize,
    view: ViewId,
}

/// By the clone that is not served: the names of the clones that its log records.
pub(super) type UnservedClones = HashMap<Uuid, Vec<String>>;

/// The clones of a disk, and what people should be told of them.
#[derive(Default)]
pub(crate) struct FoundClones {
    found: Vec<FoundClone>,
    messages: Vec<String>,
    /// One is not served, or a log has lost something.
    misses_some: bool,
    /// The clones of those that are not served, where their logs say it.
    unserved: UnservedClones,
}

impl FoundClones {
    /// Opens the clones that the logs of a disk's vdisks record, and those of clones. `names`: of
    /// the vdisks that are configured.
    pub(crate) fn open<D: Disk, R: Driver>(
        number: usize,
        disk: &mut LabelledDisk<D>,
        driver: &mut R,
        (logged, names): (&mut [NewLog], &[&str]),
        configs: &mut CloneConfigs<'_>,
    ) -> Result<FoundClones, VolumeError> {
        let mut clones = FoundClones::default();
        let mut parent = 0;
        while parent < logged.len() + clones.found.len() {
            let status = clones.log_of(logged, parent).0.log.status();
            clones.misses_some |= status.lost_from.is_some() || status.has_losses;
            for clone in status.clones {
                let entry = clone.entry;
                let name = entry.name.clone();
                let is_another = |one: &FoundClone| one.entry.name == name;
                let recorded = entry.clone();
                let config = match names.contains(&&*name) {
                    true => None,
                    false => configs(number, &name, &entry.settings),
                };
                let opened = match config {
                    None => Err("the file has another vdisk of that name".to_owned()),
                    Some(_) if clones.found.iter().any(is_another) => {
                        Err("another clone has that name".to_owned())
                    }
                    Some(config) => {
                        let opened =
                            clones.open_one(disk, driver, (logged, parent), (entry, config));
                        // What fails for one does not keep the others from being served.
                        opened.unwrap_or_else(|error| Err(error.to_string()))
                    }
                };
                if let Err(why) = opened {
                    clones.misses_some = true;
                    let of_it = clones.clones_of(disk, driver, (logged, parent), &recorded);
                    if let Ok(Some(of_it)) = of_it {
                        let uuid = Uuid::from_bytes(recorded.vdisk);
                        clones.unserved.insert(uuid, of_it);
                    }
                    clones.messages.push(format!(
                        "the clone `{name}` is not served: {why}. It is kept, and is served when \
                         that has changed; `disktime drop {name}` gives it up"
                    ));
                }
            }
            parent += 1;
        }
        if let Err(error) = clones.free_rest(disk, driver, logged.len()) {
            clones.messages.push(format!(
                "the space of a clone that was dropped was not freed ({error}); the next start \
                 tries again"
            ));
        }
        Ok(clones)
    }

    /// The log, its layout and its stream of the vdisk that will be at a place in the list.
    fn log_of<'l>(
        &'l mut self,
        logged: &'l mut [NewLog],
        at: usize,
    ) -> (&'l mut OpenedLog, &'l Layout, StreamId, Uuid) {
        let count = logged.len();
        match logged.get_mut(at) {
            Some(new) => new.parts(),
            None => {
                let clone = &mut self.found[at - count];
                let uuid = Uuid::from_bytes(clone.entry.vdisk);
                (&mut clone.opened, &clone.layout, clone.stream, uuid)
            }
        }
    }

    fn open_one<D: Disk, R: Driver>(
        &mut self,
        disk: &mut LabelledDisk<D>,
        driver: &mut R,
        (logged, parent): (&mut [NewLog], usize),
        (entry, config): (CloneEntry, CloneConfig),
    ) -> Result<Result<(), String>, VolumeError> {
        let (opened, layout, stream, of) = self.log_of(logged, parent);
        let disk_loop = disk.disk_loop_mut();
        let view = open_view(disk_loop, driver, (opened, layout), stream, entry.moment)?;
        let view = match view {
            Ok(view) => view,
            Err(why) => return Ok(Err(why)),
        };
        let origin = Origin {
            vdisk: of.to_bytes(),
            log: opened.log.uuid(),
            moment: entry.moment,
        };
        let size_bytes = opened.log.vdisk_blocks_at(entry.moment) * UNIT_BYTES as u64;
        let max_bytes = config.max_bytes;
        let found = open_clone(disk, driver, (&entry, config), (size_bytes, origin));
        match found {
            Ok(Ok((opened, area, stream))) => {
                let layout = area.as_ref().map(|area| area_layout(area, stream));
                self.found.push(FoundClone {
                    layout: layout.unwrap_or_else(|| Layout::new(Vec::new(), 0)),
                    entry,
                    opened,
                    area,
                    max_bytes,
                    stream,
                    parent,
                    view,
                });
                Ok(Ok(()))
            }
            not_opened => {
                self.log_of(logged, parent).0.log.close_view(view);
                not_opened.map(|why| why.map(|_| ()))
            }
        }
    }

    /// The clones of one that is not served, if its log can be read.
    fn clones_of<D: Disk, R: Driver>(
        &mut self,
        disk: &mut LabelledDisk<D>,
        driver: &mut R,
        (logged, parent): (&mut [NewLog], usize),
        entry: &CloneEntry,
    ) -> Result<Option<Vec<String>>, VolumeError> {
        let uuid = Uuid::from_bytes(entry.vdisk);
        let Some(area) = disk.label().history_of(uuid).cloned() else {
            return Ok(Some(Vec::new()));
        };
        let (opened, _, stream, of) = self.log_of(logged, parent);
        let origin = Origin {
            vdisk: of.to_bytes(),
            log: opened.log.uuid(),
            moment: entry.moment,
        };
        let layout = area_layout(&area, stream);
        let settings = log_settings(disk.disk_loop_mut());
        let of_clone = (&area, &layout, Some(origin));
        let found = look_into_log(disk.disk_loop_mut(), driver, of_clone, stream, settings)?;
        let names = |log: Log| log.cloned().map(|clone| clone.name.clone()).collect();
        Ok(found.ok().map(names))
    }

    /// Frees logs of clones that were dropped, if it is sure that nothing records them.
    fn free_rest<D: Disk, R: Driver>(
        &mut self,
        disk: &mut LabelledDisk<D>,
        driver: &mut R,
        logged: usize,
    ) -> Result<(), VolumeError> {
        let label = disk.label();
        let of_images = label.histories().iter();
        let of_images = of_images.filter(|entry| entry.image_disk() == label.disk_uuid());
        if self.misses_some || of_images.count() > logged {
            return Ok(());
        }
        for uuid in self.unrecorded(disk.label()) {
            disk.remove_log(driver, uuid)?;
            let freed = "the space of a clone that was dropped is free now";
            self.messages.push(freed.to_owned());
        }
        Ok(())
    }

    fn unrecorded(&self, label: &Label) -> Vec<Uuid> {
        let of_clones = label.histories().iter().filter(|entry| entry.is_of_clone());
        let is_found = |uuid: Uuid| {
            let mut found = self.found.iter();
            found.any(|clone| Uuid::from_bytes(clone.entry.vdisk) == uuid)
        };
        let uuids = of_clones.map(HistoryEntry::vdisk);
        uuids.filter(|uuid| !is_found(*uuid)).collect()
    }

    /// What people should be told.
    pub(crate) fn messages(&self) -> &[String] {
        &self.messages
    }

    /// Serves them; the vdisks that they come from are in the set's list.
    pub(crate) fn serve<D: Disk>(self, set: &mut VolumeSet<D>, now: Nanos) {
        set.clone_works.unserved = self.unserved;
        for clone in self.found {
            set.serve_found_clone(clone, now);
        }
    }
}

/// The log of a clone, where it lies, and the clone's stream.
type OpenedClone = (OpenedLog, Option<HistoryEntry>, StreamId);

/// Opens the log of a clone, or has one in memory if nothing was written to it.
fn open_clone<D: Disk, R: Driver>(
    disk: &mut LabelledDisk<D>,
    driver: &mut R,
    (entry, config): (&CloneEntry, CloneConfig),
    (size_bytes, origin): (u64, Origin),
) -> Result<Result<OpenedClone, String>, VolumeError> {
    let uuid = Uuid::from_bytes(entry.vdisk);
    let Some(area) = disk.label().history_of(uuid).cloned() else {
        let settings = log_settings(disk.disk_loop_mut());
        let sizes = (size_bytes, config.max_bytes);
        let of_clone = (&*entry.name, uuid, origin);
        let opened = match deferred_log(disk.label(), of_clone, sizes, settings) {
            Ok((log, report)) => OpenedLog::of(log, report),
            Err(why) => return Ok(Err(why)),
        };
        let stream = disk.disk_loop_mut().add_stream(driver.now(), config.stream);
        return Ok(Ok((opened, None, stream)));
    };
    let disk_loop = disk.disk_loop_mut();
    let stream = disk_loop.add_stream(driver.now(), config.stream);
    let settings = log_settings(disk_loop);
    let layout = area_layout(&area, stream);
    let of_clone = (&area, &layout, Some(origin));
    match open_log(disk_loop, driver, of_clone, stream, settings) {
        Ok(Ok(opened)) => Ok(Ok((opened, Some(area), stream))),
        Ok(Err(why)) => {
            disk_loop.remove_stream(driver.now(), stream);
            Ok(Err(why))
        }
        Err(error) => {
            disk_loop.remove_stream(driver.now(), stream);
            Err(error)
        }
    }
}

impl<D: Disk> VolumeSet<D> {
    fn serve_found_clone(&mut self, found: FoundClone, now: Nanos) {
        let (at, seq): (usize, Seq) = (found.parent, found.entry.moment);
        let Some((moment, view)) = self.histories.use_moment(at, found.view, seq) else {
            return;
        };
        self.serve_clone(
            now,
            ServedClone {
                uuid: Uuid::from_bytes(found.entry.vdisk),
                name: found.entry.name,
                log: found.opened.log,
                parent: Parent { at, view },
                moment,
                area: found.area,
                max_bytes: found.max_bytes,
                stream: found.stream,
            },
        );
    }
}
