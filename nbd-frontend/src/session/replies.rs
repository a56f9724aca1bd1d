//! The sending side of a session: results of the service, and the session's own replies, become
//! bytes for the peer, simple or structured as negotiated.
//!
//! A reply is one piece or, if a structured read has zeroes at its ends, up to three. Zeroes in the
//! middle of a read are gaps of its last piece. A block status has a piece for `base:allocation`,
//! and one with a chunk for each of the other contexts, of one page together.

use super::gaps::ZeroGaps;
use super::held::HeldRequest;
use super::piece::{ReplyPiece, SliceList};
use crate::negotiated::Negotiated;
use crate::validate::error_number;
use disktime_engine::{Buffer, BufferPool, Extent, Reply, ReplyDetail, RequestKind, ZeroPieces};
use disktime_nbd_protocol::{
    ChunkHeader, ErrorNumber, SimpleReply, allocation, chunk, dirty_bitmap,
};
use std::collections::VecDeque;
use std::io::IoSlice;

/// The size of the chunks of all contexts but `base:allocation` in a reply, at most.
pub(super) const CHANGED_BYTES: usize = 4096;
/// Of a descriptor: length and status.
const DESCRIPTOR_BYTES: usize = 8;
/// Of a chunk before its descriptors: the header and the number of the context.
const STATUS_HEAD_BYTES: usize = ChunkHeader::BYTES + 4;

/// What a queued reply does not need any more.
#[derive(Debug)]
pub(super) struct Released {
    pub(super) charged_bytes: usize,
    pub(super) buffer: Option<Buffer>,
}

impl Released {
    const NOTHING: Released = Released {
        charged_bytes: 0,
        buffer: None,
    };
}

/// Replies on their way to the peer.
pub(super) struct ReplyQueue {
    negotiated: Negotiated,
    pieces: VecDeque<ReplyPiece>,
    /// Bytes of the first piece that are sent.
    front_sent: usize,
}

impl ReplyQueue {
    pub(super) fn new(capacity: usize) -> ReplyQueue {
        ReplyQueue {
            negotiated: Negotiated::default(),
            pieces: VecDeque::with_capacity(capacity),
            front_sent: 0,
        }
    }

    pub(super) fn set_negotiated(&mut self, negotiated: Negotiated) {
        self.negotiated = negotiated;
    }

