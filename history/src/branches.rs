//! The branches of a vdisk, and which seqs a moment sees.
//!
//! ```text
//!   A  1 ──────── 50 ──────── 100          A's tail, 51 to 100, is kept for an undo
//!                  └─ B  101 ───── 130     path of B: 1 to 50, 101 to 130
//! ```
//!
//! One branch is written at a time and seqs are never used twice, so the seqs from a branch's id to
//! its head are its own, and a moment is one number: the branch that owns it says what it sees.
//!
//! Invariants: a branch's id is the seq of its record; own intervals are disjoint and ascend with
//! the ids; only the current branch has no head. A branch that lies below the floor altogether is
//! not kept: what it contributed is in the image. Nor need one that was dropped and that no other
//! leads through: what lies between two rows belongs to no branch that is kept.
//!
//! What is not known here: blocks, segments, time.

use crate::format::Seq;
use crate::format::checkpoint::BranchRow;
use crate::format::record::BranchReason;
use std::collections::{BTreeMap, BTreeSet};

/// Branches of a vdisk, at most.
pub(crate) const BRANCHES_MAX: usize = 1024;

/// The seqs that a moment sees, oldest first: disjoint intervals, both ends included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    /// Branch, first seq, last seq.
    intervals: Vec<(u64, Seq, Seq)>,
}

impl Path {
    /// Whether the moment sees this seq.
    pub(crate) fn sees(&self, seq: Seq) -> bool {
        let at = self
            .intervals
            .partition_point(|(_, first, _)| *first <= seq);
        at > 0 && seq <= self.intervals[at - 1].2
    }

    /// Whether it sees any seq from `first` to `last`.
    pub(crate) fn sees_any(&self, first: Seq, last: Seq) -> bool {
        self.intervals
            .iter()
            .any(|(_, from, to)| *from <= last && first <= *to)
    }

    /// The intervals that it sees from `first` to `last`, newest first.
    pub(crate) fn within(&self, first: Seq, last: Seq) -> impl Iterator<Item = (Seq, Seq)> {
        let newest_first = self.intervals.iter().rev();
        let cut = newest_first.map(move |(_, from, to)| ((*from).max(first), (*to).min(last)));
        cut.filter(|(from, to)| from <= to)
    }

    /// What it sees up to `seq`.
    pub(crate) fn until(mut self, seq: Seq) -> Path {
        self.intervals.retain(|(_, first, _)| *first <= seq);
        if let Some((_, _, last)) = self.intervals.last_mut() {
            *last = (*last).min(seq);
        }
        self
    }

    /// What one of them sees and the other does not.
    pub(crate) fn difference(&self, other: &Path) -> Path {
        let beyond = |of: &Path, other: &Path| -> Vec<(u64, Seq, Seq)> {
            let rest = of.intervals.iter().filter_map(|(id, first, last)| {
                let seen = other.intervals.iter().find(|(other, ..)| other == id);
                let first = seen.map_or(*first, |(_, _, seen)| (*first).max(seen + 1));
                (first <= *last).then_some((*id, first, *last))
            });
            rest.collect()
        };
        let mut intervals = [beyond(self, other), beyond(other, self)].concat();
        intervals.sort_unstable_by_key(|(_, first, _)| *first);
        Path { intervals }
    }

    /// The last seq that both see; `None` if they have no branch in common.
    pub(crate) fn common(&self, other: &Path) -> Option<Seq> {
        let of = |id: u64| other.intervals.iter().find(|(other, ..)| *other == id);
        let mut newest_first = self.intervals.iter().rev();
        newest_first.find_map(|(id, _, last)| of(*id).map(|(_, _, other)| *last.min(other)))
    }
}

/// All branches of a vdisk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Branches {
    rows: BTreeMap<u64, BranchRow>,
    current: u64,
    /// What an undo returns to; 0: there is no revert to undo.
    undo: u64,
}

impl Branches {
    /// As a checkpoint lists them; `None` if they do not fit each other.
    pub(crate) fn of_rows(rows: &[BranchRow], current: u64, undo: u64) -> Option<Branches> {
        let mut previous_head = Some(0);
        for row in rows {
            let comes_after = previous_head.is_some_and(|head| head < row.id);
            let is_current = row.head == 0;
            let is_possible = row.fork < row.id
                && row.parent < row.id
                && is_current == (row.id == current)
                && (is_current || row.head >= row.id);
            if !comes_after || !is_possible {
                return None;
            }
            previous_head = (!is_current).then_some(row.head);
        }
        let rows: BTreeMap<_, _> = rows.iter().map(|row| (row.id, row.clone())).collect();
        let is_whole = rows.len() <= BRANCHES_MAX && (current == 0 || rows.contains_key(&current));
        is_whole.then_some(Branches {
            rows,
            current,
            undo,
        })
    }

