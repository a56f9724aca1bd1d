//! Making a clone: its moment is opened, it is recorded, its log and the label are written, its log
//! is opened, it is served.
//!
//! Invariants: until it is recorded nothing has changed; what fails from then on is undone, before
//! the caller hears of it, by [dropping](super::dropping) what was begun. If that fails, too, or
//! a crash comes in between, the clone is made at the next start.

use super::super::VolumeSet;
use super::super::logs::{area_layout, log_settings};
use super::dropping::Dropped;
use super::{CloneConfig, Heard, Progress, Work, listener, take};
use crate::histories::{FoldLimits, Ground, HistoryError, LoggedVdisk, MomentDone, Parent, Parts};
use crate::label::{HistoryEntry, Label, UNIT_BYTES, Uuid};
use crate::layout::Layout;
use crate::space::{self, NewClone};
use crate::vdisk::OpenVdisk;
use disktime_disks::Disk;
use disktime_engine::{LastChange, NoSpaceCount, StreamId, VdiskId};
use disktime_history::{
    CloneEntry, Expectation, Geometry, Log, Moment, Need, Origin, Recovery, SUPERBLOCK_UNITS, Seq,
    Settings, new_clone_log,
};
use disktime_units::{Nanos, TrimHandling};

/// A clone that is being made.
pub(super) struct Making {
    pub(super) parent: VdiskId,
    pub(super) moment: Moment,
    pub(super) config: CloneConfig,
    pub(super) done: MomentDone,
    pub(super) stage: MakingStage,
}

pub(super) enum MakingStage {
    New,
    /// The moment is opened.
    Opening(Heard<(VdiskId, Seq)>),
    /// The parent's log records the clone.
    Recording(Found, Heard<Seq>),
    /// Log and label are written.
    Writing(Found, Box<NewClone>, Label),
    /// The log is opened.
    Beginning(Found, usize),
}

/// What a clone begins with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) uuid: Uuid,
    /// The moment's handle, which counts one user more.
    pub(super) moment: VdiskId,
    pub(super) seq: Seq,
}

impl<D: Disk> VolumeSet<D> {
    pub(super) fn advance_making(&mut self, now: Nanos, mut making: Making) -> Progress {
        let stage = std::mem::replace(&mut making.stage, MakingStage::New);
        let next = match stage {
            MakingStage::New => self.open_clone_moment(&making),
            MakingStage::Opening(heard) => match take(&heard) {
                None => {
                    making.stage = MakingStage::Opening(heard);
                    return Progress::Waits(Work::Make(Box::new(making)));
                }
                Some(found) => found.and_then(|found| self.record_clone(now, &making, found)),
            },
            MakingStage::Recording(found, heard) => match take(&heard) {
                None => {
                    making.stage = MakingStage::Recording(found, heard);
                    return Progress::Waits(Work::Make(Box::new(making)));
                }
                Some(Err(why)) => {
                    self.histories.close_moment(found.moment);
                    Err(why)
                }
                Some(Ok(_)) => {
                    let written = self.write_clone(&making, found);
                    return self.or_undo(making, found, written);
                }
            },
            MakingStage::Writing(found, new, next) => match self.take_script() {
                None => {
                    making.stage = MakingStage::Writing(found, new, next);
                    return Progress::Waits(Work::Make(Box::new(making)));
                }
                Some(Err(error)) => {
                    let why = format!("the disk failed ({error}) while its space was made");
                    return self.or_undo(making, found, Err(why));
                }
                Some(Ok(())) => {
                    self.label = next;
                    let begun = self.begin_clone(now, &making, found, &new);
                    return self.or_undo(making, found, begun);
                }
            },
            MakingStage::Beginning(found, at) => match self.histories.get(at) {
                Some(clone) if clone.is_open() => {
                    self.histories.bind(at);
                    let vdisk = self.catalog.by_uuid(found.uuid);
                    let vdisk = vdisk.ok_or_else(|| "it is not served".to_owned());
                    (making.done)(vdisk.map(|vdisk| (vdisk, found.seq)));
                    return Progress::Ended;
                }
                Some(clone) if !clone.is_broken() => {
                    making.stage = MakingStage::Beginning(found, at);
                    return Progress::Waits(Work::Make(Box::new(making)));
                }
                _ => return self.undo_served(making, found, at),
            },
        };
        match next {
            Ok(stage) => {
                making.stage = stage;
                Progress::Went(Work::Make(Box::new(making)))
            }
            Err(why) => {
                (making.done)(Err(why));
                Progress::Ended
            }
        }
    }

