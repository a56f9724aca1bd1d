//! The label of a disk: which vdisks it holds and where they lie. Pure: bytes in, bytes out.
//!
//! The first MiB of a disk is the label's: copy 0 at 0, copy 1 at 512 KiB, each a whole number of
//! 4 KiB units. All numbers are little-endian. A copy:
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 8 | magic `DISKTIME` |
//! | 8 | 4 | version, 1 |
//! | 12 | 4 | crc32c over all `length` bytes, taken with this field as zero |
//! | 16 | 4 | length of the copy in bytes, a multiple of 4096, at most 524288 |
//! | 20 | 4 | number of vdisks, at most 1024 |
//! | 24 | 8 | generation: the valid copy with the greater one counts |
//! | 32 | 16 | disk uuid |
//! | 48 | 8 | size of the disk in bytes when the copy was written |
//! | 56 | 16 | known zero: from, to (bytes); never written since the disk was all zeroes |
//! | 72 | 56 | zero |
//! | 128 | | the vdisks, one after the other; then zeroes up to the length |
//!
//! A vdisk: name length (2), zero (2), number of extents (4), size in bytes (8), uuid (16), the
//! name in UTF-8 padded with zeroes to a multiple of 8, and its extents in the order of its
//! address space: offset on the disk (8), length (8), place of its zero map (8; 0: no map, the
//! extent lay in known-zero space and reads as what is on the disk).
//!
//! Invariants: extents and maps are multiples of 1 MiB, disjoint, and behind the first MiB; an
//! update writes the copy that does *not* count, between two flushes, so that one whole copy
//! exists at every moment; a decoded label encodes to the same bytes.

use crate::VolumeError;
pub use crate::geometry::{EXTENT_ALIGNMENT_BYTES, UNIT_BYTES};
pub use crate::uuid::Uuid;
use std::fmt;

/// Where the two copies lie.
pub const COPY_OFFSETS: [u64; 2] = [0, COPY_CAPACITY_BYTES as u64];
/// Room of one copy.
pub const COPY_CAPACITY_BYTES: usize = 512 << 10;
/// Most vdisks of one disk.
pub const MAX_VDISKS: usize = 1024;
/// Longest name of a vdisk, in bytes.
pub const MAX_NAME_BYTES: usize = 128;

/// How a copy begins.
pub const MAGIC: &[u8; 8] = b"DISKTIME";
/// The version that this program writes and reads.
pub const VERSION: u32 = 1;
const HEADER_BYTES: usize = 128;
const EXTENT_BYTES: usize = 24;

/// A piece of a vdisk on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Where on the disk.
    pub offset_bytes: u64,
    /// How long.
    pub len_bytes: u64,
    /// Where its zero map lies; `None` when the extent was zero on the disk from the start.
    pub map_offset_bytes: Option<u64>,
}

/// A vdisk as the label has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VdiskEntry {
    /// Its name.
    pub name: String,
    /// Its own for ever; seeds the checks of its zero maps.
    pub uuid: Uuid,
    /// Its size; at most the sum of its extents.
    pub size_bytes: u64,
    /// Its pieces, in the order of its address space.
    pub extents: Vec<Extent>,
}

/// The whole table of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Counts the updates.
    pub generation: u64,
    /// The disk's.
    pub disk_uuid: Uuid,
    /// The disk's size when this was written.
    pub size_bytes: u64,
    /// Start of the space that was zero at formatting and was never given to anything since.
    pub known_zero_from: u64,
    /// End of that space.
    pub known_zero_to: u64,
    /// In the order of their creation.
    pub vdisks: Vec<VdiskEntry>,
}

/// Why the bytes of a copy are not a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyDefect {
    /// No magic: nothing of ours, or its first bytes are damaged.
    NoMagic,
    /// Whole, but of another version.
    Version(u32),
    /// Magic there, checksum or structure wrong.
    Damaged(&'static str),
}

impl fmt::Display for CopyDefect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CopyDefect::NoMagic => f.write_str("no label"),
            CopyDefect::Version(version) => write!(f, "version {version}"),
            CopyDefect::Damaged(what) => f.write_str(what),
        }
    }
}

impl Label {
    /// An empty table for a disk; all of it is known zero if `known_zero`.
    pub fn empty(disk_uuid: Uuid, size_bytes: u64, known_zero: bool) -> Label {
        let known_zero_to = if known_zero {
            size_bytes
        } else {
            EXTENT_ALIGNMENT_BYTES
        };
        Label {
            generation: 0,
            disk_uuid,
            size_bytes,
            known_zero_from: EXTENT_ALIGNMENT_BYTES,
            known_zero_to,
            vdisks: Vec::new(),
        }
    }

