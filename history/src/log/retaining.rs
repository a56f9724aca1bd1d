//! What is kept, what holds it, and what goes when time or space is up.
//!
//! Invariant: the floor never passes a mark, the moment of a clone, the point where a kept branch
//! was left, or a moment that is open. That of a clone's log does not move.

use super::{Log, Phase, WhenFull};
use crate::branches::Branches;
use crate::format::checkpoint::SegmentRow;
use crate::format::record::{CloneEntry, Record};
use crate::format::superblock::Geometry;
use crate::format::{Seq, Uuid};
use crate::log::building::BuildPurpose;
use crate::log::pipeline::{Answer, Flight, StagedRecord};

/// What keeps the floor from moving further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// A mark.
    Mark(String),
    /// A clone.
    Clone(String),
    /// A branch beside the current one.
    Branch(u64),
    /// A moment that is open, or is being opened.
    Moment(Seq),
}

/// How a log stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The image holds this moment.
    pub floor: Seq,
    /// The oldest moment that can be opened.
    pub oldest_restorable: Seq,
    /// When what is kept begins, in nanoseconds since 1970; none: nothing was written.
    pub oldest_time_ns: Option<u64>,
    /// The newest moment.
    pub newest: Seq,
    /// Its time.
    pub newest_time_ns: u64,
    /// What a crash now would keep.
    pub durable: Seq,
    /// The branch that is written.
    pub branch: u64,
    /// Whether only reads are served.
    pub is_read_only: bool,
    /// The first seq that is lost, if durable data is.
    pub lost_from: Option<Seq>,
    /// Whether durable data was lost once, and that was accepted.
    pub has_losses: bool,
    /// Slots that are free; data leaves two of them.
    pub free_slots: usize,
    /// Whether a fold is in flight.
    pub is_folding: bool,
    /// Whether a fold has failed and waits to be repeated: the floor stays where it is.
    pub fold_rests: bool,
    /// Whether the last write found no space on the disk below.
    pub is_out_of_space: bool,
    /// Units that segments take.
    pub used_units: u64,
    /// Units of all slots.
    pub units: u64,
    /// Bytes of memory of the index of the newest moment.
    pub index_bytes: u64,
    /// Blocks in that index.
    pub index_blocks: u64,
    /// Bytes of memory by which single blocks of past moments are found.
    pub fences_bytes: u64,
    /// Branches: id, parent, fork, head (0: the current one), whether dropped.
    pub branches: Vec<(u64, u64, Seq, Seq, bool)>,
    /// Marks, by moment.
    pub marks: Vec<MarkStatus>,
    /// Clones, in the order in which they were made.
    pub clones: Vec<CloneStatus>,
}

/// A mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkStatus {
    /// Its name.
    pub name: String,
    /// What it names.
    pub moment: Seq,
    /// Blocks that the vdisk had then.
    pub vdisk_blocks: u64,
    /// When it was made, in nanoseconds since 1970.
    pub time_ns: u64,
    /// The cut through several vdisks that it is a part of: what the marks of that share, and how
    /// many there should be.
    pub cut: Option<(Uuid, u32)>,
}

/// A clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloneStatus {
    /// What was recorded of it.
    pub entry: CloneEntry,
    /// When it was made, in nanoseconds since 1970.
    pub time_ns: u64,
}

impl Log {
    /// How it stands.
    pub fn status(&self) -> Status {
        let geometry = &self.geometry;
        let branches = self.branches.rows();
        Status {
            floor: self.floor,
            oldest_restorable: self.oldest_restorable,
            newest: self.published_seq,
            oldest_time_ns: self.oldest_time_ns(),
            newest_time_ns: self.published_time_ns,
            durable: self.durable_seq,
            branch: self.branches.current(),
            is_read_only: self.is_read_only(),
            lost_from: self.lost_from,
            has_losses: !self.losses.is_empty(),
            free_slots: self.segments.free_slots(),
            is_folding: self.is_folding(),
            fold_rests: self.fold_rests(),
            is_out_of_space: self.is_out_of_space(),
            used_units: self.segments.used_units(),
            units: u64::from(geometry.slots) * u64::from(geometry.slot_units),
            index_bytes: self.newest.memory_bytes(),
            index_blocks: self.index_blocks(),
            fences_bytes: self
                .fences
                .values()
                .map(|fences| fences.memory_bytes())
                .sum(),
            branches: branches
                .map(|row| (row.id, row.parent, row.fork, row.head, row.dropped))
                .collect(),
            marks: self
                .marks
                .rows()
                .map(|mark| MarkStatus {
                    name: mark.name.clone(),
                    moment: mark.moment,
                    vdisk_blocks: self.sizes.at(mark.moment),
                    time_ns: mark.time_ns,
                    cut: (mark.cut != [0; 16]).then_some((mark.cut, mark.vdisks)),
                })
                .collect(),
            clones: self
                .clones
                .rows()
                .map(|row| CloneStatus {
                    entry: row.entry.clone(),
                    time_ns: row.time_ns,
                })
                .collect(),
        }
    }

