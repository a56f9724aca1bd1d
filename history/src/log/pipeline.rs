//! From what waits to batches in flight: group commit.
//!
//! A batch takes all that waits, up to its limits, whenever fewer batches than allowed are in
//! flight. Records are batches of their own and go first.
//!
//! On a disk that turns, a batch behind the one that has just ended waits for a whole turn anyway.
//! So it waits first, for a part of the turn at most, until the clients of that batch may have come
//! back: as many changes as it had, beside those that waited when it ended. Else the clients fall
//! into groups that take turns, each waiting for the other's batch.

use super::Log;
use super::data_batches::Staged;
use super::joining::may_join;
use super::space::Before;
use crate::format::batch::{BatchHeader, Body};
use crate::format::footer::FooterEntry;
use crate::format::record::Record;
use crate::format::{CLOCK_MAX_NS, Seq, UNIT_BYTES, Unit};
use crate::segments::{EMERGENCY_SLOTS, Fit, Room};
use crate::steps::{Failure, IoId, Part, RequestId};

/// Who is told when a record is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Nothing,
    Request(RequestId),
    /// A branch that a request began.
    Branch(RequestId),
    FoldIntent,
    /// The vdisk has grown.
    Grown,
    Checkpoint {
        unit: Unit,
        checksum: u32,
        segment: u64,
    },
}

impl Answer {
    /// The request that is answered.
    pub(super) fn request(self) -> Option<RequestId> {
        match self {
            Answer::Request(request) | Answer::Branch(request) => Some(request),
            Answer::Nothing | Answer::FoldIntent | Answer::Grown | Answer::Checkpoint { .. } => {
                None
            }
        }
    }
}

/// A record that waits for its batch.
#[derive(Debug, Clone)]
pub(super) struct StagedRecord {
    pub(super) record: Record,
    pub(super) payload: Vec<u8>,
    pub(super) answer: Answer,
}

/// A batch in flight.
#[derive(Debug, Clone)]
pub(super) struct Flight {
    pub(super) io: IoId,
    pub(super) header: BatchHeader,
    pub(super) items: Vec<Staged>,
    pub(super) answer: Answer,
    pub(super) is_complete: bool,
    /// It found no space on the disk below.
    pub(super) has_no_space: bool,
    /// To go back to if it is taken back.
    pub(super) before: Before,
}

impl Flight {
    pub(super) fn is_record(&self) -> bool {
        matches!(self.header.body, Body::Record(_))
    }

    /// The branch that is given up with it.
    pub(super) fn dropped_branch(&self) -> Option<u64> {
        match self.header.body {
            Body::Record(Record::DropBranch(id)) => Some(id),
            _ => None,
        }
    }

    /// The record that it is, if it is one.
    pub(super) fn record(&self) -> Option<&Record> {
        match &self.header.body {
            Body::Record(record) => Some(record),
            Body::Data(_) => None,
        }
    }
}

impl Log {
    pub(super) fn advance_pipeline(&mut self, now_ns: u64) {
        self.judge_gathering();
        while self.sealing.is_none() && !self.waits_for_space() {
            let began = if self.next_record_joins() {
                self.begin_record(now_ns)
            } else if self.writes_in_flight() < self.settings.commits_in_flight.clamp(1, 4) {
                self.begin_record(now_ns)
                    || self.begin_checkpoint(now_ns)
                    || self.begin_data(now_ns)
            } else {
                false
            };
            if !began {
                break;
            }
        }
    }

    /// Records that are not published yet: they wait, or are in flight.
    pub(super) fn asked_for(&self) -> impl Iterator<Item = &Record> {
        let waiting = self.records.iter().map(|staged| &staged.record);
        waiting.chain(self.flight.iter().filter_map(Flight::record))
    }

