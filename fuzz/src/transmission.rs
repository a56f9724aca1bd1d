//! Entry point: arbitrary bytes of a client after the handshake, and a service that replies in any
//! order, with errors and holes among the replies.
//!
//! The first eight bytes of the input choose limits, what was negotiated, and how bytes are cut in
//! both directions; the rest is what the client sends. What must hold: held requests and buffers
//! stay within their limits; a submitted request lies in the export and has the buffer that it
//! needs; every request is answered; structured replies are sequences of well-formed chunks, and
//! those of a read cover its range without gaps or overlaps; when all replies are sent, nothing is
//! held.

use disktime_engine::{
    Buffer, BufferPool, Extent, IoError, Reply, ReplyDetail, Request, RequestKind, Session,
    SessionStatus, VdiskId, ZeroPieces,
};
use disktime_nbd::{
    ChangedContext, ChangedRanges, Export, ExportHandle, NbdSession, Negotiated, SessionLimits,
};
use disktime_nbd_protocol::{ChunkHeader, RequestHeader, SimpleReply, chunk};
use std::io::IoSlice;
use std::sync::Arc;

/// Bytes of the input that the client does not send.
pub const CONTROL_BYTES: usize = 8;
/// Size of the export.
pub const EXPORT_BYTES: u64 = 1 << 20;
/// Rounds without any progress after which a session counts as stuck.
const IDLE_ROUNDS_MAX: u32 = 8;

/// The entry point.
pub fn run(data: &[u8]) {
    if let Some((control, input)) = data.split_first_chunk::<CONTROL_BYTES>() {
        Run::new(control, input).drive();
    }
}

struct Run<'a> {
    session: NbdSession,
    pool: BufferPool,
    limits: SessionLimits,
    structured: bool,
    input: &'a [u8],
    /// Most bytes received and sent at once.
    give: usize,
    take: usize,
    /// Requests that the service has not answered.
    held: Vec<Request>,
    /// The state of the generator that chooses orders and results.
    choice: u64,
    sent: Vec<u8>,
}

