//! The way out: answers of the service, and our own, become bytes for the peer.
//!
//! A reply is one piece or, when a structured read has zeroes at its ends, up to three. Each piece
//! has a head of a few bytes and perhaps a body that lies elsewhere (a buffer, a sentence), so
//! nothing is copied. The last piece gives the request's place free. Zeroes in the middle of a read
//! are gaps of its last piece's body.

use super::gaps::Gaps;
use super::{NbdSession, Slot};
use crate::protocol::{ChunkHeader, ErrorNumber, SimpleReply, allocation, chunk};
use crate::verdict::error_number;
use disktime_engine::{Buffer, BufferPool, Extent, Reply, ReplyDetail, RequestKind, ZeroPieces};

/// The longest head: that of an error with its offset.
const HEAD_BYTES: usize = ChunkHeader::BYTES + 14;

/// A piece of a reply on its way to the peer.
#[derive(Debug)]
pub(super) struct Outgoing {
    head: [u8; HEAD_BYTES],
    head_len: u8,
    /// It ends its reply.
    pub(super) last: bool,
    /// The body: `start..end`, and what lies behind the gaps.
    pub(super) data: Option<Buffer>,
    start: u32,
    end: u32,
    gaps: Gaps,
    /// The body where there is no buffer: this error's sentence.
    error: Option<ErrorNumber>,
    pub(super) charged_bytes: usize,
}

impl Outgoing {
    /// The last piece of a reply, of a head alone so far.
    #[inline]
    fn new<const BYTES: usize>(start_of_head: [u8; BYTES]) -> Outgoing {
        let mut head = [0; HEAD_BYTES];
        head[..BYTES].copy_from_slice(&start_of_head);
        Outgoing {
            head,
            head_len: BYTES as u8,
            last: true,
            data: None,
            start: 0,
            end: 0,
            gaps: Gaps::NONE,
            error: None,
            charged_bytes: 0,
        }
    }

    /// More of the head. Sizes are known when this is compiled, so it costs a few stores.
    #[inline]
    fn then<const BYTES: usize>(mut self, more: [u8; BYTES]) -> Outgoing {
        let at = usize::from(self.head_len);
        self.head[at..at + BYTES].copy_from_slice(&more);
        self.head_len += BYTES as u8;
        self
    }

    pub(super) fn head(&self) -> &[u8] {
        &self.head[..usize::from(self.head_len)]
    }

    /// The body up to the first gap.
    pub(super) fn body(&self) -> &[u8] {
        match &self.data {
            Some(data) => &data[self.start as usize..self.end as usize],
            None => self.error.map_or(&[], |error| error.sentence().as_bytes()),
        }
    }

    #[inline]
    pub(super) fn has_gaps(&self) -> bool {
        !self.gaps.is_empty()
    }

    /// What of the body lies behind gaps, in order.
    pub(super) fn behind_gaps(&self) -> impl Iterator<Item = &[u8]> {
        let data = self.data.as_deref().unwrap_or_default();
        let parts = self.gaps.parts_behind();
        parts.map(|(start, end)| &data[start as usize..end as usize])
    }

    pub(super) fn len(&self) -> usize {
        let mut len = self.head().len() + self.body().len();
        if self.has_gaps() {
            len += self.behind_gaps().map(<[u8]>::len).sum::<usize>();
        }
        len
    }
}

/// The header of a chunk with `len_bytes` behind it.
#[inline]
pub(super) fn chunk_header(
    cookie: u64,
    kind: u16,
    last: bool,
    len_bytes: u32,
) -> [u8; ChunkHeader::BYTES] {
    let flags = if last { chunk::DONE } else { 0 };
    ChunkHeader {
        flags,
        kind,
        cookie,
        len_bytes,
    }
    .encode()
}

/// The head of a chunk with data, of which `start..end` are a part.
#[inline]
fn data_head(slot: &Slot, (start, end): (u32, u32), last: bool) -> Outgoing {
    let header = chunk_header(slot.cookie, chunk::OFFSET_DATA, last, 8 + end - start);
    let offset_bytes = slot.offset_bytes + u64::from(start);
    Outgoing::new(header).then(offset_bytes.to_be_bytes())
}

