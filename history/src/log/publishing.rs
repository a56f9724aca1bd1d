//! Batches that are written become part of the state, in the order of their numbers.

use super::pipeline::{Answer, Flight};
use super::{IoId, Log, Phase};
use crate::format::batch::Body;
use crate::format::checkpoint::{CloneRow, MarkRow};
use crate::format::record::Record;
use crate::replay;
use crate::steps::{Failure, Notice, RequestId, Step};
use std::mem;

impl Log {
    pub(super) fn batch_is_written(&mut self, io: IoId) {
        let written = self.flight.iter_mut().filter(|flight| flight.io == io);
        written.for_each(|flight| flight.is_complete = true);
        let can_be_published = |flight: &Flight| flight.is_complete && !flight.has_no_space;
        while self.flight.front().is_some_and(can_be_published) {
            if let Some(flight) = self.flight.pop_front() {
                self.publish(flight);
            }
        }
        self.take_back_batches();
        self.answer_failing();
        self.answer_flushes();
    }

    /// A request keeps its data until none of its pieces is being written.
    pub(super) fn answer_failing(&mut self) {
        for (request, why) in mem::take(&mut self.failing) {
            let mut written = self.flight.iter().filter(|flight| !flight.is_complete);
            if written.any(|flight| flight.items.iter().any(|item| item.request == request)) {
                self.failing.push((request, why));
            } else {
                self.fail_request(request, why);
            }
        }
    }

    fn publish(&mut self, flight: Flight) {
        let header = flight.header;
        let before = (self.published_seq, self.published_time_ns);
        self.published_seq = header.last_seq();
        self.published_time_ns = header.time_ns;
        self.noted_seq = header.durable_seq;
        if let Some(open) = self.segments.open_mut() {
            open.publish(&header);
        }
        if matches!(header.body, Body::Record(Record::Durable)) {
            // It proves nothing while it can be lost itself.
            self.flushing.want();
        } else {
            self.published_content_seq = self.published_seq;
        }
        if !flight.items.is_empty() {
            let ended = flight.items.iter().filter(|item| item.is_last);
            self.begin_gathering(ended.count());
            self.data_batch_units = 1 + header.payload_checksums.len() as u64;
        }
        match &header.body {
            Body::Data(_) => replay::versions(&header, |version| self.newest.apply(&version)),
            Body::Record(record) => {
                self.apply_record(record, header.first_seq, before);
                // Not while a log is replayed: a later record may fork from what would go.
                if matches!(record, Record::Branch { .. } | Record::DropBranch(_)) {
                    self.compact_if_many();
                }
            }
        }
        for (item, seq) in flight.items.iter().zip(header.first_seq..) {
            if item.is_last && item.is_durable {
                self.flushing.wait(seq, Answer::Request(item.request));
            } else if item.is_last {
                let request = item.request;
                self.notices.push_back(Notice::Done { request, seq });
            }
        }
        if flight.answer != Answer::Nothing {
            self.flushing.wait(self.published_seq, flight.answer);
        }
    }

    /// What a record changes; `before`: the last seq before it, and its time. Replaying a log at
    /// opening comes through here too.
    pub(super) fn apply_record(&mut self, record: &Record, seq: u64, before: (u64, u64)) {
        match record {
            Record::Mark(mark) => self.marks.insert(MarkRow {
                moment: seq,
                time_ns: self.published_time_ns,
                cut: mark.cut,
                vdisks: mark.vdisks,
                name: mark.name.clone(),
            }),
            Record::Branch { fork, reason, .. } => {
                self.branches.begin(seq, *fork, *reason, before.0, before.1);
                self.first_branch_begins();
            }
            Record::Clone(clone) => self.clones.insert(CloneRow {
                seq,
                time_ns: self.published_time_ns,
                entry: clone.clone(),
            }),
            Record::DropClone(clone) => self.clones.remove(*clone),
            Record::DropMark(moment) => self.marks.remove(*moment),
            Record::DropBranch(id) => self.branches.drop_branch(*id),
            Record::Resize(blocks) => self.resize(seq, *blocks),
            Record::FoldIntent { to, .. } => {
                self.oldest_restorable = self.oldest_restorable.max(*to);
            }
            Record::Epoch {
                kept,
                accepts_loss: true,
                ..
            } => self.note_loss(*kept, seq),
            Record::Epoch { .. }
            | Record::Other { .. }
            | Record::Checkpoint { .. }
            | Record::Durable
            | Record::Seal(_) => {}
        }
    }

    pub(super) fn fail_request(&mut self, request: RequestId, why: Failure) {
        self.notices.push_back(Notice::Failed { request, why });
    }

    /// A write or a flush failed, or there is no room even for what makes room: everything that
    /// waits fails, and nothing is written any more.
    pub(super) fn break_down(&mut self, why: Failure) {
        if matches!(self.phase, Phase::Broken(_)) {
            return;
        }
        self.phase = Phase::Broken(why);
        // What was not handed out yet is not done; reads go on.
        for step in mem::take(&mut self.steps) {
            match step {
                Step::Write { io, .. }
                | Step::Flush { io }
                | Step::WriteImage { io }
                | Step::AwaitReads { io } => drop(self.ios.remove(&io)),
                Step::Read { .. } => self.steps.push_back(step),
            }
        }
        let staged = mem::take(&mut self.staged);
        let in_flight = mem::take(&mut self.flight);
        let records = mem::take(&mut self.records);
        let of_records = records.into_iter().map(|record| record.answer);
        let of_flights = in_flight.iter().map(|flight| flight.answer);
        let mut failed: Vec<RequestId> = of_flights
            .chain(of_records)
            .chain(self.flushing.take_all())
            .filter_map(Answer::request)
            .chain(self.accepting.take())
            .collect();
        let items = in_flight
            .iter()
            .flat_map(|flight| &flight.items)
            .chain(&staged);
        failed.extend(items.filter(|item| item.is_last).map(|item| item.request));
        failed.extend(self.builds.take_requests());
        self.failing
            .extend(failed.into_iter().map(|request| (request, why)));
        let is_being_written = |flight: &Flight| self.ios.contains_key(&flight.io);
        self.flight = in_flight.into_iter().filter(is_being_written).collect();
        self.answer_failing();
        self.reverting = false;
        self.growing = None;
        self.notices.push_back(Notice::Broken);
    }
}
