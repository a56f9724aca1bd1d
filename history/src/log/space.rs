//! The file system below has no space for a write of the log: what was being written fails, and the
//! log goes on when there is space.
//!
//! ```text
//!   a batch finds none ─ those behind it end ─ all of them are taken back, their requests fail
//!     ─ [`Log::retry_writes`] ─ the next batch takes the same place, number and seqs
//! ```
//!
//! Taking a batch back is safe as nothing of it was published or answered, and what it left on the
//! disk never counts: the one that found no space is not whole, those behind it name its checksum,
//! and what takes its place has another one. Superblocks and a SEAL are written again with what
//! they say then.
//!
//! Invariants: nothing is written from the failure to [`Log::retry_writes`], which the driver
//! paces; no change waits for a write that found no space.

use super::pipeline::{Answer, Flight, StagedRecord};
use super::sealing::Sealing;
use super::{IoId, Log, Purpose};
use crate::format::batch::Body;
use crate::format::record::Record;
use crate::segments::Placement;
use crate::steps::{Failure, Notice, RequestId};
use std::mem;

/// Whether the disk below has space for what is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Space {
    #[default]
    Enough,
    /// It had none: nothing is written.
    Waiting,
    /// It had none, and the next write shows whether it has.
    Trying,
}

/// Where the log was before a header was made.
#[derive(Debug, Clone)]
pub(super) struct Before {
    pub(super) placement: Placement,
    pub(super) next_batch: u64,
    pub(super) next_seq: u64,
}

impl Log {
    /// A write found no space on the disk below; nothing is known of what it left there. To be
    /// called in place of [`Log::complete`], for writes only.
    ///
    /// # Panics
    /// If no step with this id is in flight.
    pub fn complete_without_space(&mut self, io: IoId) {
        let purpose = self.ios.get(&io).expect("a step is completed once");
        let can_wait = self.is_writable() || self.is_closing() || self.begins_deferred();
        match purpose {
            Purpose::Batch | Purpose::Superblock | Purpose::SealWrite if can_wait => {}
            // A flush that fails is final, whatever it says; and a log that is being opened is not.
            _ => return self.complete(io, Err(crate::IoFailed)),
        }
        let purpose = self.ios.remove(&io);
        match purpose {
            Some(Purpose::Batch) => self.batch_found_no_space(io),
            Some(Purpose::Superblock) => self.superblocks.write_again(),
            _ => self.seal_found_no_space(),
        }
        if self.space == Space::Enough {
            self.notices.push_back(Notice::OutOfSpace);
        }
        self.space = Space::Waiting;
        self.fail_staged(Failure::NoSpace);
        self.take_back_batches();
    }

    /// Writes what found no space again, if the driver has reason to think that there is some: now
    /// and then. Whether something waits for that.
    pub fn retry_writes(&mut self) -> bool {
        let is_waiting = self.space == Space::Waiting;
        if is_waiting {
            self.space = Space::Trying;
        }
        is_waiting
    }

    /// Whether the last write found no space on the disk below.
    pub fn is_out_of_space(&self) -> bool {
        self.space != Space::Enough
    }

    /// Whether writes of the log are held back until its disk has space again.
    pub(super) fn waits_for_space(&self) -> bool {
        self.space == Space::Waiting || self.flight.iter().any(|flight| flight.has_no_space)
    }

    /// A write of the log has ended well.
    pub(super) fn note_space(&mut self) {
        // One that was in flight behind a write without space says nothing of it.
        if self.space == Space::Trying && !self.flight.iter().any(|flight| flight.has_no_space) {
            self.space = Space::Enough;
        }
    }

    pub(super) fn before_header(&self) -> Option<Before> {
        Some(Before {
            placement: self.segments.open()?.placement(),
            next_batch: self.next_batch,
            next_seq: self.next_seq,
        })
    }

    fn batch_found_no_space(&mut self, io: IoId) {
        for flight in self.flight.iter_mut().filter(|flight| flight.io == io) {
            (flight.is_complete, flight.has_no_space) = (true, true);
        }
    }

    fn seal_found_no_space(&mut self) {
        if let Some(Sealing::Writing(_, _, before)) = self.sealing.take() {
            self.go_back(before);
            self.sealing = Some(Sealing::Ready);
        }
    }

    fn go_back(&mut self, before: Before) {
        (self.next_batch, self.next_seq) = (before.next_batch, before.next_seq);
        if let Some(open) = self.segments.open_mut() {
            open.go_back(before.placement);
        }
    }

    /// If a batch found no space, and those behind it have ended too, none of them is there any
    /// more.
    pub(super) fn take_back_batches(&mut self) {
        let is_first = |flight: &Flight| flight.has_no_space;
        let is_due = self.flight.front().is_some_and(is_first)
            && self.flight.iter().all(|flight| flight.is_complete);
        if !is_due {
            return;
        }
        let flights = mem::take(&mut self.flight);
        let mut failed = Vec::new();
        for flight in flights.into_iter().rev() {
            self.go_back(flight.before);
            let last = flight.items.iter().filter(|item| item.is_last);
            failed.extend(last.rev().map(|item| item.request));
            failed.extend(flight.answer.request());
            if let Body::Record(record) = flight.header.body {
                self.take_back_record(record, flight.answer);
            }
        }
        let failed = failed.into_iter().rev();
        self.failing
            .extend(failed.map(|request: RequestId| (request, Failure::NoSpace)));
        self.answer_failing();
        self.answer_flushes();
    }

    fn take_back_record(&mut self, record: Record, answer: Answer) {
        match (record, answer) {
            (record @ Record::Epoch { .. }, _) => self.epoch_record = Some(record),
            (_, Answer::FoldIntent) => self.image_failed(),
            (_, Answer::Grown) => self.has_not_grown(Failure::NoSpace),
            (_, Answer::Checkpoint { .. }) => self.checkpoint_is_taken_back(),
            (Record::Branch { .. }, Answer::Branch(_)) => {
                self.reverting = false;
                self.builds.take_for_branch();
            }
            (record @ Record::Branch { .. }, answer) => self.records.push_front(StagedRecord {
                record,
                payload: Vec::new(),
                answer,
            }),
            // No request waits for the others: they are written when there is reason to again.
            _ => {}
        }
    }
}
