//! How many bytes of a vdisk are stored: a counter that the vdisk's thread changes and any other
//! thread may read without a message.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that are stored, as far as is known. Clones share one counter.
#[derive(Debug, Clone, Default)]
pub struct StoredBytes(Arc<AtomicU64>);

impl StoredBytes {
    /// How many there are now.
    pub fn get(&self) -> u64 {
        // No other memory depends on this number, so it needs no ordering.
        self.0.load(Ordering::Relaxed)
    }

    /// So many more are stored.
    pub fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many fewer are stored; never more than were added.
    pub fn subtract(&self, bytes: u64) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}
