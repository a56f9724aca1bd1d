//! The space of histories: what is allocated for a log, and what of an existing one cannot change.
//!
//! Invariants: a log is formatted before the label names its area, in space that is free in the
//! table before as well; a log that grows keeps what it has and the length of its slots.

use super::{NewHistory, Planner, VdiskSpec};
use crate::VolumeError;
use crate::label::{EXTENT_ALIGNMENT_BYTES, HistoryEntry, Label, UNIT_BYTES, Uuid};
use disktime_history::{Geometry, SUPERBLOCK_UNITS, VDISK_BLOCKS_MAX};
use disktime_units::{format_size, format_sizes};

/// The least space of a history: 63 segments of 1 MiB.
pub const MIN_HISTORY_BYTES: u64 = 64 << 20;
/// The most: a checkpoint lists every segment, of at most 64 MiB.
pub const MAX_HISTORY_BYTES: u64 = 256 << 30;

const MAX_SLOT_BYTES: u64 = 64 << 20;
/// About so many slots, as long as they are not longer than that. More give a fold and its margin
/// finer parts, fewer take less for SEALs, checkpoints and superblocks.
const SLOTS: u64 = 32;
/// Logs that are smaller have twice as many, as four slots are not for data at any time.
const FEW_SLOTS_BYTES: u64 = 128 << 20;

/// Units of a slot, for an area of that size.
pub(super) fn slot_units(area_bytes: u64) -> u32 {
    let slots = match area_bytes < FEW_SLOTS_BYTES {
        true => 2 * SLOTS,
        false => SLOTS,
    };
    let slot_bytes = (area_bytes / slots).clamp(1, MAX_SLOT_BYTES);
    let power = 1u64 << slot_bytes.ilog2();
    (power / UNIT_BYTES as u64) as u32
}

/// Slots of that length in an area of that size; `None` if a log cannot have so many.
pub(crate) fn slots_in(slot_units: u32, area_bytes: u64) -> Option<u32> {
    let area_units = area_bytes / UNIT_BYTES as u64;
    // Each superblock has as many units as lie between the two.
    let first_slot = 2 * u64::from(SUPERBLOCK_UNITS[1] - SUPERBLOCK_UNITS[0]);
    let slots = area_units.saturating_sub(first_slot) / u64::from(slot_units.max(1));
    let geometry = Geometry {
        log: [0; 16],
        vdisk: [0; 16],
        disk: [0; 16],
        slot_units,
        slots: u32::try_from(slots).ok()?,
        vdisk_blocks: 0,
    };
    geometry.is_possible().then_some(geometry.slots)
}

/// What the log of a history is; `None` if a log cannot be so.
pub(super) fn geometry(log: Uuid, entry: &HistoryEntry, vdisk_bytes: u64) -> Option<Geometry> {
    let geometry = Geometry {
        log: log.to_bytes(),
        vdisk: entry.vdisk().to_bytes(),
        disk: entry.log_disk().to_bytes(),
        slot_units: entry.slot_units(),
        slots: slots_in(entry.slot_units(), entry.area_bytes())?,
        vdisk_blocks: vdisk_bytes / UNIT_BYTES as u64,
    };
    geometry.is_possible().then_some(geometry)
}

/// Refuses a space that no log can have.
pub(super) fn check_max(name: &str, max_bytes: u64) -> Result<(), VolumeError> {
    if (MIN_HISTORY_BYTES..=MAX_HISTORY_BYTES).contains(&max_bytes) {
        return Ok(());
    }
    let [least, most] = [MIN_HISTORY_BYTES, MAX_HISTORY_BYTES].map(format_size);
    let problem = format!("`max` is accepted from {least} to {most}");
    Err(refused(name, problem))
}

/// Refuses a log that cannot be.
pub(super) fn require_possible(name: &str, log: Option<Geometry>) -> Result<Geometry, VolumeError> {
    log.ok_or_else(|| refused(name, "a log of this size cannot be made for this vdisk"))
}

