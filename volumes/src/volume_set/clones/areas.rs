//! The space of a clone's log, which it gets when something is written to it for the first time:
//! its superblocks are written, then the label; then the log goes on.
//!
//! Invariants: the label names the log only when its superblocks are durable; if there is no space
//! or the label cannot be written, what waits for it fails, and nothing else. A write that finds no
//! space before the label names the log leaves nothing behind, so what comes next tries again.

use super::super::VolumeSet;
use super::super::logs::area_layout;
use super::super::others::OtherSets;
use crate::histories::{HistoryError, LoggedVdisk};
use crate::label::{HistoryEntry, Label, Uuid};
use crate::space;
use disktime_disks::Disk;
use disktime_engine::IoError;

/// The area of a log that is being made: log and label are written.
pub(super) struct MakingArea {
    /// Where in the list of histories the clone is, or was before it was dropped.
    at: usize,
    /// The number of the set of the log's disk, if that is another than the clone's.
    pub(super) log_set: Option<usize>,
    clone: Uuid,
    next: Box<Label>,
}

impl<D: Disk> VolumeSet<D> {
    /// Makes the area that is wanted first, if the label can be written now; goes on with one that
    /// is being made. Whether anything was done.
    pub(super) fn advance_areas(&mut self, others: &mut OtherSets<'_, D>) -> bool {
        if let Some(making) = self.clone_works.area.take() {
            return self.advance_area(making, others);
        }
        let wanted = self.histories.area_wanted();
        let can_write = |number| {
            let works = &self.log_set(others, number).clone_works;
            works.script.is_none()
        };
        if !wanted.is_some_and(can_write) {
            return false;
        }
        let Some(at) = self.histories.take_area_wanted() else {
            return false;
        };
        self.begin_area(at, others);
        true
    }

    /// Begins what is written next.
    fn begin_area(&mut self, at: usize, others: &mut OtherSets<'_, D>) {
        match self.write_area(at, others) {
            Ok(making) => self.clone_works.area = making,
            Err((error, why)) => self.area_failed(at, error, &why),
        }
    }

    fn advance_area(&mut self, making: MakingArea, others: &mut OtherSets<'_, D>) -> bool {
        let of_log = self.log_set_mut(others, making.log_set);
        match of_log.take_script() {
            None => {
                self.clone_works.area = Some(making);
                return false;
            }
            Some(Err(error)) => {
                let why = format!("the disk failed ({error}) while its space was made");
                self.area_failed(making.at, error, &why);
            }
            Some(Ok(())) => {
                of_log.label = *making.next;
                match of_log.label.history_of(making.clone).cloned() {
                    Some(entry) => self.use_area((making.at, making.log_set), &entry, others),
                    None => self.begin_area(making.at, others),
                }
            }
        }
        true
    }

    fn area_failed(&mut self, at: usize, error: IoError, why: &HistoryError) {
        if let Some(clone) = self.histories.get_mut(at) {
            clone.area_failed(error, why);
        }
    }

    /// `None` if it is not needed any more.
    fn write_area(
        &mut self,
        at: usize,
        others: &mut OtherSets<'_, D>,
    ) -> Result<Option<MakingArea>, (IoError, HistoryError)> {
        let log_set = self.histories.get(at).and_then(LoggedVdisk::log_set);
        let known = self.log_set(others, log_set).require_known_label();
        let label = match log_set {
            None => &self.label,
            Some(number) => &others.get(number).label,
        };
        let Some(clone) = self.histories.get_mut(at) else {
            return Ok(None);
        };
        let Some((geometry, max_bytes)) = clone.wanted_area() else {
            return Ok(None);
        };
        known.map_err(|why| (IoError::Io, why))?;
        let uuid = Uuid::from_bytes(geometry.vdisk);
        let of = (clone.name(), uuid);
        let new = space::with_clone(label, of, (clone.size_bytes(), max_bytes));
        let no_space = |error: crate::VolumeError| (IoError::NoSpace, error.to_string());
        let new = new.map_err(no_space)?;
        let update = new.update(label, || clone.first_superblock());
        let (update, next) = update.map_err(no_space)?;
        self.log_set_mut(others, log_set).begin_script(update);
        Ok(Some(MakingArea {
            at,
            log_set,
            clone: uuid,
            next: Box::new(next),
        }))
    }

    fn use_area(
        &mut self,
        (at, log_set): (usize, Option<usize>),
        entry: &HistoryEntry,
        others: &mut OtherSets<'_, D>,
    ) {
        let Some(clone) = self.histories.get(at) else {
            return;
        };
        let (own, of_log) = (clone.image_slot(), clone.log_slot());
        let title = clone.name().to_owned();
        let slot = match (of_log, log_set) {
            // It has read there what it was cloned from.
            (Some(slot), Some(number)) => {
                let path = &mut others.get_mut(number).data_path;
                let stream = path.vdisk(slot).stream();
                path.lay_out(slot, area_layout(entry, stream));
                slot
            }
            _ => {
                let stream = self.data_path.vdisk(own).stream();
                self.add_log_slot(&title, area_layout(entry, stream), stream)
            }
        };
        if let Some(clone) = self.histories.get_mut(at) {
            clone.area_is_there(slot, entry.area_bytes());
        }
    }
}
