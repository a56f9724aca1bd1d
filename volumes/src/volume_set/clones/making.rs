//! Making clones of one moment: it is opened, they are recorded, they are served. None of them has
//! a log of its own before something is written to it ([areas](super::areas)).
//!
//! Invariants: until they are recorded nothing has changed, and what can be refused is refused
//! before; all of them are made or none: if one cannot be recorded, the others are dropped again
//! before the caller hears why. If that fails, too, or a crash comes in between, those that are
//! recorded are there at the next start.

use super::super::VolumeSet;
use super::super::logs::log_settings;
use super::super::others::OtherSets;
use super::{
    CloneConfig, ClonesDone, Heard, LogElsewhere, Progress, ServedClone, Work, has_heard, listener,
    take,
};
use crate::histories::{HistoryError, LoggedVdisk, Parent};
use crate::label::{Label, UNIT_BYTES, Uuid};
use crate::space;
use disktime_disks::Disk;
use disktime_engine::VdiskId;
use disktime_history::{
    CloneEntry, Expectation, Geometry, Log, Moment, Need, Origin, Recovery, Report,
    SUPERBLOCK_UNITS, Seq, Settings, new_clone_log,
};
use disktime_units::Nanos;

/// Clones that are being made.
pub(super) struct Making {
    pub(super) parent: VdiskId,
    pub(super) moment: Moment,
    pub(super) configs: Vec<CloneConfig>,
    pub(super) done: ClonesDone,
    pub(super) stage: MakingStage,
}

pub(super) enum MakingStage {
    New,
    /// The moment is opened.
    Opening(Heard<(VdiskId, Seq)>),
    /// The parent's log records the clones.
    Recording(Found, Vec<Recorded>),
    /// Those that were recorded are dropped again, for this reason.
    Undoing(Vec<Heard<Seq>>, HistoryError),
}

/// What clones begin with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    /// The moment's handle, which counts one user more.
    pub(super) moment: VdiskId,
    pub(super) seq: Seq,
}

/// A clone that can be served when the parent's log has recorded it.
struct NewClone {
    uuid: Uuid,
    log: Log,
}

/// A clone of which the parent's log has been asked to make a record.
pub(super) struct Recorded {
    clone: NewClone,
    heard: Heard<Seq>,
}

impl MakingStage {
    /// Whether it can go on.
    pub(super) fn can_go_on(&self) -> bool {
        match self {
            MakingStage::New => true,
            MakingStage::Opening(heard) => has_heard(heard),
            MakingStage::Recording(_, all) => all.iter().all(|one| has_heard(&one.heard)),
            MakingStage::Undoing(all, _) => all.iter().all(has_heard),
        }
    }
}

