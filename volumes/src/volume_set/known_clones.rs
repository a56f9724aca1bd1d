//! Clones that the logs of a disk's vdisks record: opened with the disk, before anything is served.
//!
//! Invariants: a clone is served with what was written to it, or not at all, and then the others
//! are served; one to which nothing was written has no log and begins with its moment; a log of a
//! clone that nothing records any more is freed only if all logs of its disk are there and have
//! lost nothing.

use super::VolumeSet;
use super::clones::{CloneConfig, LogElsewhere, ServedClone, deferred_log};
use super::logs::{NewLog, area_layout, log_settings};
use super::others::OtherSets;
use crate::VolumeError;
use crate::driver::Driver;
use crate::histories::{OpenedLog, Parent, look_into_log, open_log, open_view};
use crate::label::{HistoryEntry, UNIT_BYTES, Uuid};
use crate::labelled::LabelledDisk;
use crate::layout::Layout;
use disktime_disks::Disk;
use disktime_engine::StreamId;
use disktime_history::{CloneEntry, Log, Origin, Seq, ViewId};
use disktime_units::Nanos;
use std::collections::{BTreeSet, HashMap};

/// Says how a clone is served that is found on disks: by its name, and by the settings that were
/// kept with it. `None`: another vdisk has its name, so it is not served.
pub type CloneConfigs<'c> = dyn FnMut(CloneDisks, &str, &str) -> Option<CloneConfig> + 'c;

/// The disks of a clone, by their positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CloneDisks {
    /// That of the vdisk that it comes from.
    pub image: usize,
    /// That of its log, which may be the same.
    pub log: usize,
}

/// A clone that was found, until it is served.
pub(crate) struct FoundClone {
    entry: CloneEntry,
    opened: OpenedLog,
    layout: Layout,
    /// Where its log lies, if something was written to it.
    area: Option<HistoryEntry>,
    max_bytes: u64,
    streams: CloneStreams,
    /// The number of the set of its log's disk.
    log_set: usize,
    /// Where in the set's list its parent will be.
    parent: usize,
    view: ViewId,
}

/// The streams of a clone on the disk that it comes from, and on that of its log, which may be the
/// same.
#[derive(Debug, Clone, Copy)]
struct CloneStreams {
    image: StreamId,
    log: StreamId,
}

/// By the clone that is not served: the names of the clones that its log records.
pub(super) type UnservedClones = HashMap<Uuid, Vec<String>>;

/// The clones of the vdisks of a disk, and what people should be told of them.
#[derive(Default)]
pub(crate) struct FoundClones {
    found: Vec<FoundClone>,
    messages: Vec<String>,
    /// How many vdisks that are no clones have opened logs, by the positions of their disks.
    open_logs: HashMap<usize, usize>,
    /// Disks on which a log has lost something, or that of a clone is that is not served.
    misses_some: BTreeSet<usize>,
    /// The clones of those that are not served, where their logs say it.
    unserved: UnservedClones,
}

