//! Where the file of a disk was cut while the disk is open. A write behind the new end would make
//! the file long again, and what was cut off would read as zeroes: so nothing beyond the mark is
//! read or written any more, whatever becomes of the file.
//!
//! Invariant: the mark only moves down. Set by the disk itself, which asks for the length before it
//! sends writes and answers flushes, and by the caller that looks at the file.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The shortest length that the file of an open disk was found to have; shared by all clones.
#[derive(Debug, Clone)]
pub struct CutMark(Arc<AtomicU64>);

const WHOLE: u64 = u64::MAX;

impl Default for CutMark {
    fn default() -> CutMark {
        CutMark(Arc::new(AtomicU64::new(WHOLE)))
    }
}

impl CutMark {
    /// The file was found to have `len_bytes`, which is less than it had when it was opened.
    pub fn note(&self, len_bytes: u64) {
        self.0.fetch_min(len_bytes, Ordering::Relaxed);
    }

    /// The length at which it was cut, if it was.
    pub fn cut_at(&self) -> Option<u64> {
        let len_bytes = self.0.load(Ordering::Relaxed);
        (len_bytes != WHOLE).then_some(len_bytes)
    }

    /// Whether bytes before `end` were cut off.
    pub(crate) fn reaches(&self, end: u64) -> bool {
        end > self.0.load(Ordering::Relaxed)
    }
}
