//! The space of a clone: a log, and no image.

use super::{PlannedDisk, Planner, VdiskSpec};
use crate::VolumeError;
use crate::label::{HistoryEntry, Label, UNIT_BYTES, Update, Uuid};
use crate::program_version::ProgramVersion;
use disktime_history::{Geometry, Origin, SUPERBLOCK_UNITS, new_clone_log};

/// The log of a clone that is to be made.
#[derive(Debug)]
pub(crate) struct NewClone {
    /// The table with it.
    pub label: Label,
    /// Where it lies.
    pub entry: HistoryEntry,
    /// What it is.
    pub geometry: Geometry,
}

/// Plans the log of a clone of `size_bytes` in `max_bytes` of space.
///
/// # Errors
/// No space, or sizes that a log cannot have. Nothing has changed then.
pub(crate) fn with_clone(
    label: &Label,
    (name, uuid): (&str, Uuid),
    (size_bytes, max_bytes): (u64, u64),
) -> Result<NewClone, VolumeError> {
    let nothing = PlannedDisk {
        label,
        is_new: false,
        specs: &[],
    };
    let mut planner = Planner::new(nothing)?;
    planner.plan.orphans.clear();
    let spec = VdiskSpec {
        name: name.to_owned(),
        size_bytes,
        maps_holes: false,
        history_bytes: Some(max_bytes),
        log_disk: None,
    };
    let entry = planner.make_log(&spec, uuid, HistoryEntry::NO_IMAGE)?;
    planner.plan.label.add_history(entry.clone());
    planner.finish()?;
    let new = planner.plan.new_histories.pop();
    let geometry = new.expect("it was planned").geometry;
    Ok(NewClone {
        label: planner.plan.label,
        entry,
        geometry,
    })
}

impl NewClone {
    /// What is written for it, with copy `first` of the label first, and the table that is there
    /// afterwards: the log is on the disk before the table names it.
    ///
    /// # Errors
    /// When the label exceeds a bound.
    pub(crate) fn update(
        &self,
        before: &Label,
        origin: Origin,
        first: usize,
    ) -> Result<(Update, Label), VolumeError> {
        let mut before = before.clone();
        let mut update = Update::nothing();
        let (zero_from, _) = self.label.known_zero();
        if zero_from > before.known_zero().0 {
            let mut marked = before.clone();
            marked.end_known_zero_before(zero_from);
            let marked = marked.following(&before);
            update = update.then(Update::change(&marked, first)?);
            before = marked;
        }
        let version = ProgramVersion::this().numbers();
        let block = new_clone_log(self.geometry, origin, version).unwrap_or_default();
        let start = self.entry.extents().first().map_or(0, |extent| extent.0);
        // Both lie in the first MiB of the area.
        for unit in SUPERBLOCK_UNITS {
            update = update.then_block(start + u64::from(unit) * UNIT_BYTES as u64, &block);
        }
        let next = self.label.clone().following(&before);
        let update = update.then(Update::change(&next, first)?);
        Ok((update, next))
    }
}
