//! Dropping a clone: that is recorded, what was asked of it is answered, its slots and its stream
//! are free, the label is written without its log. One that a log records and that is not served is
//! dropped by its name, and so is what was begun of one that could not be made.
//!
//! Invariant: it is served until it is recorded that it is dropped, and no longer. If the label is
//! not written then, the next start frees its log.

use super::super::VolumeSet;
use super::{DropDone, Heard, Progress, Work, has_heard, listener, take};
use crate::histories::{HistoryError, LoggedVdisk};
use crate::ids::VdiskSlot;
use crate::label::{HistoryEntry, Label, Update, Uuid};
use crate::space;
use disktime_disks::Disk;
use disktime_engine::VdiskId;
use disktime_history::Seq;

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
    pub(super) stage: DropStage,
}

pub(super) enum DropStage {
    New,
    /// The parent's log records that this one is dropped.
    Recording(Uuid, Heard<Seq>),
    /// Its requests are answered.
    Ending(Uuid, usize),
    /// Its slots are freed, the last one of the list first: these are left.
    Leaving(Uuid, Vec<VdiskSlot>),
    /// The label is written.
    Freeing(Label),
}

impl<D: Disk> VolumeSet<D> {
    pub(super) fn advance_dropping(&mut self, mut dropping: Dropping) -> Progress {
        if !self.drop_can_go_on(&dropping.stage) {
            return Progress::Waits(Work::Drop(Box::new(dropping)));
        }
        let stage = std::mem::replace(&mut dropping.stage, DropStage::New);
        let next = match stage {
            DropStage::New => match &dropping.what {
                Dropped::Served(vdisk) => self.record_drop(*vdisk),
                Dropped::Recorded(name) => self.record_drop_of_recorded(name),
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
                        Ok(DropStage::Leaving(uuid, Vec::new()))
                    }
                },
            },
            DropStage::Ending(uuid, at) => Ok(self.leave_clone(uuid, at)),
            DropStage::Leaving(uuid, slots) if !slots.is_empty() => {
                Ok(self.leave_slot(uuid, slots))
            }
            DropStage::Leaving(uuid, _) if self.label.history_of(uuid).is_none() => {
                return Progress::Ended;
            }
            DropStage::Leaving(uuid, _) => self.free_clone(uuid),
            DropStage::Freeing(next) => match self.take_script() {
                None => Ok(DropStage::Freeing(next)),
                Some(result) => {
                    match result {
                        Ok(()) => self.label = next,
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

    pub(super) fn drop_can_go_on(&self, stage: &DropStage) -> bool {
        match stage {
            DropStage::New => true,
            DropStage::Recording(_, heard) => has_heard(heard),
            DropStage::Ending(_, at) => self.histories.get(*at).is_none_or(LoggedVdisk::is_idle),
            DropStage::Leaving(_, slots) => match slots.last() {
                Some(slot) => !self.data_path.is_in_use(*slot),
                // Its own log may be being made: then it is freed behind that, and its place in the
                // list is no other clone's before.
                None => self.clone_works.script.is_none(),
            },
            DropStage::Freeing(_) => {
                let script = self.clone_works.script.as_ref();
                script.is_none_or(|script| script.result.is_some())
            }
        }
    }

    fn record_drop(&mut self, vdisk: VdiskId) -> Result<DropStage, HistoryError> {
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

    fn record_drop_of_recorded(&mut self, name: &str) -> Result<DropStage, HistoryError> {
        let recorded = self.histories.recorded_clone(name);
        let (parent, uuid) = recorded.ok_or_else(|| format!("there is no clone `{name}`"))?;
        let uuid = Uuid::from_bytes(uuid);
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
        let mut logs = self.label.histories().iter();
        let is_unknown = |entry: &&HistoryEntry| {
            entry.is_of_clone() && !self.histories.records(entry.vdisk().to_bytes())
        };
        if self.label.history_of(uuid).is_some() && logs.any(|entry| is_unknown(&entry)) {
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

    fn leave_clone(&mut self, uuid: Uuid, at: usize) -> DropStage {
        let Some(mut clone) = self.histories.take_out(at) else {
            return DropStage::Leaving(uuid, Vec::new());
        };
        clone.refuse_controls("the clone was dropped");
        if let Some(moment) = clone.moment() {
            self.histories.close_moment(moment);
        }
        let (of_log, own) = clone.slots();
        let slots: Vec<VdiskSlot> = [own].into_iter().chain(of_log).collect();
        if let Some(last) = slots.last() {
            self.data_path.remove(*last);
        }
        DropStage::Leaving(uuid, slots)
    }

    /// The last slot of the list is free, and the one before it leaves.
    fn leave_slot(&mut self, uuid: Uuid, mut slots: Vec<VdiskSlot>) -> DropStage {
        slots.pop();
        if let Some(next) = slots.last() {
            self.data_path.remove(*next);
        }
        DropStage::Leaving(uuid, slots)
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
