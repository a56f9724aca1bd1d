//! A request that was taken in and is not answered yet: what was asked, and how far it is.
//!
//! Invariants: `cursor` only grows, up to the end of the plan's range, and once a piece has failed
//! it is at that end, so that no further piece is cut; the first error is the one that the client
//! gets; the request's own buffer is either here or with the one piece that covers all of it.

use crate::ids::VdiskSlot;
use crate::request_header::RequestHeader;
use crate::splitter::Plan;
use disktime_engine::{Buffer, IoError, Reply, ReplyDetail, Request, RequestKind, StreamId};

/// How a request is done that a history makes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct InnerTerms {
    /// Pays in place of the vdisk's stream.
    pub payer: Option<StreamId>,
    /// A read of what lies in this slot: so that it waits in the queues of the one who reads, and
    /// not in those of the one who is read.
    pub content: Option<VdiskSlot>,
}

/// A request in flight.
#[derive(Debug)]
pub(crate) struct PendingRequest {
    slot: VdiskSlot,
    origin: u64,
    handle: u64,
    header: RequestHeader,
    /// The part of a setting aside that is done now; it has its claim alone.
    step: Option<(u64, u64)>,
    buffer: Option<Buffer>,
    /// Empty until the request has its claim.
    plan: Plan,
    /// Up to where it was cut into pieces.
    cursor: u64,
    /// Pieces on the disk.
    outstanding: u32,
    terms: InnerTerms,
    /// Where a piece of it failed.
    failed_at: Option<u64>,
    error: Option<IoError>,
}

impl PendingRequest {
    pub(crate) fn new(slot: VdiskSlot, request: Request) -> PendingRequest {
        PendingRequest {
            slot,
            origin: request.origin,
            handle: request.handle,
            header: RequestHeader::of(&request),
            step: None,
            buffer: request.buffer,
            plan: Plan::default(),
            cursor: 0,
            outstanding: 0,
            terms: InnerTerms::default(),
            failed_at: None,
            error: None,
        }
    }

    /// The same, on these terms.
    pub(crate) fn set_terms(&mut self, terms: InnerTerms) {
        self.terms = terms;
    }

    /// Who pays in place of the vdisk's stream.
    pub(crate) fn payer(&self) -> Option<StreamId> {
        self.terms.payer
    }

    /// The slot whose layout says where its bytes lie: its own, but for reads of what another vdisk
    /// has.
    pub(crate) fn content_slot(&self) -> VdiskSlot {
        self.terms.content.unwrap_or(self.slot)
    }

    pub(crate) fn slot(&self) -> VdiskSlot {
        self.slot
    }

    pub(crate) fn origin(&self) -> u64 {
        self.origin
    }

    pub(crate) fn header(&self) -> RequestHeader {
        self.header
    }

    /// What is claimed and planned now: all of it, or the step.
    pub(crate) fn part(&self) -> RequestHeader {
        match self.step {
            Some(step) => self.header.with_range(step),
            None => self.header,
        }
    }

    /// Up to where its steps reach.
    pub(crate) fn steps_end(&self) -> Option<u64> {
        self.step.map(|(_, end)| end)
    }

    /// The next step begins, once it has its claim.
    pub(crate) fn set_step(&mut self, step: (u64, u64)) {
        self.step = Some(step);
    }

    pub(crate) fn kind(&self) -> RequestKind {
        self.header.kind()
    }

    pub(crate) fn plan(&self) -> Plan {
        self.plan
    }

    pub(crate) fn cursor(&self) -> u64 {
        self.cursor
    }

    pub(crate) fn error(&self) -> Option<IoError> {
        self.error
    }

    pub(crate) fn failed_at(&self) -> Option<u64> {
        self.failed_at
    }

    pub(crate) fn buffer_mut(&mut self) -> Option<&mut Buffer> {
        self.buffer.as_mut()
    }

    /// Starts cutting by `plan`. One that failed while it waited for its claim makes no pieces.
    pub(crate) fn begin(&mut self, plan: Plan) {
        self.plan = plan;
        self.cursor = match self.error {
            None => plan.range().0,
            Some(_) => plan.range().1,
        };
    }