    fn begin_record(&mut self, now_ns: u64) -> bool {
        // What makes space goes before what waits for it.
        let makes_space = |staged: &StagedRecord| slots_kept(&staged.record) == 0;
        let mut at = 0;
        if self.branch_waits() {
            if self.begin_data(now_ns) {
                return true;
            }
            match self.records.iter().position(makes_space) {
                Some(found) => at = found,
                None => return false,
            }
        }
        let Some(staged) = self.records.get(at) else {
            return false;
        };
        let mut kept = slots_kept(&staged.record);
        if self.segments.fit(RECORD_ROOM, kept) == Fit::Full {
            let Some(found) = self.records.iter().position(makes_space) else {
                self.record_has_no_room();
                return false;
            };
            (at, kept) = (found, 0);
            if self.segments.fit(RECORD_ROOM, kept) == Fit::Full {
                self.break_down(Failure::Full);
                return false;
            }
        }
        if !self.make_room(RECORD_ROOM, kept, now_ns) {
            return false;
        }
        if self.send_epoch(now_ns) {
            return true;
        }
        self.records
            .remove(at)
            .into_iter()
            .for_each(|staged| self.send_record(staged, now_ns));
        true
    }

    /// A branch begins when all of the old one is published, with what waits for that.
    pub(super) fn branch_waits(&self) -> bool {
        let first = self.records.front().map(|staged| &staged.record);
        matches!(first, Some(Record::Branch { .. }))
            && !(self.flight.is_empty() && self.staged.is_empty())
    }

    /// No slot is free for the first record, which may not take the emergency segments: it fails.
    fn record_has_no_room(&mut self) {
        if !self.makes_space() {
            let staged = self.records.pop_front();
            if staged
                .as_ref()
                .is_some_and(|one| matches!(one.record, Record::Branch { .. }))
            {
                self.reverting = false;
                self.builds.take_for_branch();
            }
            match staged.map(|staged| staged.answer) {
                Some(Answer::Grown) => self.has_not_grown(Failure::Full),
                Some(Answer::Request(request) | Answer::Branch(request)) => {
                    self.fail_request(request, Failure::Full);
                }
                _ => {}
            }
        }
    }

    /// The first batch of an opening is its EPOCH; there is room. Whether it was sent just now.
    pub(super) fn send_epoch(&mut self, now_ns: u64) -> bool {
        let Some(record) = self.epoch_record.take() else {
            return false;
        };
        let staged = StagedRecord {
            record,
            payload: Vec::new(),
            answer: Answer::Nothing,
        };
        self.send_record(staged, now_ns);
        true
    }

    pub(super) fn send_record(&mut self, staged: StagedRecord, now_ns: u64) {
        let payload: Vec<u32> = staged
            .payload
            .chunks(UNIT_BYTES)
            .map(crc32c::crc32c)
            .collect();
        let body = Body::Record(staged.record);
        let parts = vec![Part::Bytes(staged.payload)];
        self.send(
            body,
            &payload,
            [0, 0, 1],
            parts,
            Vec::new(),
            staged.answer,
            now_ns,
        );
    }

    /// Whether the open segment has room; if not, the next one is on its way.
    pub(super) fn make_room(&mut self, room: Room, kept: usize, now_ns: u64) -> bool {
        match self.segments.fit(room, kept) {
            Fit::Here => true,
            Fit::Next if self.segments.open().is_none() => {
                self.open_segment(now_ns) && self.segments.fit(room, kept) == Fit::Here
            }
            Fit::Next => {
                self.begin_sealing();
                false
            }
            Fit::Full => false,
        }
    }

    /// The time of the next header.
    pub(super) fn next_time(&mut self, now_ns: u64) -> u64 {
        self.last_time_ns = now_ns.min(CLOCK_MAX_NS).max(self.last_time_ns + 1);
        self.last_time_ns
    }

