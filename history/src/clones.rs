//! Clones: other vdisks that begin with a moment of this one.
//!
//! Invariants: a clone has one vdisk and one name; its moment lies on a branch that is kept, and
//! holds the floor for as long as the clone is there.

use crate::format::checkpoint::CloneRow;
use crate::format::{Seq, Uuid};
use std::collections::BTreeMap;

/// Clones of a vdisk, at most.
pub(crate) const CLONES_MAX: usize = 4096;

/// The clones of a vdisk, by the seq of their records.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clones(BTreeMap<Seq, CloneRow>);

impl Clones {
    /// As a checkpoint lists them; `None` if they cannot be.
    pub(crate) fn of_rows(rows: &[CloneRow]) -> Option<Clones> {
        let mut clones = Clones::default();
        for row in rows {
            let is_next = clones.0.keys().next_back().is_none_or(|seq| *seq < row.seq);
            if !is_next || row.entry.moment >= row.seq {
                return None;
            }
            clones.insert(row.clone());
        }
        (clones.0.len() <= CLONES_MAX).then_some(clones)
    }

    pub(crate) fn insert(&mut self, row: CloneRow) {
        self.0.insert(row.seq, row);
    }

    pub(crate) fn remove(&mut self, seq: Seq) {
        self.0.remove(&seq);
    }

    /// Forgets those whose records lie behind `newest`.
    pub(crate) fn truncate(&mut self, newest: Seq) {
        self.0.retain(|seq, _| *seq <= newest);
    }

    /// The clone that is this vdisk.
    pub(crate) fn of_vdisk(&self, vdisk: Uuid) -> Option<&CloneRow> {
        self.0.values().find(|row| row.entry.vdisk == vdisk)
    }

    /// By seq.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &CloneRow> {
        self.0.values()
    }
}
