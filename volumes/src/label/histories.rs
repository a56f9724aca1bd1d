//! Section 3, the histories: which vdisks have a log in front of their image, and where it lies.
//!
//! A record: uuid of the vdisk (16), of the disk of its image (16; zero: a clone, without one), of
//! the disk of its log (16), units of a slot of the log (4), number of extents of the log's area
//! (4), and the extents in the order of the area: offset on the disk (8), length (8). A disk has a
//! record for each image and for each log that lies on it; the extents are those on this disk.
//!
//! Invariants: a label with a record has the incompatible bit `history`; a vdisk has one record at
//! most; an area is made of whole MiB.
//!
//! Not known here: what lies in an area; docs/history-format.md has that.

use super::number::uuid_at;
use super::table::Label;
use super::{EXTENT_ALIGNMENT_BYTES, MAX_VDISKS};
use crate::uuid::Uuid;
use disktime_units::little_endian::{u32_at, u64_at};
use std::collections::HashSet;

const HEAD_BYTES: usize = 56;
const EXTENT_BYTES: usize = 16;
/// More pieces than this are not made of an area.
const MAX_EXTENTS: usize = 1024;

/// The history of a vdisk, as the label of a disk has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    vdisk: Uuid,
    image_disk: Uuid,
    log_disk: Uuid,
    slot_units: u32,
    /// Offset on the disk and length.
    extents: Vec<(u64, u64)>,
}

impl HistoryEntry {
    /// In place of the disk of the image, for the log of a clone: it has no image.
    pub(crate) const NO_IMAGE: Uuid = Uuid::from_bytes([0; 16]);

    /// Whether it is the log of a clone.
    pub fn is_of_clone(&self) -> bool {
        self.image_disk == Self::NO_IMAGE
    }

    pub(crate) fn new(
        vdisk: Uuid,
        image_disk: Uuid,
        log_disk: Uuid,
        slot_units: u32,
        extents: Vec<(u64, u64)>,
    ) -> HistoryEntry {
        HistoryEntry {
            vdisk,
            image_disk,
            log_disk,
            slot_units,
            extents,
        }
    }

    /// The vdisk's uuid.
    pub fn vdisk(&self) -> Uuid {
        self.vdisk
    }

    /// The uuid of the disk that holds the image.
    pub fn image_disk(&self) -> Uuid {
        self.image_disk
    }

    /// The uuid of the disk that holds the log.
    pub fn log_disk(&self) -> Uuid {
        self.log_disk
    }

    /// Units of 4 KiB in a slot of the log.
    pub fn slot_units(&self) -> u32 {
        self.slot_units
    }

    /// Offset and length of the pieces of the area, in their order.
    pub fn extents(&self) -> &[(u64, u64)] {
        &self.extents
    }

    /// Bytes of the area.
    pub fn area_bytes(&self) -> u64 {
        self.extents.iter().map(|(_, len)| len).sum()
    }

    /// The same without its image, which has all of the log: as the log of a clone that nothing
    /// records, it is freed.
    pub(crate) fn given_up(&self) -> HistoryEntry {
        HistoryEntry {
            image_disk: Self::NO_IMAGE,
            ..self.clone()
        }
    }

    /// The same with more pieces at the end of the area; `None` if they are too many.
    pub(crate) fn with_more(&self, pieces: &[(u64, u64)]) -> Option<HistoryEntry> {
        let mut entry = self.clone();
        for (start, len) in pieces {
            match entry.extents.last_mut() {
                Some(last) if last.0 + last.1 == *start => last.1 += len,
                _ => entry.extents.push((*start, *len)),
            }
        }
        (entry.extents.len() <= MAX_EXTENTS).then_some(entry)
    }