    /// By id.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &BranchRow> {
        self.rows.values()
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Id of the branch that is written; 0: none has begun.
    pub(crate) fn current(&self) -> u64 {
        self.current
    }

    /// The branch that an undo returns to, with its head, if there is one.
    pub(crate) fn undo(&self) -> Option<&BranchRow> {
        self.rows.get(&self.undo).filter(|row| !row.dropped)
    }

    /// The last seq before the current branch began, if a revert or an undo began it.
    pub(crate) fn before_revert(&self) -> Option<Seq> {
        self.rows.get(&self.undo).map(|row| row.head)
    }

    pub(crate) fn undo_id(&self) -> u64 {
        self.undo
    }

    /// The branch that `moment` belongs to; 0: it lies below all of them.
    pub(crate) fn owner(&self, moment: Seq) -> u64 {
        self.rows
            .range(..=moment)
            .next_back()
            .map_or(0, |(id, _)| *id)
    }

    /// A branch begins: the current one ends at `head`.
    pub(crate) fn begin(
        &mut self,
        id: u64,
        fork: Seq,
        reason: BranchReason,
        head: Seq,
        head_time_ns: u64,
    ) {
        let parent = self.owner(fork);
        if let Some(row) = self.rows.get_mut(&self.current) {
            (row.head, row.head_time_ns) = (head, head_time_ns);
        }
        if reason != BranchReason::First {
            self.undo = self.current;
        }
        self.current = id;
        let row = BranchRow {
            id,
            parent,
            fork,
            head: 0,
            head_time_ns: 0,
            reason,
            dropped: false,
        };
        self.rows.insert(id, row);
    }

    /// What lies behind the point where the current branch left this one is given up.
    pub(crate) fn drop_branch(&mut self, id: u64) {
        if let Some(row) = self.rows.get_mut(&id) {
            row.dropped = true;
        }
    }

    /// Forgets rows that no moment needs which can be opened: of dropped branches that no other one
    /// leads through; and of branches that hold nothing but the record of their beginning, as
    /// undone reverts leave them: what forks from such a one forks from where it does. `pinned`:
    /// moments that are open.
    pub(crate) fn compact(&mut self, pinned: &[Seq]) {
        let pinned: BTreeSet<u64> = pinned.iter().map(|moment| self.owner(*moment)).collect();
        let is_free = |id: u64| !pinned.contains(&id);
        self.forget_leaves(&is_free);
        let kept: BTreeSet<u64> = self.kept().until.into_keys().collect();
        let ids: Vec<u64> = self.rows.keys().copied().collect();
        for id in ids {
            let row = self.rows[&id].clone();
            let is_empty = row.head == id && id != self.undo && is_free(id);
            // What it begins with is kept by what forks from it.
            let mut children = self.rows.values().filter(|child| child.parent == id);
            if !is_empty || !children.any(|child| kept.contains(&child.id)) {
                continue;
            }
            for child in self.rows.values_mut().filter(|child| child.parent == id) {
                (child.parent, child.fork) = (row.parent, row.fork);
            }
            self.drop_branch(id);
        }
        self.forget_leaves(&is_free);
    }

    /// Forgets dropped branches that no other one leads through.
    fn forget_leaves(&mut self, is_free: &impl Fn(u64) -> bool) {
        let mut parents: BTreeMap<u64, usize> = BTreeMap::new();
        for row in self.rows.values() {
            *parents.entry(row.parent).or_default() += 1;
        }
        // A parent is older than what forks from it.
        let newest_first: Vec<u64> = self.rows.keys().rev().copied().collect();
        for id in newest_first {
            let row = &self.rows[&id];
            let is_led_through = parents.get(&id).is_some_and(|count| *count > 0);
            // The first of all says what lies before it.
            let may_go = id != self.current && row.reason != BranchReason::First;
            if row.dropped && !is_led_through && may_go && is_free(id) {
                if let Some(count) = parents.get_mut(&row.parent) {
                    *count -= 1;
                }
                self.rows.remove(&id);
            }
        }
    }