    fn open_clone_moment(&mut self, making: &Making) -> Result<MakingStage, HistoryError> {
        // What was done before it may have changed that.
        self.check_clone(making.parent, &making.config)?;
        let slot = self.logged_slot(making.parent)?;
        let (heard, done) = listener();
        self.histories.open_moment(slot, &making.moment, done);
        Ok(MakingStage::Opening(heard))
    }

    fn record_clone(
        &mut self,
        now: Nanos,
        making: &Making,
        (moment, seq): (VdiskId, Seq),
    ) -> Result<MakingStage, HistoryError> {
        let recorded = self.ask_to_record(now, making, (moment, seq));
        if recorded.is_err() {
            self.histories.close_moment(moment);
        }
        recorded
    }

    fn ask_to_record(
        &mut self,
        now: Nanos,
        making: &Making,
        (moment, seq): (VdiskId, Seq),
    ) -> Result<MakingStage, HistoryError> {
        let config = &making.config;
        let parent = self.catalog.uuid(making.parent).ok_or("it is not served")?;
        let size_bytes = self.logged(making.parent)?.size_bytes_at(seq);
        let since_1970_ns = self.data_path.since_1970_ns(now);
        let words: [&[u8]; 4] = [
            b"clone",
            &parent.to_bytes(),
            &since_1970_ns.to_le_bytes(),
            config.name.as_bytes(),
        ];
        let uuid = Uuid::derive(seq, &words);
        let sizes = (size_bytes, config.max_bytes);
        space::with_clone(&self.label, (&config.name, uuid), sizes)
            .map_err(|error| error.to_string())?;
        let entry = CloneEntry {
            vdisk: uuid.to_bytes(),
            moment: seq,
            name: config.name.clone(),
            settings: config.settings.clone(),
        };
        let (heard, done) = listener();
        self.logged(making.parent)?.record_clone(entry, done);
        let found = Found { uuid, moment, seq };
        Ok(MakingStage::Recording(found, heard))
    }

    fn write_clone(&mut self, making: &Making, found: Found) -> Result<MakingStage, HistoryError> {
        let config = &making.config;
        let logged = self.logged(making.parent)?;
        let sizes = (logged.size_bytes_at(found.seq), config.max_bytes);
        let log = logged.log_uuid();
        let new = space::with_clone(&self.label, (&config.name, found.uuid), sizes)
            .map_err(|error| error.to_string())?;
        let origin = self.origin_of_clone(making.parent, log, found.seq)?;
        let update = new.update(&self.label, origin, 0);
        let (update, next) = update.map_err(|error| error.to_string())?;
        self.begin_script(update);
        Ok(MakingStage::Writing(found, Box::new(new), next))
    }

    fn origin_of_clone(
        &self,
        parent: VdiskId,
        log: [u8; 16],
        moment: Seq,
    ) -> Result<Origin, HistoryError> {
        let vdisk = self.catalog.uuid(parent).ok_or("it is not served")?;
        Ok(Origin {
            vdisk: vdisk.to_bytes(),
            log,
            moment,
        })
    }

    /// The log and the label are written: the clone is served when its log is open.
    fn begin_clone(
        &mut self,
        now: Nanos,
        making: &Making,
        found: Found,
        new: &NewClone,
    ) -> Result<MakingStage, HistoryError> {
        let log = self.logged(making.parent)?.log_uuid();
        let origin = self.origin_of_clone(making.parent, log, found.seq)?;
        let settings = log_settings(self.data_path.disk_loop());
        let log = open_new(new.geometry, origin, settings)?;
        let at = self.logged_slot(making.parent)?;
        let at = self.histories.at(at).ok_or("it is not served")?;
        let view = self.histories.view_of(found.moment);
        let view = view.ok_or("the moment is not open")?;
        let stream = self
            .data_path
            .disk_loop_mut()
            .add_stream(now, making.config.stream);
        let clone = ServedClone {
            uuid: found.uuid,
            name: making.config.name.clone(),
            log,
            parent: Parent { at, view },
            moment: found.moment,
            entry: new.entry.clone(),
            size_bytes: new.geometry.vdisk_blocks * UNIT_BYTES as u64,
            stream,
        };
        let at = self.serve_clone(now, clone);
        Ok(MakingStage::Beginning(found, at))
    }

    /// Goes on; or undoes what was begun of a clone that is recorded and not served.
    fn or_undo(
        &mut self,
        making: Making,
        found: Found,
        next: Result<MakingStage, HistoryError>,
    ) -> Progress {
        let why = match next {
            Ok(stage) => return Progress::Went(Work::Make(Box::new(Making { stage, ..making }))),
            Err(why) => why,
        };
        self.histories.close_moment(found.moment);
        let what = Dropped::Recorded(making.config.name.clone());
        Progress::Went(undoing(what, making, why))
    }