    /// Fills `slices` with unsent bytes, as many as fit; returns how many slices are set.
    pub(super) fn outgoing<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut list = SliceList::new(slices, self.front_sent);
        for piece in &self.pieces {
            if !piece.add_to(&mut list) {
                break;
            }
        }
        list.used()
    }

    /// `count` more bytes were sent; `done` gets each piece that is complete with them.
    pub(super) fn sent(&mut self, count: usize, mut done: impl FnMut(ReplyPiece)) {
        self.front_sent += count;
        while let Some(front) = self.pieces.front() {
            let len = front.len();
            if self.front_sent < len {
                return;
            }
            self.front_sent -= len;
            if let Some(piece) = self.pieces.pop_front() {
                done(piece);
            }
        }
        debug_assert_eq!(self.front_sent, 0, "more bytes were sent than were queued");
    }

    /// Discards all pieces.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = ReplyPiece> {
        self.front_sent = 0;
        self.pieces.drain(..)
    }

    /// Queues success without data.
    pub(super) fn push_success(&mut self, cookie: u64) {
        let reply = SimpleReply { error: 0, cookie };
        self.pieces.push_back(ReplyPiece::new(reply.encode()));
    }

    /// Queues the reply to a read of zero bytes.
    pub(super) fn push_empty_read(&mut self, cookie: u64) {
        if !self.negotiated.structured {
            return self.push_success(cookie);
        }
        let header = ChunkHeader::new(cookie, chunk::NONE, true, 0);
        self.pieces.push_back(ReplyPiece::new(header.encode()));
    }

    /// Queues an error, with its text where the protocol allows one.
    pub(super) fn push_error(&mut self, cookie: u64, error: ErrorNumber) {
        let number = error as u32;
        if !self.negotiated.structured {
            let reply = SimpleReply {
                error: number,
                cookie,
            };
            return self.pieces.push_back(ReplyPiece::new(reply.encode()));
        }
        let text_len = error.sentence().len() as u16;
        let header = ChunkHeader::new(cookie, chunk::ERROR, true, 6 + u32::from(text_len));
        let piece = ReplyPiece::new(header.encode())
            .with_head(number.to_be_bytes())
            .with_head(text_len.to_be_bytes())
            .with_error_text(error);
        self.pieces.push_back(piece);
    }

    /// Queues an error with the offset where it happened.
    fn push_error_at(&mut self, cookie: u64, error: ErrorNumber, offset_bytes: u64) {
        let header = ChunkHeader::new(cookie, chunk::ERROR_OFFSET, true, 14);
        let piece = ReplyPiece::new(header.encode())
            .with_head((error as u32).to_be_bytes())
            .with_head([0; 2])
            .with_head(offset_bytes.to_be_bytes());
        self.pieces.push_back(piece);
    }

    /// Queues the service's reply to `request`.
    pub(super) fn push_reply(
        &mut self,
        request: &HeldRequest,
        reply: Reply,
        pool: &mut BufferPool,
    ) -> Released {
        let complete = match (reply.kind, &reply.buffer) {
            // A successful read without its data would desynchronise the whole stream.
            (RequestKind::Read, Some(data)) => data.len() == request.len_bytes as usize,
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
            (RequestKind::Read, Ok(()), Some(data)) => self.push_read(request, data, reply.detail),
            (RequestKind::Status, Ok(()), Some(extents)) => {
                self.push_status(request, extents, pool)
            }
            (_, result, buffer) => {
                match (result, reply.detail) {
                    (Ok(()), _) => self.push_success(request.cookie),
                    (Err(error), ReplyDetail::FailedAt(at))
                        if self.negotiated.structured && request.contains(at) =>
                    {
                        self.push_error_at(request.cookie, error, at);
                    }
                    (Err(error), _) => self.push_error(request.cookie, error),
                }
                Released {
                    charged_bytes: request.charged_bytes,
                    buffer,
                }
            }
        }
    }

    /// Queues the data of a read.
    fn push_read(&mut self, request: &HeldRequest, data: Buffer, detail: ReplyDetail) -> Released {
        let whole = (0, request.len_bytes);
        let head = if !self.negotiated.structured {
            let cookie = request.cookie;
            ReplyPiece::new(SimpleReply { error: 0, cookie }.encode())
        } else if let ReplyDetail::Zeroes {
            first_bytes,
            last_bytes,
            middle,
        } = detail
        {
            return self.push_read_with_holes(request, data, (first_bytes, last_bytes), middle);
        } else {
            data_head(request, whole, true)
        };
        let piece = head.with_data(data, whole, ZeroGaps::NONE, request.charged_bytes);
        self.pieces.push_back(piece);
        Released::NOTHING
    }

    /// Queues the data of a read of which parts are known to be zeroes: those as holes.
    #[cold]
    fn push_read_with_holes(
        &mut self,
        request: &HeldRequest,
        mut data: Buffer,
        (first_bytes, last_bytes): (u32, u32),
        middle: ZeroPieces,
    ) -> Released {
        let HeldRequest {
            offset_bytes,
            len_bytes,
            charged_bytes,
            ..
        } = *request;
        if first_bytes.saturating_add(last_bytes) >= len_bytes {
            let hole = hole_piece(request.cookie, offset_bytes, len_bytes, true);
            self.pieces.push_back(hole);
            let buffer = Some(data);
            return Released {
                charged_bytes,
                buffer,
            };
        }
        let (mut start, mut end) = (0, len_bytes);
        let mut gaps = ZeroGaps::NONE;
        if !request.single {
            (start, end) = (first_bytes, len_bytes - last_bytes);
            gaps = ZeroGaps::between(middle, start, end);
        }
        if start > 0 {
            let hole = hole_piece(request.cookie, offset_bytes, start, false);
            self.pieces.push_back(hole);
        }
        if end < len_bytes {
            let at = offset_bytes + u64::from(end);
            let hole = hole_piece(request.cookie, at, len_bytes - end, false);
            self.pieces.push_back(hole);
        }
        gaps.write_headers(&mut data, request.cookie, offset_bytes);
        let first_end = gaps.first().unwrap_or(end);
        let head = data_head(request, (start, first_end), first_end == end);
        let piece = head.with_data(data, (start, first_end), gaps, charged_bytes);
        self.pieces.push_back(piece);
        Released::NOTHING
    }

    /// Queues a block status: a chunk for each context.
    fn push_status(
        &mut self,
        request: &HeldRequest,
        extents: Buffer,
        pool: &mut BufferPool,
    ) -> Released {
        let allocation = self.negotiated.allocation;
        if self.negotiated.changed.is_empty() {
            let number = allocation.unwrap_or_default();
            let piece = allocation_piece(request, extents, (number, true));
            self.pieces.push_back(piece);
            return Released::NOTHING;
        }
        let mut unused = Some(extents);
        if let Some((number, extents)) =
            allocation.and_then(|number| Some((number, unused.take()?)))
        {
            let piece = allocation_piece(request, extents, (number, false));
            self.pieces.push_back(piece);
        }
        let piece = self.changed_piece(request, pool.take(CHANGED_BYTES));
        self.pieces.push_back(piece);
        Released {
            // The last piece has it.
            charged_bytes: 0,
            buffer: unused,
        }
    }

    /// What the contexts but `base:allocation` say of a range, in one buffer: a chunk for each.
    fn changed_piece(&self, request: &HeldRequest, mut buffer: Buffer) -> ReplyPiece {
        let contexts = &self.negotiated.changed;
        let of_each = CHANGED_BYTES / contexts.len() - STATUS_HEAD_BYTES;
        let most = match request.single {
            true => 1,
            false => of_each / DESCRIPTOR_BYTES,
        };
        let (start, end) = (
            request.offset_bytes,
            request.offset_bytes + u64::from(request.len_bytes),
        );
        let mut used = 0;
        for (index, context) in contexts.iter().enumerate() {
            let head_at = used;
            used += STATUS_HEAD_BYTES;
            let mut at = start;
            for (stop, is_changed) in context.ranges.runs(start, end).take(most) {
                let status = if is_changed { dirty_bitmap::DIRTY } else { 0 };
                buffer[used..used + 4].copy_from_slice(&((stop - at) as u32).to_be_bytes());
                buffer[used + 4..used + DESCRIPTOR_BYTES].copy_from_slice(&status.to_be_bytes());
                used += DESCRIPTOR_BYTES;
                at = stop;
            }
            let is_last = index + 1 == contexts.len();
            let len_bytes = (used - head_at - ChunkHeader::BYTES) as u32;
            let header = ChunkHeader::new(request.cookie, chunk::BLOCK_STATUS, is_last, len_bytes);
            let number_at = head_at + ChunkHeader::BYTES;
            buffer[head_at..number_at].copy_from_slice(&header.encode());
            buffer[number_at..number_at + 4].copy_from_slice(&context.number.to_be_bytes());
        }
        let body = (0, used as u32);
        ReplyPiece::new([]).with_data(buffer, body, ZeroGaps::NONE, request.charged_bytes)
    }
}

