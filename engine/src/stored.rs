//! How much of a vdisk is stored. Who serves the vdisk counts, and whoever shows it looks, on whatever
//! thread; so nobody has to ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that are stored, as far as is known. Clones are the same count.
#[derive(Debug, Clone, Default)]
pub struct StoredBytes(Arc<AtomicU64>);

impl StoredBytes {
    /// How many there are now.
    pub fn get(&self) -> u64 {
        // A number by itself, which orders nothing.
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
