//! How many clients use a vdisk: a counter that frontends change and any thread may read.
//!
//! Invariant: what is counted by a guard is counted until the guard is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The clients of a vdisk: connections and open files. Clones share one counter.
#[derive(Debug, Clone, Default)]
pub struct ClientCount(Arc<AtomicU64>);

/// A client that is counted.
#[derive(Debug)]
pub struct CountedClient(ClientCount);

impl ClientCount {
    /// How many there are now.
    pub fn get(&self) -> u64 {
        // No other memory depends on this number, so it needs no ordering.
        self.0.load(Ordering::Relaxed)
    }

    /// Counts a client until the guard is dropped.
    pub fn enter(&self) -> CountedClient {
        self.add_one();
        CountedClient(self.clone())
    }

    /// One more, for a frontend that learns of the client's end.
    pub fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One fewer; never more than were added.
    pub fn subtract_one(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for CountedClient {
    fn drop(&mut self) {
        self.0.subtract_one();
    }
}
