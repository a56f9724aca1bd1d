//! The directory of a copy: which sections there are, where they lie, and whether a program that
//! does not know one may go on.
//!
//! Invariants: kinds are ascending and unique; a section inside lies at the next multiple of 8
//! behind the one before; a section outside has two rooms of the same size, one per copy, and fits
//! half of one. So a directory has one encoding only.

use super::{EXTENT_ALIGNMENT_BYTES, MAX_SECTION_BYTES, UNIT_BYTES};
use disktime_units::little_endian::{is_zero, u32_at, u64_at};

pub(super) const ENTRY_BYTES: usize = 64;
pub(super) const MAX_SECTIONS: usize = 32;
/// Inside a copy, sections begin at multiples of this.
pub(super) const ALIGNMENT_BYTES: usize = 8;
/// The section of the vdisks.
pub(super) const KIND_VDISKS: u32 = 1;
/// The section of the times of the last changes. It is kept like one of an unknown kind.
pub(super) const KIND_TIMES: u32 = 2;
/// The section of the histories.
pub(super) const KIND_HISTORIES: u32 = 3;

const MUST_UNDERSTAND: u32 = 1;
const OUTSIDE: u32 = 2;
const SECOND_HALF: u32 = 4;
const KNOWN_FLAGS: u32 = MUST_UNDERSTAND | OUTSIDE | SECOND_HALF;

/// Two places on the disk for a section outside of the copies: replica *i* belongs to copy *i*.
///
/// A room has two halves, of which one is in use; an update writes the other one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rooms {
    offsets: [u64; 2],
    /// Of each.
    room_bytes: u64,
    second_half: bool,
}

/// Where a section lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the copy.
    Inside,
    /// In rooms elsewhere on the disk.
    Outside(Rooms),
}

/// A section that a program may skip: kept as it is. The times of the last changes are one, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSection {
    pub(super) kind: u32,
    pub(super) place: Place,
    pub(super) bytes: Vec<u8>,
}

/// A line of the directory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) kind: u32,
    pub(super) must_understand: bool,
    pub(super) len_bytes: u64,
    pub(super) checksum: u32,
    pub(super) place: Place,
    /// Inside: where in the copy.
    pub(super) inside_at: usize,
}

impl Rooms {
    /// Two rooms of `room_bytes`, the first halves in use.
    pub fn new(offsets: [u64; 2], room_bytes: u64) -> Rooms {
        Rooms {
            offsets,
            room_bytes,
            second_half: false,
        }
    }

    /// The size of a room for a section of that length.
    pub fn bytes_for(len_bytes: u64) -> u64 {
        2 * len_bytes.max(1).next_multiple_of(EXTENT_ALIGNMENT_BYTES)
    }

    /// Whether a section of that length fits.
    pub fn hold(&self, len_bytes: u64) -> bool {
        len_bytes <= self.room_bytes / 2
    }

    /// The two ranges on the disk.
    pub fn ranges(&self) -> [(u64, u64); 2] {
        self.offsets.map(|start| (start, start + self.room_bytes))
    }

    /// Where the replica of a copy begins.
    pub fn replica_offset(&self, copy: usize) -> u64 {
        let half = if self.second_half {
            self.room_bytes / 2
        } else {
            0
        };
        self.offsets[copy] + half
    }

    /// The same rooms with the other halves in use.
    pub(super) fn turned(self) -> Rooms {
        Rooms {
            second_half: !self.second_half,
            ..self
        }
    }

    /// Whether these are the same rooms, whichever half is in use.
    pub(super) fn are_where(&self, other: &Rooms) -> bool {
        self.offsets == other.offsets && self.room_bytes == other.room_bytes
    }
}

impl Entry {
    /// For a section with these bytes.
    pub(super) fn describe(kind: u32, must_understand: bool, place: Place, bytes: &[u8]) -> Entry {
        Entry {
            kind,
            must_understand,
            len_bytes: bytes.len() as u64,
            checksum: crc32c::crc32c(bytes),
            place,
            inside_at: 0,
        }
    }

    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        let start = bytes.len();
        let mut flags = if self.must_understand {
            MUST_UNDERSTAND
        } else {
            0
        };
        let mut places = [self.inside_at as u64, 0, 0];
        if let Place::Outside(rooms) = self.place {
            flags |= OUTSIDE;
            if rooms.second_half {
                flags |= SECOND_HALF;
            }
            places = [rooms.offsets[0], rooms.offsets[1], rooms.room_bytes];
        }
        bytes.extend_from_slice(&self.kind.to_le_bytes());
        bytes.extend_from_slice(&flags.to_le_bytes());
        bytes.extend_from_slice(&self.len_bytes.to_le_bytes());
        bytes.extend_from_slice(&self.checksum.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        for place in places {
            bytes.extend_from_slice(&place.to_le_bytes());
        }
        bytes.resize(start + ENTRY_BYTES, 0);
    }

