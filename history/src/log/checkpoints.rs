//! Checkpoints, and the superblocks that name them.

use super::pipeline::{Answer, StagedRecord};
use super::requests::TABLE_MARGIN_BYTES;
use super::{Log, Phase, Purpose};
use crate::format::checkpoint::{Rows, Tables, clone_bytes, mark_bytes};
use crate::format::record::Record;
use crate::format::superblock::{CheckpointPlace, Superblock};
use crate::format::{SUPERBLOCK_UNITS, Seq, UNIT_BYTES, Unit};
use crate::segments::{EMERGENCY_SLOTS, Fit, Room};
use crate::steps::{Notice, Part, Step};
use std::mem;

/// How far the superblocks are.
#[derive(Debug, Default)]
pub(super) struct Superblocks {
    /// The copy that is written first: the one that did not count when the log was opened, so that
    /// the only good one is not written over.
    first: usize,
    /// What is being written, to both copies in turn.
    writing: Option<Superblock>,
    /// The copy that is being written or flushed.
    copy: Option<usize>,
    is_wanted: bool,
    /// The floor of a checkpoint that is durable, but that no superblock names yet.
    durable_floor: Option<Seq>,
    /// The floor of the checkpoint that the superblocks will name when they are written.
    floor: Option<Seq>,
    /// The floor that the checkpoint in flight holds.
    checkpoint_floor: Option<Seq>,
    /// The next checkpoint says something that the one before it does not lead to.
    forgets_before: bool,
    /// The checkpoint in flight does.
    checkpoint_forgets_before: bool,
    /// Whether the checkpoint that ends a log is wanted or in flight.
    is_last: bool,
    /// The copy found no space on the disk below, and is written again.
    is_repeated: bool,
}

impl Superblocks {
    /// The copy that was being written found no space.
    pub(super) fn write_again(&mut self) {
        self.is_repeated = true;
    }

    /// Whether they are being written.
    pub(super) fn are_written(&self) -> bool {
        self.copy.is_some()
    }

    /// Of a log that was opened with the copy `counted`.
    pub(super) fn of_found(counted: usize) -> Superblocks {
        Superblocks {
            first: 1 - counted,
            ..Superblocks::default()
        }
    }
}

impl Log {
    /// The superblocks are written again, one after the other.
    pub(super) fn want_superblocks(&mut self) {
        self.superblocks.is_wanted = true;
    }

    pub(super) fn advance_superblocks(&mut self) {
        if self.waits_for_space() {
            return;
        }
        if let Some(copy) = self.superblocks.copy
            && mem::take(&mut self.superblocks.is_repeated)
        {
            self.write_superblock(copy);
        }
        if self.superblocks.is_wanted && self.superblocks.copy.is_none() {
            self.superblocks.is_wanted = false;
            self.renew_superblock();
            // Both copies get these bytes, whatever changes meanwhile.
            self.superblocks.writing = Some(self.superblock.clone());
            self.superblocks.floor = self.superblocks.durable_floor.take();
            self.write_superblock(self.superblocks.first);
        }
    }

    /// What each update of the superblocks says.
    pub(super) fn renew_superblock(&mut self) {
        self.superblock.generation += 1;
        self.superblock.written_by = self.settings.program_version;
        self.superblock.has_clones = self.has_clones();
    }

    fn write_superblock(&mut self, copy: usize) {
        let Some(superblock) = &self.superblocks.writing else {
            return;
        };
        let parts = vec![Part::Bytes(superblock.encode())];
        self.superblocks.copy = Some(copy);
        let io = self.start(Purpose::Superblock);
        let unit = SUPERBLOCK_UNITS[copy];
        self.steps.push_back(Step::Write { io, unit, parts });
    }

    pub(super) fn superblock_is_written(&mut self) {
        self.start_flush(Purpose::SuperblockFlush(self.published_seq));
    }

    pub(super) fn superblock_is_durable(&mut self) {
        if self.superblocks.copy == Some(self.superblocks.first) {
            self.write_superblock(1 - self.superblocks.first);
            return;
        }
        self.superblocks.copy = None;
        let Some(written) = self.superblocks.writing.take() else {
            return;
        };
        self.superblocks_say_sizes(&written);
        if let Some(floor) = self.superblocks.floor.take() {
            self.superblocks.checkpoint_floor = None;
            self.fold_is_checkpointed(floor);
        }
        let named = written.checkpoint.map(|place| place.segment);
        match self.phase {
            Phase::BeginningEpoch => self.epoch_begins(),
            Phase::AcceptingLoss if named == Some(self.segments.last_id()) => {
                self.loss_is_accepted();
            }
            Phase::Closing if written.closed.is_some() => {
                self.phase = Phase::Closed;
                self.notices.push_back(Notice::Closed);
            }
            _ => self.fold_is_announced(written.fold_to),
        }
    }

