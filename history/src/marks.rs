//! Names of moments.
//!
//! Invariants: a name names one moment; a mark lies on a branch that is kept, and holds the floor.

use crate::format::Seq;
use crate::format::checkpoint::MarkRow;
use crate::moment::check_mark_name;
use std::collections::BTreeMap;

/// Marks of a vdisk, at most.
pub(crate) const MARKS_MAX: usize = 4096;

/// The marks of a vdisk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Marks {
    by_moment: BTreeMap<Seq, MarkRow>,
    moments: BTreeMap<String, Seq>,
}

impl Marks {
    /// As a checkpoint lists them; `None` if they cannot be.
    pub(crate) fn of_rows(rows: &[MarkRow]) -> Option<Marks> {
        let mut marks = Marks::default();
        let ascend = rows.windows(2).all(|pair| pair[0].moment < pair[1].moment);
        let named = rows.iter().all(|row| check_mark_name(&row.name).is_ok());
        rows.iter().for_each(|row| marks.insert(row.clone()));
        let is_whole = ascend && named && marks.moments.len() == rows.len();
        (is_whole && rows.len() <= MARKS_MAX).then_some(marks)
    }

    pub(crate) fn insert(&mut self, mark: MarkRow) {
        self.moments.insert(mark.name.clone(), mark.moment);
        self.by_moment.insert(mark.moment, mark);
    }

    pub(crate) fn remove(&mut self, moment: Seq) {
        if let Some(mark) = self.by_moment.remove(&moment) {
            self.moments.remove(&mark.name);
        }
    }

    /// Forgets those behind `newest`.
    pub(crate) fn truncate(&mut self, newest: Seq) {
        self.by_moment.retain(|moment, _| *moment <= newest);
        self.moments.retain(|_, moment| *moment <= newest);
    }

    pub(crate) fn moment_of(&self, name: &str) -> Option<Seq> {
        self.moments.get(name).copied()
    }

    /// By moment.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &MarkRow> {
        self.by_moment.values()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_moment.len()
    }
}