    /// What it was made as, with what it has grown to since. [`Log::vdisk_blocks`] is the present
    /// size of the vdisk, which may be less.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// The uuid that was drawn when it was made.
    pub fn uuid(&self) -> Uuid {
        self.geometry.log
    }

    /// Whether only reads are served.
    pub fn is_read_only(&self) -> bool {
        self.phase == Phase::ReadOnly
    }

    /// Blocks whose newest version lies in the log; not too few shortly after a revert.
    pub fn index_blocks(&self) -> u64 {
        self.newest.blocks_at_most()
    }

    /// When what is kept begins.
    fn oldest_time_ns(&self) -> Option<u64> {
        let rows = self.segments.rows(self.floor);
        rows.first().map(|row| row.times_ns[0])
    }

    /// What holds the floor, and where.
    pub fn holders(&self) -> Vec<(Seq, Holder)> {
        let marks = self.marks.rows();
        let marks = marks.map(|mark| (mark.moment, Holder::Mark(mark.name.clone())));
        let tails = self.branches.tails();
        let tails = tails.map(|(row, left)| (left.max(self.floor), Holder::Branch(row.id)));
        // A moment on a branch that was dropped holds the point where the current one left it.
        let current = self.branches.current_path();
        let held_at = |moment: Seq| {
            let common = self.branches.path(moment).common(&current);
            common.unwrap_or(self.floor).max(self.floor)
        };
        let moments = self.moments_in_use();
        let moments = moments.map(|moment| (held_at(moment), Holder::Moment(moment)));
        let clones = self.clone_entries();
        let clones = clones.map(|clone| (clone.moment, Holder::Clone(clone.name.clone())));
        marks.chain(clones).chain(tails).chain(moments).collect()
    }

    /// Moments that are open, that are being opened, or that a branch will begin with.
    pub(super) fn moments_in_use(&self) -> impl Iterator<Item = Seq> {
        let views = self.views.values().map(|(moment, _)| *moment);
        let opening = self.builds.purposes().filter_map(|purpose| match purpose {
            BuildPurpose::Branch { fork, .. } => Some(fork),
            BuildPurpose::View { moment, .. } => Some(moment),
            BuildPurpose::Changed { since, until, .. } => Some(since.min(until)),
            BuildPurpose::Opening
            | BuildPurpose::Fold
            | BuildPurpose::Whole { .. }
            | BuildPurpose::Fences
            | BuildPurpose::Abandoned
            | BuildPurpose::Time { .. } => None,
        });
        let begun = self.asked_for().filter_map(|record| match record {
            Record::Branch { fork, .. } => Some(*fork),
            _ => None,
        });
        views.chain(opening).chain(begun)
    }

    /// How far the floor can move now.
    pub fn fold_limit(&self) -> Seq {
        if self.is_clone() {
            // There is no image that could take what is folded.
            return self.floor;
        }
        let held = self.holders().into_iter().map(|(moment, _)| moment).min();
        held.unwrap_or(Seq::MAX).min(self.published_seq)
    }

    /// Where the floor belongs by the window: the end of the last segment that is older and that
    /// nothing holds.
    pub fn fold_target(&self, now_ns: u64) -> Option<Seq> {
        let oldest_ns = now_ns.saturating_sub(self.settings.window_ns);
        self.last_segment(|row| row.times_ns[1] <= oldest_ns)
    }

    /// Gives up branches whose head has left the window and that no mark lies on.
    pub fn expire_branches(&mut self, now_ns: u64) {
        let oldest_ns = now_ns.saturating_sub(self.settings.window_ns);
        if self.check_writable().is_ok() && !self.is_clone() {
            self.expire_one_of(|head_time_ns| head_time_ns <= oldest_ns);
        }
    }

