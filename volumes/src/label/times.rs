//! Section 2, the times of the last changes: when the content of each vdisk changed last.
//!
//! The times that the section holds count only if it is *closed*: the server that wrote it has
//! stopped in good order, and nothing was changed since. Before the first vdisk is served it is
//! marked *open*, durably; who finds it so knows of every vdisk only that it did not change after
//! it was found. So there is no write per request, and no time is ever older than the change.
//!
//! A program that does not know the section keeps it as it is. It is left out where a copy has no
//! room for it, which means the same as one that is open.

use super::directory::{KIND_TIMES, KeptSection, Place};
use super::number::uuid_at;
use super::table::Label;
use crate::uuid::Uuid;
use disktime_units::little_endian::{is_zero, u32_at, u64_at};
use std::collections::HashMap;

const HEAD_BYTES: usize = 8;
const RECORD_BYTES: usize = 24;
const OPEN: u32 = 1;

/// When vdisks changed last, in nanoseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeTimes {
    /// They may have changed later.
    is_open: bool,
    by_uuid: HashMap<Uuid, u64>,
}

impl ChangeTimes {
    /// Times that count.
    pub(crate) fn closed(by_uuid: HashMap<Uuid, u64>) -> ChangeTimes {
        ChangeTimes {
            is_open: false,
            by_uuid,
        }
    }

    /// The same times, of which changes may follow.
    pub(crate) fn opened(self) -> ChangeTimes {
        ChangeTimes {
            is_open: true,
            ..self
        }
    }

    /// Whether the vdisks may have changed later.
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// The time of the vdisk with that uuid.
    pub fn get(&self, vdisk: Uuid) -> Option<u64> {
        self.by_uuid.get(&vdisk).copied()
    }

    /// `None` if it is not what a program that knows the section writes.
    fn decode(section: &[u8]) -> Option<ChangeTimes> {
        let (head, records) = section.split_at_checked(HEAD_BYTES)?;
        let flags = u32_at(head, 0);
        let is_whole = records.len().is_multiple_of(RECORD_BYTES);
        if flags & !OPEN != 0 || !is_zero(&head[4..]) || !is_whole {
            return None;
        }
        let records = records.chunks_exact(RECORD_BYTES);
        let by_uuid = records.map(|record| (uuid_at(record, 0), u64_at(record, 16)));
        Some(ChangeTimes {
            is_open: flags & OPEN != 0,
            by_uuid: by_uuid.collect(),
        })
    }

    /// With a record for each of the label's vdisks that has a time, in their order.
    fn encode(&self, label: &Label) -> Vec<u8> {
        let flags = if self.is_open { OPEN } else { 0 };
        let mut bytes = flags.to_le_bytes().to_vec();
        bytes.resize(HEAD_BYTES, 0);
        for vdisk in label.vdisks() {
            if let Some(time) = self.get(vdisk.uuid()) {
                bytes.extend_from_slice(&vdisk.uuid().to_bytes());
                bytes.extend_from_slice(&time.to_le_bytes());
            }
        }
        bytes
    }
}

impl Label {
    /// When the vdisks changed last. `None` if the label does not say it.
    pub fn times(&self) -> Option<ChangeTimes> {
        let section = self.kept.iter().find(|section| section.kind == KIND_TIMES);
        ChangeTimes::decode(&section?.bytes)
    }

    /// The same label with these times, if a copy has room for them.
    #[must_use]
    pub(crate) fn with_times(mut self, times: &ChangeTimes) -> Label {
        self.drop_times();
        let section = KeptSection {
            kind: KIND_TIMES,
            place: Place::Inside,
            bytes: times.encode(&self),
        };
        let at = self.kept.partition_point(|kept| kept.kind < KIND_TIMES);
        self.kept.insert(at, section);
        self.drop_times_without_room();
        self
    }

    /// The table comes first: what it grew by is not refused for the times' sake.
    pub(super) fn drop_times_without_room(&mut self) {
        if !self.has_room_inside() {
            self.drop_times();
        }
    }

    fn drop_times(&mut self) {
        self.kept.retain(|section| section.kind != KIND_TIMES);
    }
}

#[cfg(test)]
mod tests;
