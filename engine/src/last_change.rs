//! When the content of a vdisk changed last: a time that the vdisk's thread moves on and any other
//! thread may read without a message.
//!
//! Invariant: each change moves it on, by a nanosecond at least, even if the clock stood still or
//! went back, so a program that compares two readings sees every change between them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A time in nanoseconds since 1970. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct LastChange(Arc<AtomicU64>);

impl LastChange {
    /// The last change was at that time.
    pub fn at(since_1970_ns: u64) -> LastChange {
        LastChange(Arc::new(AtomicU64::new(since_1970_ns)))
    }

    /// When it was.
    pub fn since_1970_ns(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// The content changed before that time, and the reply is not sent yet. One thread calls this.
    pub fn changed(&self, since_1970_ns: u64) {
        let before = self.0.load(Ordering::Relaxed);
        let now = since_1970_ns.max(before.saturating_add(1));
        self.0.store(now, Ordering::Release);
    }
}

#[cfg(test)]
mod tests;
