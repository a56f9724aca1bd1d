//! From the blocks of a file to blocks of the file system: trees of extents, and the maps of ext2
//! and ext3.
//!
//! Invariants: each answer reads at most a path of the tree; a tree that leads to itself is an
//! error, as levels must count down.

use super::blocks::Blocks;
use super::inode::Node;
use super::superblock::{Superblock, sum};
use crate::error::FileError;
use disktime_units::little_endian::{u16_at, u32_at};

const EXTENT_MAGIC: u16 = 0xF30A;
const ROW_BYTES: usize = 12;
/// Longer extents are set aside and not written.
const UNWRITTEN: u64 = 32_768;
const MOST_LEVELS: u16 = 5;
/// Places of blocks in an inode, before those of blocks of places.
const DIRECT: u64 = 12;

/// Blocks of a file that lie together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// How many there are, at least one.
    pub(super) blocks: u64,
    /// Where the first lies; `None` if they are a hole.
    pub(super) place: Option<u64>,
}

/// The map of a file.
pub(super) struct Mapping<'a> {
    blocks: &'a Blocks,
    superblock: &'a Superblock,
    node: &'a Node,
}

impl<'a> Mapping<'a> {
    pub(super) fn new(blocks: &'a Blocks, superblock: &'a Superblock, node: &'a Node) -> Self {
        Mapping {
            blocks,
            superblock,
            node,
        }
    }

    /// Where a block of the file lies; `None` if it is a hole.
    pub(super) fn block_of(&self, block: u32) -> Result<Option<u64>, FileError> {
        Ok(self.run(block.into())?.place)
    }

    /// The run that begins at a block of the file.
    pub(super) fn run(&self, block: u64) -> Result<Run, FileError> {
        let run = match self.node.has_extents() {
            true => self.of_extents(block)?,
            false => self.of_map(block)?,
        };
        let first = self.superblock.first_data_block;
        let end = run.place.unwrap_or(first).checked_add(run.blocks);
        let is_inside = run.place.is_none_or(|place| place > first)
            && (run.place.is_none() || end.is_some_and(|end| end <= self.superblock.blocks));
        match is_inside {
            true => Ok(run),
            false => Err(FileError::Damaged("a file's block lies behind the end")),
        }
    }

    fn of_extents(&self, block: u64) -> Result<Run, FileError> {
        let mut bytes = self.node.places.to_vec();
        let mut end = 1 << 32;
        if block >= end {
            return Err(FileError::Damaged("a file is longer than its map"));
        }
        let mut expected = None;
        loop {
            let level = level(&bytes, expected)?;
            let count = usize::from(u16_at(&bytes, 2));
            let rows = &bytes[ROW_BYTES..ROW_BYTES * (1 + count)];
            let rows: Vec<&[u8]> = rows.chunks(ROW_BYTES).collect();
            let at = rows.partition_point(|row| u64::from(u32_at(row, 0)) <= block);
            if let Some(next) = rows.get(at) {
                end = end.min(u64::from(u32_at(next, 0)));
            }
            let hole = Run {
                blocks: end.saturating_sub(block).max(1),
                place: None,
            };
            let Some(row) = at.checked_sub(1).map(|at| rows[at]) else {
                return Ok(hole);
            };
            if level == 0 {
                return Ok(of_extent(row, block).unwrap_or(hole));
            }
            let place = u64::from(u16_at(row, 8)) << 32 | u64::from(u32_at(row, 4));
            bytes = self.tree_block(place)?;
            expected = Some(level - 1);
        }
    }

    /// A block of the tree, whose checksum lies behind its rows.
    fn tree_block(&self, place: u64) -> Result<Vec<u8>, FileError> {
        let bytes = self.blocks.block(place)?;
        if self.superblock.has_checksums {
            let at = ROW_BYTES * (1 + usize::from(u16_at(&bytes, 4)));
            let is_good =
                at + 4 <= bytes.len() && sum(self.node.seed, &bytes[..at]) == u32_at(&bytes, at);
            if !is_good {
                return Err(FileError::Damaged("a file's extents do not verify"));
            }
        }
        Ok(bytes)
    }

    fn of_map(&self, block: u64) -> Result<Run, FileError> {
        let in_a_block = self.superblock.block_bytes / 4;
        let mut start = DIRECT;
        if block < DIRECT {
            return Ok(run_of_places(&self.node.places[..48], block as usize));
        }
        for level in 1..=3u32 {
            let reach = in_a_block.pow(level);
            if block < start + reach {
                let root = u32_at(&self.node.places, 44 + 4 * level as usize);
                return self.of_level(root.into(), level, block - start);
            }
            start += reach;
        }
        Err(FileError::Damaged("a file is longer than its map"))
    }

    fn of_level(&self, mut place: u64, mut level: u32, mut block: u64) -> Result<Run, FileError> {
        let in_a_block = self.superblock.block_bytes / 4;
        loop {
            let below = in_a_block.pow(level - 1);
            if place == 0 {
                return Ok(Run {
                    blocks: below * in_a_block - block,
                    place: None,
                });
            }
            let bytes = self.blocks.block(place)?;
            if level == 1 {
                return Ok(run_of_places(&bytes, block as usize));
            }
            place = u32_at(&bytes, 4 * (block / below) as usize).into();
            block %= below;
            level -= 1;
        }
    }
}

/// The level of a block of a tree, whose head and rows are possible.
fn level(bytes: &[u8], expected: Option<u16>) -> Result<u16, FileError> {
    let level = u16_at(bytes, 6);
    let rows = usize::from(u16_at(bytes, 2));
    let is_good = u16_at(bytes, 0) == EXTENT_MAGIC
        && expected.map_or(level <= MOST_LEVELS, |expected| expected == level)
        && ROW_BYTES * (1 + rows) <= bytes.len();
    match is_good {
        true => Ok(level),
        false => Err(FileError::Damaged("a file's extents are no tree")),
    }
}

/// What an extent has of a block; `None` if it ends before.
fn of_extent(row: &[u8], block: u64) -> Option<Run> {
    let (first, len) = (u64::from(u32_at(row, 0)), u64::from(u16_at(row, 4)));
    let is_written = len <= UNWRITTEN;
    let len = if is_written { len } else { len - UNWRITTEN };
    let place = u64::from(u16_at(row, 6)) << 32 | u64::from(u32_at(row, 8));
    // Rows that are in no order lead to one that begins behind the block.
    let within = block.checked_sub(first)?;
    (within < len).then(|| Run {
        blocks: len - within,
        place: is_written.then_some(place + within),
    })
}

/// The run at a row of a table of places.
fn run_of_places(table: &[u8], at: usize) -> Run {
    let place = |at: usize| u64::from(u32_at(table, 4 * at));
    let (first, rows) = (place(at), table.len() / 4);
    let follows = |(next, count): (usize, u64)| match first {
        0 => place(next) == 0,
        first => place(next) == first + count,
    };
    let more = (at + 1..rows)
        .zip(1..)
        .take_while(|row| follows(*row))
        .count();
    Run {
        blocks: 1 + more as u64,
        place: (first != 0).then_some(first),
    }
}
