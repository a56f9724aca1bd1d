//! How much space a file has on its file system, and how much is left there.
//!
//! Space that is set aside and was never written counts as a hole: reads there ask no device. What
//! is not known here: what the file is for.

use rustix::fs::SeekFrom;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many bytes the file system of a disk's file has left, as of the last look: a number that
/// the disk's thread reads, which must not wait for the file system, and that others keep true.
/// Clones share it.
#[derive(Debug, Clone)]
pub struct FreeSpace(Arc<AtomicU64>);

impl FreeSpace {
    /// So much was found.
    pub fn new(bytes: u64) -> FreeSpace {
        FreeSpace(Arc::new(AtomicU64::new(bytes)))
    }

    /// How much there is.
    pub fn get(&self) -> u64 {
        // No other memory depends on this number, so it needs no ordering.
        self.0.load(Ordering::Relaxed)
    }

    /// So much was found now.
    pub fn set(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    /// So much was taken since.
    pub fn take(&self, bytes: u64) {
        self.set(self.get().saturating_sub(bytes));
    }

    /// So much was given back since.
    pub fn give(&self, bytes: u64) {
        self.set(self.get().saturating_add(bytes));
    }
}

/// How many bytes the file system of a file has left for others than root; `None` if it does not
/// say.
pub fn free_bytes(file: &File) -> Option<u64> {
    let found = rustix::fs::fstatvfs(file).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

/// In which units a file takes space, between 512 and 4096 bytes; larger ones are not told.
pub(crate) fn block_bytes(file: &File) -> u64 {
    let found = rustix::fs::fstatvfs(file).map_or(4096, |found| found.f_frsize);
    match found.is_power_of_two() {
        true => found.clamp(512, 4096),
        false => 512,
    }
}

/// Whether a regular file has more space than its data takes: some was set aside, or it is the
/// file system's own. Changes the file's position.
pub(crate) fn hides_space(file: &File) -> bool {
    let Ok(metadata) = file.metadata() else {
        return true;
    };
    let data_bytes = metadata.len() - seek_holes(file, metadata.len());
    metadata.blocks() * 512 > data_bytes.next_multiple_of(block_bytes(file))
}

/// Bytes of a regular file that are read from nowhere. Where the file system tells no holes from
/// data, those that have no blocks. Changes the file's position.
pub(crate) fn hole_bytes(file: &File) -> u64 {
    let Ok(metadata) = file.metadata() else {
        return 0;
    };
    let size_bytes = metadata.len();
    let without_blocks = size_bytes.saturating_sub(metadata.blocks() * 512);
    seek_holes(file, size_bytes).max(without_blocks)
}

/// Bytes of a file of `size_bytes` that the file system calls holes.
fn seek_holes(file: &File, size_bytes: u64) -> u64 {
    let (mut at, mut holes) = (0, 0);
    while at < size_bytes {
        // Behind the last data there is only a hole.
        let data = rustix::fs::seek(file, SeekFrom::Data(at)).unwrap_or(size_bytes);
        holes += data.min(size_bytes) - at;
        if data >= size_bytes {
            break;
        }
        at = rustix::fs::seek(file, SeekFrom::Hole(data)).unwrap_or(size_bytes);
    }
    holes
}

#[cfg(test)]
mod tests;
