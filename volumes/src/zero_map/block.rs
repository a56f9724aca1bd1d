//! A block of a zero map: its bytes, and whether it is whole.
//!
//! Uuids, place and number in every block tell the blocks of a map from those of an earlier map at
//! the same place. What is not known here: the other block of the pair.

use super::MapKey;
use crate::geometry::MAP_HEADER_BYTES as HEADER_BYTES;
use disktime_units::little_endian::{u32_at, u64_at};

const MAGIC: &[u8; 4] = b"DTZM";

/// Counts the updates of a pair, in steps of 65,536. A number between such steps is of a block that
/// an earlier build wrote: it wrote the two blocks of a pair in turn and counted by one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Generation(u64);

impl Generation {
    /// Of a fresh map.
    pub(super) const FIRST: Generation = Generation(Generation::STEP);
    /// Of a map that an earlier build made and never changed.
    pub(super) const FIRST_IN_TURN: Generation = Generation(1);
    const STEP: u64 = 1 << 16;

    /// Of the next update.
    pub(super) fn next(self) -> Generation {
        Generation((self.0 / Self::STEP + 1) * Self::STEP)
    }

    /// What an earlier build wrote into the other block before this.
    pub(super) fn before(self) -> Generation {
        Generation(self.0.saturating_sub(1))
    }

    /// What an earlier build would write into the other block after this.
    pub(super) fn after(self) -> Generation {
        Generation(self.0.saturating_add(1))
    }

    /// Whether an earlier build wrote the block.
    pub(super) fn is_in_turn(self) -> bool {
        !self.0.is_multiple_of(Self::STEP)
    }
}

/// Writes a block with its checksum.
pub(super) fn encode(
    key: &MapKey,
    pair: u64,
    generation: Generation,
    bits: &[u8],
    block: &mut [u8],
) {
    block[..4].copy_from_slice(MAGIC);
    block[4..8].fill(0);
    block[8..16].copy_from_slice(&generation.0.to_le_bytes());
    block[16..32].copy_from_slice(&key.vdisk_uuid.to_bytes());
    block[32..48].copy_from_slice(&key.disk_uuid.to_bytes());
    block[48..56].copy_from_slice(&key.map_offset_bytes.to_le_bytes());
    block[56..64].copy_from_slice(&pair.to_le_bytes());
    block[HEADER_BYTES..].copy_from_slice(bits);
    let crc = crc32c::crc32c(block);
    block[4..8].copy_from_slice(&crc.to_le_bytes());
}

/// The generation of a whole block of this map.
pub(super) fn decode(key: &MapKey, pair: u64, block: &[u8]) -> Option<Generation> {
    let claimed = claim(key, pair, block)?;
    is_whole_as(claimed, block).then_some(claimed)
}

/// The generation that a block of this map claims, whole or not.
pub(super) fn claim(key: &MapKey, pair: u64, block: &[u8]) -> Option<Generation> {
    let ours = block[..4] == *MAGIC
        && block[16..32] == key.vdisk_uuid.to_bytes()
        && block[32..48] == key.disk_uuid.to_bytes()
        && u64_at(block, 48) == key.map_offset_bytes
        && u64_at(block, 56) == pair;
    ours.then(|| Generation(u64_at(block, 8)))
}

/// Whether the checksum is right if that is the block's generation.
pub(super) fn is_whole_as(generation: Generation, block: &[u8]) -> bool {
    let crc = crc32c::crc32c(&block[..4]);
    let crc = crc32c::crc32c_append(crc, &[0; 4]);
    let crc = crc32c::crc32c_append(crc, &generation.0.to_le_bytes());
    u32_at(block, 4) == crc32c::crc32c_append(crc, &block[16..])
}

/// The bits of a block.
pub(super) fn bits(block: &[u8]) -> &[u8] {
    &block[HEADER_BYTES..]
}
