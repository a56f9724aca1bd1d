//! The fold: the newest versions up to a new floor move into the image, and segments become free.
//!
//! ```text
//!   oldest restorable moment raised ─ map of the new floor ─ FOLD_INTENT, durable
//!     ─ superblocks that name the new floor
//!     ┌─ what the oldest segments have of the map is written to the image, which is flushed
//!     │  ─ CHECKPOINT whose floor is their end, superblocks ─ maps forget what the image has
//!     └─ reads of the log that are in flight end ─ their slots are free ─ the next segments
//! ```
//!
//! A fold goes in *steps*, so that changes to a full log need not wait for all of it. Each step
//! writes blocks whose newest version up to the new floor lies in the oldest segments. Older
//! versions in them are of no use, as no moment before the new floor can be opened; so the segments
//! are free when the step ends, and each block is written once in all steps.
//!
//! Invariants: while the image is neither the old nor the new floor, every block that the rest of
//! a fold changes is read from the log; a crash repeats the fold from the last step that is
//! complete, which writes the same bytes. A fold that fails *rests*: the floor stays, nothing waits
//! for it, and [`Log::retry_fold`] repeats what is left of it, without a record in the log if there
//! is one already.

use super::pipeline::{Answer, StagedRecord};
use super::reading::{Run, run_at};
use super::{Log, Purpose};
use crate::format::Seq;
use crate::format::checkpoint::{LOST_RUN_BYTES, SegmentRow};
use crate::format::record::Record;
use crate::log::building::BuildPurpose;
use crate::lost::{LOST_RUNS_MAX, LostBlocks};
use crate::map::BlockMap;
use crate::steps::{Failure, Notice, Step};
use std::collections::BTreeSet;
use std::mem;

/// How far a fold is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    Building,
    Intent,
    /// The superblocks say how far the image may have been changed.
    Announcement,
    Image,
    Checkpoint,
    /// The checkpoint is durable; builds in flight end first.
    Builds,
    Reads(Vec<u32>),
    /// The image's disk failed or the log is damaged: the floor stays until the fold is repeated.
    Resting,
}

/// A fold in flight.
#[derive(Debug)]
pub(super) struct Fold {
    to: Seq,
    stage: Stage,
    /// FOLD_INTENT and the superblocks name it, so that it can be repeated without them.
    is_announced: bool,
    /// What steps that have not begun will write.
    rest: BlockMap,
    /// The floor when the step is complete.
    step_to: Seq,
    /// How much of the step is done, in millionths.
    progress_ppm: u32,
    /// Units of the log that are given to changes while the step is done.
    span_units: u64,
    /// Slots that the step before freed.
    freed_slots: usize,
    /// What the step writes.
    map: BlockMap,
    /// Blocks of it that the log does not have any more.
    lost: LostBlocks,
}

impl Fold {
    pub(super) fn to(&self) -> Seq {
        self.to
    }

    /// How much of the step in flight is done, in millionths.
    pub(super) fn progress_ppm(&self) -> u32 {
        self.progress_ppm
    }

    pub(super) fn span_units(&self) -> u64 {
        self.span_units
    }

    pub(super) fn note_progress(&mut self, ppm: u32) {
        self.progress_ppm = ppm;
    }

    fn rests(&self) -> bool {
        self.stage == Stage::Resting
    }
}

impl Log {
    /// Moves the floor to `to`: moments before it can no longer be opened, from now on.
    ///
    /// # Errors
    /// [`Failure::FloorIsHeld`] if a fold is in flight, or if a mark, a kept branch, an open moment
    /// or one that is being opened needs the floor where it is.
    pub fn fold(&mut self, to: Seq) -> Result<(), Failure> {
        self.check_writable()?;
        if self.fold.is_some() || to <= self.floor || to > self.fold_limit() {
            return Err(Failure::FloorIsHeld);
        }
        self.begin_fold(to);
        Ok(())
    }

