//! The space of a clone's log, which it gets when something is written to it for the first time:
//! its superblocks are written, then the label; then the log goes on.
//!
//! Invariants: the label names the log only when its superblocks are durable; if there is no space
//! or the label cannot be written, what waits for it fails, and nothing else. A write that finds no
//! space before the label names the log leaves nothing behind, so what comes next tries again.

use super::super::VolumeSet;
use crate::histories::HistoryError;
use crate::label::{Label, Uuid};
use crate::space;
use disktime_disks::Disk;
use disktime_engine::IoError;

/// The area of a log that is being made: log and label are written.
pub(super) struct MakingArea {
    /// Where in the list of histories the clone is, or was before it was dropped.
    at: usize,
    clone: Uuid,
    next: Box<Label>,
}

impl<D: Disk> VolumeSet<D> {
    /// Makes the area that is wanted first, if the label can be written now; goes on with one that
    /// is being made. Whether anything was done.
    pub(super) fn advance_areas(&mut self) -> bool {
        if let Some(making) = self.clone_works.area.take() {
            return self.advance_area(making);
        }
        if self.clone_works.script.is_some() {
            return false;
        }
        let Some(at) = self.histories.take_area_wanted() else {
            return false;
        };
        self.begin_area(at);
        true
    }

    /// Begins what is written next.
    fn begin_area(&mut self, at: usize) {
        match self.write_area(at) {
            Ok(making) => self.clone_works.area = making,
            Err((error, why)) => self.area_failed(at, error, &why),
        }
    }

    fn advance_area(&mut self, making: MakingArea) -> bool {
        match self.take_script() {
            None => {
                self.clone_works.area = Some(making);
                return false;
            }
            Some(Err(error)) => {
                let why = format!("the disk failed ({error}) while its space was made");
                self.area_failed(making.at, error, &why);
            }
            Some(Ok(())) => {
                self.label = *making.next;
                match self.label.history_of(making.clone).is_some() {
                    true => self.use_area(making.at, making.clone),
                    false => self.begin_area(making.at),
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
    fn write_area(&mut self, at: usize) -> Result<Option<MakingArea>, (IoError, HistoryError)> {
        let label = self.require_known_label();
        let Some(clone) = self.histories.get_mut(at) else {
            return Ok(None);
        };
        let Some((geometry, max_bytes)) = clone.wanted_area() else {
            return Ok(None);
        };
        label.map_err(|why| (IoError::Io, why))?;
        let uuid = Uuid::from_bytes(geometry.vdisk);
        let of = (clone.name(), uuid);
        let new = space::with_clone(&self.label, of, (clone.size_bytes(), max_bytes));
        let no_space = |error: crate::VolumeError| (IoError::NoSpace, error.to_string());
        let new = new.map_err(no_space)?;
        let update = new.update(&self.label, || clone.first_superblock());
        let (update, next) = update.map_err(no_space)?;
        self.begin_script(update);
        Ok(Some(MakingArea {
            at,
            clone: uuid,
            next: Box::new(next),
        }))
    }

    fn use_area(&mut self, at: usize, clone: Uuid) {
        let Some(entry) = self.label.history_of(clone).cloned() else {
            return;
        };
        let clone = self.histories.get(at);
        let Some((name, slot)) = clone.map(|clone| (clone.name().to_owned(), clone.image_slot()))
        else {
            return;
        };
        let stream = self.data_path.vdisk(slot).stream();
        let slot = self.add_area(&name, &entry, stream);
        if let Some(clone) = self.histories.get_mut(at) {
            clone.area_is_there(slot, entry.area_bytes());
        }
    }
}
