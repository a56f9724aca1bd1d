//! The open segment is full: its SEAL is written, and the next one begins.
//!
//! Between the last batch of a segment and the first of the next one lie two flushes, so that only
//! the newest segment can have a torn tail. They cost two flushes for each 64 MiB.

use super::space::Before;
use super::{Log, Purpose};
use crate::fences::Fences;
use crate::format::UNIT_BYTES;
use crate::format::batch::{BatchHeader, Body};
use crate::format::record::{Record, SealRecord};
use crate::format::segment_header::SegmentHeader;
use crate::segments::OpenSegment;
use crate::steps::{Part, Step};

/// How far the sealing is.
#[derive(Debug)]
pub(super) enum Sealing {
    /// Batches are in flight.
    Draining,
    FlushingBefore,
    /// All that the segment holds is durable.
    Ready,
    Writing(Box<BatchHeader>, u32, Before),
    FlushingAfter(Box<BatchHeader>, u32),
}

impl Log {
    pub(super) fn begin_sealing(&mut self) {
        self.sealing = Some(Sealing::Draining);
    }

    pub(super) fn advance_sealing(&mut self, now_ns: u64) {
        if matches!(self.sealing, Some(Sealing::Draining)) && self.flight.is_empty() {
            if self.durable_seq < self.published_seq {
                self.sealing = Some(Sealing::FlushingBefore);
                self.start_flush(Purpose::SealFlush(self.published_seq));
            } else {
                self.sealing = Some(Sealing::Ready);
            }
        }
        if matches!(self.sealing, Some(Sealing::Ready)) && !self.waits_for_space() {
            self.write_seal(now_ns);
        }
    }

    fn write_seal(&mut self, now_ns: u64) {
        let (Some(open), Some(before)) = (self.segments.open(), self.before_header()) else {
            self.sealing = None;
            return;
        };
        let mut footer = open.footer.clone();
        footer.sort();
        let (id, last_seq) = (open.id, open.last_seq);
        let fences = Fences::of_footer(&footer);
        let unit = self.geometry.slot_start(open.slot) + open.used_units();
        let pages = footer.encode(&self.checks, id, unit + 1);
        let record = Record::Seal(SealRecord {
            pages: footer.pages(),
            last_seq,
        });
        let payload: Vec<u32> = pages.chunks(UNIT_BYTES).map(crc32c::crc32c).collect();
        let (header, block, first) =
            self.make_header(Body::Record(record), &payload, [0; 3], now_ns);
        let checksum = self.segments.open().map_or(0, |open| open.last_checksum);
        let io = self.start(Purpose::SealWrite);
        // The header of a segment that holds nothing else goes with it.
        let mut first = first.unwrap_or_default();
        let unit = header.unit - (first.len() / UNIT_BYTES) as u32;
        first.extend_from_slice(&block);
        let parts = vec![Part::Bytes(first), Part::Bytes(pages)];
        self.steps.push_back(Step::Write { io, unit, parts });
        self.note_fences(id, || fences);
        self.sealing = Some(Sealing::Writing(Box::new(header), checksum, before));
    }

    pub(super) fn seal_is_written(&mut self) {
        if let Some(Sealing::Writing(header, checksum, _)) = self.sealing.take() {
            self.published_seq = header.last_seq();
            self.published_time_ns = header.time_ns;
            self.noted_seq = header.durable_seq;
            if let Some(open) = self.segments.open_mut() {
                open.publish(&header);
            }
            self.sealing = Some(Sealing::FlushingAfter(header, checksum));
            self.start_flush(Purpose::SealFlush(self.published_seq));
        }
    }

    pub(super) fn seal_flush_ended(&mut self) {
        match self.sealing.take() {
            Some(Sealing::FlushingBefore) => self.sealing = Some(Sealing::Ready),
            Some(Sealing::FlushingAfter(header, checksum)) => {
                self.segments.seal_open((header.unit, checksum));
                self.last_seal_checksum = checksum;
            }
            other => self.sealing = other,
        }
        self.answer_flushes();
    }

    /// Begins the next segment; its header is written with its first batch. Whether there was a
    /// slot.
    pub(super) fn open_segment(&mut self, now_ns: u64) -> bool {
        let previous = self.segments.last_id();
        let Some((slot, id, next_slot)) = self.segments.take_next() else {
            return false;
        };
        let header = SegmentHeader {
            id,
            epoch: self.superblock.epoch,
            first_seq: self.next_seq,
            first_batch: self.next_batch,
            previous,
            previous_seal_checksum: self.last_seal_checksum,
            slot,
            next_slot,
            time_ns: self.next_time(now_ns),
        };
        let (block, checksum) = header.encode(&self.checks);
        self.segments
            .set_open(OpenSegment::begin(&header, block, checksum));
        self.checkpoint_wanted = true;
        self.fold_early();
        true
    }
}

#[cfg(test)]
mod tests;