/// Converts extents into descriptors in place: a chunk of the context of that number, which ends
/// the reply if it is the last one.
fn allocation_piece(
    request: &HeldRequest,
    mut extents: Buffer,
    (number, is_last): (u32, bool),
) -> ReplyPiece {
    let (entries, _) = extents.as_chunks_mut::<{ Extent::BYTES }>();
    let mut left_bytes = u64::from(request.len_bytes);
    let mut used = 0;
    for entry in entries {
        let extent = Extent::decode(*entry);
        // The service may know more than the request's range; descriptors must not exceed it.
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
    debug_assert!(used > 0, "a status reply has no extent");
    let header = ChunkHeader::new(request.cookie, chunk::BLOCK_STATUS, is_last, 4 + used);
    let charged_bytes = if is_last { request.charged_bytes } else { 0 };
    let piece = ReplyPiece::new(header.encode())
        .with_head(number.to_be_bytes())
        .with_data(extents, (0, used), ZeroGaps::NONE, charged_bytes);
    match is_last {
        true => piece,
        false => piece.with_more_pieces(),
    }
}

/// The head of a chunk with the data in `start..end` of the request's range.
#[inline]
fn data_head(request: &HeldRequest, (start, end): (u32, u32), last: bool) -> ReplyPiece {
    let len_bytes = 8 + end - start;
    let header = ChunkHeader::new(request.cookie, chunk::OFFSET_DATA, last, len_bytes);
    let offset_bytes = request.offset_bytes + u64::from(start);
    ReplyPiece::new(header.encode()).with_head(offset_bytes.to_be_bytes())
}

/// A chunk that says that a range reads as zeroes.
fn hole_piece(cookie: u64, offset_bytes: u64, len_bytes: u32, last: bool) -> ReplyPiece {
    let header = ChunkHeader::new(cookie, chunk::OFFSET_HOLE, last, 12);
    let piece = ReplyPiece::new(header.encode())
        .with_head(offset_bytes.to_be_bytes())
        .with_head(len_bytes.to_be_bytes());
    if last {
        piece
    } else {
        piece.with_more_pieces()
    }
}