    /// Its log broke before it was open.
    fn undo_served(&mut self, making: Making, found: Found, at: usize) -> Progress {
        self.histories.bind(at);
        let why = "the disk failed before it was served".to_owned();
        match self.catalog.by_uuid(found.uuid) {
            Some(vdisk) => Progress::Went(undoing(Dropped::Served(vdisk), making, why)),
            None => {
                (making.done)(Err(why));
                Progress::Ended
            }
        }
    }
}

/// Drops what was begun of a clone; then the caller hears why.
fn undoing(what: Dropped, making: Making, why: HistoryError) -> Work {
    let Making { config, done, .. } = making;
    Work::dropping(
        what,
        Box::new(move |undone| {
            let name = config.name;
            done(Err(match undone {
                Ok(()) => format!("the clone `{name}` is not made: {why}"),
                Err(error) => format!(
                    "the clone `{name}` is recorded and could not be made: {why}; that could not be \
                     undone ({error}), so it is made at the next start"
                ),
            }));
        }),
    )
}

/// A clone that is about to be served.
pub(in crate::volume_set) struct ServedClone {
    pub uuid: Uuid,
    pub name: String,
    pub log: Log,
    pub parent: Parent,
    /// The handle of the moment that it begins with, of which it is a user.
    pub moment: VdiskId,
    pub entry: HistoryEntry,
    pub size_bytes: u64,
    pub stream: StreamId,
}

impl<D: Disk> VolumeSet<D> {
    /// Enters a clone into catalog, data path and histories; its requests are taken when its log is
    /// bound. Where in the list of histories it is.
    pub(in crate::volume_set) fn serve_clone(&mut self, now: Nanos, clone: ServedClone) -> usize {
        let since_1970_ns = self.data_path.since_1970_ns(now);
        let ServedClone { name, stream, .. } = clone;
        let last_change = LastChange::at(since_1970_ns);
        let log_slot = self.catalog.reserve_slot();
        let title = format!("{name} (history)");
        let layout = area_layout(&clone.entry, stream);
        let area = OpenVdisk::new(title, stream, layout, false, LastChange::default());
        self.data_path.add(log_slot, area);
        // Nothing lies in it, so what is asked of it alone fails.
        let layout = Layout::new(Vec::new(), clone.size_bytes);
        let image = OpenVdisk::new(name.clone(), stream, layout, true, last_change.clone());
        let no_space: NoSpaceCount = image.no_space().clone();
        let slot = self.catalog.insert(clone.uuid, &name);
        self.data_path.add(slot, image);
        let ground = |slot| Ground {
            slot,
            other_stream: stream,
        };
        let area_bytes = clone.entry.area_bytes();
        let parts = Parts {
            name,
            log: clone.log,
            image_step: None,
            image: ground(slot),
            area: ground(log_slot),
            log_set: None,
            size_bytes: clone.size_bytes,
            fold_limits: FoldLimits::of_disks(false, false, area_bytes),
            trims: TrimHandling::Pass,
            last_change,
            no_space,
            window_ns: u64::MAX,
            area_bytes,
            image_bytes: 0,
            parent: Some(clone.parent),
        };
        let mut logged = LoggedVdisk::new(parts, since_1970_ns);
        logged.begins_with(clone.moment);
        let at = self.histories.add(logged);
        let below = self.histories.stored_below(at, &self.data_path);
        if let Some(logged) = self.histories.get_mut(at) {
            logged.count_stored(below);
        }
        at
    }
}

/// The log of a clone whose superblocks were written just now: nothing else of it is read.
fn open_new(geometry: Geometry, origin: Origin, settings: Settings) -> Result<Log, HistoryError> {
    let block = new_clone_log(geometry, origin, settings.program_version).unwrap_or_default();
    let expectation = Expectation {
        vdisk: geometry.vdisk,
        disk: geometry.disk,
        area_units: geometry.area_units(),
    };
    let mut recovery = Recovery::of_clone(expectation, origin);
    loop {
        match recovery.need() {
            Need::Nothing => break,
            Need::Flush => recovery.flushed(Ok(())),
            Need::Read { unit, .. } if SUPERBLOCK_UNITS.contains(&unit) => {
                recovery.give(Ok(&block));
            }
            // What lay there before verifies under no log's uuid but its own.
            Need::Read { units, .. } => {
                recovery.give(Ok(&vec![0; units as usize * UNIT_BYTES]));
            }
        }
    }
    let opened = recovery.finish(settings);
    opened
        .map(|(log, _)| log)
        .map_err(|error| error.to_string())
}