pub(super) fn refused(name: &str, problem: impl Into<String>) -> VolumeError {
    VolumeError::History {
        name: name.to_owned(),
        problem: problem.into(),
    }
}

/// Refuses a size that a vdisk with a history cannot have.
pub(super) fn check_size(name: &str, size_bytes: u64) -> Result<(), VolumeError> {
    if !size_bytes.is_multiple_of(UNIT_BYTES as u64) {
        let problem = "the vdisk's size must be a multiple of 4 KiB";
        return Err(refused(name, problem));
    }
    let most_bytes = VDISK_BLOCKS_MAX * UNIT_BYTES as u64;
    if size_bytes > most_bytes {
        let most = format_size(most_bytes);
        let problem = format!("a vdisk with a history has {most} at most");
        return Err(refused(name, problem));
    }
    Ok(())
}

impl Planner {
    /// Plans the history of a vdisk that is in the table.
    pub(super) fn fit_history(&mut self, spec: &VdiskSpec) -> Result<(), VolumeError> {
        let label = &self.plan.label;
        let name = spec.name.as_str();
        let Some(uuid) = self
            .positions
            .get(name)
            .map(|at| label.vdisks()[*at].uuid())
        else {
            return Ok(());
        };
        match (spec.history_bytes, label.history_of(uuid)) {
            (None, None) => Ok(()),
            (None, Some(entry)) if spec.history_off => {
                if entry.log_disk() != label.disk_uuid() {
                    // It is planned with that disk.
                    return spec
                        .log_disk
                        .map(|_| ())
                        .ok_or_else(|| off_unknown(name, entry));
                }
                let ended = (name.to_owned(), entry.area_bytes());
                self.plan.ended_histories.push(ended);
                Ok(())
            }
            (None, Some(_)) => Err(refused(
                name,
                "it has one on the disk, where its newest data lies, and the file does not say so; \
                 give it its `history` back, or write \"history\": \"off\", which gives up all of its \
                 past",
            )),
            (Some(bytes), Some(entry)) => {
                check_same(name, label, entry)?;
                self.fit_log(name, uuid, bytes)
            }
            (Some(_), None) => {
                let disk = label.disk_uuid();
                let entry = self.make_log(spec, uuid, disk)?;
                self.plan.label.add_history(entry);
                Ok(())
            }
        }
    }

    /// Plans more space for the log on this disk of the vdisk with that uuid, if the file gives it
    /// more.
    pub(super) fn fit_log(
        &mut self,
        name: &str,
        uuid: Uuid,
        bytes: u64,
    ) -> Result<(), VolumeError> {
        let label = &self.plan.label;
        let Some(entry) = label.history_of(uuid).cloned() else {
            return Ok(());
        };
        let has_bytes = entry.area_bytes();
        let wanted_bytes = bytes.next_multiple_of(EXTENT_ALIGNMENT_BYTES);
        if wanted_bytes < has_bytes {
            let problem = format!(
                "it has {} on the disk and the file says {}; a log does not shrink: write \
                 \"max\": \"{}MiB\", or switch the history off and on, which gives up its past",
                format_size(has_bytes),
                format_size(bytes),
                has_bytes >> 20
            );
            return Err(refused(name, problem));
        }
        let Some(more_bytes) = Some(wanted_bytes - has_bytes).filter(|more| *more > 0) else {
            return Ok(());
        };
        let fits = slots_in(entry.slot_units(), wanted_bytes).is_some();
        if wanted_bytes > MAX_HISTORY_BYTES || !fits {
            return Err(cannot_have(name, &entry, wanted_bytes));
        }
        let ranges = self.take_for_log(name, more_bytes)?;
        let grown = entry.with_more(&ranges);
        let grown = grown.ok_or_else(|| refused(name, "its space would lie in too many pieces"))?;
        self.plan.label.take_out_history(uuid);
        self.plan.label.add_history(grown);
        let growth = (name.to_owned(), has_bytes, wanted_bytes);
        self.plan.grown_histories.push(growth);
        Ok(())
    }

