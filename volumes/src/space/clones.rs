//! The space of a clone: a log, and no image.

use super::histories::{check_max, geometry, require_possible, slot_units};
use super::{PlannedDisk, Planner, VdiskSpec};
use crate::VolumeError;
use crate::label::{EXTENT_ALIGNMENT_BYTES, HistoryEntry, Label, UNIT_BYTES, Update, Uuid};
use disktime_history::{Geometry, SUPERBLOCK_UNITS};

/// The log of a clone that is to be made.
#[derive(Debug)]
pub(crate) struct NewClone {
    /// The table with it.
    pub label: Label,
    /// Where it lies.
    pub entry: HistoryEntry,
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
        history_off: false,
        log_disk: None,
    };
    let entry = planner.make_log(&spec, uuid, HistoryEntry::NO_IMAGE)?;
    planner.plan.label.add_history(entry.clone());
    planner.finish()?;
    Ok(NewClone {
        label: planner.plan.label,
        entry,
    })
}

/// What the log of a clone will be, wherever there is space for it then.
///
/// # Errors
/// Sizes that a log cannot have.
pub(crate) fn geometry_of_clone(
    label: &Label,
    (name, clone): (&str, Uuid),
    (size_bytes, max_bytes): (u64, u64),
) -> Result<Geometry, VolumeError> {
    check_max(name, max_bytes)?;
    let area_bytes = max_bytes.next_multiple_of(EXTENT_ALIGNMENT_BYTES);
    let disk = label.disk_uuid();
    let extents = vec![(0, area_bytes)];
    let slot_units = slot_units(area_bytes);
    let entry = HistoryEntry::new(clone, HistoryEntry::NO_IMAGE, disk, slot_units, extents);
    // The clone's identity is never that of another one.
    let words: [&[u8]; 3] = [b"log of a clone", &disk.to_bytes(), &clone.to_bytes()];
    let geometry = geometry(Uuid::derive(0, &words), &entry, size_bytes);
    require_possible(name, geometry)
}

impl NewClone {
    /// What is written next for it, and the table that is there afterwards: as long as `before`
    /// says of its place that nothing was written there, one that does not; then the table with it,
    /// and before that both copies of the superblock.
    ///
    /// # Errors
    /// When the label exceeds a bound.
    pub(crate) fn update(
        &self,
        before: &Label,
        superblock: impl FnOnce() -> Vec<u8>,
    ) -> Result<(Update, Label), VolumeError> {
        let (zero_from, _) = self.label.known_zero();
        if zero_from > before.known_zero().0 {
            let mut marked = before.clone();
            marked.end_known_zero_before(zero_from);
            let marked = marked.following(before);
            return Ok((Update::change(&marked, 0)?, marked));
        }
        let superblock = superblock();
        let mut update = Update::nothing();
        let start = self.entry.extents().first().map_or(0, |extent| extent.0);
        // Both lie in the first MiB of the area. They are durable with the first flush of the
        // change.
        for unit in SUPERBLOCK_UNITS {
            update = update.then_write(start + u64::from(unit) * UNIT_BYTES as u64, &superblock);
        }
        let next = self.label.clone().following(before);
        let update = update.then(Update::change(&next, 0)?);
        Ok((update, next))
    }
}
