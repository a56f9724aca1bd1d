//! How many requests for a vdisk found no space: a counter that the vdisk's thread changes and any
//! other thread may read without a message.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Requests that failed because the file system below had no space. Clones share one counter.
#[derive(Debug, Clone, Default)]
pub struct NoSpaceCount(Arc<AtomicU64>);

impl NoSpaceCount {
    /// How many there were.
    pub fn get(&self) -> u64 {
        // No other memory depends on this number, so it needs no ordering.
        self.0.load(Ordering::Relaxed)
    }

    /// One more.
    pub fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
