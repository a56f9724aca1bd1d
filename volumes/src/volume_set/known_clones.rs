//! Clones that the logs of a disk's vdisks record: opened with the disk, before anything is served.
//!
//! Invariants: a clone is served with what was written to it, or not at all, and then the others
//! are served; one that was recorded and has no log yet begins with its moment; a log of a clone
//! that nothing records any more is freed only if all logs of the disk are there and have lost
//! nothing.

use super::VolumeSet;
use super::clones::{CloneConfig, ServedClone};
use super::logs::{NewLog, area_layout, log_settings};
use crate::VolumeError;
use crate::driver::Driver;
use crate::histories::{OpenedLog, Parent, open_log, open_view};
use crate::label::{HistoryEntry, Label, UNIT_BYTES, Uuid};
use crate::labelled::LabelledDisk;
use crate::layout::Layout;
use crate::space;
use disktime_disks::Disk;
use disktime_engine::StreamId;
use disktime_history::{CloneEntry, Origin, Seq, ViewId};
use disktime_units::Nanos;

/// Says how a clone is served that is found on a disk (by its position): by its name, and by the
/// settings that were kept with it. `None`: another vdisk has its name, so it is not served.
pub type CloneConfigs<'c> = dyn FnMut(usize, &str, &str) -> Option<CloneConfig> + 'c;

/// A clone that was found, until it is served.
pub(crate) struct FoundClone {
    entry: CloneEntry,
    opened: OpenedLog,
    layout: Layout,
    area: HistoryEntry,
    stream: StreamId,
    /// Where in the set's list its parent will be.
    parent: usize,
    view: ViewId,
}

/// The clones of a disk, and what people should be told of them.
#[derive(Default)]
pub(crate) struct FoundClones {
    found: Vec<FoundClone>,
    messages: Vec<String>,
    /// One is not served, or a log has lost something.
    misses_some: bool,
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
        let found = open_clone(disk, driver, (&entry, config), (size_bytes, origin));
        match found {
            Ok(Ok((opened, area, stream))) => {
                self.found.push(FoundClone {
                    layout: area_layout(&area, stream),
                    entry,
                    opened,
                    area,
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
        for clone in self.found {
            set.serve_found_clone(clone, now);
        }
    }
}

/// Opens the log of a clone, which is made if it is not there yet.
fn open_clone<D: Disk, R: Driver>(
    disk: &mut LabelledDisk<D>,
    driver: &mut R,
    (entry, config): (&CloneEntry, CloneConfig),
    (size_bytes, origin): (u64, Origin),
) -> Result<Result<(OpenedLog, HistoryEntry, StreamId), String>, VolumeError> {
    let uuid = Uuid::from_bytes(entry.vdisk);
    let known = disk.label().history_of(uuid).cloned();
    let area = match known {
        Some(area) => area,
        None => {
            let of = (&*entry.name, uuid);
            let sizes = (size_bytes, config.max_bytes);
            match space::with_clone(disk.label(), of, sizes) {
                Ok(new) => {
                    disk.make_clone_log(driver, &new, origin)?;
                    new.entry
                }
                Err(error) => return Ok(Err(error.to_string())),
            }
        }
    };
    let disk_loop = disk.disk_loop_mut();
    let stream = disk_loop.add_stream(driver.now(), config.stream);
    let settings = log_settings(disk_loop);
    let layout = area_layout(&area, stream);
    let of_clone = (&area, &layout, Some(origin));
    match open_log(disk_loop, driver, of_clone, stream, settings) {
        Ok(Ok(opened)) => Ok(Ok((opened, area, stream))),
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
        let size_bytes = found.opened.log.vdisk_blocks() * UNIT_BYTES as u64;
        let at = self.serve_clone(
            now,
            ServedClone {
                uuid: Uuid::from_bytes(found.entry.vdisk),
                name: found.entry.name,
                log: found.opened.log,
                parent: Parent { at, view },
                moment,
                entry: found.area,
                size_bytes,
                stream: found.stream,
            },
        );
        self.histories.bind(at);
    }
}