    pub(super) fn begin_fold(&mut self, to: Seq) {
        self.oldest_restorable = self.oldest_restorable.max(to);
        self.fold = Some(Fold {
            to,
            stage: Stage::Building,
            is_announced: false,
            rest: BlockMap::default(),
            step_to: self.floor,
            progress_ppm: 0,
            span_units: self.span_units(0),
            freed_slots: 0,
            map: BlockMap::default(),
            lost: LostBlocks::default(),
        });
        self.builds.push(BuildPurpose::Fold);
    }

    /// Repeats a fold that rests, if there is one ([`Notice::FoldFailed`]). Until it fails again it
    /// counts as one that makes space, so changes may wait for it.
    pub fn retry_fold(&mut self) {
        if self.check_writable().is_err() {
            return;
        }
        if let Some(fold) = self.fold.as_mut().filter(|fold| fold.rests()) {
            fold.stage = Stage::Building;
            self.builds.push(BuildPurpose::Fold);
        }
    }

    /// What the image has to hold from block `from` on: the next run, while the step
    /// [`Step::WriteImage`] is in flight. The runs may be written in any order.
    pub fn fold_next(&self, from: u64) -> Option<(u64, Run)> {
        let fold = self
            .fold
            .as_ref()
            .filter(|fold| fold.stage == Stage::Image)?;
        let (lba, _) = fold.map.next_from(from)?;
        Some((lba, run_at(&fold.map, lba, u64::MAX)))
    }

    /// Blocks that [`Log::fold_next`] lists altogether.
    pub fn fold_blocks(&self) -> u64 {
        self.fold.as_ref().map_or(0, |fold| fold.map.blocks())
    }

    /// A block that [`Log::fold_next`] listed cannot be read from the log, or does not verify. The
    /// fold goes on without it; from its end on reads of the block fail, until it is written again.
    ///
    /// # Errors
    /// [`Failure::TooMany`] if there are too many such blocks: then [`Step::WriteImage`] fails.
    pub fn fold_lost(&mut self, lba: u64) -> Result<(), Failure> {
        let known = self.lost_blocks.len();
        let of_fold = self.fold.as_ref().map_or(0, |fold| fold.lost.len());
        // The tables have those that are known already.
        let has_room = self.tables_have_room((of_fold + 1) * LOST_RUN_BYTES);
        let is_image = |fold: &&mut Fold| fold.stage == Stage::Image;
        if let Some(fold) = self.fold.as_mut().filter(is_image) {
            if known + of_fold >= LOST_RUNS_MAX || !has_room {
                return Err(Failure::TooMany);
            }
            fold.lost.insert(lba);
        }
        Ok(())
    }

    pub(super) fn fold_map_is_built(&mut self, map: BlockMap) {
        let Some(fold) = &mut self.fold else { return };
        fold.rest = map;
        if fold.is_announced {
            return self.begin_step();
        }
        fold.stage = Stage::Intent;
        let (from, to) = (self.floor, fold.to);
        self.records.push_back(StagedRecord {
            record: Record::FoldIntent { from, to },
            payload: Vec::new(),
            answer: Answer::FoldIntent,
        });
    }

    pub(super) fn fold_intent_is_durable(&mut self) {
        let Some(fold) = &mut self.fold else { return };
        fold.stage = Stage::Announcement;
        // The chain of batches may be damaged later; the image's condition must be known even then.
        self.superblock.fold_to = fold.to;
        self.want_superblocks();
    }

    /// Both superblocks say `fold_to`, durably.
    pub(super) fn fold_is_announced(&mut self, fold_to: Seq) {
        let Some(fold) = &mut self.fold else { return };
        if fold.stage == Stage::Announcement && fold.to == fold_to {
            fold.is_announced = true;
            self.begin_step();
        }
    }

