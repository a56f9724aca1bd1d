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
//! The status of a vdisk with a history is answered by its history, which knows more than the data
//! path; it waits here, beside the others, and is granted when its turn comes.
//!
//! Invariants: a waiting request is in a request table, so its vdisk's limit bounds how many wait;
//! each is answered once; while one that was granted is not answered, nothing else is granted.
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

/// A status that waits.
#[derive(Debug, Clone, Copy)]
enum Asked {
    /// In the request table.
    Here(RequestId),
    /// The history of its vdisk has it by this number.
    OfHistory(usize),
}

/// When the next status may be answered, and which wait for that.
#[derive(Debug, Default)]
pub(super) struct StatusPace {
    waiting: VecDeque<(VdiskSlot, Asked)>,
    /// Those that histories answer now.
    granted: Vec<(VdiskSlot, usize)>,
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
        let is_other = |(slot, _): &(VdiskSlot, Asked)| Some(*slot) != self.answered;
        let other = self.waiting.iter().position(is_other);
        let index = other.unwrap_or(0);
        self.waiting.get(index).map(|(slot, _)| (index, *slot))
    }

    /// An answer was made of so many extents, or look-ups.
    fn note_answer(&mut self, slot: VdiskSlot, now: Nanos, extents: usize) {
        self.answered = Some(slot);
        let took = ANSWER.saturating_add(Nanos(EXTENT.0 * extents as u64));
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
            true => self.status_pace.waiting.push_back((slot, Asked::Here(id))),
            false => self.answer_status(id),
        }
    }

    /// A history has a status of the vdisk in a slot, by that number. Whether it answers it now;
    /// else [`DataPath::take_granted_statuses`] names it later.
    pub(crate) fn begin_history_status(
        &mut self,
        now: Nanos,
        slot: VdiskSlot,
        number: usize,
    ) -> bool {
        self.now = self.now.max(now);
        let waits = self.status_waits(slot) || !self.status_pace.granted.is_empty();
        if waits {
            let asked = (slot, Asked::OfHistory(number));
            self.status_pace.waiting.push_back(asked);
        }
        !waits
    }

    /// The statuses that histories answer now.
    pub(crate) fn take_granted_statuses(&mut self) -> Vec<(VdiskSlot, usize)> {
        std::mem::take(&mut self.status_pace.granted)
    }

    /// A history has answered one, with so many look-ups.
    pub(crate) fn note_history_status(&mut self, slot: VdiskSlot, look_ups: usize) {
        self.status_pace.note_answer(slot, self.now, look_ups);
    }

    /// Answers those whose time has come; all of them where `all` is set.
    pub(super) fn answer_waiting_statuses(&mut self, all: bool) {
        while let Some((index, slot)) = self.status_pace.next_waiting() {
            let is_granted = !self.status_pace.granted.is_empty();
            if !all && (is_granted || self.status_waits(slot)) {
                break;
            }
            match self.status_pace.waiting.remove(index) {
                Some((_, Asked::Here(id))) => self.answer_status(id),
                Some((_, Asked::OfHistory(number))) => {
                    self.status_pace.granted.push((slot, number));
                }
                None => break,
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
        self.status_pace
            .note_answer(slot, self.now, used_bytes / Extent::BYTES);
        self.answer(id, Ok(()));
    }
}
