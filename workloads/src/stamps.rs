//! Writes that can be checked after a crash: every sector says which write it came from.
//!
//! A write of 4 KiB blocks gets a *generation*, a number that only grows. Each 512-byte sector of
//! it holds vdisk, block, sector, generation, a checksum, and content that follows from them. The
//! checker knows for each block which generation was issued, which was acknowledged, and which was
//! acknowledged before a flush that is completed. After a crash a block must hold
//! - a generation from the last flushed to the last issued one (or zeroes, if none was flushed),
//! - whole: sectors of different generations are allowed only while a write is not flushed.
//!
//! Invariants: a block has at most one write in flight (the order of two would be unknown);
//! tickets from before a crash have no effect after it. It does no I/O: the same checker is used
//! over NBD against a killed server, and in virtual time on a disk that loses its cache.
//! What it cannot detect: a lost write of a block that was not flushed, which is allowed.

use crate::stamped_sector::{SECTOR_BYTES, SECTORS, STAMP_BLOCK_BYTES, read_sector, write_sector};
use thiserror::Error;

/// A write in flight.
#[derive(Debug, PartialEq, Eq)]
pub struct WriteTicket {
    /// Its generation.
    pub generation: u64,
    /// The first block.
    pub first_block: u64,
    /// The number of blocks.
    pub blocks: u64,
    epoch: u64,
}

impl WriteTicket {
    /// Start of the range.
    pub fn offset_bytes(&self) -> u64 {
        self.first_block * STAMP_BLOCK_BYTES as u64
    }

    /// Length of the range.
    pub fn len_bytes(&self) -> usize {
        self.blocks as usize * STAMP_BLOCK_BYTES
    }
}

/// A flush in flight.
#[derive(Debug, PartialEq, Eq)]
pub struct FlushTicket {
    /// The generation of each block that was acknowledged when the flush began.
    acknowledged: Vec<u64>,
    epoch: u64,
}

/// What a block was found to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Zeroes: it was never written, or no write survived.
    Zeroes,
    /// All of one write.
    Whole {
        /// Its generation.
        generation: u64,
    },
    /// Sectors of different writes, which is allowed here.
    Torn,
}

/// What a block must not hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Violation {
    /// A sector that no write of this checker wrote at this position.
    #[error("block {block}, sector {sector}: neither zeroes nor a sector written there")]
    Foreign {
        /// The block.
        block: u64,
        /// The sector in it.
        sector: usize,
    },
    /// An older generation than allowed.
    #[error(
        "block {block} holds generation {found} (0 is zeroes), but {spec} was promised: a lost \
            write"
    )]
    Lost {
        /// The block.
        block: u64,
        /// What it holds.
        found: u64,
        /// What it has to hold at least.
        spec: u64,
    },
    /// A generation that was never issued there.
    #[error("block {block} holds generation {found}, but the last one issued is {issued}")]
    Unissued {
        /// The block.
        block: u64,
        /// What it holds.
        found: u64,
        /// The last one issued.
        issued: u64,
    },
    /// Sectors of different writes where every write was flushed.
    #[error(
        "block {block} is torn between generations {oldest} and {newest}, though it was flushed"
    )]
    Torn {
        /// The block.
        block: u64,
        /// The oldest generation in it; 0 is zeroes.
        oldest: u64,
        /// The newest.
        newest: u64,
    },
}

#[derive(Debug, Clone, Copy, Default)]
struct Block {
    /// The last generation issued; 0 is none.
    issued: u64,
    /// The last one acknowledged.
    acknowledged: u64,
    /// The last one acknowledged before a flush that is completed.
    flushed: u64,
    in_flight: bool,
}

/// Stamps and checks the blocks of one virtual disk that starts as zeroes.
#[derive(Debug)]
pub struct StampChecker {
    vdisk: u64,
    blocks: Vec<Block>,
    generation: u64,
    epoch: u64,
}

impl StampChecker {
    /// A checker of `blocks` blocks; `vdisk` tells the stamps of several virtual disks apart.
    pub fn new(vdisk: u64, blocks: usize) -> StampChecker {
        StampChecker {
            vdisk,
            blocks: vec![Block::default(); blocks],
            generation: 0,
            epoch: 0,
        }
    }

    /// How many blocks.
    pub fn blocks(&self) -> u64 {
        self.blocks.len() as u64
    }

    fn range(&mut self, first_block: u64, blocks: u64) -> Option<&mut [Block]> {
        let first = usize::try_from(first_block).ok()?;
        let end = first.checked_add(usize::try_from(blocks).ok()?)?;
        self.blocks.get_mut(first..end)
    }

    /// Begins a write. `None` if the range is empty or beyond the end, or a write of one of
    /// its blocks is in flight.
    pub fn begin_write(&mut self, first_block: u64, blocks: u64) -> Option<WriteTicket> {
        let generation = self.generation + 1;
        let range = self
            .range(first_block, blocks)
            .filter(|range| !range.is_empty())?;
        if range.iter().any(|block| block.in_flight) {
            return None;
        }
        for block in range {
            block.issued = generation;
            block.in_flight = true;
        }
        self.generation = generation;
        Some(WriteTicket {
            generation,
            first_block,
            blocks,
            epoch: self.epoch,
        })
    }