    /// Takes space for a log out of what is free.
    fn take_for_log(&mut self, name: &str, bytes: u64) -> Result<Vec<(u64, u64)>, VolumeError> {
        let free_bytes = self.free.bytes();
        let Some(ranges) = self.free.take(bytes) else {
            let orphans = self.plan.orphans.iter();
            return Err(VolumeError::NoSpace {
                name: format!("{name} (its history)"),
                needed_bytes: bytes,
                free_bytes,
                orphans: orphans.map(|orphan| orphan.0.clone()).collect(),
            });
        };
        let taken_end = ranges.iter().map(|range| range.1).max().unwrap_or(0);
        self.plan.label.end_known_zero_before(taken_end);
        let extents = ranges.into_iter().map(|(start, end)| (start, end - start));
        Ok(extents.collect())
    }

    /// Plans a log on this disk for the vdisk with that uuid of `image_disk`. Its record is not in
    /// the table yet.
    pub(super) fn make_log(
        &mut self,
        spec: &VdiskSpec,
        uuid: Uuid,
        image_disk: Uuid,
    ) -> Result<HistoryEntry, VolumeError> {
        let name = spec.name.as_str();
        let bytes = spec.history_bytes.unwrap_or(0);
        check_max(name, bytes)?;
        check_size(name, spec.size_bytes)?;
        let area_bytes = bytes.next_multiple_of(EXTENT_ALIGNMENT_BYTES);
        let extents = self.take_for_log(name, area_bytes)?;
        let label = &self.plan.label;
        let disk = label.disk_uuid();
        let slot_units = slot_units(area_bytes);
        let entry = HistoryEntry::new(uuid, image_disk, disk, slot_units, extents);
        // Never the same for two logs, as each is made by an update of its own generation.
        let words: [&[u8]; 4] = [
            b"log",
            &disk.to_bytes(),
            &label.generation().to_le_bytes(),
            &uuid.to_bytes(),
        ];
        let geometry = geometry(Uuid::derive(0, &words), &entry, spec.size_bytes);
        let geometry = require_possible(name, geometry)?;
        self.plan.new_histories.push(NewHistory {
            vdisk: spec.name.clone(),
            entry: entry.clone(),
            geometry,
        });
        Ok(entry)
    }
}

/// A history that is to be given up, and nothing says which disk its log lies on.
fn off_unknown(name: &str, entry: &HistoryEntry) -> VolumeError {
    refused(
        name,
        format!(
            "its log lies on the disk {}, and no disk of the file is known to be that one; give it \
             its `history` back for one start, and switch it off then",
            entry.log_disk()
        ),
    )
}

/// What the file says of a history that is there.
fn check_same(name: &str, label: &Label, entry: &HistoryEntry) -> Result<(), VolumeError> {
    let disk = label.disk_uuid();
    if entry.log_disk() != disk {
        let problem = format!(
            "its log lies on another disk ({}), and the file has it on the vdisk's own; give its \
             `history` its `disk` back (a log cannot be moved yet)",
            entry.log_disk()
        );
        return Err(refused(name, problem));
    }
    Ok(())
}

/// A log keeps the length of its slots, so there is an end to how many it can have.
fn cannot_have(name: &str, entry: &HistoryEntry, wanted_bytes: u64) -> VolumeError {
    let has_bytes = entry.area_bytes();
    let can_have = |slots: &u64| {
        let area_bytes = has_bytes + slots * u64::from(entry.slot_units()) * UNIT_BYTES as u64;
        area_bytes <= MAX_HISTORY_BYTES && slots_in(entry.slot_units(), area_bytes).is_some()
    };
    // One slot is 64 KiB at least.
    let more = (0..=4096).rev().find(can_have).unwrap_or(0);
    let most_bytes = has_bytes + more * u64::from(entry.slot_units()) * UNIT_BYTES as u64;
    let [has, wanted] = format_sizes([has_bytes, wanted_bytes]);
    refused(
        name,
        format!(
            "it has {has} on the disk and cannot grow to {wanted}: its segments stay as long as they \
             are, so write \"max\": \"{}MiB\" at most",
            most_bytes >> 20
        ),
    )
}