    /// Makes the header and asks for the write; there is room.
    #[expect(clippy::too_many_arguments, reason = "the fields of one batch")]
    pub(super) fn send(
        &mut self,
        body: Body,
        payload: &[u32],
        entries: [usize; 3],
        parts: Vec<Part>,
        items: Vec<Staged>,
        mut answer: Answer,
        now_ns: u64,
    ) {
        let before = self.before_header().expect("room was made");
        let joins = self.takes_more_records();
        let (header, block, first) = self.make_header(body, payload, entries, now_ns);
        let joins = joins && first.is_none() && may_join(&header.body);
        let mut bytes = first.unwrap_or_default();
        let unit = header.unit - (bytes.len() / UNIT_BYTES) as u32;
        bytes.extend_from_slice(&block);
        let mut all = vec![Part::Bytes(bytes)];
        all.extend(
            parts
                .into_iter()
                .filter(|part| *part != Part::Bytes(Vec::new())),
        );
        if let Answer::Checkpoint {
            unit,
            checksum,
            segment,
        } = &mut answer
        {
            (*unit, *segment) = (header.unit, header.segment);
            *checksum = self.segments.open().map_or(0, |open| open.last_checksum);
        }
        let io = self.write_batch(joins, unit, all);
        self.flight.push_back(Flight {
            io,
            header,
            items,
            answer,
            is_complete: false,
            has_no_space: false,
            before,
        });
    }

    /// The header of the next batch, its bytes, and the segment header if that is to be written
    /// before it.
    pub(super) fn make_header(
        &mut self,
        body: Body,
        payload: &[u32],
        entries: [usize; 3],
        now_ns: u64,
    ) -> (BatchHeader, Vec<u8>, Option<Vec<u8>>) {
        let time_ns = self.next_time(now_ns);
        let room = Room {
            units: 1 + payload.len() as u32,
            entries,
        };
        let checks = self.checks;
        let open = self.segments.open_mut().expect("room was made");
        let seed = checks.payload_seed(open.id);
        let unit = self.geometry.slot_start(open.slot) + open.place(room);
        let header = BatchHeader {
            segment: open.id,
            epoch: self.superblock.epoch,
            number: self.next_batch,
            first_seq: self.next_seq,
            durable_seq: self.durable_seq,
            time_ns,
            branch: self.branches.current(),
            unit,
            previous_checksum: open.last_checksum,
            body,
            payload_checksums: payload.iter().map(|checksum| checksum ^ seed).collect(),
        };
        let (block, checksum) = header.encode(&checks);
        open.last_checksum = checksum;
        let first = open.header.take();
        self.next_batch += 1;
        self.next_seq += header.seqs();
        (header, block, first)
    }

    /// Whether every request up to this ticket is published or has failed.
    pub(super) fn is_past(&self, ticket: u64) -> bool {
        let waiting = self.staged.front().map(|item| item.ticket);
        let in_flight = self.flight.iter().find_map(|flight| flight.items.first());
        let oldest = in_flight.map(|item| item.ticket).or(waiting);
        oldest.is_none_or(|oldest| oldest > ticket)
    }
}

/// A record without payload.
pub(super) const RECORD_ROOM: Room = Room {
    units: 1,
    entries: [0, 0, 1],
};

/// Slots that a record leaves free: what makes space may take the last ones.
pub(super) fn slots_kept(record: &Record) -> usize {
    match record {
        Record::Mark(_)
        | Record::Clone(_)
        | Record::Branch { .. }
        | Record::Resize(_)
        | Record::Durable => EMERGENCY_SLOTS,
        Record::Epoch { .. }
        | Record::Checkpoint { .. }
        | Record::FoldIntent { .. }
        | Record::DropMark(_)
        | Record::DropBranch(_)
        | Record::DropClone(_)
        | Record::Other { .. }
        | Record::Seal(_) => 0,
    }
}

/// The last of some footer entries; batches are in the order of time and seq.
pub(super) fn last_until(entries: &[FooterEntry], time_ns: u64) -> Option<Seq> {
    let count = entries.partition_point(|entry| entry.key <= time_ns);
    entries[..count].last().map(|entry| entry.seq)
}
