//! The sizes that a vdisk has had, by moment.
//!
//! Invariants: there is always a size, and each moment has the one that was last set at or before
//! it, whatever branch it lies on: a revert keeps the present size.
//!
//! What is not known here: what is written where.

use crate::format::Seq;
use crate::format::checkpoint::SizeRow;
use std::collections::BTreeMap;

/// Sizes that are kept, at most: changes within the window.
pub(crate) const SIZES_MAX: usize = 256;

/// The sizes of a vdisk in blocks, by the seq from which on it has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sizes(BTreeMap<Seq, u64>);

impl Sizes {
    /// A vdisk that has always had this size.
    pub(crate) fn of_one(blocks: u64) -> Sizes {
        Sizes(BTreeMap::from([(0, blocks)]))
    }

    /// As a checkpoint lists them, beside the present size; `None` if they do not fit that, or one
    /// is greater than `most`.
    pub(crate) fn of_rows(rows: &[SizeRow], present: u64, most: u64) -> Option<Sizes> {
        let is_present = rows.last().is_none_or(|row| row.blocks == present);
        let ascend = rows.windows(2).all(|pair| pair[0].seq < pair[1].seq);
        let are_possible = is_present
            && ascend
            && rows.len() <= SIZES_MAX
            && present <= most
            && rows.iter().all(|row| row.blocks <= most);
        are_possible.then(|| match rows {
            [] => Sizes::of_one(present),
            _ => Sizes(rows.iter().map(|row| (row.seq, row.blocks)).collect()),
        })
    }

    /// What a checkpoint lists, if moments before `oldest` cannot be opened any more.
    pub(crate) fn rows(&self, oldest: Seq) -> Vec<SizeRow> {
        let kept = self.0.range(self.first_kept(oldest)..);
        let rows: Vec<SizeRow> = kept
            .map(|(seq, blocks)| SizeRow {
                seq: *seq,
                blocks: *blocks,
            })
            .collect();
        if rows.len() > 1 { rows } else { Vec::new() }
    }

    /// How many are kept, if moments before `oldest` cannot be opened any more.
    pub(crate) fn len(&self, oldest: Seq) -> usize {
        self.rows(oldest).len().max(1)
    }

    /// The present size.
    pub(crate) fn present(&self) -> u64 {
        self.0.values().next_back().copied().unwrap_or(0)
    }

    /// The size at a moment.
    pub(crate) fn at(&self, moment: Seq) -> u64 {
        let before = self.0.range(..=moment).next_back();
        let found = before.or(self.0.first_key_value());
        found.map_or(0, |(_, blocks)| *blocks)
    }

    /// The vdisk has another size from `seq` on.
    pub(crate) fn set(&mut self, seq: Seq, blocks: u64) {
        self.0.insert(seq, blocks);
    }

    /// Moments before `oldest` cannot be opened any more.
    pub(crate) fn forget_before(&mut self, oldest: Seq) {
        self.0 = self.0.split_off(&self.first_kept(oldest));
    }

    /// The seq of the size that the vdisk had at `oldest`.
    fn first_kept(&self, oldest: Seq) -> Seq {
        let at_oldest = self.0.range(..=oldest).next_back();
        at_oldest.map_or(0, |(seq, _)| *seq)
    }

    /// What lies behind `newest` is lost.
    pub(crate) fn truncate(&mut self, newest: Seq) {
        let first = self.0.keys().next().copied();
        self.0
            .retain(|seq, _| *seq <= newest || Some(*seq) == first);
    }
}
