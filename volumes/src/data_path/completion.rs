//! The way back: an I/O of the disk ends its piece, the pieces a request, the request is answered.
//!
//! Invariants: what a write or a hole changed in the layout counts from when all pieces of its
//! request are back without an error, and before its claim is released; then the request is
//! answered or joins the next commit, never both.

use super::{DataPath, served, served_mut};
use crate::block_status::BlockStatus;
use crate::error::io_error;
use crate::histories;
use crate::ids::{RequestId, VdiskSlot};
use crate::io_queue::{PieceIo, PieceOutcome, Purpose};
use crate::splitter::{Action, Piece};
use disktime_disks::{Disk, DiskError, DiskErrorKind, FreeSpace};
use disktime_engine::{IoDone, IoError, ReplyDetail, RequestKind};
use disktime_units::{Nanos, TrimHandling};

impl<D: Disk> DataPath<D> {
    /// An I/O is back.
    pub(super) fn complete(&mut self, now: Nanos, io: IoDone) {
        let slot = match self.io.take(&io) {
            Purpose::Piece(slot, piece) => {
                self.complete_piece(now, piece, io);
                slot
            }
            Purpose::CommitFlush(slot) => {
                let result = self.flush_result(&io.result);
                let result = result.and(self.refuse_if_cut(slot));
                self.complete_commit_io(slot, result);
                slot
            }
            Purpose::SharedFlush => {
                let result = self.flush_result(&io.result);
                return self.complete_shared_flush(result);
            }
            Purpose::CommitBlock(slot) => {
                self.io.put_back(io.buffer);
                if let Err(error) = &io.result {
                    let name = self.vdisk(slot).name();
                    tracing::warn!(
                        vdisk = %name, "a block of the zero map was not written: {error}"
                    );
                }
                let result = io.result.map_err(|error| io_error(&error));
                self.complete_commit_io(slot, result);
                slot
            }
            Purpose::Held(piece) => return self.held_done(now, piece, &io),
            Purpose::Metadata(number) if number == self.metadata_reads => {
                self.metadata_read = Some(io);
                return;
            }
            Purpose::Metadata(_) => return self.io.put_back(io.buffer),
        };
        self.schedule(slot);
    }

    fn complete_piece(&mut self, now: Nanos, piece: PieceIo, io: IoDone) {
        let id = piece.request();
        let request = self.requests.get_mut(id);
        match self.io.piece_done(now, request, piece, io) {
            PieceOutcome::Continues => return,
            PieceOutcome::Done => self.note_space(id, piece.piece(), None),
            PieceOutcome::NotDiscarded => request.keeps_disk_content(),
            PieceOutcome::Failed(error) => {
                request.fail(io_error(&error), piece.piece().start());
                self.note_space(id, piece.piece(), Some(error.kind));
                self.log_failure(id, &error);
            }
        }
        self.finish_data_if_done(id);
    }

    /// Notes what a piece did to the space below. Of a write that failed, for want of space too, it
    /// is not known what was written, unless nothing may be.
    fn note_space(&mut self, id: RequestId, piece: Piece, error: Option<DiskErrorKind>) {
        let abilities = self.io.abilities();
        if !abilities.can_run_out() {
            return;
        }
        let layout = served_mut(&mut self.vdisks, self.requests.get(id).slot()).layout_mut();
        match (piece.action(), error) {
            (Action::Write | Action::Zero, None) => {
                let bytes = layout.hold_space(piece.start(), piece.end());
                self.free_space().inspect(|free| free.take(bytes));
            }
            (Action::Write | Action::Zero, Some(DiskErrorKind::ReadOnly)) => {}
            (Action::Write | Action::Zero, Some(_)) => {
                layout.hold_unsure(piece.start(), piece.end());
            }
            (Action::Discard | Action::ZeroByDiscard, None) if abilities.discarding_zeroes() => {
                let bytes = layout.give_space_back(piece.start(), piece.end());
                self.free_space().inspect(|free| free.give(bytes));
            }
            _ => {}
        }
    }

    /// What the file system below has left. It is asked now and then; what is taken and given back
    /// meanwhile is counted.
    fn free_space(&self) -> Option<&FreeSpace> {
        self.disk_loop().disk().free_space()
    }

    fn log_failure(&self, id: RequestId, error: &DiskError) {
        let request = self.requests.get(id);
        let (slot, kind) = (request.slot(), request.kind());
        let name = served(&self.vdisks, slot).name();
        tracing::warn!(vdisk = %name, ?kind, "{error}");
    }

