//! The index: where the newest version of each block lies, for one moment.
//!
//! ```text
//!   block number ── leaf of 4,096 blocks ─┬─ sparse: keys and values, sorted     10 B a block
//!                                         ├─ dense: a value for each block        8 B
//!                                         └─ uniform: one value for all of them
//! ```
//!
//! A value is a place and a checksum, so that a read is verified without a second read. A block
//! that no leaf has is in the image. A map is a function of the log: it is built by replaying it.
//!
//! Invariants: a leaf is never empty; a sparse leaf has at most [`SPARSE_MAX`] values, so that a
//! block costs at most 10 bytes; a uniform leaf holds zeroes.
//!
//! What is not known here: seqs, branches, segments.

mod leaf;

use crate::format::Unit;
use leaf::Leaf;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Blocks of a leaf.
pub(crate) const LEAF_BLOCKS: u64 = 4096;

/// Values of a sparse leaf, at most: above that a dense one is smaller.
pub(crate) const SPARSE_MAX: usize = 3276;

const ZEROES: u32 = 1 << 31;

/// Where a version of a block lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Value(u64);

impl Value {
    /// In a unit of the log, with its checksum.
    pub(crate) fn data(unit: Unit, checksum: u32) -> Value {
        Value(u64::from(unit) | u64::from(checksum) << 32)
    }

    /// Zeroed or trimmed by the batch whose header lies at `unit`: two such versions differ.
    pub(crate) fn zeroes(unit: Unit) -> Value {
        Value(u64::from(unit | ZEROES))
    }

    /// Where it lies: its data, or the header of the batch that zeroed or trimmed it.
    pub(crate) fn unit(self) -> Unit {
        self.0 as u32 & !ZEROES
    }

    /// Unit and checksum, or `None` if it reads as zeroes.
    pub(crate) fn as_data(self) -> Option<(Unit, u32)> {
        let unit = self.0 as u32;
        (unit & ZEROES == 0).then_some((unit, (self.0 >> 32) as u32))
    }
}

/// The index of one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct BlockMap {
    leaves: BTreeMap<u64, Leaf>,
}

impl BlockMap {
    /// The newest version of a block; `None`: it is in the image.
    pub(crate) fn get(&self, lba: u64) -> Option<Value> {
        self.leaves.get(&(lba / LEAF_BLOCKS))?.get(key(lba))
    }

    /// Notes a newer version of a block.
    pub(crate) fn set(&mut self, lba: u64, value: Value) {
        self.leaves
            .entry(lba / LEAF_BLOCKS)
            .or_default()
            .set(key(lba), value);
    }

    /// Notes that a run of blocks has a newer version, which reads as zeroes.
    pub(crate) fn set_run(&mut self, lba: u64, blocks: u64, value: Value) {
        let end = lba + blocks;
        let mut at = lba;
        while at < end {
            let leaf_end = (at / LEAF_BLOCKS + 1) * LEAF_BLOCKS;
            if at.is_multiple_of(LEAF_BLOCKS) && leaf_end <= end {
                self.leaves.insert(at / LEAF_BLOCKS, Leaf::Uniform(value));
                at = leaf_end;
            } else {
                self.set(at, value);
                at += 1;
            }
        }
    }

    /// All blocks that are not in the image, as runs: first block, and how many.
    pub(crate) fn runs(&self) -> Vec<(u64, u64)> {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for (number, leaf) in &self.leaves {
            leaf.each_run(|from, blocks| {
                let lba = number * LEAF_BLOCKS + from;
                match runs.last_mut() {
                    Some((first, count)) if *first + *count == lba => *count += blocks,
                    _ => runs.push((lba, blocks)),
                }
            });
        }
        runs
    }

    /// How many blocks from `lba` on, at most `limit`, are in the image.
    pub(crate) fn blocks_in_image(&self, lba: u64, limit: u64) -> u64 {
        let next = self.next_from(lba).map_or(u64::MAX, |(at, _)| at);
        limit.min(next - lba)
    }

    /// How many blocks from `lba` on, at most `limit`, read as zeroes.
    pub(crate) fn zeroes_from(&self, lba: u64, limit: u64) -> u64 {
        let is_zero = |at: u64| self.get(at).is_some_and(|value| value.as_data().is_none());
        let mut blocks = 0;
        while blocks < limit && is_zero(lba + blocks) {
            let leaf = self.leaves.get(&((lba + blocks) / LEAF_BLOCKS));
            blocks += match leaf {
                Some(Leaf::Uniform(_)) => LEAF_BLOCKS - (lba + blocks) % LEAF_BLOCKS,
                _ => 1,
            };
        }
        blocks.min(limit)
    }

    /// The first block at or behind `lba` that is not in the image.
    pub(crate) fn next_from(&self, lba: u64) -> Option<(u64, Value)> {
        let first = lba / LEAF_BLOCKS;
        for (number, leaf) in self.leaves.range(first..) {
            let from = if *number == first { key(lba) } else { 0 };
            if let Some((key, value)) = leaf.next_from(from) {
                return Some((number * LEAF_BLOCKS + u64::from(key), value));
            }
        }
        None
    }

    /// All blocks that `folded` has in the same version are in the image now.
    pub(crate) fn forget(&mut self, folded: &BlockMap) {
        for (number, of_fold) in &folded.leaves {
            if let Some(leaf) = self.leaves.get_mut(number)
                && leaf.forget(of_fold)
            {
                self.leaves.remove(number);
            }
        }
    }

    /// All that `newer` has replaces what is there.
    pub(crate) fn lay_over(&mut self, newer: BlockMap) {
        for (number, leaf) in newer.leaves {
            match self.leaves.entry(number) {
                Entry::Vacant(place) => drop(place.insert(leaf)),
                Entry::Occupied(mut below) => below.get_mut().lay_over(leaf),
            }
        }
    }

    /// Removes the blocks whose version lies in such a unit; they are a map of their own.
    pub(crate) fn take_where(&mut self, is_wanted: impl Fn(Unit) -> bool) -> BlockMap {
        let leaves = self.leaves.iter();
        let wanted = leaves.map(|(number, leaf)| (*number, leaf.part(&is_wanted)));
        let taken = BlockMap {
            leaves: wanted.filter(|(_, leaf)| leaf.blocks() > 0).collect(),
        };
        self.forget(&taken);
        taken
    }

    /// Blocks that are not in the image.
    pub(crate) fn blocks(&self) -> u64 {
        self.leaves.values().map(Leaf::blocks).sum()
    }

    /// Bytes of memory, without what the allocator adds.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let leaf = size_of::<Leaf>() + size_of::<u64>();
        let of_leaves = self.leaves.values().map(Leaf::heap_bytes);
        of_leaves.map(|bytes| bytes + leaf as u64).sum()
    }
}

fn key(lba: u64) -> u16 {
    (lba % LEAF_BLOCKS) as u16
}

#[cfg(test)]
mod tests;