    fn is_consistent(&self, disk: Uuid) -> bool {
        let bound = 1u64 << 62;
        let fits = |(start, len): &(u64, u64)| {
            *start < bound && *len < bound && *len > 0 && len.is_multiple_of(EXTENT_ALIGNMENT_BYTES)
        };
        let is_here = self.image_disk == disk || self.log_disk == disk;
        let has_area = (self.log_disk == disk) != self.extents.is_empty();
        is_here && has_area && self.extents.iter().all(fits)
    }
}

/// Bytes of all records.
pub(super) fn section_bytes(histories: &[HistoryEntry]) -> usize {
    let record = |entry: &HistoryEntry| HEAD_BYTES + entry.extents.len() * EXTENT_BYTES;
    histories.iter().map(record).sum()
}

/// All records, one after the other.
pub(super) fn encode(histories: &[HistoryEntry]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(section_bytes(histories));
    for entry in histories {
        for uuid in [entry.vdisk, entry.image_disk, entry.log_disk] {
            bytes.extend_from_slice(&uuid.to_bytes());
        }
        bytes.extend_from_slice(&entry.slot_units.to_le_bytes());
        bytes.extend_from_slice(&(entry.extents.len() as u32).to_le_bytes());
        for (start, len) in &entry.extents {
            bytes.extend_from_slice(&start.to_le_bytes());
            bytes.extend_from_slice(&len.to_le_bytes());
        }
    }
    bytes
}

/// The histories of a section, which their records fill. `None` if they do not.
pub(super) fn decode(mut section: &[u8]) -> Option<Vec<HistoryEntry>> {
    let mut histories = Vec::new();
    while !section.is_empty() {
        let head = section.split_off(..HEAD_BYTES)?;
        let count = u32_at(head, 52) as usize;
        if histories.len() == MAX_VDISKS || count > MAX_EXTENTS {
            return None;
        }
        let table = section.split_off(..count * EXTENT_BYTES)?;
        let extents = table.chunks_exact(EXTENT_BYTES);
        histories.push(HistoryEntry {
            vdisk: uuid_at(head, 0),
            image_disk: uuid_at(head, 16),
            log_disk: uuid_at(head, 32),
            slot_units: u32_at(head, 48),
            extents: extents
                .map(|extent| (u64_at(extent, 0), u64_at(extent, 8)))
                .collect(),
        });
    }
    (!histories.is_empty()).then_some(histories)
}

impl Label {
    /// The histories that this disk has a part of.
    pub fn histories(&self) -> &[HistoryEntry] {
        &self.histories
    }

    /// The history of the vdisk with that uuid.
    pub fn history_of(&self, vdisk: Uuid) -> Option<&HistoryEntry> {
        self.histories.iter().find(|entry| entry.vdisk == vdisk)
    }

    /// Adds one.
    pub(crate) fn add_history(&mut self, entry: HistoryEntry) {
        self.histories.push(entry);
        self.features = self.features.with_history(true);
    }

    /// Takes that of a vdisk out.
    pub(crate) fn take_out_history(&mut self, vdisk: Uuid) {
        self.histories.retain(|entry| entry.vdisk != vdisk);
        if self.histories.is_empty() {
            self.features = self.features.with_history(false);
        }
    }

    /// The ranges of all areas.
    pub(super) fn area_ranges(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let extents = self.histories.iter().flat_map(|entry| &entry.extents);
        extents.map(|(start, len)| (*start, start + len))
    }

    pub(super) fn histories_are_consistent(&self) -> bool {
        let mut seen = HashSet::new();
        let is_known = |entry: &HistoryEntry| {
            let mut vdisks = self.vdisks.iter();
            entry.image_disk != self.disk_uuid || vdisks.any(|vdisk| vdisk.uuid() == entry.vdisk)
        };
        let is_said = self.histories.is_empty() || self.features.has_history();
        is_said
            && self.histories.iter().all(|entry| {
                entry.is_consistent(self.disk_uuid) && is_known(entry) && seen.insert(entry.vdisk)
            })
    }
}

#[cfg(test)]
mod tests;
