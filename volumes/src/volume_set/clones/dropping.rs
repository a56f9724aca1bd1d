//! Dropping a clone: that is recorded, what was asked of it is answered, its slots and its stream
//! are free, the label is written without its log. One that a log records and that is not served is
//! dropped by its name, and so is what was begun of one that could not be made.
//!
//! Invariant: it is served until it is recorded that it is dropped, and no longer. If the label is
//! not written then, the next start frees its log.

use super::super::VolumeSet;
use super::super::others::OtherSets;
use super::{DropDone, Heard, Progress, Work, has_heard, listener, take};
use crate::histories::{HistoryError, LoggedVdisk};
use crate::ids::VdiskSlot;
use crate::label::{HistoryEntry, Label, Update, Uuid};
use crate::space;
use disktime_disks::Disk;
use disktime_engine::{StreamId, VdiskId};
use disktime_history::Seq;
use disktime_units::Nanos;

/// Which clone is dropped.
#[derive(Debug, Clone)]
pub(super) enum Dropped {
    /// One that is served.
    Served(VdiskId),
    /// One of that name that a log records.
    Recorded(String),
}

/// A clone that is being dropped.
pub(super) struct Dropping {
    pub(super) what: Dropped,
    pub(super) done: Option<DropDone>,
    /// The number of the set of its log's disk, if that is another; known when it is recorded.
    pub(super) log_set: Option<usize>,
    pub(super) stage: DropStage,
}

pub(super) enum DropStage {
    New,
    /// The parent's log records that this one is dropped.
    Recording(Uuid, Heard<Seq>),
    /// Its requests are answered.
    Ending(Uuid, usize),
    /// Its slots are freed.
    Leaving(Uuid, LeftSlots),
    /// The label is written.
    Freeing(Label),
}

/// What a dropped clone leaves in data paths, the first of it first.
#[derive(Debug, Default)]
pub(super) struct LeftSlots {
    /// On the disk of its log, with its stream there if that is another disk than its own.
    of_log: Option<(VdiskSlot, Option<StreamId>)>,
    own: Option<VdiskSlot>,
}

impl<D: Disk> VolumeSet<D> {
    pub(super) fn advance_dropping(
        &mut self,
        now: Nanos,
        mut dropping: Dropping,
        others: &mut OtherSets<'_, D>,
    ) -> Progress {
        let of_log = self.log_set(others, dropping.log_set);
        if !self.drop_can_go_on(&dropping.stage, of_log) {
            return Progress::Waits(Work::Drop(Box::new(dropping)));
        }
        let log_set = &mut dropping.log_set;
        let stage = std::mem::replace(&mut dropping.stage, DropStage::New);
        let next = match stage {
            DropStage::New => match &dropping.what {
                Dropped::Served(vdisk) => self.record_drop(*vdisk, log_set),
                Dropped::Recorded(name) => self.record_drop_of_recorded(name, (log_set, others)),
            },
            DropStage::Recording(uuid, heard) => match take(&heard) {
                None => Ok(DropStage::Recording(uuid, heard)),
                Some(Err(why)) => Err(why),
                Some(Ok(_)) => match dropping.what {
                    Dropped::Served(vdisk) => self.end_clone(vdisk),
                    Dropped::Recorded(_) => {
                        if let Some(done) = dropping.done.take() {
                            done(Ok(()));
                        }
                        Ok(DropStage::Leaving(uuid, LeftSlots::default()))
                    }
                },
            },
            DropStage::Ending(uuid, at) => Ok(self.leave_clone(uuid, at, others)),
            DropStage::Leaving(uuid, slots) if slots.own.is_some() => {
                Ok(self.leave_slot(now, uuid, slots, (*log_set, others)))
            }
            DropStage::Leaving(uuid, _) => {
                let of_log = self.log_set_mut(others, *log_set);
                if of_log.label.history_of(uuid).is_none() {
                    return Progress::Ended;
                }
                of_log.free_clone(uuid)
            }
            DropStage::Freeing(next) => match self.log_set_mut(others, *log_set).take_script() {
                None => Ok(DropStage::Freeing(next)),
                Some(result) => {
                    match result {
                        Ok(()) => self.log_set_mut(others, *log_set).label = next,
                        Err(error) => tracing::warn!(
                            "the label of the disk was not written ({error}): the space of a clone \
                             that was dropped is free at the next start"
                        ),
                    }
                    return Progress::Ended;
                }
            },
        };
        match next {
            Err(why) => {
                if let Dropped::Served(vdisk) = dropping.what {
                    self.set_leaving(vdisk, false);
                }
                match dropping.done.take() {
                    Some(done) => done(Err(why)),
                    None => tracing::warn!("the space of a clone that was dropped: {why}"),
                }
                Progress::Ended
            }
            Ok(stage) => {
                if let (DropStage::Ending(..), Some(_)) = (&stage, &dropping.done)
                    && let Some(done) = dropping.done.take()
                {
                    done(Ok(()));
                }
                dropping.stage = stage;
                Progress::Went(Work::Drop(Box::new(dropping)))
            }
        }
    }