impl FoundClones {
    /// Opens the clones that the logs of the vdisks of the disk at `number` record, and those of
    /// clones. `names`: of the vdisks that are configured.
    pub(crate) fn open<D: Disk, R: Driver>(
        number: usize,
        disks: &mut [LabelledDisk<D>],
        driver: &mut R,
        (logged, names): (&mut [NewLog], &[&str]),
        configs: &mut CloneConfigs<'_>,
    ) -> Result<FoundClones, VolumeError> {
        let mut clones = FoundClones::default();
        for new in logged.iter() {
            let log = new.log_set().unwrap_or(number);
            *clones.open_logs.entry(log).or_default() += 1;
        }
        let mut parent = 0;
        while parent < logged.len() + clones.found.len() {
            let log = clones.log_set(logged, parent).unwrap_or(number);
            let status = clones.log_of(logged, parent).0.log.status();
            if status.lost_from.is_some() || status.has_losses {
                clones.misses_some.insert(log);
            }
            let on = CloneDisks { image: number, log };
            for clone in status.clones {
                let entry = clone.entry;
                let name = entry.name.clone();
                let is_another = |one: &FoundClone| one.entry.name == name;
                let recorded = entry.clone();
                let config = match names.contains(&&*name) {
                    true => None,
                    false => configs(on, &name, &entry.settings),
                };
                let opened = match config {
                    None => Err("the file has another vdisk of that name".to_owned()),
                    Some(_) if clones.found.iter().any(is_another) => {
                        Err("another clone has that name".to_owned())
                    }
                    Some(config) => {
                        let opened =
                            clones.open_one(on, disks, driver, (logged, parent), (entry, config));
                        // What fails for one does not keep the others from being served.
                        opened.unwrap_or_else(|error| Err(error.to_string()))
                    }
                };
                if let Err(why) = opened {
                    clones.misses_some.insert(log);
                    let of_it =
                        clones.clones_of(&mut disks[log], driver, (logged, parent), &recorded);
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
        Ok(clones)
    }

    /// The number of the set of the log of the vdisk that will be at a place in the list; `None`:
    /// its own.
    fn log_set(&self, logged: &[NewLog], at: usize) -> Option<usize> {
        match logged.get(at) {
            Some(new) => new.log_set(),
            None => Some(self.found[at - logged.len()].log_set),
        }
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
                (&mut clone.opened, &clone.layout, clone.streams.log, uuid)
            }
        }
    }

    fn open_one<D: Disk, R: Driver>(
        &mut self,
        on: CloneDisks,
        disks: &mut [LabelledDisk<D>],
        driver: &mut R,
        (logged, parent): (&mut [NewLog], usize),
        (entry, config): (CloneEntry, CloneConfig),
    ) -> Result<Result<(), String>, VolumeError> {
        let (opened, layout, stream, of) = self.log_of(logged, parent);
        let disk_loop = disks[on.log].disk_loop_mut();
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
        let (max_bytes, stream) = (config.max_bytes, config.stream);
        let sizes = (size_bytes, max_bytes);
        let now = driver.now();
        let add_stream = |disk: &mut LabelledDisk<D>| disk.disk_loop_mut().add_stream(now, stream);
        let image = add_stream(&mut disks[on.image]);
        let log = match on.log == on.image {
            true => image,
            false => add_stream(&mut disks[on.log]),
        };
        let streams = CloneStreams { image, log };
        let of_clone = (&entry, sizes, origin);
        match open_clone(&mut disks[on.log], driver, of_clone, streams.log) {
            Ok(Ok((opened, area))) => {
                let layout = area.as_ref().map(|area| area_layout(area, streams.log));
                self.found.push(FoundClone {
                    layout: layout.unwrap_or_else(|| Layout::new(Vec::new(), 0)),
                    entry,
                    opened,
                    area,
                    max_bytes,
                    streams,
                    log_set: on.log,
                    parent,
                    view,
                });
                Ok(Ok(()))
            }
            not_opened => {
                let now = driver.now();
                disks[on.image].disk_loop_mut().remove_stream(now, image);
                if on.log != on.image {
                    disks[on.log].disk_loop_mut().remove_stream(now, log);
                }
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

    /// Frees logs of clones on the disk at a position that were dropped, if it is sure that nothing
    /// records them. `all`: the clones of all disks.
    pub(crate) fn free_rest<D: Disk, R: Driver>(
        all: &mut [FoundClones],
        (at, disk): (usize, &mut LabelledDisk<D>),
        driver: &mut R,
    ) {
        let freed = free_unrecorded(all, (at, disk), driver);
        let messages = &mut all[at].messages;
        match freed {
            Ok(count) => messages.extend(
                (0..count).map(|_| "the space of a clone that was dropped is free now".to_owned()),
            ),
            Err(error) => messages.push(format!(
                "the space of a clone that was dropped was not freed ({error}); the next start \
                 tries again"
            )),
        }
    }

    fn has_found(&self, uuid: Uuid) -> bool {
        let mut found = self.found.iter();
        found.any(|clone| Uuid::from_bytes(clone.entry.vdisk) == uuid)
    }

    /// What people should be told.
    pub(crate) fn messages(&self) -> &[String] {
        &self.messages
    }

    /// Serves them in the set at `number`; the vdisks that they come from are in its list.
    pub(crate) fn serve<D: Disk>(self, sets: &mut [VolumeSet<D>], number: usize, now: Nanos) {
        let (set, mut others) = OtherSets::split(sets, number);
        set.clone_works.unserved = self.unserved;
        for clone in self.found {
            set.serve_found_clone((clone, number), now, &mut others);
        }
    }
}

/// Frees the logs of clones on the disk at a position that no log records; how many.
fn free_unrecorded<D: Disk, R: Driver>(
    all: &[FoundClones],
    (at, disk): (usize, &mut LabelledDisk<D>),
    driver: &mut R,
) -> Result<usize, VolumeError> {
    let label = disk.label();
    let here = label.histories().iter();
    let here = here.filter(|entry| entry.log_disk() == label.disk_uuid());
    let (of_clones, others): (Vec<_>, Vec<_>) = here.partition(|entry| entry.is_of_clone());
    let open = all.iter().filter_map(|found| found.open_logs.get(&at));
    let misses_some = all.iter().any(|found| found.misses_some.contains(&at));
    if misses_some || others.len() > open.sum() {
        return Ok(0);
    }
    let is_found = |uuid: Uuid| all.iter().any(|found| found.has_found(uuid));
    let uuids = of_clones.into_iter().map(HistoryEntry::vdisk);
    let unrecorded: Vec<Uuid> = uuids.filter(|uuid| !is_found(*uuid)).collect();
    for uuid in &unrecorded {
        disk.free_log(driver, *uuid)?;
    }
    Ok(unrecorded.len())
}

/// The log of a clone, and where it lies.
type OpenedClone = (OpenedLog, Option<HistoryEntry>);

/// Opens the log of a clone on its disk, or has one in memory if nothing was written to the clone.
/// `stream` pays.
fn open_clone<D: Disk, R: Driver>(
    disk: &mut LabelledDisk<D>,
    driver: &mut R,
    (entry, sizes, origin): (&CloneEntry, (u64, u64), Origin),
    stream: StreamId,
) -> Result<Result<OpenedClone, String>, VolumeError> {
    let uuid = Uuid::from_bytes(entry.vdisk);
    let settings = log_settings(disk.disk_loop_mut());
    let Some(area) = disk.label().history_of(uuid).cloned() else {
        let of_clone = (&*entry.name, uuid, origin);
        let made = deferred_log(disk.label(), of_clone, sizes, settings);
        return Ok(made.map(|(log, report)| (OpenedLog::of(log, report), None)));
    };
    let layout = area_layout(&area, stream);
    let of_clone = (&area, &layout, Some(origin));
    let opened = open_log(disk.disk_loop_mut(), driver, of_clone, stream, settings)?;
    Ok(opened.map(|opened| (opened, Some(area))))
}

impl<D: Disk> VolumeSet<D> {
    /// `number`: that of this set.
    fn serve_found_clone(
        &mut self,
        (found, number): (FoundClone, usize),
        now: Nanos,
        others: &mut OtherSets<'_, D>,
    ) {
        let (at, seq): (usize, Seq) = (found.parent, found.entry.moment);
        let Some((moment, view)) = self.histories.use_moment(at, found.view, seq) else {
            return;
        };
        let elsewhere = (found.log_set != number).then_some(LogElsewhere {
            set: found.log_set,
            stream: found.streams.log,
        });
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
                stream: found.streams.image,
                elsewhere,
            },
            others,
        );
    }
}