impl NbdSession {
    /// Success without data.
    pub(super) fn confirm(&mut self, cookie: u64) {
        let reply = SimpleReply { error: 0, cookie };
        self.outgoing.push_back(Outgoing::new(reply.encode()));
    }

    /// The answer to a read of nothing.
    pub(super) fn answer_empty_read(&mut self, cookie: u64) {
        if !self.negotiated.structured {
            return self.confirm(cookie);
        }
        let header = chunk_header(cookie, chunk::NONE, true, 0);
        self.outgoing.push_back(Outgoing::new(header));
    }

    /// An error, with a sentence where the peer can be told one.
    pub(super) fn refuse(&mut self, cookie: u64, error: ErrorNumber) {
        let number = error as u32;
        if !self.negotiated.structured {
            let reply = SimpleReply {
                error: number,
                cookie,
            };
            return self.outgoing.push_back(Outgoing::new(reply.encode()));
        }
        let text_len = error.sentence().len() as u16;
        let header = chunk_header(cookie, chunk::ERROR, true, 6 + u32::from(text_len));
        let mut piece = Outgoing::new(header)
            .then(number.to_be_bytes())
            .then(text_len.to_be_bytes());
        piece.error = Some(error);
        self.outgoing.push_back(piece);
    }

    /// An error at a place.
    fn refuse_at(&mut self, cookie: u64, error: ErrorNumber, offset_bytes: u64) {
        let header = chunk_header(cookie, chunk::ERROR_OFFSET, true, 14);
        let piece = Outgoing::new(header)
            .then((error as u32).to_be_bytes())
            .then([0; 2])
            .then(offset_bytes.to_be_bytes());
        self.outgoing.push_back(piece);
    }

    /// Queues the answer of the service to the request that had `slot`.
    pub(super) fn queue_reply(&mut self, slot: Slot, reply: Reply, pool: &mut BufferPool) {
        let Slot { cookie, .. } = slot;
        let complete = match (reply.kind, &reply.buffer) {
            // Without its data a successful read would put the whole stream out of step.
            (RequestKind::Read, Some(data)) => data.len() == slot.len_bytes as usize,
            (RequestKind::Status, Some(extents)) => Extent::read_all(extents)
                .next()
                .is_some_and(|first| first.len_bytes > 0),
            (RequestKind::Read | RequestKind::Status, None) => false,
            _ => true,
        };
        let result = match reply.result {
            Ok(()) if !complete => Err(ErrorNumber::Io),
            result => result.map_err(error_number),
        };
        match (reply.kind, result, reply.buffer) {
            (RequestKind::Read, Ok(()), Some(data)) => {
                self.queue_read(slot, data, reply.detail, pool);
            }
            (RequestKind::Status, Ok(()), Some(extents)) => self.queue_status(slot, extents),
            (_, result, buffer) => {
                match (result, reply.detail) {
                    (Ok(()), _) => self.confirm(cookie),
                    (Err(error), ReplyDetail::FailedAt(at))
                        if self.negotiated.structured && slot.holds(at) =>
                    {
                        self.refuse_at(cookie, error, at);
                    }
                    (Err(error), _) => self.refuse(cookie, error),
                }
                self.release(slot, buffer, pool);
            }
        }
    }

    /// Gives back at once what a request held whose reply has no data.
    fn release(&mut self, slot: Slot, buffer: Option<Buffer>, pool: &mut BufferPool) {
        self.buffer_bytes -= slot.charged_bytes;
        if let Some(buffer) = buffer {
            pool.put(buffer);
        }
    }

    /// Queues the data of a read.
    fn queue_read(&mut self, slot: Slot, data: Buffer, detail: ReplyDetail, pool: &mut BufferPool) {
        let Slot {
            cookie, len_bytes, ..
        } = slot;
        if !self.negotiated.structured {
            let head = Outgoing::new(SimpleReply { error: 0, cookie }.encode());
            return self.push_data(head, slot.charged_bytes, (0, len_bytes), data);
        }
        if let ReplyDetail::Zeroes {
            first_bytes,
            last_bytes,
            middle,
        } = detail
        {
            let ends = (first_bytes, last_bytes);
            return self.queue_with_holes(slot, data, ends, middle, pool);
        }
        let head = data_head(&slot, (0, len_bytes), true);
        self.push_data(head, slot.charged_bytes, (0, len_bytes), data);
    }