    /// `of_log`: the set of its log's disk.
    pub(super) fn drop_can_go_on(&self, stage: &DropStage, of_log: &VolumeSet<D>) -> bool {
        match stage {
            DropStage::New => true,
            DropStage::Recording(_, heard) => has_heard(heard),
            DropStage::Ending(_, at) => self.histories.get(*at).is_none_or(LoggedVdisk::is_idle),
            DropStage::Leaving(_, slots) => match (slots.of_log, slots.own) {
                (Some((slot, _)), _) => !of_log.data_path.is_in_use(slot),
                (None, Some(slot)) => !self.data_path.is_in_use(slot),
                // Its own log may be being made: then it is freed behind that, and its place in the
                // list is no other clone's before.
                (None, None) => of_log.clone_works.script.is_none(),
            },
            DropStage::Freeing(_) => {
                let script = of_log.clone_works.script.as_ref();
                script.is_none_or(|script| script.result.is_some())
            }
        }
    }

    fn record_drop(
        &mut self,
        vdisk: VdiskId,
        log_set: &mut Option<usize>,
    ) -> Result<DropStage, HistoryError> {
        let uuid = self.catalog.uuid(vdisk).ok_or("it is not served")?;
        let slot = self.logged_slot(vdisk)?;
        let logged = self.histories.of(slot).ok_or("it is not served")?;
        let name = logged.name().to_owned();
        let Some(parent) = logged.parent() else {
            return Err(format!(
                "`{name}` is no clone; `disktime remove` frees a vdisk of the file"
            ));
        };
        let of_it: Vec<String> = logged.clone_names();
        if !of_it.is_empty() {
            return Err(format!(
                "`{name}` cannot be dropped: the clone {} begins with a moment of it; drop that first",
                of_it.join(", ")
            ));
        }
        if !self.open_moments(vdisk).is_empty() {
            return Err(format!(
                "`{name}` cannot be dropped: moments of it are being read"
            ));
        }
        *log_set = logged.log_set();
        let stage = self.ask_to_drop(parent.at, uuid)?;
        // A moment that opened now would be there when the clone is not.
        self.set_leaving(vdisk, true);
        Ok(stage)
    }

    fn set_leaving(&mut self, vdisk: VdiskId, is_leaving: bool) {
        let slot = self.logged_slot(vdisk).ok();
        let logged = slot.and_then(|slot| self.histories.of_mut(slot));
        if let Some(logged) = logged {
            logged.set_leaving(is_leaving);
        }
    }

    fn ask_to_drop(&mut self, parent: usize, clone: Uuid) -> Result<DropStage, HistoryError> {
        let (heard, done) = listener();
        let parent = self.histories.get_mut(parent);
        let parent = parent.ok_or("what it was cloned from is not served")?;
        parent.drop_clone(clone.to_bytes(), done);
        Ok(DropStage::Recording(clone, heard))
    }

