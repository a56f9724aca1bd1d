//! The blocks of a file system, as a mount would find them: what the journal holds of a block
//! counts, not what lies in its place.
//!
//! Invariant: what is kept of the image is bounded.

use crate::error::FileError;
use crate::image::Image;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex};

/// Bytes that are read together: tables of inodes and directories are read one after the other.
const CHUNK_BYTES: u64 = 32 << 10;
/// Chunks that are kept: 4 MiB.
const CHUNKS: usize = 128;

/// Where the newest content of a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Journaled {
    /// In another block.
    Copy {
        /// That block.
        at: u64,
        /// Its first four bytes are the magic number of the journal.
        is_escaped: bool,
    },
    /// Nowhere: the copy in the journal does not verify.
    Damaged,
}

/// The blocks.
pub(super) struct Blocks {
    image: Arc<dyn Image>,
    offset: u64,
    len_bytes: u64,
    pub(super) block_bytes: u64,
    journaled: BTreeMap<u64, Journaled>,
    kept: Mutex<HashMap<u64, Arc<[u8]>>>,
}

impl fmt::Debug for Blocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = (self.offset, self.len_bytes);
        f.debug_tuple("Blocks").field(&place).finish()
    }
}

impl Blocks {
    pub(super) fn new(image: Arc<dyn Image>, offset: u64, len_bytes: u64) -> Blocks {
        Blocks {
            image,
            offset,
            len_bytes,
            block_bytes: 1024,
            journaled: BTreeMap::new(),
            kept: Mutex::default(),
        }
    }

    /// From now on these count in place of what lies in the blocks.
    pub(super) fn replay(&mut self, journaled: BTreeMap<u64, Journaled>) {
        self.journaled = journaled;
    }

    /// A block.
    pub(super) fn block(&self, block: u64) -> Result<Vec<u8>, FileError> {
        let mut bytes = vec![0; self.block_bytes as usize];
        match self.journaled.get(&block) {
            Some(Journaled::Damaged) => {
                return Err(FileError::Damaged("a block of the journal does not verify"));
            }
            Some(Journaled::Copy { at, is_escaped }) => {
                self.kept_bytes(self.place(*at)?, &mut bytes)?;
                if *is_escaped {
                    bytes[..4].copy_from_slice(&super::journal::MAGIC.to_be_bytes());
                }
            }
            None => self.kept_bytes(self.place(block)?, &mut bytes)?,
        }
        Ok(bytes)
    }

    /// Reads bytes that lie from `start` on in the blocks behind `block`, in one go where the
    /// journal has none of them.
    pub(super) fn data(&self, block: u64, start: u64, into: &mut [u8]) -> Result<(), FileError> {
        let first = block + start / self.block_bytes;
        let end = block + (start + into.len() as u64).div_ceil(self.block_bytes);
        if self.journaled.range(first..end).next().is_none() {
            let place = self.place(block)? + start;
            return self.bytes(place, into);
        }
        let mut done = 0;
        while done < into.len() {
            let at = start + done as u64;
            let from = (at % self.block_bytes) as usize;
            let bytes = self.block(block + at / self.block_bytes)?;
            let len = (bytes.len() - from).min(into.len() - done);
            into[done..done + len].copy_from_slice(&bytes[from..from + len]);
            done += len;
        }
        Ok(())
    }

    /// Reads bytes of the place, past all that is kept.
    fn bytes(&self, at: u64, into: &mut [u8]) -> Result<(), FileError> {
        let end = at.checked_add(into.len() as u64);
        if end.is_none_or(|end| end > self.len_bytes) {
            return Err(FileError::Damaged("a block lies behind its end"));
        }
        Ok(self.image.read_at(self.offset + at, into)?)
    }

    /// Reads bytes of the place, with what lies around them.
    pub(super) fn kept_bytes(&self, at: u64, into: &mut [u8]) -> Result<(), FileError> {
        let mut done = 0;
        while done < into.len() {
            let place = at + done as u64;
            let chunk = match self.chunk(place / CHUNK_BYTES) {
                // What lies around it cannot be read; it may be that it can.
                Err(FileError::Io(_)) => return self.bytes(place, &mut into[done..]),
                chunk => chunk?,
            };
            let from = (place % CHUNK_BYTES) as usize;
            let rest = chunk.get(from..).unwrap_or_default();
            let len = rest.len().min(into.len() - done);
            if len == 0 {
                return Err(FileError::Damaged("a block lies behind its end"));
            }
            into[done..done + len].copy_from_slice(&rest[..len]);
            done += len;
        }
        Ok(())
    }

    fn chunk(&self, number: u64) -> Result<Arc<[u8]>, FileError> {
        let lock = || {
            self.kept
                .lock()
                .unwrap_or_else(|broken| broken.into_inner())
        };
        if let Some(chunk) = lock().get(&number) {
            return Ok(chunk.clone());
        }
        let start = number * CHUNK_BYTES;
        let len = self.len_bytes.saturating_sub(start).min(CHUNK_BYTES);
        let mut chunk = vec![0; len as usize];
        self.bytes(start, &mut chunk)?;
        let chunk: Arc<[u8]> = chunk.into();
        let mut kept = lock();
        if kept.len() >= CHUNKS {
            kept.clear();
        }
        kept.insert(number, chunk.clone());
        Ok(chunk)
    }

    fn place(&self, block: u64) -> Result<u64, FileError> {
        let place = block.checked_mul(self.block_bytes);
        let place = place.filter(|place| *place < self.len_bytes);
        place.ok_or(FileError::Damaged("a block lies behind its end"))
    }
}