    /// The oldest segments are next, or all that is left.
    fn begin_step(&mut self) {
        let Some(mut fold) = self.fold.take() else {
            return;
        };
        let sealed = self.segments.sealed();
        let whole = sealed.take_while(|row| row.seqs[1] <= fold.to);
        let oldest: Vec<&SegmentRow> = whole.take(self.step_slots() + 1).collect();
        (fold.step_to, fold.map) = match oldest.split_last() {
            Some((_, oldest)) if oldest.len() == self.step_slots() => {
                let last = oldest.last().map_or(fold.to, |row| row.seqs[1]);
                let slots: BTreeSet<u32> = oldest.iter().map(|row| row.slot).collect();
                let lies_in = |unit| slots.contains(&self.geometry.slot_of(unit));
                (last, fold.rest.take_where(lies_in))
            }
            _ => (fold.to, mem::take(&mut fold.rest)),
        };
        (fold.stage, fold.progress_ppm) = (Stage::Image, 0);
        fold.span_units = self.span_units(fold.freed_slots);
        self.fold = Some(fold);
        let io = self.start(Purpose::Image);
        self.steps.push_back(Step::WriteImage { io });
    }

    /// Segments of a step.
    fn step_slots(&self) -> usize {
        let slots = u64::from(self.geometry.slots);
        let step = slots * u64::from(self.settings.step_ppm) / 1_000_000;
        (step as usize).max(1)
    }

    pub(super) fn image_is_written(&mut self) {
        let Some(fold) = &self.fold else { return };
        let mut lost = self.lost_blocks.clone();
        lost.retain(|lba| fold.map.get(lba).is_none());
        lost.add(&fold.lost);
        // Blocks that were written again have split runs: a checkpoint must be able to list them.
        let more = lost.len().saturating_sub(self.lost_blocks.len());
        let has_room = more == 0 || self.tables_have_room((more + 1) * LOST_RUN_BYTES);
        if lost.len() > LOST_RUNS_MAX || !has_room {
            return self.image_failed();
        }
        let Some(fold) = &mut self.fold else { return };
        (fold.stage, fold.progress_ppm) = (Stage::Checkpoint, 1_000_000);
        self.floor = fold.step_to;
        if lost != self.lost_blocks {
            self.lost_blocks = lost;
            self.forget_checkpoint_before();
        }
        self.checkpoint_wanted = true;
    }

    pub(super) fn image_failed(&mut self) {
        if let Some(fold) = &mut self.fold {
            (fold.stage, fold.progress_ppm) = (Stage::Resting, 0);
            (fold.rest, fold.map) = Default::default();
            fold.lost = LostBlocks::default();
            self.notices.push_back(Notice::FoldFailed);
        }
    }

    /// A checkpoint with this floor is durable, and both superblocks name it.
    pub(super) fn fold_is_checkpointed(&mut self, floor: Seq) {
        if let Some(fold) = &mut self.fold
            && fold.stage == Stage::Checkpoint
            && fold.step_to == floor
        {
            fold.stage = Stage::Builds;
        }
    }

    pub(super) fn fold_waits_for_builds(&self) -> bool {
        self.fold
            .as_ref()
            .is_some_and(|fold| fold.stage == Stage::Builds)
    }

    /// Whether a fold is in flight that will make space.
    pub(super) fn is_folding(&self) -> bool {
        self.fold.as_ref().is_some_and(|fold| !fold.rests())
    }

    /// Whether a fold has failed and is not repeated yet.
    pub fn fold_rests(&self) -> bool {
        self.fold.as_ref().is_some_and(Fold::rests)
    }

    pub(super) fn advance_fold(&mut self) {
        if !self.fold_waits_for_builds() || !self.builds.is_idle() || !self.fetches.is_idle() {
            return;
        }
        let Some(fold) = &mut self.fold else { return };
        let folded = mem::take(&mut fold.map);
        fold.lost = LostBlocks::default();
        let slots = self.segments.retire(self.floor);
        fold.stage = Stage::Reads(slots);
        self.forget_folded(&folded);
        self.branches.forget_below(self.floor);
        let io = self.start(Purpose::Reads);
        self.steps.push_back(Step::AwaitReads { io });
        self.drop_fences();
    }

    pub(super) fn reads_ended(&mut self) {
        let Some(fold) = &mut self.fold else { return };
        let Stage::Reads(slots) = &fold.stage else {
            return;
        };
        self.segments.release(slots);
        fold.freed_slots = slots.len();
        self.notices.push_back(Notice::Folded { floor: self.floor });
        if fold.step_to < fold.to {
            self.begin_step();
        } else {
            self.fold = None;
        }
    }
}