    /// Whether a checkpoint or the superblocks are in flight.
    pub(super) fn is_checkpointing(&self) -> bool {
        self.superblocks.checkpoint_floor.is_some()
            || self.superblocks.copy.is_some()
            || self.superblocks.is_wanted
    }

    pub(super) fn begin_checkpoint(&mut self, now_ns: u64) -> bool {
        let waits = self.is_checkpointing() || self.flight.iter().any(|flight| flight.is_record());
        if !self.checkpoint_wanted || waits {
            return false;
        }
        // Only a fold needs a checkpoint; others wait rather than take the last slots.
        let kept = if self.is_folding() || self.accepting.is_some() {
            0
        } else {
            EMERGENCY_SLOTS
        };
        let room = checkpoint_room(self.recorded_bytes());
        // A log that is full gets space by this checkpoint only: then it names the hole itself, and
        // cannot be replaced by one before it.
        if self.open_has_hole() && self.segments.free_slots() > kept {
            self.begin_sealing();
            return false;
        }
        if !self.make_room(room, kept, now_ns) {
            return false;
        }
        if self.send_epoch(now_ns) {
            return true;
        }
        // A segment that was begun for it is in the tables too.
        let mut payload = self.tables().encode();
        debug_assert_eq!(payload.len(), self.recorded_bytes());
        let payload_bytes = payload.len() as u32;
        let needed = checkpoint_room(payload.len());
        if needed != room && !self.make_room(needed, kept, now_ns) {
            return false;
        }
        payload.resize(payload.len().next_multiple_of(UNIT_BYTES), 0);
        self.checkpoint_wanted = false;
        self.superblocks.checkpoint_floor = Some(self.floor);
        self.superblocks.checkpoint_forgets_before =
            mem::take(&mut self.superblocks.forgets_before);
        let staged = StagedRecord {
            record: Record::Checkpoint { payload_bytes },
            payload,
            answer: Answer::Checkpoint {
                unit: 0,
                checksum: 0,
                segment: 0,
            },
        };
        self.send_record(staged, now_ns);
        true
    }

    /// The CHECKPOINT is durable: the superblocks name it.
    pub(super) fn checkpoint_is_durable(&mut self, unit: Unit, checksum: u32, segment: u64) {
        let floor = self.superblocks.checkpoint_floor.unwrap_or(self.floor);
        let forgets = mem::take(&mut self.superblocks.checkpoint_forgets_before);
        let before = self.superblock.checkpoint.filter(|_| !forgets);
        let can_replace = |place: &CheckpointPlace| {
            self.hole_in(place.segment).is_none() && self.segments.keeps(place.segment, floor)
        };
        self.superblock.checkpoint_before = before.filter(can_replace);
        self.superblock.floor = floor;
        self.superblock.checkpoint = Some(CheckpointPlace {
            segment,
            unit,
            checksum,
        });
        // Until now it said what was lost of a log that had been closed.
        self.superblock.closed = None;
        self.superblocks.durable_floor = self.superblocks.checkpoint_floor;
        let is_all = self.published_seq + 1 == self.next_seq && self.is_quiet();
        if self.superblocks.is_last && is_all && self.durable_seq == self.published_seq {
            self.note_closed();
        }
        self.superblocks.is_last &= self.superblock.closed.is_some();
        self.want_superblocks();
    }

    /// The CHECKPOINT in flight found no space: it is written again.
    pub(super) fn checkpoint_is_taken_back(&mut self) {
        self.superblocks.checkpoint_floor = None;
        self.superblocks.forgets_before |=
            mem::take(&mut self.superblocks.checkpoint_forgets_before);
        self.checkpoint_wanted = true;
    }

    /// Whether the open segment must be sealed before the next CHECKPOINT.
    fn open_has_hole(&self) -> bool {
        let open = self.segments.open();
        open.is_some_and(|open| self.hole_in(open.id).is_some())
    }

