//! What a mount would replay: the blocks of the transactions that are whole in the journal.
//!
//! A transaction is descriptors with copies of blocks, blocks that are revoked, and a commit. The
//! first one that is not whole ends the journal: it is the tail of a crash. Fast commits behind the
//! last whole transaction are left out: what they hold is newer by a moment, and no state without
//! them is torn.

use super::blocks::{Blocks, Journaled};
use super::inode::Node;
use super::mapping::Mapping;
use super::superblock::sum;
use crate::error::FileError;
use std::collections::BTreeMap;

pub(super) const MAGIC: u32 = 0xC03B_3998;

const DESCRIPTOR: u32 = 1;
const COMMIT: u32 = 2;
const SUPERBLOCK_V2: u32 = 4;
const REVOKE: u32 = 5;

const WITH_REVOKES: u32 = 0x1;
const BITS_64: u32 = 0x2;
const ASYNC_COMMIT: u32 = 0x4;
const CHECKSUMS_V2: u32 = 0x8;
const CHECKSUMS_V3: u32 = 0x10;
const FAST_COMMIT: u32 = 0x20;
const KNOWN: u32 =
    WITH_REVOKES | BITS_64 | ASYNC_COMMIT | CHECKSUMS_V2 | CHECKSUMS_V3 | FAST_COMMIT;

const ESCAPED: u32 = 1;
const SAME_UUID: u32 = 2;
const LAST: u32 = 8;

const HEADER_BYTES: usize = 12;
/// Blocks of a journal that are read: more than any has (4 GiB in blocks of 4 KiB).
const MOST_BLOCKS: u32 = 1 << 20;
const FAST_COMMIT_BLOCKS: u32 = 256;

/// The journal while it is read.
struct Reader<'a> {
    blocks: &'a Blocks,
    mapping: Mapping<'a>,
    features: u32,
    seed: u32,
    first: u32,
    end: u32,
    /// The newest copy of each block.
    found: BTreeMap<u64, Journaled>,
}

/// The blocks that the journal in this inode holds.
pub(super) fn read(
    blocks: &Blocks,
    mapping: Mapping<'_>,
) -> Result<BTreeMap<u64, Journaled>, FileError> {
    let first = mapping.block_of(0)?;
    let head = blocks.block(first.ok_or(FileError::Damaged("its journal has a hole"))?)?;
    if be32(&head, 0) != MAGIC || be32(&head, 0xc) as u64 != blocks.block_bytes {
        return Err(FileError::Damaged("its journal has no superblock"));
    }
    let features = if be32(&head, 4) == SUPERBLOCK_V2 {
        be32(&head, 0x28)
    } else {
        0
    };
    if features & !KNOWN != 0 {
        return Err(FileError::Unsupported(
            "a feature of the journal that is not known",
        ));
    }
    let mut end = be32(&head, 0x10);
    if features & FAST_COMMIT != 0 {
        let fast = match be32(&head, 0x54) {
            0 => FAST_COMMIT_BLOCKS,
            blocks => blocks,
        };
        end = end.saturating_sub(fast);
    }
    let mut reader = Reader {
        blocks,
        mapping,
        features,
        seed: sum(!0, &head[0x30..0x40]),
        first: be32(&head, 0x14),
        end: end.min(MOST_BLOCKS),
        found: BTreeMap::new(),
    };
    let (sequence, start) = (be32(&head, 0x18), be32(&head, 0x1c));
    if start != 0 {
        reader.walk(sequence, start)?;
    }
    Ok(reader.found)
}

