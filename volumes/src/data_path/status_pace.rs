//! Block status beside other vdisks: it takes the processor and not the disk, so no reservation of
//! disk time bounds it.
//!
//! A client that asks again and again for the status of a fragmented vdisk keeps the thread of the
//! disk busy, and the requests of others wait for it. So while another vdisk is in use, status
//! takes a part in [`PARTS`] of the processor's time: after an answer, the next waits for so many
//! times what the answer took by its length. Those that wait are answered by vdisks in turn,
//! and at once when no other vdisk is in use any more, or at a stop.
//!
//! A vdisk is in use while it has requests that are no status, however long the disk takes for
//! them, and for [`IN_USE`] after the last.
//!
//! Invariants: a waiting request is in the request table, so its vdisk's limit bounds how many
//! wait; each is answered once.
//!
//! What is not known here: what an answer really takes, and vdisks of other disks.

use super::{DataPath, served};
use crate::block_status::BlockStatus;
use crate::ids::{RequestId, VdiskSlot};
use disktime_disks::Disk;
use disktime_engine::Extent;
use disktime_units::Nanos;
use std::collections::VecDeque;

/// Status takes one part in so many of the processor's time beside other vdisks in use.
const PARTS: u64 = 20;
/// What an answer takes of the processor, with what sending it takes,
const ANSWER: Nanos = Nanos::from_micros(20);
/// and each extent of it.
const EXTENT: Nanos = Nanos(80);
/// A client of depth 1 sends its next request within this.
const IN_USE: Nanos = Nanos::from_millis(1);

/// When the next status may be answered, and which wait for that.
#[derive(Debug, Default)]
pub(super) struct StatusPace {
    waiting: VecDeque<(VdiskSlot, RequestId)>,
    free_at: Nanos,
    /// Whose status was answered last.
    answered: Option<VdiskSlot>,
    /// The vdisk that was used last, and the last one before it that is another.
    used: [Option<(VdiskSlot, Nanos)>; 2],
}

impl StatusPace {
    /// A request came that is no status, or one is done.
    #[inline]
    pub(super) fn note_use(&mut self, slot: VdiskSlot, now: Nanos) {
        if self.used[0].is_some_and(|(used, _)| used != slot) {
            self.used[1] = self.used[0];
        }
        self.used[0] = Some((slot, now));
    }

    /// Whether a vdisk but this was used shortly before.
    fn others_were_used(&self, slot: VdiskSlot, now: Nanos) -> bool {
        let others = self.used.iter().flatten().filter(|(used, _)| *used != slot);
        others
            .into_iter()
            .any(|(_, at)| now < at.saturating_add(IN_USE))
    }

    /// The one that is next: the oldest of another vdisk than the last one, if there is any.
    fn next_waiting(&self) -> Option<(usize, VdiskSlot)> {
        let is_other = |(slot, _): &(VdiskSlot, RequestId)| Some(*slot) != self.answered;
        let other = self.waiting.iter().position(is_other);
        let index = other.unwrap_or(0);
        self.waiting.get(index).map(|(slot, _)| (index, *slot))
    }

    /// An answer of so many bytes was made.
    fn note_answer(&mut self, slot: VdiskSlot, now: Nanos, used_bytes: usize) {
        self.answered = Some(slot);
        let extents = (used_bytes / Extent::BYTES) as u64;
        let took = ANSWER.saturating_add(Nanos(EXTENT.0 * extents));
        self.free_at = now.saturating_add(Nanos(took.0 * PARTS));
    }
}

impl<D: Disk> DataPath<D> {
    /// Whether the vdisk's status waits.
    fn status_waits(&self, slot: VdiskSlot) -> bool {
        let (pace, now) = (&self.status_pace, self.now);
        now < pace.free_at
            && (self.requests.others_are_used(slot) || pace.others_were_used(slot, now))
    }

    /// Answers a status request, or has it wait.
    pub(super) fn begin_status(&mut self, id: RequestId) {
        let slot = self.requests.get(id).slot();
        match self.status_waits(slot) {
            true => self.status_pace.waiting.push_back((slot, id)),
            false => self.answer_status(id),
        }
    }

    /// Answers those whose time has come; all of them where `all` is set.
    pub(super) fn answer_waiting_statuses(&mut self, all: bool) {
        while let Some((index, slot)) = self.status_pace.next_waiting() {
            if !all && self.status_waits(slot) {
                break;
            }
            if let Some((_, id)) = self.status_pace.waiting.remove(index) {
                self.answer_status(id);
            }
        }
    }

    /// When the next of them may be answered.
    pub(super) fn next_status(&self) -> Option<Nanos> {
        let any = !self.status_pace.waiting.is_empty();
        any.then_some(self.status_pace.free_at)
    }

    fn answer_status(&mut self, id: RequestId) {
        let request = self.requests.get_mut(id);
        let (slot, header) = (request.slot(), request.header());
        let mut used_bytes = 0;
        if let Some(buffer) = request.buffer_mut() {
            let status = BlockStatus::new(served(&self.vdisks, slot).layout());
            used_bytes = status.fill(header.start(), header.end(), buffer);
            buffer.set_len(used_bytes);
        }
        self.status_pace.note_answer(slot, self.now, used_bytes);
        self.answer(id, Ok(()));
    }
}
