//! The zero map of an extent: which of its 64 KiB chunks were ever written. Pure.
//!
//! An extent that lies where the device may hold old bytes starts with no chunk written; reads of
//! such chunks are zeroes without I/O, so a client never sees old bytes. On the disk the map is a
//! sequence of pairs of 4 KiB blocks; each block carries the bits of 32,256 chunks.
//!
//! Both blocks of a pair carry the newest bits. An update writes one of them, and the other when
//! the first is durable, so at any moment one is whole, old or new. A block that is damaged or an
//! update behind is written again from the other. docs/disk-format.md has every field;
//! `zero_map/block.rs` is a block, `zero_map/pair.rs` judges what was found in the two.
//!
//! Invariants: a bit is set in memory only when the whole chunk is on the disk; it is set on the
//! disk only after a flush that began later than that. A bit is cleared in memory when its whole
//! chunk was trimmed or zeroed, by a request that had the chunk alone. The block that counts is not
//! written before the other one is durable with bits that may count in its place.

mod block;
mod pair;

use crate::geometry::{
    CHUNK_BYTES, CHUNKS_PER_BLOCK, MAP_BITS_BYTES as BITS_BYTES, PAIR_BYTES, UNIT_BYTES,
    pair_count, pairs_bytes,
};
use crate::label::Uuid;
use block::Generation;
pub(crate) use pair::{MapDefect, Repairs};

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
    generation: Generation,
    /// The block that counts: the other one is written first.
    current: u8,
    /// It is to be written: bits were changed since the last snapshot, or a block is not whole.
    dirty: bool,
    /// The snapshot is not known to be durable.
    unsaved: bool,
}

/// Which block of a pair an update writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Half {
    /// The one that does not count.
    First,
    /// The one that counted, once the first is durable.
    Second,
}

/// A map that was read.
#[derive(Debug)]
pub(crate) struct FoundMap {
    pub map: ZeroMap,
    /// What the next update of the map writes again.
    pub repairs: Repairs,
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
                    generation: Generation::FIRST,
                    ..Pair::default()
                };
                pairs
            ],
            dirty: Vec::with_capacity(pairs),
            saving: Vec::with_capacity(pairs),
        }
    }

    /// What a fresh map looks like on the disk.
    pub(crate) fn encode_fresh(key: &MapKey, extent_bytes: u64) -> Vec<u8> {
        let mut bytes = vec![0; pairs_bytes(extent_bytes) as usize];
        for (index, block) in bytes.chunks_exact_mut(UNIT_BYTES).enumerate() {
            let pair = index as u64 / 2;
            block::encode(key, pair, Generation::FIRST, &[0; BITS_BYTES], block);
        }
        bytes
    }

    /// Reads a map from the bytes of its pairs. Pairs of which a block has to be written again are
    /// noted for the next snapshot.
    ///
    /// # Errors
    /// When it is not known what the bits of some pair are.
    pub(crate) fn decode(
        key: MapKey,
        extent_bytes: u64,
        bytes: &[u8],
    ) -> Result<FoundMap, MapDefect> {
        let mut map = ZeroMap::fresh(key, extent_bytes);
        let mut repairs = Repairs::default();
        for (index, blocks) in bytes.chunks_exact(PAIR_BYTES as usize).enumerate() {
            let (first, second) = blocks.split_at(UNIT_BYTES);
            let found = pair::judge(&key, index as u64, [first, second])?;
            let bits = block::bits([first, second][found.current]);
            let place = index * BITS_BYTES..(index + 1) * BITS_BYTES;
            map.written[place.clone()].copy_from_slice(bits);
            map.snapshot[place].copy_from_slice(bits);
            map.pairs[index] = Pair {
                generation: found.generation,
                current: found.current as u8,
                dirty: false,
                unsaved: false,
            };
            if repairs.note(found.other) {
                map.note_dirty(index as u32);
            }
        }
        Ok(FoundMap { map, repairs })
    }

    /// Blocks that were found damaged are not written again: the disk takes no writes. Called
    /// before anything else has changed.
    pub(crate) fn leave_unrepaired(&mut self) {
        while let Some(index) = self.dirty.pop() {
            self.pairs[index as usize].dirty = false;
        }
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

    /// Whether a crash now would find the chunk not written, and the first chunk in `chunk..limit`
    /// of which the other is true, or `limit`. What was changed since the last snapshot does not
    /// count.
    pub(crate) fn durable_hole_run(&self, chunk: u64, limit: u64) -> (bool, u64) {
        let limit = limit.min(self.chunks);
        let is_hole = |chunk: u64| {
            let pair = &self.pairs[(chunk / CHUNKS_PER_BLOCK) as usize];
            !pair.unsaved && !bit(&self.snapshot, chunk)
        };
        let state = is_hole(chunk);
        let other = (chunk + 1..limit).find(|other| is_hole(*other) != state);
        (state, other.unwrap_or(limit))
    }

    /// Whether all its bits are on the disk, though perhaps not durable yet.
    pub(crate) fn is_saved(&self) -> bool {
        self.dirty.is_empty() && self.saving.is_empty()
    }

    /// Takes the bits of all changed pairs as they are now, to be written once the data flush that
    /// is asked for *at this moment* is done.
    pub(crate) fn take_snapshot(&mut self) {
        debug_assert!(
            self.saving.is_empty(),
            "the last snapshot is still being written"
        );
        std::mem::swap(&mut self.dirty, &mut self.saving);
        for index in &self.saving {
            let place = *index as usize * BITS_BYTES..(*index as usize + 1) * BITS_BYTES;
            let pair = &mut self.pairs[*index as usize];
            pair.dirty = false;
            // A pair of which only a block is repaired stays as durable as it is.
            pair.unsaved |= self.snapshot[place.clone()] != self.written[place.clone()];
            self.snapshot[place.clone()].copy_from_slice(&self.written[place]);
        }
    }

    /// How many pairs the snapshot has that is being written.
    pub(crate) fn saving(&self) -> usize {
        self.saving.len()
    }

    /// Encodes block `which` of the snapshot into `block` and says where it goes on the disk. The
    /// second halves are asked for when all first halves are durable.
    pub(crate) fn encode_saving(&mut self, which: usize, half: Half, block: &mut [u8]) -> u64 {
        let index = self.saving[which];
        let pair = &mut self.pairs[index as usize];
        match half {
            Half::First => pair.generation = pair.generation.next(),
            Half::Second => pair.current = 1 - pair.current,
        }
        let place = index as usize * BITS_BYTES..(index as usize + 1) * BITS_BYTES;
        let bits = &self.snapshot[place];
        block::encode(&self.key, u64::from(index), pair.generation, bits, block);
        let other = 1 - u64::from(pair.current);
        self.key.map_offset_bytes + u64::from(index) * PAIR_BYTES + other * UNIT_BYTES as u64
    }

    /// Both halves of the snapshot are durable (`saved`), or it is not known what became of it.
    pub(crate) fn finish_snapshot(&mut self, saved: bool) {
        while let Some(index) = self.saving.pop() {
            let pair = &mut self.pairs[index as usize];
            if saved {
                pair.unsaved = false;
            } else if pair.unsaved {
                self.note_dirty(index);
            }
            // A block that could not be repaired is written with the next change of its pair.
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

#[cfg(test)]
mod tests;