impl Reader<'_> {
    fn walk(&mut self, mut sequence: u32, mut at: u32) -> Result<(), FileError> {
        let mut copies = Vec::new();
        // Where they lie and not what they hold, so that memory is bounded by the journal's length.
        let mut revokes = Vec::new();
        // Each step takes a block, so that a journal that leads to itself ends.
        let mut left = self.end;
        while left > 0 && (self.first..self.end).contains(&at) {
            left -= 1;
            let Ok((_, block)) = self.block(at) else {
                break;
            };
            if be32(&block, 0) != MAGIC || be32(&block, 8) != sequence {
                break;
            }
            let here = at;
            at = self.next(at);
            match be32(&block, 4) {
                DESCRIPTOR if self.tail_verifies(&block) => {
                    for (target, flags, checksum) in self.tags(&block) {
                        left = left.saturating_sub(1);
                        let copy = self.copy(at, sequence, flags, checksum);
                        at = self.next(at);
                        copies.push((target, copy));
                    }
                }
                REVOKE if self.tail_verifies(&block) => revokes.push(here),
                COMMIT if self.commit_verifies(&block) => {
                    self.found.extend(copies.drain(..));
                    for place in revokes.drain(..) {
                        let (_, block) = self.block(place)?;
                        for block in self.revoked(&block) {
                            self.found.remove(&block);
                        }
                    }
                    sequence = sequence.wrapping_add(1);
                }
                _ => break,
            }
        }
        Ok(())
    }

    fn next(&self, at: u32) -> u32 {
        match at + 1 < self.end {
            true => at + 1,
            false => self.first,
        }
    }

    fn block(&self, at: u32) -> Result<(u64, Vec<u8>), FileError> {
        let place = self.mapping.block_of(at)?;
        let place = place.ok_or(FileError::Damaged("its journal has a hole"))?;
        Ok((place, self.blocks.block(place)?))
    }

    fn has_checksums(&self) -> bool {
        self.features & (CHECKSUMS_V2 | CHECKSUMS_V3) != 0
    }

    fn copy(&self, at: u32, sequence: u32, flags: u32, checksum: Option<u32>) -> Journaled {
        let Ok((place, bytes)) = self.block(at) else {
            return Journaled::Damaged;
        };
        let actual = sum(sum(self.seed, &sequence.to_be_bytes()), &bytes);
        let expected = match self.features & CHECKSUMS_V3 {
            0 => actual & 0xFFFF,
            _ => actual,
        };
        match checksum.is_none_or(|checksum| checksum == expected) {
            true => Journaled::Copy {
                at: place,
                is_escaped: flags & ESCAPED != 0,
            },
            false => Journaled::Damaged,
        }
    }

    /// The tags of a descriptor: target, flags, checksum.
    fn tags(&self, block: &[u8]) -> Vec<(u64, u32, Option<u32>)> {
        let is_v3 = self.features & CHECKSUMS_V3 != 0;
        let is_wide = self.features & BITS_64 != 0;
        let tag_bytes = match (is_v3, self.features & CHECKSUMS_V2 != 0, is_wide) {
            (true, _, _) => 16,
            (false, with_sum, wide) => 8 + 2 * usize::from(with_sum) + 4 * usize::from(wide),
        };
        let end = block.len() - 4 * usize::from(self.has_checksums());
        let (mut at, mut tags) = (HEADER_BYTES, Vec::new());
        while at + tag_bytes <= end {
            let tag = &block[at..at + tag_bytes];
            let (flags, checksum, high_at) = match is_v3 {
                true => (be32(tag, 4), be32(tag, 12), 8),
                false => (be16(tag, 6), be16(tag, 4), 8),
            };
            let high = if is_wide { be32(tag, high_at) } else { 0 };
            let target = u64::from(high) << 32 | u64::from(be32(tag, 0));
            tags.push((target, flags, self.has_checksums().then_some(checksum)));
            at += tag_bytes + 16 * usize::from(flags & SAME_UUID == 0);
            if flags & LAST != 0 {
                break;
            }
        }
        tags
    }

    fn revoked(&self, block: &[u8]) -> Vec<u64> {
        let end = (be32(block, HEADER_BYTES) as usize).min(block.len());
        let rows = block.get(16..end).unwrap_or_default();
        match self.features & BITS_64 {
            0 => rows
                .chunks_exact(4)
                .map(|row| be32(row, 0).into())
                .collect(),
            _ => {
                let row = |row: &[u8]| u64::from(be32(row, 0)) << 32 | u64::from(be32(row, 4));
                rows.chunks_exact(8).map(row).collect()
            }
        }
    }

    fn tail_verifies(&self, block: &[u8]) -> bool {
        let at = block.len() - 4;
        !self.has_checksums() || self.verifies(block, at)
    }

    fn commit_verifies(&self, block: &[u8]) -> bool {
        !self.has_checksums() || self.verifies(block, 0x10)
    }

    /// Whether the checksum at a place is that of the block with zeroes there.
    fn verifies(&self, block: &[u8], at: usize) -> bool {
        let seed = sum(sum(self.seed, &block[..at]), &[0; 4]);
        sum(seed, &block[at + 4..]) == be32(block, at)
    }
}

impl Node {
    /// The journal of a file system has this in its inode.
    pub(super) fn can_be_a_journal(&self) -> bool {
        self.is_file() && self.size_bytes() > 0
    }
}

fn be16(bytes: &[u8], at: usize) -> u32 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]]).into()
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