impl<'a> Run<'a> {
    fn new(control: &[u8; CONTROL_BYTES], input: &'a [u8]) -> Run<'a> {
        let limits = SessionLimits {
            requests: 1 + usize::from(control[0] % 32),
            buffer_bytes: 4096 << (control[1] % 8),
            input_bytes: RequestHeader::BYTES + usize::from(control[2]) * 16,
        };
        let structured = control[3] & 1 != 0;
        let negotiated = Negotiated {
            structured,
            allocation: (control[3] & 3 == 3).then_some(1),
            changed: changed_contexts(control[3]),
        };
        let mut export = Export::new(ExportHandle(0), VdiskId(0), "disk", EXPORT_BYTES);
        export.flags.read_only = control[3] & 4 != 0;
        export.flags.fast_zero = control[3] & 8 == 0;
        let carried = usize::from(control[4]).min(input.len());
        let (carried, input) = input.split_at(carried);
        let session = NbdSession::new(export, limits, carried).with_negotiated(negotiated);
        Run {
            session,
            pool: BufferPool::new(1 << 20),
            limits,
            structured,
            input,
            give: 1 + usize::from(control[5]) * 8,
            take: 1 + usize::from(control[6]) * 8,
            held: Vec::new(),
            choice: u64::from(control[7]) | 1,
            sent: Vec::new(),
        }
    }

    fn choose(&mut self, among: u64) -> u64 {
        self.choice ^= self.choice << 13;
        self.choice ^= self.choice >> 7;
        self.choice ^= self.choice << 17;
        self.choice % among
    }

    fn drive(mut self) {
        let mut idle = 0;
        while idle < IDLE_ROUNDS_MAX {
            let moved = self.receive() | self.answer() | self.send();
            self.check_bounds();
            idle = if moved { 0 } else { idle + 1 };
            if matches!(self.session.status(), SessionStatus::Broken(_)) {
                break;
            }
            if self.input.is_empty() && idle == 1 {
                self.session.end_of_input();
            }
        }
        let broken = matches!(self.session.status(), SessionStatus::Broken(_));
        self.session.abandon(&mut self.pool);
        if !broken {
            assert!(self.held.is_empty(), "a request was never answered");
        }
        if self.structured {
            check_chunks(&self.sent, broken);
        }
    }

    fn receive(&mut self) -> bool {
        let mut moved = false;
        while let Some(request) = self.session.next_request(&mut self.pool) {
            check_request(&request);
            self.held.push(request);
            moved = true;
        }
        let most = if self.choose(4) == 0 {
            usize::MAX
        } else {
            self.give
        };
        let space = self.session.space(&mut self.pool);
        let count = space.len().min(self.input.len()).min(most);
        if count > 0 {
            let (now, later) = self.input.split_at(count);
            space[..count].copy_from_slice(now);
            self.session.filled(count);
            self.input = later;
        }
        moved || count > 0
    }

    /// Answers some of the held requests, in any order.
    fn answer(&mut self) -> bool {
        if self.held.is_empty() {
            return false;
        }
        if self.choose(64) == 0 {
            self.session.drain();
        }
        for _ in 0..=self.choose(4) {
            if self.held.is_empty() {
                break;
            }
            let at = self.choose(self.held.len() as u64) as usize;
            let request = self.held.swap_remove(at);
            let reply = self.reply(request);
            self.session.reply(reply, &mut self.pool);
        }
        true
    }

    fn reply(&mut self, mut request: Request) -> Reply {
        let (offset_bytes, len_bytes) = (request.offset_bytes, request.len_bytes);
        let failed = self.choose(8) == 0;
        let detail = match self.choose(4) {
            0 => ReplyDetail::FailedAt(offset_bytes + self.choose(2 * len_bytes.max(1))),
            1 => {
                let first_bytes = self.choose(len_bytes + 2) as u32;
                let last_bytes = self.choose(len_bytes + 2) as u32;
                let mut middle = ZeroPieces::of_read(offset_bytes, len_bytes);
                for _ in 0..self.choose(4) {
                    let start = self.choose(len_bytes + 1) as u32;
                    let end = self.choose(len_bytes + 1) as u32;
                    middle.add(start, end.max(start));
                }
                ReplyDetail::Zeroes {
                    first_bytes,
                    last_bytes,
                    middle,
                }
            }
            _ => ReplyDetail::Nothing,
        };
        if request.kind == RequestKind::Status
            && let Some(buffer) = &mut request.buffer
        {
            self.write_extents(buffer, len_bytes);
        }
        let result = if failed { Err(IoError::Io) } else { Ok(()) };
        Reply {
            detail,
            ..request.reply(result)
        }
    }

    /// Writes extents as a service does: at least one, none empty; the last may exceed the range.
    fn write_extents(&mut self, buffer: &mut Buffer, len_bytes: u64) {
        let room = (buffer.len() / Extent::BYTES) as u64;
        let count = (1 + self.choose(room)) as usize;
        for entry in 0..count {
            let extent = Extent {
                len_bytes: 1 + self.choose(len_bytes),
                hole: entry % 2 == 0,
                zero: entry % 3 == 0,
            };
            let at = entry * Extent::BYTES;
            buffer[at..at + Extent::BYTES].copy_from_slice(&extent.encode());
        }
        buffer.set_len(count * Extent::BYTES);
    }

    fn send(&mut self) -> bool {
        // Mostly little at a time; sometimes all, or a long reply would take for ever.
        let most = if self.choose(4) == 0 {
            usize::MAX
        } else {
            self.take
        };
        let mut slices = [IoSlice::new(&[]); 4];
        let used = self.session.outgoing(&mut slices);
        let before = self.sent.len();
        for slice in &slices[..used] {
            let left = most - (self.sent.len() - before);
            self.sent.extend_from_slice(&slice[..slice.len().min(left)]);
        }
        let count = self.sent.len() - before;
        if count > 0 {
            self.session.sent(count, &mut self.pool);
        }
        if !self.structured {
            self.sent.clear();
        }
        count > 0
    }

    fn check_bounds(&self) {
        let (requests, bytes) = (
            self.session.requests_held(),
            self.session.buffer_bytes_held(),
        );
        assert!(requests <= self.limits.requests, "{requests} requests");
        // One request is let through whatever its size, and a buffer is rounded up.
        let most = (4 * self.limits.buffer_bytes).max(2 * EXPORT_BYTES as usize) + (64 << 10);
        assert!(bytes <= most, "{bytes} bytes of buffers");
        assert!(self.held.len() <= requests);
    }
}

/// Contexts beside `base:allocation`, if structured replies are negotiated: none, one or three.
fn changed_contexts(control: u8) -> Vec<ChangedContext> {
    let count = match control & 0x31 {
        0x11 => 1,
        0x31 => 3,
        _ => 0,
    };
    let context = |number: u32| {
        let step = u64::from(number) * 1000;
        let ranges = (0..EXPORT_BYTES / step).step_by(2);
        let ranges = ranges.map(|at| (at * step, step)).collect();
        ChangedContext {
            number,
            ranges: ChangedRanges::new(Arc::new(ranges)),
        }
    };
    (2..2 + count).map(context).collect()
}

/// Checks what a service relies on.
fn check_request(request: &Request) {
    let end = request.offset_bytes.checked_add(request.len_bytes);
    assert!(end.is_some_and(|end| end <= EXPORT_BYTES), "{request:?}");
    let room = request.buffer.as_ref().map(|buffer| buffer.len() as u64);
    match request.kind {
        kind if kind.moves_data() => assert_eq!(room, Some(request.len_bytes)),
        RequestKind::Status => {
            assert!(room.is_some_and(|room| room > 0 && room % Extent::BYTES as u64 == 0));
        }
        _ => assert_eq!(room, None),
    }
    let is_flush = request.kind == RequestKind::Flush;
    assert_eq!(request.len_bytes == 0, is_flush, "{request:?}");
}

/// Checks the replies of a session with structured replies: chunks, and simple replies without
/// data.
fn check_chunks(mut bytes: &[u8], cut: bool) {
    // Of the read that is being answered,
    let mut parts = Vec::new();
    // and the contexts of a block status.
    let mut contexts: Vec<u64> = Vec::new();
    while !bytes.is_empty() {
        let simple = bytes.first_chunk().and_then(SimpleReply::decode);
        if let Some(reply) = simple {
            assert_eq!(reply.error, 0, "an error that is no chunk");
            assert!(parts.is_empty(), "a reply inside of another");
            bytes = &bytes[SimpleReply::BYTES..];
            continue;
        }
        let Some(header) = bytes.first_chunk() else {
            assert!(cut, "a reply ends within its header");
            return;
        };
        let header = ChunkHeader::decode(header).expect("the magic number of a reply");
        let Some((body, rest)) =
            bytes[ChunkHeader::BYTES..].split_at_checked(header.len_bytes as usize)
        else {
            assert!(cut, "a reply ends within a chunk");
            return;
        };
        if header.kind == chunk::BLOCK_STATUS {
            let number = check_status(body);
            assert!(parts.is_empty(), "a status inside of a read");
            assert!(!contexts.contains(&number), "a context has two chunks");
            contexts.push(number);
        } else {
            assert!(contexts.is_empty(), "a status has other chunks");
            check_chunk(&header, body, &mut parts);
        }
        if header.flags == chunk::DONE {
            contexts.clear();
            parts.sort_unstable();
            let seam = parts.windows(2).all(|two| two[0].1 == two[1].0);
            assert!(seam, "the parts of a read do not fit together: {parts:?}");
            parts.clear();
        }
        bytes = rest;
    }
}

/// A number of so many bytes.
fn be(bytes: &[u8], from: usize, len: usize) -> u64 {
    let bytes = bytes[from..from + len].iter();
    bytes.fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// Checks a chunk of a block status; the number of its context.
fn check_status(body: &[u8]) -> u64 {
    assert!(body.len() >= 12 && body.len() % 8 == 4);
    let lengths = (4..body.len()).step_by(8).map(|at| be(body, at, 4));
    assert!(lengths.clone().all(|len| len > 0));
    assert!(lengths.sum::<u64>() <= EXPORT_BYTES);
    be(body, 0, 4)
}

/// Checks a chunk, and notes the range that a part of a read covers.
fn check_chunk(header: &ChunkHeader, body: &[u8], parts: &mut Vec<(u64, u64)>) {
    let be = |from, len| be(body, from, len);
    let is_last = header.flags == chunk::DONE;
    let is_part = [chunk::OFFSET_HOLE, chunk::OFFSET_DATA].contains(&header.kind);
    assert!(is_last || is_part, "more follows what is no part");
    assert!(is_part || parts.is_empty(), "a part is followed by others");
    match header.kind {
        chunk::NONE => assert!(body.is_empty()),
        chunk::OFFSET_DATA => {
            assert!(body.len() > 8, "a chunk without data");
            parts.push((be(0, 8), be(0, 8) + body.len() as u64 - 8));
        }
        chunk::OFFSET_HOLE => {
            assert_eq!(body.len(), 12);
            assert!(be(8, 4) > 0, "an empty hole");
            parts.push((be(0, 8), be(0, 8) + be(8, 4)));
        }
        chunk::ERROR => assert!(be(0, 4) > 0 && be(4, 2) as usize == body.len() - 6),
        chunk::ERROR_OFFSET => {
            assert!(body.len() == 14 && be(0, 4) > 0 && be(6, 8) < EXPORT_BYTES);
        }
        other => panic!("a chunk of kind {other}"),
    }
    assert!(parts.iter().all(|(_, end)| *end <= EXPORT_BYTES));
}