    /// `None` if it cannot be what a program wrote.
    fn decode(entry: &[u8]) -> Option<Entry> {
        let flags = u32_at(entry, 4);
        let len_bytes = u64_at(entry, 8);
        let reserved_is_zero = is_zero(&entry[20..24]) && is_zero(&entry[48..]);
        if flags & !KNOWN_FLAGS != 0 || len_bytes > MAX_SECTION_BYTES || !reserved_is_zero {
            return None;
        }
        let (first, second, room_bytes) = (u64_at(entry, 24), u64_at(entry, 32), u64_at(entry, 40));
        let (place, inside_at) = if flags & OUTSIDE == 0 {
            if flags & SECOND_HALF != 0 || second != 0 || room_bytes != 0 {
                return None;
            }
            (Place::Inside, usize::try_from(first).ok()?)
        } else {
            let rooms = Rooms {
                offsets: [first, second],
                room_bytes,
                second_half: flags & SECOND_HALF != 0,
            };
            let whole = rooms.room_bytes.is_multiple_of(2 * EXTENT_ALIGNMENT_BYTES)
                && room_bytes <= 2 * MAX_SECTION_BYTES
                && rooms.offsets.iter().all(|offset| *offset < 1 << 62)
                && rooms.hold(len_bytes);
            whole.then_some((Place::Outside(rooms), 0))?
        };
        Some(Entry {
            kind: u32_at(entry, 0),
            must_understand: flags & MUST_UNDERSTAND != 0,
            len_bytes,
            checksum: u32_at(entry, 16),
            place,
            inside_at,
        })
    }

    /// How many bytes are read for a section outside.
    pub(super) fn read_bytes(&self) -> u64 {
        self.len_bytes.next_multiple_of(UNIT_BYTES as u64)
    }
}

/// Gives the sections inside their places; returns where the last of them ends.
pub(super) fn arrange(entries: &mut [Entry], start: usize) -> usize {
    let mut at = start;
    for entry in entries {
        if entry.place == Place::Inside {
            at = at.next_multiple_of(ALIGNMENT_BYTES);
            entry.inside_at = at;
            at += entry.len_bytes as usize;
        }
    }
    at
}

/// The directory of a copy and where its last section inside ends. `None` if it is not what
/// [`arrange`] would have made of it.
pub(super) fn decode(table: &[u8], start: usize) -> Option<(Vec<Entry>, usize)> {
    let found: Vec<Entry> = table
        .chunks_exact(ENTRY_BYTES)
        .map(Entry::decode)
        .collect::<Option<_>>()?;
    let ascending = found.windows(2).all(|pair| pair[0].kind < pair[1].kind);
    let mut arranged = found.clone();
    let end = arrange(&mut arranged, start);
    let in_place = std::iter::zip(&found, &arranged).all(|(a, b)| a.inside_at == b.inside_at);
    (ascending && in_place && rooms_are_apart(&found)).then_some((found, end))
}

/// Whether no room lies in another one or in the first MiB. It is judged before anything is read
/// from them, so that a false directory has no more read than the disk holds.
fn rooms_are_apart(entries: &[Entry]) -> bool {
    let rooms = entries.iter().filter_map(|entry| match entry.place {
        Place::Inside => None,
        Place::Outside(rooms) => Some(rooms.ranges()),
    });
    let mut ranges: Vec<(u64, u64)> = rooms.flatten().collect();
    ranges.sort_unstable();
    let apart = ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0);
    apart
        && ranges.iter().all(|(start, end)| {
            let is_aligned = start.is_multiple_of(EXTENT_ALIGNMENT_BYTES);
            is_aligned && *start >= EXTENT_ALIGNMENT_BYTES && start < end
        })
}

#[cfg(test)]
mod tests;