    /// If all pieces of a request are back, what it changed counts from now on, and it is answered
    /// or joins the next commit.
    pub(super) fn finish_data_if_done(&mut self, id: RequestId) {
        if !self.requests.is_data_done(id) {
            return;
        }
        let request = self.requests.get(id);
        let (slot, plan, error) = (request.slot(), request.plan(), request.error());
        let kind = request.kind();
        if error.is_none() {
            let vdisk = served_mut(&mut self.vdisks, slot);
            if let Some((start, end)) = plan.hole().filter(|_| kind == RequestKind::Trim) {
                vdisk.hold_trims(start, end);
            }
            let layout = vdisk.layout_mut();
            if kind == RequestKind::Write && plan.is_first_write() {
                layout.mark_written(plan.range().0, plan.range().1);
            }
            if let Some((start, end)) = plan.hole() {
                layout.mark_hole(start, end, plan.zeroes_disk());
            }
        }
        if kind.modifies() {
            self.release(id, slot);
        }
        match error {
            Some(error) => self.answer(id, Err(error)),
            None if kind == RequestKind::Allocate => self.step(id),
            None if plan.needs_commit() => self.commit(id),
            None => self.answer(id, Ok(())),
        }
    }

    /// Releases a request's claim, and starts those that waited for it.
    fn release(&mut self, id: RequestId, slot: VdiskSlot) {
        let splitter = served(&self.vdisks, slot).splitter(self.io.abilities());
        self.requests.release(id, |waiting, request| {
            splitter.claim(waiting, request.part())
        });
        self.start_granted();
    }

    /// Releases the range of a held trim, and starts those that waited for it.
    pub(super) fn release_range(&mut self, slot: VdiskSlot) {
        let splitter = served(&self.vdisks, slot).splitter(self.io.abilities());
        self.requests.release_range(slot, |waiting, request| {
            splitter.claim(waiting, request.part())
        });
        self.start_granted();
    }

    fn start_granted(&mut self) {
        while let Some(granted) = self.requests.take_granted() {
            self.start(granted);
        }
    }

    /// The next run of the vdisk's commits answers the request.
    pub(super) fn commit(&mut self, id: RequestId) {
        let slot = self.requests.get(id).slot();
        self.vdisk_mut(slot).commits_mut().join(id);
        self.schedule(slot);
    }

    /// What a flush of a commit means for it. One that succeeds after another failed proves
    /// nothing, as a kernel reports a lost write once.
    fn flush_result(&mut self, result: &Result<(), DiskError>) -> Result<(), IoError> {
        if let Err(error) = result
            && self.io.note_flush_failure()
        {
            tracing::error!("{error}; no flush is answered any more until the disk is reopened");
        }
        match self.io.flush_failed() {
            true => Err(IoError::Io),
            false => Ok(()),
        }
    }

    /// What a flush that succeeded means for a vdisk of which a part was cut off: with that part
    /// went writes that were answered.
    pub(super) fn refuse_if_cut(&self, slot: VdiskSlot) -> Result<(), IoError> {
        match self.is_cut(slot) {
            true => Err(IoError::Io),
            false => Ok(()),
        }
    }

    pub(super) fn complete_commit_io(&mut self, slot: VdiskSlot, result: Result<(), IoError>) {
        if let Some(outcome) = self.vdisk_mut(slot).commit_io_done(result) {
            self.answer_committed(slot, outcome);
        }
    }

    pub(super) fn answer_committed(&mut self, slot: VdiskSlot, result: Result<(), IoError>) {
        while let Some(id) = self.vdisk_mut(slot).take_committed() {
            self.answer(id, result);
        }
    }

    pub(super) fn answer(&mut self, id: RequestId, result: Result<(), IoError>) {
        self.note_change(id);
        let request = self.requests.get(id);
        if request.kind() != RequestKind::Status {
            self.status_pace.note_use(request.slot(), self.now);
        }
        if result == Err(IoError::NoSpace) {
            self.vdisk(request.slot()).no_space().add_one();
        }
        let detail = match (result, request.failed_at()) {
            (Err(_), Some(at)) => ReplyDetail::FailedAt(at),
            (Err(_), None) => ReplyDetail::Nothing,
            (Ok(()), _) => {
                let layout = self.vdisk(request.content_slot()).layout();
                BlockStatus::new(layout).detail(request.header())
            }
        };
        let reply = self.requests.complete(id, result, detail);
        self.replies.push(reply);
    }

    /// A change is noted before it is answered, and one that failed as well: a part of it may have
    /// reached the disk.
    fn note_change(&mut self, id: RequestId) {
        let request = self.requests.get(id);
        let header = request.header();
        let ignored = header.kind() == RequestKind::Trim
            && served(&self.vdisks, request.slot()).trims() == TrimHandling::Ignore;
        // What a fold writes is no change of the content.
        let is_inner = request.origin() == histories::ORIGIN;
        if !header.kind().modifies() || header.len_bytes() == 0 || ignored || is_inner {
            return;
        }
        let (clock, now) = (self.wall_clock, self.now);
        let at = self
            .since_1970_ns
            .get_or_insert_with(|| clock.since_1970_ns(now));
        served(&self.vdisks, request.slot())
            .last_change()
            .changed(*at);
    }
}