    /// Fills a buffer of [`WriteTicket::len_bytes`] with the write's content.
    ///
    /// # Panics
    /// If the buffer has another length.
    pub fn fill(&self, ticket: &WriteTicket, buffer: &mut [u8]) {
        assert_eq!(
            buffer.len(),
            ticket.len_bytes(),
            "the buffer is the write's"
        );
        for (index, sector) in buffer.chunks_exact_mut(SECTOR_BYTES).enumerate() {
            let block = ticket.first_block + (index / SECTORS) as u64;
            write_sector(
                sector,
                self.vdisk,
                block,
                index % SECTORS,
                ticket.generation,
            );
        }
    }

    /// The write is completed; with `fua` it is durable, too.
    pub fn write_done(&mut self, ticket: WriteTicket, fua: bool) {
        if ticket.epoch != self.epoch {
            return;
        }
        let range = self
            .range(ticket.first_block, ticket.blocks)
            .unwrap_or_default();
        for block in range {
            block.in_flight = false;
            block.acknowledged = ticket.generation;
            if fua {
                block.flushed = ticket.generation;
            }
        }
    }

    /// The write failed: it may have happened or not.
    pub fn write_failed(&mut self, ticket: WriteTicket) {
        if ticket.epoch != self.epoch {
            return;
        }
        let range = self
            .range(ticket.first_block, ticket.blocks)
            .unwrap_or_default();
        range.iter_mut().for_each(|block| block.in_flight = false);
    }

    /// Begins a flush: it covers what is acknowledged now.
    pub fn begin_flush(&self) -> FlushTicket {
        let acknowledged = self.blocks.iter().map(|block| block.acknowledged).collect();
        FlushTicket {
            acknowledged,
            epoch: self.epoch,
        }
    }

    /// The flush is completed. (The ticket of a flush that failed is dropped.)
    pub fn flush_done(&mut self, ticket: FlushTicket) {
        if ticket.epoch != self.epoch {
            return;
        }
        for (block, acknowledged) in self.blocks.iter_mut().zip(ticket.acknowledged) {
            block.flushed = block.flushed.max(acknowledged);
        }
    }

    /// The server or the machine crashed: nothing is in flight any more, and tickets have no
    /// effect.
    pub fn crashed(&mut self) {
        self.epoch += 1;
        self.blocks
            .iter_mut()
            .for_each(|block| block.in_flight = false);
    }

    /// Checks a block that was read while everything runs: it holds the last write acknowledged
    /// before the read began, or one issued since.
    ///
    /// # Errors
    /// What it holds instead.
    pub fn check_live(&self, block: u64, bytes: &[u8]) -> Result<Found, Violation> {
        let state = self.state(block);
        self.check(
            block,
            bytes,
            state.acknowledged,
            state.issued,
            state.acknowledged != state.issued,
        )
    }

    /// Checks a block that was read after [`StampChecker::crashed`]. What it holds is from then on
    /// its content: nothing newer may appear, and a later flush promises it.
    ///
    /// # Errors
    /// Why its content is not allowed.
    pub fn recover(&mut self, block: u64, bytes: &[u8]) -> Result<Found, Violation> {
        let state = self.state(block);
        let found = self.check(
            block,
            bytes,
            state.flushed,
            state.issued,
            state.flushed != state.issued,
        )?;
        let survived = match found {
            Found::Zeroes => Some(0),
            Found::Whole { generation } => Some(generation),
            // It stays torn until it is written again; only the flushed generation is promised.
            Found::Torn => None,
        };
        if let Some(state) = usize::try_from(block)
            .ok()
            .and_then(|block| self.blocks.get_mut(block))
        {
            state.acknowledged = survived.unwrap_or(state.flushed);
            state.issued = survived.unwrap_or(state.issued);
        }
        Ok(found)
    }

    fn state(&self, block: u64) -> Block {
        usize::try_from(block)
            .ok()
            .and_then(|block| self.blocks.get(block))
            .copied()
            .unwrap_or_default()
    }

    fn check(
        &self,
        block: u64,
        bytes: &[u8],
        least: u64,
        issued: u64,
        may_be_torn: bool,
    ) -> Result<Found, Violation> {
        assert_eq!(
            bytes.len(),
            STAMP_BLOCK_BYTES,
            "a block is checked as a whole"
        );
        let (mut oldest, mut newest) = (u64::MAX, 0);
        for (sector, content) in bytes.chunks_exact(SECTOR_BYTES).enumerate() {
            let generation = read_sector(content, self.vdisk, block, sector)
                .ok_or(Violation::Foreign { block, sector })?;
            oldest = oldest.min(generation);
            newest = newest.max(generation);
        }
        if oldest < least {
            return Err(Violation::Lost {
                block,
                found: oldest,
                spec: least,
            });
        }
        if newest > issued {
            return Err(Violation::Unissued {
                block,
                found: newest,
                issued,
            });
        }
        match (oldest == newest, newest) {
            (true, 0) => Ok(Found::Zeroes),
            (true, generation) => Ok(Found::Whole { generation }),
            (false, _) if may_be_torn => Ok(Found::Torn),
            (false, _) => Err(Violation::Torn {
                block,
                oldest,
                newest,
            }),
        }
    }
}

#[cfg(test)]
mod tests;