impl<D: Disk> VolumeSet<D> {
    pub(super) fn advance_making(
        &mut self,
        now: Nanos,
        mut making: Making,
        others: &mut OtherSets<'_, D>,
    ) -> Progress {
        if !making.stage.can_go_on() {
            return Progress::Waits(Work::Make(Box::new(making)));
        }
        let next = match std::mem::replace(&mut making.stage, MakingStage::New) {
            MakingStage::New => self.open_clone_moment(&making),
            MakingStage::Opening(heard) => {
                let found = take(&heard).unwrap_or_else(|| Err("it was not opened".to_owned()));
                found.and_then(|(moment, seq)| {
                    let found = Found { moment, seq };
                    let recorded = self.record_clones(now, &making, found, others);
                    if recorded.is_err() {
                        self.histories.close_moment(moment);
                    }
                    recorded
                })
            }
            MakingStage::Recording(found, all) => match self.are_recorded(&making, found, all) {
                Ok(clones) => {
                    return self.serve_clones(now, making, (found, clones), others);
                }
                Err(undoing) => Ok(undoing),
            },
            MakingStage::Undoing(dropped, why) => {
                let failed = dropped.iter().find_map(|one| take(one)?.err());
                Err(match failed {
                    None => why,
                    Some(error) => format!(
                        "{why}; what was recorded could not be undone ({error}), so it is there at \
                         the next start"
                    ),
                })
            }
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
        self.check_clones(making.parent, &making.configs)?;
        let slot = self.logged_slot(making.parent)?;
        let (heard, done) = listener();
        self.histories.open_moment(slot, &making.moment, done);
        Ok(MakingStage::Opening(heard))
    }

    fn record_clones(
        &mut self,
        now: Nanos,
        making: &Making,
        found: Found,
        others: &OtherSets<'_, D>,
    ) -> Result<MakingStage, HistoryError> {
        let parent = self.catalog.uuid(making.parent).ok_or("it is not served")?;
        let logged = self.logged(making.parent)?;
        let size_bytes = logged.size_bytes_at(found.seq);
        let origin = Origin {
            vdisk: parent.to_bytes(),
            log: logged.log_uuid(),
            moment: found.seq,
        };
        let log_set = logged.log_set();
        let of_log = self.log_set(others, log_set);
        let settings = log_settings(of_log.disk_loop());
        let since_1970_ns = self.data_path.since_1970_ns(now);
        let mut most = 0;
        let mut all = Vec::with_capacity(making.configs.len());
        for config in &making.configs {
            let words: [&[u8]; 4] = [
                b"clone",
                &parent.to_bytes(),
                &since_1970_ns.to_le_bytes(),
                config.name.as_bytes(),
            ];
            let uuid = Uuid::derive(found.seq, &words);
            if config.max_bytes > most {
                // It is not set aside, but there has to be as much now.
                most = config.max_bytes;
                space::with_clone(&of_log.label, (&config.name, uuid), (size_bytes, most))
                    .map_err(|error| error.to_string())?;
            }
            let of_clone = (&*config.name, uuid, origin);
            let sizes = (size_bytes, config.max_bytes);
            let (log, _) = deferred_log(&of_log.label, of_clone, sizes, settings)?;
            all.push((NewClone { uuid, log }, config));
        }
        let logged = self.logged(making.parent)?;
        let ask = |(clone, config): (NewClone, &CloneConfig)| {
            let entry = CloneEntry {
                vdisk: clone.uuid.to_bytes(),
                moment: found.seq,
                name: config.name.clone(),
                settings: config.settings.clone(),
            };
            let (heard, done) = listener();
            logged.record_clone(entry, done);
            Recorded { clone, heard }
        };
        let asked = all.into_iter().map(ask).collect();
        Ok(MakingStage::Recording(found, asked))
    }

    /// The clones that are recorded, if all of them are; else they are dropped again.
    fn are_recorded(
        &mut self,
        making: &Making,
        found: Found,
        all: Vec<Recorded>,
    ) -> Result<Vec<NewClone>, MakingStage> {
        let mut clones = Vec::with_capacity(all.len());
        let mut failed = None;
        for one in all {
            match take(&one.heard) {
                Some(Err(why)) => failed = failed.or(Some(why)),
                _ => clones.push(one.clone),
            }
        }
        let Some(why) = failed else {
            return Ok(clones);
        };
        self.histories.close_moment(found.moment);
        let mut dropped = Vec::new();
        if let Ok(logged) = self.logged(making.parent) {
            for clone in clones {
                let (heard, done) = listener();
                logged.drop_clone(clone.uuid.to_bytes(), done);
                dropped.push(heard);
            }
        }
        Err(MakingStage::Undoing(dropped, why))
    }

    /// They are recorded: they are served from now on.
    fn serve_clones(
        &mut self,
        now: Nanos,
        making: Making,
        (found, clones): (Found, Vec<NewClone>),
        others: &mut OtherSets<'_, D>,
    ) -> Progress {
        let parent = self.parent_of_clones(making.parent, found);
        let served = parent.map(|parent| {
            let configs = making.configs.into_iter();
            let all = clones.into_iter().zip(configs);
            let serve = |one| self.serve_new_clone(now, (parent, found), one, others);
            (all.map(serve).collect(), found.seq)
        });
        // Each has counted itself.
        self.histories.close_moment(found.moment);
        (making.done)(
            served.map_err(|why| {
                format!("it is recorded, and is served from the next start on: {why}")
            }),
        );
        Progress::Ended
    }

    fn parent_of_clones(&self, parent: VdiskId, found: Found) -> Result<Parent, HistoryError> {
        let slot = self.logged_slot(parent)?;
        let at = self.histories.at(slot).ok_or("it is not served")?;
        let view = self.histories.view_of(found.moment);
        let view = view.ok_or("the moment is not open")?;
        Ok(Parent { at, view })
    }

    fn serve_new_clone(
        &mut self,
        now: Nanos,
        (parent, found): (Parent, Found),
        (clone, config): (NewClone, CloneConfig),
        others: &mut OtherSets<'_, D>,
    ) -> VdiskId {
        self.histories.share_moment(found.moment);
        let disk_loop = self.data_path.disk_loop_mut();
        let stream = disk_loop.add_stream(now, config.stream);
        let log_set = self.histories.get(parent.at).and_then(LoggedVdisk::log_set);
        let elsewhere = log_set.map(|set| {
            let disk_loop = others.get_mut(set).disk_loop_mut();
            let stream = disk_loop.add_stream(now, config.stream);
            LogElsewhere { set, stream }
        });
        self.serve_clone(
            now,
            ServedClone {
                uuid: clone.uuid,
                name: config.name,
                log: clone.log,
                parent,
                moment: found.moment,
                area: None,
                max_bytes: config.max_bytes,
                stream,
                elsewhere,
            },
            others,
        )
    }
}

/// The log of a clone to which nothing was written: it is in memory only.
pub(in crate::volume_set) fn deferred_log(
    label: &Label,
    (name, clone, origin): (&str, Uuid, Origin),
    sizes: (u64, u64),
    settings: Settings,
) -> Result<(Log, Report), HistoryError> {
    let geometry = space::geometry_of_clone(label, (name, clone), sizes);
    let geometry = geometry.map_err(|error| error.to_string())?;
    let (log, report) = open_new(geometry, origin, settings)?;
    let mut log = log.deferred();
    // Its map is there at once, as it is empty.
    let step = log.take_step(0);
    debug_assert!(step.is_none() && log.is_unwritten());
    Ok((log, report))
}

/// The log of a clone as it is found when its superblocks are all that was written.
fn open_new(
    geometry: Geometry,
    origin: Origin,
    settings: Settings,
) -> Result<(Log, Report), HistoryError> {
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
    recovery.finish(settings).map_err(|error| error.to_string())
}