    /// The checksum of the CHECKPOINT that has no header in this segment.
    pub(super) fn hole_in(&self, segment: u64) -> Option<u32> {
        let hole = self.hole.filter(|(id, _)| *id == segment);
        hole.map(|(_, checksum)| checksum)
    }

    /// The newest checkpoint must not be replaced by the one before it: what the next one says is
    /// not in the batches between them.
    pub(super) fn forget_checkpoint_before(&mut self) {
        self.superblocks.forgets_before = true;
    }

    fn note_closed(&mut self) {
        self.superblock.closed = Some(self.next_batch - 1);
        self.superblock.next_seq = self.next_seq;
    }

    /// The tables as they are after all that is in flight.
    pub(super) fn tables(&self) -> Tables {
        let mut segments = self.segments.rows(self.floor);
        if let Some(open) = segments.last_mut().filter(|row| row.seal.is_none()) {
            open.hole = self.hole_in(open.id);
        }
        Tables {
            floor: self.floor,
            oldest_restorable: self.oldest_restorable,
            current_branch: self.branches.current(),
            vdisk_blocks: self.sizes.present(),
            undo_branch: self.branches.undo_id(),
            segments,
            branches: self.branches.rows().cloned().collect(),
            marks: self.marks.rows().cloned().collect(),
            lost_runs: self.lost_blocks.rows(),
            losses: self.current_losses(),
            clones: self.clones.rows().cloned().collect(),
            sizes: self.sizes.rows(self.oldest_restorable),
        }
    }

    /// Bytes of [`Log::tables`], which are not made for that.
    fn recorded_bytes(&self) -> usize {
        let marks = self.marks.rows().map(|mark| mark_bytes(&mark.name));
        let clones = self.cloned().map(clone_bytes);
        let rows = Rows {
            segments: self.segments.row_count(self.floor),
            branches: self.branches.len(),
            marks_bytes: marks.sum(),
            lost_runs: self.lost_blocks.rows().len(),
            losses: self.current_losses().len(),
            clones_bytes: clones.sum(),
            sizes: self.sizes.rows(self.oldest_restorable).len(),
        };
        rows.encoded_bytes()
    }

    /// Bytes of the tables with all that is asked for.
    pub(super) fn tables_bytes(&self) -> usize {
        let asked_for = self.asked_for().map(|record| match record {
            Record::Clone(clone) => clone_bytes(clone),
            Record::Mark(_) | Record::Branch { .. } | Record::Resize(_) => TABLE_MARGIN_BYTES,
            _ => 0,
        });
        self.recorded_bytes() + asked_for.sum::<usize>()
    }

    /// Whether the tables would still fit with so many bytes more.
    pub(super) fn tables_have_room(&self, more_bytes: usize) -> bool {
        self.tables_bytes() + more_bytes <= self.geometry.tables_bytes_max()
    }

    /// Whether nothing is in flight or waits.
    fn is_quiet(&self) -> bool {
        self.flight.is_empty()
            && self.staged.is_empty()
            && self.records.is_empty()
            && self.flushing.len() == 0
            && self.sealing.is_none()
            && !self.reverting
            && !self.is_growing()
    }

    /// A log that is being closed gets its last checkpoint when all else is complete. If there is
    /// no room for it, the one before is enough: the batches behind it are read.
    pub(super) fn advance_close(&mut self) {
        let is_next = self.phase == Phase::Closing
            && !self.superblocks.is_last
            && self.is_quiet()
            && !self.is_checkpointing()
            && !self.is_folding();
        if !is_next {
            return;
        }
        let room = checkpoint_room(self.recorded_bytes());
        let is_new = self.next_batch > self.first_batch;
        let has_room = if self.open_has_hole() {
            self.segments.free_slots() > EMERGENCY_SLOTS
        } else {
            self.segments.fit(room, EMERGENCY_SLOTS) != Fit::Full
        };
        if is_new && has_room {
            self.superblocks.is_last = true;
            self.checkpoint_wanted = true;
        } else if self.durable_seq < self.published_seq {
            self.flushing.want();
        } else {
            self.superblocks.is_last = true;
            self.checkpoint_wanted = false;
            self.note_closed();
            self.want_superblocks();
        }
    }
}

/// What a CHECKPOINT with tables of so many bytes takes.
pub(super) fn checkpoint_room(bytes: usize) -> Room {
    Room {
        units: 1 + bytes.div_ceil(UNIT_BYTES) as u32,
        entries: [0, 0, 1],
    }
}
