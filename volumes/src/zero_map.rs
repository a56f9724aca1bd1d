//! The zero map of an extent: which of its 64 KiB chunks were ever written. Pure.
//!
//! An extent that lies where the device may hold old bytes starts with no chunk written; reads of
//! such chunks are zeroes without I/O, so a client never sees old bytes. On the disk the map is a
//! sequence of pairs of 4 KiB blocks; each block carries the bits of 32,256 chunks. The two blocks
//! of a pair alternate: an update goes to the one that is not current, so a torn write (found by
//! its checksum) leaves the older one; the block with the greater generation is current.
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 4 | magic `DTZM` |
//! | 4 | 4 | crc32c over the 4096 bytes, taken with this field as zero |
//! | 8 | 8 | generation |
//! | 16 | 16 | uuid of the vdisk |
//! | 32 | 16 | uuid of the disk |
//! | 48 | 8 | place of the map on the disk |
//! | 56 | 8 | number of the pair within the map |
//! | 64 | 4032 | one bit per chunk, lowest bit first; 1: written |
//!
//! Invariants: a bit is set in memory only when the whole chunk is on the disk; it is set on the
//! disk only after a flush that began later than that. A bit is cleared in memory when its whole
//! chunk was trimmed or zeroed, by a request that had the chunk alone. Uuids and place in
//! every block tell its blocks from those of an earlier map at the same place.

use crate::geometry::{
    CHUNK_BYTES, CHUNKS_PER_BLOCK, MAP_BITS_BYTES as BITS_BYTES, MAP_HEADER_BYTES as HEADER_BYTES,
    PAIR_BYTES, UNIT_BYTES, pair_count, pairs_bytes,
};
use crate::label::{Uuid, u32_at, u64_at};

const MAGIC: &[u8; 4] = b"DTZM";

/// Whose map it is; part of every block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MapKey {
    vdisk_uuid: Uuid,
    disk_uuid: Uuid,
    map_offset_bytes: u64,
}

impl MapKey {
    /// Of a vdisk on a disk, where the map lies at `map_offset_bytes`.
    pub(crate) fn new(vdisk_uuid: Uuid, disk_uuid: Uuid, map_offset_bytes: u64) -> MapKey {
        MapKey {
            vdisk_uuid,
            disk_uuid,
            map_offset_bytes,
        }
    }
}

/// State of one pair.
#[derive(Debug, Clone, Copy, Default)]
struct Pair {
    /// Of the last block written or tried.
    generation: u64,
    /// Which block of the pair counts.
    current: u8,
    /// Bits were set since the last snapshot.
    dirty: bool,
    /// The snapshot is not known to be durable.
    unsaved: bool,
}

/// A map in memory.
#[derive(Debug)]
pub(crate) struct ZeroMap {
    key: MapKey,
    chunks: u64,
    /// Chunks whose data is on the disk, as far as completions say.
    written: Vec<u8>,
    /// The bits as of the last snapshot, which is what is written to the disk.
    snapshot: Vec<u8>,
    pairs: Vec<Pair>,
    dirty: Vec<u32>,
    saving: Vec<u32>,
}

impl ZeroMap {
    /// The map of an extent that has just been allocated: nothing is written.
    pub(crate) fn fresh(key: MapKey, extent_bytes: u64) -> ZeroMap {
        let pairs = pair_count(extent_bytes) as usize;
        ZeroMap {
            key,
            chunks: extent_bytes.div_ceil(CHUNK_BYTES),
            written: vec![0; pairs * BITS_BYTES],
            snapshot: vec![0; pairs * BITS_BYTES],
            pairs: vec![
                Pair {
                    generation: 1,
                    ..Pair::default()
                };
                pairs
            ],
            dirty: Vec::with_capacity(pairs),
            saving: Vec::with_capacity(pairs),
        }
    }

