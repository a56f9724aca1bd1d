//! What is remembered of disks while they are served: with the lock of the state directory, so that
//! it can be added to.

use super::{FileCut, KnownDisks};
use crate::diagnostics::print_sentence;
use crate::serving::state_dir::StateLock;
use std::sync::{Arc, Mutex, PoisonError};

/// The state directory of a running server, and what it remembers. The lock is held until the last
/// clone is dropped.
#[derive(Debug, Clone)]
pub(crate) struct DiskMemory(Arc<Mutex<(StateLock, KnownDisks)>>);

impl DiskMemory {
    pub(crate) fn new(lock: StateLock, known: KnownDisks) -> DiskMemory {
        DiskMemory(Arc::new(Mutex::new((lock, known))))
    }

    /// Remembers, durably, that the file of a disk was cut, so that the next start does not take
    /// for zeroes what was lost.
    pub(crate) fn note_cut(&self, disk: &str, cut: FileCut) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (lock, known) = &mut *memory;
        if !known.note_cut(disk, cut) {
            return;
        }
        if let Err(failure) = known.save(lock) {
            print_sentence(failure);
        }
    }
}