    /// The vdisk of that name.
    pub fn find(&self, name: &str) -> Option<&VdiskEntry> {
        self.vdisks.iter().find(|vdisk| vdisk.name == name)
    }

    /// Bytes of one copy.
    pub fn encoded_len(&self) -> usize {
        let body: usize = self.vdisks.iter().map(VdiskEntry::encoded_len).sum();
        (HEADER_BYTES + body).next_multiple_of(UNIT_BYTES)
    }

    /// One copy, ready to be written.
    ///
    /// # Errors
    /// When the table does not fit a copy, with the bounds.
    pub fn encode(&self) -> Result<Vec<u8>, VolumeError> {
        self.check_bounds()?;
        let mut bytes = Vec::with_capacity(self.encoded_len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&0u32.to_le_bytes());
        bytes.extend_from_slice(&(self.encoded_len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(self.vdisks.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&self.generation.to_le_bytes());
        bytes.extend_from_slice(&self.disk_uuid.0);
        for number in [self.size_bytes, self.known_zero_from, self.known_zero_to] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.resize(HEADER_BYTES, 0);
        for vdisk in &self.vdisks {
            vdisk.encode(&mut bytes);
        }
        bytes.resize(self.encoded_len(), 0);
        let crc = crc32c::crc32c(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        Ok(bytes)
    }

    /// Whether the table fits a copy.
    ///
    /// # Errors
    /// The bound that it exceeds.
    pub fn check_bounds(&self) -> Result<(), VolumeError> {
        if self.vdisks.len() > MAX_VDISKS {
            return Err(VolumeError::TooManyVdisks {
                limit: MAX_VDISKS,
                wanted: self.vdisks.len(),
            });
        }
        let wanted = self.encoded_len();
        if wanted > COPY_CAPACITY_BYTES {
            return Err(VolumeError::LabelFull {
                limit: COPY_CAPACITY_BYTES,
                wanted,
            });
        }
        Ok(())
    }

    /// Reads one copy; `bytes` may be longer than it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(bytes: &[u8]) -> Result<Label, CopyDefect> {
        if bytes.get(..8) != Some(MAGIC) {
            return Err(CopyDefect::NoMagic);
        }
        let short = CopyDefect::Damaged("its length is impossible");
        let header = bytes.get(..HEADER_BYTES).ok_or(short.clone())?;
        let length = u32_at(header, 16) as usize;
        if !length.is_multiple_of(UNIT_BYTES) || length > COPY_CAPACITY_BYTES {
            return Err(short);
        }
        let copy = bytes
            .get(..length)
            .filter(|copy| !copy.is_empty())
            .ok_or(short)?;
        let crc = crc32c::crc32c(&copy[..12]);
        let crc = crc32c::crc32c_append(crc, &[0; 4]);
        let crc = crc32c::crc32c_append(crc, &copy[16..]);
        if crc != u32_at(copy, 12) {
            return Err(CopyDefect::Damaged("its checksum is wrong"));
        }
        let version = u32_at(copy, 8);
        if version != VERSION {
            return Err(CopyDefect::Version(version));
        }
        decode_body(copy).ok_or(CopyDefect::Damaged("its table is not consistent"))
    }

    /// Every range that is in use, the label's own excepted, in no order.
    pub fn used_ranges(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.vdisks
            .iter()
            .flat_map(|vdisk| &vdisk.extents)
            .flat_map(|extent| {
                let data = (extent.offset_bytes, extent.offset_bytes + extent.len_bytes);
                let map = extent.map_offset_bytes.map(|start| {
                    (
                        start,
                        start + crate::geometry::region_bytes(extent.len_bytes),
                    )
                });
                std::iter::once(data).chain(map)
            })
    }

    /// End of the last range in use.
    pub fn used_end(&self) -> u64 {
        self.used_ranges()
            .map(|range| range.1)
            .max()
            .unwrap_or(EXTENT_ALIGNMENT_BYTES)
    }

    /// What a label written by this program always is; a foreign or damaged one might not be.
    fn is_consistent(&self) -> bool {
        let mut ranges: Vec<(u64, u64)> = self.used_ranges().collect();
        ranges.sort_unstable();
        let aligned = |value: u64| value.is_multiple_of(EXTENT_ALIGNMENT_BYTES);
        let apart = ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0);
        let inside = ranges.iter().all(|(start, end)| {
            *start >= EXTENT_ALIGNMENT_BYTES && start < end && *end <= self.size_bytes
        });
        let whole = self.vdisks.iter().all(|vdisk| {
            let total: u64 = vdisk.extents.iter().map(|extent| extent.len_bytes).sum();
            vdisk.size_bytes <= total
                && vdisk.extents.iter().all(|extent| {
                    aligned(extent.offset_bytes)
                        && aligned(extent.len_bytes)
                        && extent.map_offset_bytes.is_none_or(aligned)
                })
        });
        apart && inside && whole
    }
}

impl VdiskEntry {
    fn encoded_len(&self) -> usize {
        32 + self.name.len().next_multiple_of(8) + self.extents.len() * EXTENT_BYTES
    }

    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&(self.name.len() as u16).to_le_bytes());
        bytes.extend_from_slice(&[0; 2]);
        bytes.extend_from_slice(&(self.extents.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&self.size_bytes.to_le_bytes());
        bytes.extend_from_slice(&self.uuid.0);
        bytes.extend_from_slice(self.name.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        for extent in &self.extents {
            bytes.extend_from_slice(&extent.offset_bytes.to_le_bytes());
            bytes.extend_from_slice(&extent.len_bytes.to_le_bytes());
            bytes.extend_from_slice(&extent.map_offset_bytes.unwrap_or(0).to_le_bytes());
        }
    }
}

fn decode_body(copy: &[u8]) -> Option<Label> {
    let count = u32_at(copy, 20) as usize;
    if count > MAX_VDISKS {
        return None;
    }
    let mut rest = &copy[HEADER_BYTES..];
    let mut vdisks = Vec::with_capacity(count);
    for _ in 0..count {
        vdisks.push(decode_vdisk(&mut rest)?);
    }
    let label = Label {
        generation: u64_at(copy, 24),
        disk_uuid: uuid_at(copy, 32),
        size_bytes: u64_at(copy, 48),
        known_zero_from: u64_at(copy, 56),
        known_zero_to: u64_at(copy, 64),
        vdisks,
    };
    label.numbers_fit().then_some(())?;
    label.is_consistent().then_some(label)
}

impl Label {
    /// Whether no sum of offset and length overflows, so that `is_consistent` may add.
    fn numbers_fit(&self) -> bool {
        let bound = 1u64 << 62;
        self.vdisks.iter().all(|vdisk| {
            vdisk.extents.iter().all(|extent| {
                extent.offset_bytes < bound
                    && extent.len_bytes < bound / (COPY_CAPACITY_BYTES / EXTENT_BYTES) as u64
                    && extent.map_offset_bytes.unwrap_or(0) < bound
            })
        })
    }
}

fn decode_vdisk(rest: &mut &[u8]) -> Option<VdiskEntry> {
    let head = rest.split_off(..32)?;
    let name_bytes = u16::from_le_bytes([head[0], head[1]]) as usize;
    let extent_count = u32_at(head, 4) as usize;
    if name_bytes > MAX_NAME_BYTES {
        return None;
    }
    let padded = rest.split_off(..name_bytes.next_multiple_of(8))?;
    let name = std::str::from_utf8(&padded[..name_bytes]).ok()?.to_owned();
    let table = rest.split_off(..extent_count.checked_mul(EXTENT_BYTES)?)?;
    let extents = table
        .chunks_exact(EXTENT_BYTES)
        .map(|record| Extent {
            offset_bytes: u64_at(record, 0),
            len_bytes: u64_at(record, 8),
            map_offset_bytes: Some(u64_at(record, 16)).filter(|offset| *offset != 0),
        })
        .collect();
    Some(VdiskEntry {
        name,
        uuid: uuid_at(head, 16),
        size_bytes: u64_at(head, 8),
        extents,
    })
}

/// Whether a block is the beginning of a label's copy that was being written for the very first
/// time: what a crash in the middle of formatting a blank disk leaves.
pub fn is_first_generation_remnant(block: &[u8]) -> bool {
    block.get(..8) == Some(MAGIC) && block.len() >= 32 && u64_at(block, 24) == 1
}

/// Little-endian number at a place that the caller knows to exist.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|index| bytes[at + index]))
}

/// Little-endian number at a place that the caller knows to exist.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|index| bytes[at + index]))
}

fn uuid_at(bytes: &[u8], at: usize) -> Uuid {
    Uuid(std::array::from_fn(|index| bytes[at + index]))
}