    /// What a fresh map looks like on the disk: the first block of each pair counts.
    pub(crate) fn encode_fresh(key: &MapKey, extent_bytes: u64) -> Vec<u8> {
        let mut bytes = vec![0; pairs_bytes(extent_bytes) as usize];
        for (index, pair) in bytes.chunks_exact_mut(PAIR_BYTES as usize).enumerate() {
            encode_block(
                key,
                index as u64,
                1,
                &[0; BITS_BYTES],
                &mut pair[..UNIT_BYTES],
            );
        }
        bytes
    }

    /// Reads a map from the bytes of its pairs. `None` if some pair has no whole block.
    pub(crate) fn decode(key: MapKey, extent_bytes: u64, bytes: &[u8]) -> Option<ZeroMap> {
        let mut map = ZeroMap::fresh(key, extent_bytes);
        for index in 0..map.pairs.len() {
            let pair = bytes
                .get(index * PAIR_BYTES as usize..)?
                .get(..PAIR_BYTES as usize)?;
            let (first, second) = pair.split_at(UNIT_BYTES);
            let found = [first, second].map(|block| decode_block(&key, index as u64, block));
            let current = usize::from(found[1] > found[0]);
            let generation = found[current]?;
            let bits = &[first, second][current][HEADER_BYTES..];
            let place = index * BITS_BYTES..(index + 1) * BITS_BYTES;
            map.written[place.clone()].copy_from_slice(bits);
            map.snapshot[place].copy_from_slice(bits);
            map.pairs[index] = Pair {
                generation,
                current: current as u8,
                dirty: false,
                unsaved: false,
            };
        }
        Some(map)
    }

    /// Whether the chunk is written.
    pub(crate) fn is_written(&self, chunk: u64) -> bool {
        bit(&self.written, chunk)
    }

    /// The first chunk in `chunk..limit` whose state differs from that of `chunk`, or `limit`.
    pub(crate) fn run_end(&self, chunk: u64, limit: u64) -> u64 {
        let limit = limit.min(self.chunks);
        let state = self.is_written(chunk);
        let uniform = if state { [0xFF; 8] } else { [0x00; 8] };
        let mut at = chunk + 1;
        while at < limit {
            // A block holds whole words, so one that begins in it ends in it.
            let word = at.is_multiple_of(64).then(|| byte_of(at));
            if word.is_some_and(|at| self.written[at..at + 8] == uniform) {
                at += 64;
            } else if self.is_written(at) == state {
                at += 1;
            } else {
                return at;
            }
        }
        limit
    }

    /// How many chunks are written.
    pub(crate) fn written_chunks(&self) -> u64 {
        let ones = |byte: &u8| u64::from(byte.count_ones());
        self.written.iter().map(ones).sum()
    }

    /// Notes that the chunks `from..to` are on the disk; how many were not before.
    pub(crate) fn mark_written(&mut self, from: u64, to: u64) -> u64 {
        let mut changed = 0;
        for chunk in from..to.min(self.chunks) {
            if self.is_written(chunk) {
                continue;
            }
            self.written[byte_of(chunk)] |= 1 << (chunk % CHUNKS_PER_BLOCK % 8);
            self.note_dirty((chunk / CHUNKS_PER_BLOCK) as u32);
            changed += 1;
        }
        changed
    }

    /// Notes that the chunks `from..to` read as zeroes, whatever is on the disk; how many did not
    /// before.
    pub(crate) fn mark_zero(&mut self, from: u64, to: u64) -> u64 {
        let mut changed = 0;
        for chunk in from..to.min(self.chunks) {
            if self.is_written(chunk) {
                self.written[byte_of(chunk)] &= !(1 << (chunk % CHUNKS_PER_BLOCK % 8));
                self.note_dirty((chunk / CHUNKS_PER_BLOCK) as u32);
                changed += 1;
            }
        }
        changed
    }

    /// Whether a crash now would find the chunks `from..to` written.
    pub(crate) fn is_durable(&self, from: u64, to: u64) -> bool {
        (from..to.min(self.chunks)).all(|chunk| {
            let pair = &self.pairs[(chunk / CHUNKS_PER_BLOCK) as usize];
            !pair.unsaved && bit(&self.snapshot, chunk)
        })
    }

