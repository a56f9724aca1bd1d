//! Records that wait go in one write: each is a batch of one unit, and batches lie directly behind
//! one another. So a thousand clones that are asked for together cost a few writes and a flush.
//!
//! Invariant: only a write that the driver has not taken yet grows, and all of it is records; its
//! batches are complete together.
//!
//! What is not known here: which records wait, and when they may go.

use super::pipeline::{Flight, RECORD_ROOM};
use super::{Log, Purpose};
use crate::format::batch::Body;
use crate::format::record::Record;
use crate::format::{PAYLOAD_UNITS_MAX, UNIT_BYTES, Unit};
use crate::segments::{EMERGENCY_SLOTS, Fit};
use crate::steps::{IoId, Part, Step};

/// Whether a batch may lie in the write of the one before it. Others are waited for, or lead to
/// more than an answer.
pub(super) fn may_join(body: &Body) -> bool {
    matches!(body, Body::Record(record) if is_joinable(record))
}

fn is_joinable(record: &Record) -> bool {
    matches!(
        record,
        Record::Mark(_) | Record::DropMark(_) | Record::Clone(_) | Record::DropClone(_)
    )
}

fn units_of(parts: &[Part]) -> usize {
    let units = |part: &Part| match part {
        Part::Bytes(bytes) => bytes.len() / UNIT_BYTES,
        Part::Request { blocks, .. } => *blocks as usize,
    };
    parts.iter().map(units).sum()
}

impl Log {
    /// How many writes of batches are in flight.
    pub(super) fn writes_in_flight(&self) -> usize {
        let (mut writes, mut last) = (0, None);
        for flight in &self.flight {
            writes += usize::from(last != Some(flight.io));
            last = Some(flight.io);
        }
        writes
    }

    /// Whether the first record that waits goes with those that were sent just now.
    pub(super) fn next_record_joins(&self) -> bool {
        let next = self.records.front();
        self.takes_more_records()
            && next.is_some_and(|next| is_joinable(&next.record))
            && self.epoch_record.is_none()
            && self.segments.fit(RECORD_ROOM, EMERGENCY_SLOTS) == Fit::Here
    }

    /// Whether the last write has not been taken, and its batches are records that others may join.
    pub(super) fn takes_more_records(&self) -> bool {
        let Some(Step::Write { io, parts, .. }) = self.steps.back() else {
            return false;
        };
        let is_last = |flight: &Flight| flight.io == *io && may_join(&flight.header.body);
        self.flight.back().is_some_and(is_last) && units_of(parts) < PAYLOAD_UNITS_MAX
    }

    /// Asks for the write of a batch, or has it go with the one before it.
    pub(super) fn write_batch(&mut self, joins: bool, unit: Unit, batch: Vec<Part>) -> IoId {
        if let Some(Step::Write { io, parts, .. }) = self.steps.back_mut().filter(|_| joins) {
            parts.extend(batch);
            return *io;
        }
        let (io, parts) = (self.start(Purpose::Batch), batch);
        self.steps.push_back(Step::Write { io, unit, parts });
        io
    }
}
