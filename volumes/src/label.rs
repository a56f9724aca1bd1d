//! The label of a disk: which vdisks it holds and where they lie. Pure: bytes in, bytes out.
//!
//! ```text
//!   copy bytes ─ copy ─┬─ header, directory ─ Draft ─ sections ─┬─ table (Label)
//!                      └─ version1 ─────────────────────────────┘     │
//!   disk ◄─ steps ─ update ◄─ Encoded ◄─ copy ◄──────────────────────┘
//! ```
//!
//! docs/disk-format.md has every field. In short: the first MiB of a disk is the label's, copy 0 at
//! 0 and copy 1 at 512 KiB; both hold the same bytes: a header, a directory of sections with length
//! and checksum, and the sections, of which large ones lie outside in two rooms, one per copy.
//!
//! Invariants: extents, zero maps and rooms are multiples of 1 MiB, disjoint, and behind the first
//! MiB; nothing in use is called known zero; a decoded label of version 2 encodes to the same
//! bytes; what is not understood and may be skipped is kept; at every moment of an update one copy
//! is whole.
//!
//! What is not known here: how bytes get to a disk, and what a configuration wants.

mod copy;
mod directory;
mod features;
mod header;
mod histories;
mod number;
#[cfg(test)]
pub(crate) mod samples;
mod table;
mod times;
mod update;
mod vdisks;
mod version1;

pub use crate::geometry::{EXTENT_ALIGNMENT_BYTES, UNIT_BYTES};
pub use crate::uuid::Uuid;
pub use copy::{CopyDefect, Draft, Encoded, Outside};
pub use directory::{KeptSection, Place, Rooms};
pub use features::{Features, ProgramVersion};
pub use histories::HistoryEntry;
pub use table::{Extent, Label, VdiskEntry};
pub use times::ChangeTimes;
pub use update::{Step, Update};

use disktime_units::little_endian::u64_at;

/// Where the two copies lie.
pub const COPY_OFFSETS: [u64; 2] = [0, COPY_CAPACITY_BYTES as u64];
/// Room of one copy.
pub const COPY_CAPACITY_BYTES: usize = 512 << 10;
/// Most vdisks of one disk.
pub const MAX_VDISKS: usize = 10_000;
/// Longest name of a vdisk, in bytes.
pub const MAX_NAME_BYTES: usize = 128;
/// Longest section.
pub const MAX_SECTION_BYTES: u64 = 16 << 20;

/// How a copy begins.
pub const MAGIC: &[u8; 8] = b"DISKTIME";
/// The version that this program writes. It reads version 1 as well.
pub const VERSION: u32 = 2;

/// Bytes at the beginning of a disk, and in rooms, that the label of these vdisks takes, if each
/// lies in one extent.
pub fn space_bytes<'a>(names: impl Iterator<Item = &'a str>) -> u64 {
    let table_bytes: usize = names.map(|name| vdisks::record_bytes(name.len(), 1)).sum();
    let inside = header::HEADER_BYTES + directory::ENTRY_BYTES + table_bytes;
    if inside <= COPY_CAPACITY_BYTES {
        return EXTENT_ALIGNMENT_BYTES;
    }
    EXTENT_ALIGNMENT_BYTES + 2 * Rooms::bytes_for(table_bytes as u64)
}

/// The size of the disk when its label was written, by the newest copy in the disk's first MiB
/// (`head` may be shorter). `None` if no copy is whole.
pub fn recorded_size_bytes(head: &[u8]) -> Option<u64> {
    let copies = COPY_OFFSETS.iter().filter_map(|offset| {
        let copy = head.get(*offset as usize..)?;
        Draft::decode(&copy[..copy.len().min(COPY_CAPACITY_BYTES)]).ok()
    });
    let newest = copies.max_by_key(Draft::generation);
    newest.map(|draft| draft.size_bytes())
}

/// Whether a block is the beginning of a label's copy that was being written for the very first
/// time: what a crash in the middle of formatting a blank disk leaves.
pub(crate) fn is_first_generation_remnant(block: &[u8]) -> bool {
    block.get(..8) == Some(MAGIC) && block.len() >= 32 && u64_at(block, 24) == 1
}

#[cfg(test)]
mod tests;