    fn record_drop_of_recorded(
        &mut self,
        name: &str,
        (log_set, others): (&mut Option<usize>, &OtherSets<'_, D>),
    ) -> Result<DropStage, HistoryError> {
        let recorded = self.histories.recorded_clone(name);
        let (parent, uuid) = recorded.ok_or_else(|| format!("there is no clone `{name}`"))?;
        let uuid = Uuid::from_bytes(uuid);
        *log_set = self.histories.get(parent).and_then(LoggedVdisk::log_set);
        if self.catalog.by_uuid(uuid).is_some() {
            return Err(format!("`{name}` is served"));
        }
        if let Some(of_it) = self.clone_works.unserved.get(&uuid) {
            if of_it.is_empty() {
                return self.ask_to_drop(parent, uuid);
            }
            return Err(format!(
                "`{name}` cannot be dropped: the clone {} begins with a moment of it; start the \
                 server again when `{name}` can be served, and drop that first",
                of_it.join(", ")
            ));
        }
        // Clones of it are recorded in its log, which cannot be read.
        let label = &self.log_set(others, *log_set).label;
        let mut logs = label.histories().iter();
        let is_recorded = |clone| self.histories.records(clone) || others.record(clone);
        let is_unknown =
            |entry: &&HistoryEntry| entry.is_of_clone() && !is_recorded(entry.vdisk().to_bytes());
        if label.history_of(uuid).is_some() && logs.any(|entry| is_unknown(&entry)) {
            return Err(format!(
                "`{name}` cannot be dropped: the disk has logs of clones that no open log records, \
                 and they may be clones of `{name}`; start the server again when `{name}` can be \
                 served"
            ));
        }
        self.ask_to_drop(parent, uuid)
    }

    /// The clone is dropped: its handle is stale, and what was asked of it is answered.
    fn end_clone(&mut self, vdisk: VdiskId) -> Result<DropStage, HistoryError> {
        let uuid = self.catalog.uuid(vdisk).ok_or("it is not served")?;
        let slot = self.catalog.close(vdisk).ok_or("it is not served")?;
        let at = self.histories.unbind(slot).ok_or("it is not served")?;
        if let Some(clone) = self.histories.get_mut(at) {
            clone.stop();
        }
        Ok(DropStage::Ending(uuid, at))
    }

    fn leave_clone(&mut self, uuid: Uuid, at: usize, others: &mut OtherSets<'_, D>) -> DropStage {
        let Some(mut clone) = self.histories.take_out(at) else {
            return DropStage::Leaving(uuid, LeftSlots::default());
        };
        clone.refuse_controls("the clone was dropped");
        if let Some(moment) = clone.moment() {
            self.histories.close_moment(moment);
        }
        let own = clone.image_slot();
        let path = &mut self.log_set_mut(others, clone.log_set()).data_path;
        let of_log = clone.log_slot().map(|slot| {
            path.remove(slot);
            let stream = path.vdisk(slot).stream();
            (slot, clone.log_set().map(|_| stream))
        });
        if of_log.is_none() {
            self.data_path.remove(own);
        }
        let own = Some(own);
        DropStage::Leaving(uuid, LeftSlots { of_log, own })
    }

    /// The first of its slots is free, and the next one leaves.
    fn leave_slot(
        &mut self,
        now: Nanos,
        uuid: Uuid,
        slots: LeftSlots,
        (log_set, others): (Option<usize>, &mut OtherSets<'_, D>),
    ) -> DropStage {
        let Some((_, stream)) = slots.of_log else {
            return DropStage::Leaving(uuid, LeftSlots::default());
        };
        if let Some(stream) = stream {
            let of_log = self.log_set_mut(others, log_set);
            of_log.disk_loop_mut().remove_stream(now, stream);
            of_log.history_streams.retain(|one| one.log != Some(stream));
        }
        if let Some(own) = slots.own {
            self.data_path.remove(own);
        }
        let of_log = None;
        DropStage::Leaving(uuid, LeftSlots { of_log, ..slots })
    }

    /// Its slots are free: the space of its log is given back.
    fn free_clone(&mut self, uuid: Uuid) -> Result<DropStage, HistoryError> {
        self.require_known_label()?;
        let next = space::without_log(&self.label, uuid).map_err(|error| error.to_string())?;
        let next = next.following(&self.label);
        let update = Update::change(&next, 0).map_err(|error| error.to_string())?;
        self.begin_script(update);
        Ok(DropStage::Freeing(next))
    }
}
