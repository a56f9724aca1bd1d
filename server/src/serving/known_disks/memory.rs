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

    /// Remembers, durably, that a disk has these clones, names and identities, so that an entry of
    /// such a name in the file is not taken for a new vdisk.
    pub(crate) fn note_clones<'c>(
        &self,
        disk: &str,
        clones: impl Iterator<Item = (&'c str, String)>,
    ) {
        self.change(|known| {
            known.remember_clones(disk, clones);
            true
        });
    }

    /// Remembers that there is no clone of that name any more.
    pub(crate) fn forget_clone(&self, name: &str) {
        self.change(|known| known.forget_clone(name));
    }

    /// Remembers, durably, that the file of a disk was cut, so that the next start does not take
    /// for zeroes what was lost.
    pub(crate) fn note_cut(&self, disk: &str, cut: FileCut) {
        self.change(|known| known.note_cut(disk, cut));
    }

    /// Writes what is remembered, if that has changed.
    fn change(&self, change: impl FnOnce(&mut KnownDisks) -> bool) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (lock, known) = &mut *memory;
        if !change(known) {
            return;
        }
        if let Err(failure) = known.save(lock) {
            print_sentence(failure);
        }
    }
}
