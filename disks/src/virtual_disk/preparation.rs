//! The time before a run, in which a disk in virtual time is made ready: what is asked of it then
//! is done at once.
//!
//! Invariant: once a preparation has ended it never begins again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Says whether disks are still being made ready. Clones tell the same.
#[derive(Debug, Clone)]
pub struct Preparation(Arc<AtomicBool>);

impl Preparation {
    /// One that lasts until [`Preparation::end`].
    pub fn begin() -> Preparation {
        Preparation(Arc::new(AtomicBool::new(true)))
    }

    /// From now on requests take the time that the model gives them.
    pub fn end(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    pub(super) fn lasts(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
