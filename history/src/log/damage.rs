//! Durable data that is lost: what is known of it, and how the log is written again.
//!
//! ```text
//!   read-only ─ accept_loss ─ new epoch in the superblocks ─ a new segment: EPOCH, CHECKPOINT
//!                           ─ superblocks that name it ─ writable
//! ```
//!
//! Invariant: until the superblocks name the new checkpoint, a crash leaves the log as it was
//! found, read-only: what is lost is given up in one step.

use super::{Log, Phase};
use crate::format::checkpoint::LossRow;
use crate::format::{Seq, UNFLUSHED_SEQS_MAX};
use crate::recovery::Report;
use crate::steps::{Failure, Notice, RequestId};

/// Losses that a log remembers, at most.
const LOSSES_MAX: usize = 256;

impl Log {
    /// What opening found; complete once the log is open or broken.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Why nothing is written any more, after `Notice::Broken`.
    pub fn broken(&self) -> Option<Failure> {
        match self.phase {
            Phase::Broken(why) => Some(why),
            _ => None,
        }
    }

    /// Losses that were accepted: the first seq and the last one that is lost, and when.
    pub fn losses(&self) -> impl Iterator<Item = (Seq, Seq, u64)> {
        let rows = self.losses.iter();
        rows.map(|row| (row.first, row.last, row.time_ns))
    }

    /// Durable data is lost, and the log is read-only: it is to be written again from the newest
    /// moment on that is left. What lies behind that is given up. `Notice::Done` says when it can
    /// be written; until then a crash changes nothing.
    ///
    /// # Errors
    /// [`Failure::NothingLost`]; [`Failure::Full`], if there is no slot for a new segment.
    pub fn accept_loss(&mut self, request: RequestId) -> Result<(), Failure> {
        if self.report.read_only_features.is_some() {
            return Err(Failure::NewerLog);
        }
        let cut = self.cut.filter(|_| self.phase == Phase::ReadOnly);
        let cut = cut.ok_or(Failure::NothingLost)?;
        if self.losses.len() >= LOSSES_MAX {
            return Err(Failure::TooMany);
        }
        let mut segments = self.segments.clone();
        segments.cut(&cut);
        if segments.free_slots() == 0 {
            return Err(Failure::Full);
        }
        self.segments = segments;
        self.drop_fences();
        self.last_seal_checksum = 0;
        // However many seqs the lost segments gave out, they were not more than fit the area.
        let lost_at_most = u64::from(self.geometry.area_units()) * 256;
        self.next_seq = self.superblock.next_seq.max(self.published_seq + 1);
        self.next_seq += lost_at_most + UNFLUSHED_SEQS_MAX;
        self.superblock.next_seq = self.next_seq;
        self.superblock.next_segment = self.segments.next_id();
        self.superblock.epoch += 1;
        self.accepting = Some(request);
        self.phase = Phase::BeginningEpoch;
        self.want_superblocks();
        Ok(())
    }

    /// The superblocks name a checkpoint behind the loss.
    pub(super) fn loss_is_accepted(&mut self) {
        let Some(request) = self.accepting.take() else {
            return;
        };
        (self.cut, self.lost_from) = (None, None);
        self.phase = Phase::Writable;
        self.begin_owed_fold();
        let seq = self.published_seq;
        self.notices.push_back(Notice::Done { request, seq });
    }

    /// An EPOCH accepts the loss of what lies between `kept` and itself.
    pub(super) fn note_loss(&mut self, kept: Seq, seq: Seq) {
        self.losses.push(LossRow {
            first: kept + 1,
            last: seq - 1,
            time_ns: self.published_time_ns,
        });
    }

    /// The losses that a moment which can be restored may lie in.
    pub(super) fn current_losses(&self) -> Vec<LossRow> {
        let oldest = self.oldest_restorable;
        let rows = self.losses.iter().filter(|row| row.last >= oldest);
        rows.copied().collect()
    }

    /// Whether a moment lies in what was lost.
    pub(super) fn is_lost(&self, moment: Seq) -> bool {
        let mut rows = self.losses.iter();
        rows.any(|row| (row.first..=row.last).contains(&moment))
    }
}