    /// Whether all its bits are on the disk, though perhaps not durable yet.
    pub(crate) fn is_saved(&self) -> bool {
        self.dirty.is_empty() && self.saving.is_empty()
    }

    /// Takes the bits of all changed pairs as they are now, to be written once the data flush that
    /// is asked for *at this moment* is done. Returns how many blocks there will be.
    pub(crate) fn take_snapshot(&mut self) -> usize {
        debug_assert!(
            self.saving.is_empty(),
            "the last snapshot is still being written"
        );
        std::mem::swap(&mut self.dirty, &mut self.saving);
        for index in &self.saving {
            let place = *index as usize * BITS_BYTES..(*index as usize + 1) * BITS_BYTES;
            self.snapshot[place.clone()].copy_from_slice(&self.written[place]);
            let pair = &mut self.pairs[*index as usize];
            pair.dirty = false;
            pair.unsaved = true;
        }
        self.saving.len()
    }

    /// Encodes block `which` of the snapshot into `block` and says where it goes on the disk.
    pub(crate) fn encode_saving(&mut self, which: usize, block: &mut [u8]) -> u64 {
        let index = self.saving[which];
        let pair = &mut self.pairs[index as usize];
        pair.generation += 1;
        let place = index as usize * BITS_BYTES..(index as usize + 1) * BITS_BYTES;
        encode_block(
            &self.key,
            u64::from(index),
            pair.generation,
            &self.snapshot[place],
            block,
        );
        let other = 1 - u64::from(pair.current);
        self.key.map_offset_bytes + u64::from(index) * PAIR_BYTES + other * UNIT_BYTES as u64
    }

    /// The snapshot is durable (`saved`), or it is not known what became of it.
    pub(crate) fn finish_snapshot(&mut self, saved: bool) {
        while let Some(index) = self.saving.pop() {
            if saved {
                let pair = &mut self.pairs[index as usize];
                pair.current = 1 - pair.current;
                pair.unsaved = false;
            } else {
                self.note_dirty(index);
            }
        }
    }

    fn note_dirty(&mut self, index: u32) {
        let pair = &mut self.pairs[index as usize];
        if !pair.dirty {
            pair.dirty = true;
            self.dirty.push(index);
        }
    }
}

fn byte_of(chunk: u64) -> usize {
    (chunk / CHUNKS_PER_BLOCK) as usize * BITS_BYTES + (chunk % CHUNKS_PER_BLOCK / 8) as usize
}

fn bit(bits: &[u8], chunk: u64) -> bool {
    bits[byte_of(chunk)] >> (chunk % CHUNKS_PER_BLOCK % 8) & 1 == 1
}

fn encode_block(key: &MapKey, index: u64, generation: u64, bits: &[u8], block: &mut [u8]) {
    block[..4].copy_from_slice(MAGIC);
    block[4..8].fill(0);
    block[8..16].copy_from_slice(&generation.to_le_bytes());
    block[16..32].copy_from_slice(&key.vdisk_uuid.to_bytes());
    block[32..48].copy_from_slice(&key.disk_uuid.to_bytes());
    block[48..56].copy_from_slice(&key.map_offset_bytes.to_le_bytes());
    block[56..64].copy_from_slice(&index.to_le_bytes());
    block[HEADER_BYTES..].copy_from_slice(bits);
    let crc = crc32c::crc32c(block);
    block[4..8].copy_from_slice(&crc.to_le_bytes());
}

/// The generation of a whole block of this map.
fn decode_block(key: &MapKey, index: u64, block: &[u8]) -> Option<u64> {
    let crc = crc32c::crc32c(&block[..4]);
    let crc = crc32c::crc32c_append(crc, &[0; 4]);
    let crc = crc32c::crc32c_append(crc, &block[8..]);
    let ours = block[..4] == *MAGIC
        && u32_at(block, 4) == crc
        && block[16..32] == key.vdisk_uuid.to_bytes()
        && block[32..48] == key.disk_uuid.to_bytes()
        && u64_at(block, 48) == key.map_offset_bytes
        && u64_at(block, 56) == index;
    ours.then(|| u64_at(block, 8))
}

#[cfg(test)]
mod tests;
