//! What is durable, and who waits for it.
//!
//! A FLUSH waits in two stages: until all changes before it are published, then until a flush that
//! began after that has ended. A FUA write or a record begins with the second stage.

use super::pipeline::Answer;
use super::{Log, Purpose};
use crate::format::{Seq, UNFLUSHED_SEQS_MAX};
use crate::steps::{Notice, RequestId};
use std::collections::VecDeque;

/// Requests that wait for durability.
#[derive(Debug, Default)]
pub(super) struct Flushing {
    /// With the last ticket that they cover.
    for_publication: VecDeque<(u64, RequestId)>,
    /// With the seq that has to be durable.
    for_durability: VecDeque<(Seq, Answer)>,
    is_wanted: bool,
    in_flight: bool,
}

impl Flushing {
    /// A flush is needed though no request waits for it.
    pub(super) fn want(&mut self) {
        self.is_wanted = true;
    }

    pub(super) fn wait(&mut self, seq: Seq, answer: Answer) {
        self.for_durability.push_back((seq, answer));
    }

    pub(super) fn wait_for_publication(&mut self, ticket: u64, request: RequestId) {
        self.for_publication.push_back((ticket, request));
    }

    pub(super) fn len(&self) -> usize {
        self.for_publication.len() + self.for_durability.len()
    }

    /// All who wait.
    pub(super) fn take_all(&mut self) -> Vec<Answer> {
        let first = self
            .for_publication
            .drain(..)
            .map(|(_, request)| Answer::Request(request));
        let second = self.for_durability.drain(..).map(|(_, answer)| answer);
        first.chain(second).collect()
    }
}

impl Log {
    pub(super) fn advance_flushing(&mut self) {
        self.answer_flushes();
        let unflushed = self.published_seq - self.durable_seq;
        let is_needed = !self.flushing.for_durability.is_empty()
            || self.flushing.is_wanted
            || unflushed > UNFLUSHED_SEQS_MAX / 2;
        if is_needed && !self.flushing.in_flight && unflushed > 0 {
            self.flushing.in_flight = true;
            self.flushing.is_wanted = false;
            self.start_flush(Purpose::Flush(self.published_seq));
        }
    }

    pub(super) fn flush_ended(&mut self, covers: Seq) {
        self.flushing.in_flight = false;
        self.durable_up_to(covers);
        self.answer_flushes();
    }

    /// A flush that began when `seq` was published has ended.
    pub(super) fn durable_up_to(&mut self, seq: Seq) {
        self.durable_seq = self.durable_seq.max(seq);
    }

    /// Moves those who wait forward.
    pub(super) fn answer_flushes(&mut self) {
        while let Some((ticket, request)) = self.flushing.for_publication.front().copied() {
            if !self.is_past(ticket) {
                break;
            }
            self.flushing.for_publication.pop_front();
            self.flushing
                .wait(self.published_seq, Answer::Request(request));
        }
        let waiting = self.flushing.for_durability.len();
        for _ in 0..waiting {
            let Some((seq, answer)) = self.flushing.for_durability.pop_front() else {
                break;
            };
            if seq > self.durable_seq {
                self.flushing.for_durability.push_back((seq, answer));
                continue;
            }
            match answer {
                Answer::Nothing => {}
                Answer::Request(request) => self.notices.push_back(Notice::Done { request, seq }),
                Answer::Grown => self.has_grown(),
                Answer::Branch(request) => self.branch_is_durable(request, seq),
                Answer::FoldIntent => self.fold_intent_is_durable(),
                Answer::Checkpoint {
                    unit,
                    checksum,
                    segment,
                } => self.checkpoint_is_durable(unit, checksum, segment),
            }
        }
    }
}