    /// Whether all its pieces were cut.
    pub(crate) fn is_cut(&self) -> bool {
        self.cursor >= self.plan.range().1
    }

    /// Whether all its pieces were cut and are back from the disk.
    pub(crate) fn is_data_done(&self) -> bool {
        self.outstanding == 0 && self.is_cut()
    }

    /// The range up to `next` was cut.
    pub(crate) fn advance(&mut self, next: u64) {
        debug_assert!(next > self.cursor, "a piece of no length");
        self.cursor = next;
    }

    /// A piece goes to the disk.
    pub(crate) fn piece_sent(&mut self) {
        self.outstanding += 1;
    }

    /// A piece is back for good.
    pub(crate) fn piece_done(&mut self) {
        self.outstanding -= 1;
    }

    /// A piece that begins at `start` failed.
    pub(crate) fn fail(&mut self, error: IoError, start: u64) {
        self.failed_at.get_or_insert(start.max(self.header.start()));
        self.error.get_or_insert(error);
        self.cursor = self.plan.range().1;
    }

    /// The server stops: what was not cut yet fails. A flush goes on, as nothing new is written
    /// for it.
    pub(crate) fn fail_uncut(&mut self) {
        let has_more = self.step.is_some_and(|(_, end)| end < self.header.end());
        let is_sent = self.plan.range().1 > 0 && self.is_cut() && !has_more;
        if self.header.kind() != RequestKind::Flush && !is_sent {
            self.error.get_or_insert(IoError::Shutdown);
            self.cursor = self.plan.range().1;
        }
    }

    /// Its client is gone: what was not cut yet fails. Data that are written go on, so that a write
    /// is done as a whole or not at all, as it was before.
    pub(crate) fn abandon_uncut(&mut self) {
        if self.header.kind() != RequestKind::Write {
            self.fail_uncut();
        }
    }

    /// A part of what it trims was not discarded, so the disk may still hold data there.
    pub(crate) fn keeps_disk_content(&mut self) {
        self.plan.keep_disk_content();
    }

    /// Gives the request's own buffer to the piece that covers all of it.
    pub(crate) fn lend_buffer(&mut self) -> Option<Buffer> {
        self.buffer.take()
    }

    /// That buffer comes back.
    pub(crate) fn return_buffer(&mut self, buffer: Option<Buffer>) {
        self.buffer = buffer;
    }

    /// Puts into `piece`, which is the vdisk's bytes from `start` on, what the request writes.
    pub(crate) fn overlay(&self, start: u64, piece: &mut [u8]) {
        let Some((from, to)) = self.header.overlap(start, piece.len()) else {
            return;
        };
        let target = &mut piece[(from - start) as usize..(to - start) as usize];
        match &self.buffer {
            Some(data) => target.copy_from_slice(&data[self.header.within(from, to)]),
            None => target.fill(0),
        }
    }

    /// Takes from `piece`, which is the vdisk's bytes from `start` on, what the request reads.
    pub(crate) fn gather(&mut self, start: u64, piece: &[u8]) {
        let Some((from, to)) = self.header.overlap(start, piece.len()) else {
            return;
        };
        if let Some(room) = &mut self.buffer {
            let source = &piece[(from - start) as usize..(to - start) as usize];
            room[self.header.within(from, to)].copy_from_slice(source);
        }
    }

    /// Fills the space for `start..end`, a hole inside of what is read.
    pub(crate) fn gather_zeroes(&mut self, start: u64, end: u64) {
        if let Some(room) = &mut self.buffer {
            room[self.header.within(start, end)].fill(0);
        }
    }

    /// The answer.
    pub(crate) fn into_reply(self, result: Result<(), IoError>, detail: ReplyDetail) -> Reply {
        debug_assert!(
            self.outstanding == 0,
            "a request was answered with pieces on the disk"
        );
        Reply {
            origin: self.origin,
            handle: self.handle,
            kind: self.header.kind(),
            result,
            buffer: self.buffer,
            detail,
        }
    }
}