    /// As they were at `newest`: what began later is not known. What was dropped since stays so.
    /// The newest moment that is known then: an earlier one if the branch of `newest` was
    /// forgotten.
    pub(crate) fn truncate(&mut self, newest: Seq) -> Seq {
        self.rows.retain(|id, _| *id <= newest);
        let last = self.rows.values().next_back();
        let head = last.map(|row| row.head).filter(|head| *head != 0);
        let newest = head.map_or(newest, |head| head.min(newest));
        self.current = self.rows.keys().next_back().copied().unwrap_or(0);
        if let Some(row) = self.rows.get_mut(&self.current) {
            (row.head, row.head_time_ns, row.dropped) = (0, 0, false);
        }
        if !self.rows.contains_key(&self.undo) || self.undo == self.current {
            self.undo = 0;
        }
        newest
    }

    /// Removes branches that lie below the floor altogether. The one that ends there stays: it says
    /// whether the floor itself can be opened.
    pub(crate) fn forget_below(&mut self, floor: Seq) {
        let current = self.current;
        self.rows
            .retain(|id, row| *id == current || row.head >= floor);
    }

    /// What `moment` sees above the floor.
    pub(crate) fn path(&self, moment: Seq) -> Path {
        let mut intervals = Vec::new();
        let (mut id, mut last) = (self.owner(moment), moment);
        while let Some(row) = self.rows.get(&id) {
            intervals.push((id, id, last));
            (id, last) = (row.parent, row.fork);
        }
        intervals.reverse();
        Path { intervals }
    }

    /// What the current branch sees.
    pub(crate) fn current_path(&self) -> Path {
        self.path(Seq::MAX)
    }

    /// Whether a branch that is kept leads through `moment`.
    pub(crate) fn is_kept(&self, moment: Seq) -> bool {
        self.kept().keeps(moment)
    }

    /// How far branches that are kept lead through each branch.
    pub(crate) fn kept(&self) -> Kept<'_> {
        let mut until: BTreeMap<u64, Seq> = BTreeMap::new();
        // A parent is older than what forks from it.
        for row in self.rows.values().rev() {
            if !row.dropped {
                let head = if row.head == 0 { Seq::MAX } else { row.head };
                until.insert(row.id, head);
            }
            if until.contains_key(&row.id) {
                let of_parent = until.entry(row.parent).or_default();
                *of_parent = (*of_parent).max(row.fork);
            }
        }
        Kept {
            branches: self,
            until,
        }
    }

    /// Branches that are kept beside the current one, and where it left them: the floor must not
    /// pass there.
    pub(crate) fn tails(&self) -> impl Iterator<Item = (&BranchRow, Seq)> {
        let current = self.current_path();
        let current: BTreeMap<u64, Seq> = current
            .intervals
            .into_iter()
            .map(|(id, _, last)| (id, last))
            .collect();
        let kept = self.rows.values().filter(|row| !row.dropped);
        kept.filter_map(move |row| {
            let left = self.left_at(row, &current)?;
            Some((row, left))
        })
    }

    /// Where the current branch, which sees so much of each branch, left this one; `None` if it
    /// leads through all of it.
    fn left_at(&self, row: &BranchRow, current: &BTreeMap<u64, Seq>) -> Option<Seq> {
        if row.head == 0 {
            return None;
        }
        let (mut id, mut last) = (row.id, row.head);
        let common = loop {
            if let Some(seen) = current.get(&id) {
                break last.min(*seen);
            }
            match self.rows.get(&id) {
                Some(row) => (id, last) = (row.parent, row.fork),
                None => break 0,
            }
        };
        (common < row.head).then_some(common)
    }
}

/// How far branches that are kept lead through each branch.
pub(crate) struct Kept<'b> {
    branches: &'b Branches,
    /// By id; those that none leads through are missing.
    until: BTreeMap<u64, Seq>,
}

impl Kept<'_> {
    /// Whether a branch that is kept leads through `moment`.
    pub(crate) fn keeps(&self, moment: Seq) -> bool {
        let owner = self.branches.owner(moment);
        let Some(row) = self.branches.rows.get(&owner) else {
            // It comes before all branches; else its branch was forgotten.
            let oldest = self.branches.rows.values().next();
            return oldest.is_none_or(|row| row.reason == BranchReason::First);
        };
        // Between two branches lie numbers that a crash skipped, or that belong to none any more.
        let is_its_own = row.head == 0 || moment <= row.head;
        is_its_own && self.until.get(&owner).is_some_and(|last| moment <= *last)
    }
}

#[cfg(test)]
mod tests;