    /// Gives up the oldest such branch, if one is not being given up already; whether there was
    /// one.
    fn expire_one_of(&mut self, is_old: impl Fn(u64) -> bool) -> bool {
        let mut records = self.records.iter().map(|staged| &staged.record);
        let mut of_flights = self.flight.iter().filter_map(Flight::dropped_branch);
        let is_drop = |record: &Record| matches!(record, Record::DropBranch(_));
        if records.any(is_drop) || of_flights.next().is_some() {
            return true;
        }
        let tails = self.branches.tails();
        let mut old = tails
            .filter(|(row, _)| is_old(row.head_time_ns))
            .map(|(row, _)| row.id);
        let is_needed = |id: u64| self.marks_need(id) || self.clones_need(id);
        let Some(id) = old.find(|id| !is_needed(*id)) else {
            return false;
        };
        self.records.push_back(StagedRecord {
            record: Record::DropBranch(id),
            payload: Vec::new(),
            answer: Answer::Nothing,
        });
        true
    }

    /// Whether a mark would be lost with the branch: it need not lie on it, if its own was dropped
    /// and this one leads through it.
    pub(super) fn marks_need(&self, id: u64) -> bool {
        let without = self.branches_without(Some(id));
        let kept = without.kept();
        self.marks.rows().any(|mark| !kept.keeps(mark.moment))
    }

    /// The same, of a clone.
    pub(super) fn clones_need(&self, id: u64) -> bool {
        let without = self.branches_without(Some(id));
        let kept = without.kept();
        self.clone_entries().any(|clone| !kept.keeps(clone.moment))
    }

    /// The branches when those are dropped that are being dropped, and this one.
    pub(super) fn branches_without(&self, id: Option<u64>) -> Branches {
        let mut without = self.branches.clone();
        let waiting = self
            .records
            .iter()
            .filter_map(|staged| match staged.record {
                Record::DropBranch(id) => Some(id),
                _ => None,
            });
        let in_flight = self.flight.iter().filter_map(Flight::dropped_branch);
        let dropped = waiting.chain(in_flight).chain(id);
        dropped.for_each(|id| without.drop_branch(id));
        without
    }

    /// Whether it is the log of a clone: what it does not have is in its parent, and there is no
    /// image. So nothing is folded, and it keeps what was written since it began.
    pub fn is_clone(&self) -> bool {
        self.superblock.origin.is_some()
    }

    /// The end of the last sealed segment that can be folded altogether; all before it can, too.
    fn last_segment(&self, is_wanted: impl Fn(&SegmentRow) -> bool) -> Option<Seq> {
        let limit = self.fold_limit();
        let sealed = self.segments.sealed();
        let rows = sealed.take_while(|row| row.seqs[1] <= limit && is_wanted(row));
        rows.last()
            .map(|row| row.seqs[1])
            .filter(|to| *to > self.floor)
    }

    /// Begins to fold before the log is full, when only the margin is left (`pacing.rs`), so that
    /// changes go on beside the fold. To be called now and then.
    pub fn fold_early(&mut self) {
        let is_due = self.settings.when_full == WhenFull::Shorten
            && self.fold.is_none()
            && self.is_nearly_full();
        if is_due && self.check_writable().is_ok() {
            self.fold_slots(self.batch_slots().saturating_sub(self.margin_slots()));
        }
    }

    /// Slots that are folded at once when the log is full, so that the rest of the window stays.
    pub(super) fn batch_slots(&self) -> usize {
        let slots = u64::from(self.geometry.slots);
        let batch = slots * u64::from(self.settings.batch_ppm) / 1_000_000;
        (batch as usize).max(1)
    }

    /// Begins to fold the oldest segments, as far as nothing holds them; whether there is one.
    fn fold_slots(&mut self, slots: usize) -> bool {
        let sealed = self.segments.sealed();
        let last_id = sealed.take(slots.max(1)).last().map(|row| row.id);
        let to = self.last_segment(|row| Some(row.id) <= last_id);
        if let Some(to) = to {
            self.begin_fold(to);
        }
        to.is_some()
    }

    /// The log is full: whether space will be there if changes wait.
    pub(super) fn makes_space(&mut self) -> bool {
        if self.settings.when_full == WhenFull::Refuse || self.is_clone() {
            return false;
        }
        if self.is_folding() {
            return true;
        }
        if self.fold.is_some() {
            return false;
        }
        if self.fold_slots(self.batch_slots()) {
            return true;
        }
        // Where a branch is left is known again when the revert has ended.
        !self.reverting && self.expire_one_of(|_| true)
    }
}