    /// Queues the data of a read of which something is known to be zeroes: those as holes.
    #[cold]
    fn queue_with_holes(
        &mut self,
        slot: Slot,
        mut data: Buffer,
        (first_bytes, last_bytes): (u32, u32),
        middle: ZeroPieces,
        pool: &mut BufferPool,
    ) {
        let Slot {
            cookie, len_bytes, ..
        } = slot;
        if first_bytes.saturating_add(last_bytes) >= len_bytes {
            self.push_hole(cookie, slot.offset_bytes, len_bytes, true);
            return self.release(slot, Some(data), pool);
        }
        let (mut start, mut end) = (0, len_bytes);
        let mut gaps = Gaps::NONE;
        if !slot.single {
            (start, end) = (first_bytes, len_bytes - last_bytes);
            gaps = Gaps::between(middle, start, end);
        }
        if start > 0 {
            self.push_hole(cookie, slot.offset_bytes, start, false);
        }
        if end < len_bytes {
            let at = slot.offset_bytes + u64::from(end);
            self.push_hole(cookie, at, len_bytes - end, false);
        }
        gaps.fill(&mut data, cookie, slot.offset_bytes);
        let stop = gaps.first().unwrap_or(end);
        let mut head = data_head(&slot, (start, stop), stop == end);
        head.gaps = gaps;
        self.push_data(head, slot.charged_bytes, (start, stop), data);
    }

    fn push_hole(&mut self, cookie: u64, offset_bytes: u64, len_bytes: u32, last: bool) {
        let header = chunk_header(cookie, chunk::OFFSET_HOLE, last, 12);
        let mut piece = Outgoing::new(header)
            .then(offset_bytes.to_be_bytes())
            .then(len_bytes.to_be_bytes());
        piece.last = last;
        self.outgoing.push_back(piece);
    }

    /// Turns extents into descriptors where they lie, and queues them.
    fn queue_status(&mut self, slot: Slot, mut extents: Buffer) {
        let (entries, _) = extents.as_chunks_mut::<{ Extent::BYTES }>();
        let mut left_bytes = u64::from(slot.len_bytes);
        let mut used = 0;
        for entry in entries {
            let extent = Extent::decode(*entry);
            // Never beyond the request, whatever the service knows.
            let len_bytes = extent.len_bytes.min(left_bytes);
            if len_bytes == 0 {
                break;
            }
            left_bytes -= len_bytes;
            let status = if extent.hole { allocation::HOLE } else { 0 }
                | if extent.zero { allocation::ZERO } else { 0 };
            entry[..4].copy_from_slice(&(len_bytes as u32).to_be_bytes());
            entry[4..].copy_from_slice(&status.to_be_bytes());
            used += Extent::BYTES as u32;
        }
        debug_assert!(used > 0, "a status reply said nothing");
        let header = chunk_header(slot.cookie, chunk::BLOCK_STATUS, true, 4 + used);
        let context = self.negotiated.allocation.unwrap_or_default().to_be_bytes();
        let charged_bytes = slot.charged_bytes;
        let head = Outgoing::new(header).then(context);
        self.push_data(head, charged_bytes, (0, used), extents);
    }

    /// Queues the last piece of a reply, with data from a buffer.
    #[inline]
    fn push_data(
        &mut self,
        mut piece: Outgoing,
        charged_bytes: usize,
        (start, end): (u32, u32),
        data: Buffer,
    ) {
        (piece.start, piece.end) = (start, end);
        piece.data = Some(data);
        piece.charged_bytes = charged_bytes;
        self.outgoing.push_back(piece);
    }
}

impl Slot {
    /// Whether a byte of the vdisk lies in the request's range.
    fn holds(&self, at: u64) -> bool {
        at.checked_sub(self.offset_bytes)
            .is_some_and(|inside| inside < u64::from(self.len_bytes))
    }
}
