//! The way in: bytes of the peer become requests for the service, or answers at once.
//!
//! Invariant: a step either takes a whole thing (a header with room for its request, the rest of
//! some data) or leaves everything where it is.

use super::{NbdSession, Slot};
use crate::protocol::{ErrorNumber, RequestHeader, command};
use crate::verdict::{Verdict, judge, payload_bytes};
use disktime_engine::{Buffer, BufferPool, Extent, Request, RequestKind, SessionStatus};

/// Descriptors of a block status at most. With 64 KiB pieces of alternating kind, 32 MiB; the
/// client asks on from there.
const STATUS_EXTENTS: usize = 512;

/// The bytes read and not yet understood.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) bytes: Box<[u8]>,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Input {
    pub(super) fn waiting(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    pub(super) fn space(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        &mut self.bytes[self.end..]
    }

    pub(super) fn consume(&mut self, count: usize) {
        self.start += count;
    }
}

/// What the next bytes of the peer are.
#[derive(Debug)]
pub(super) enum Stage {
    Header,
    /// The data of a write.
    Payload {
        slot: u32,
        offset_bytes: u64,
        fua: bool,
        buffer: Buffer,
        filled: usize,
    },
    /// The data of a refused write.
    Skip {
        cookie: u64,
        left_bytes: u32,
        error: ErrorNumber,
    },
}

/// What a step over the input gave.
pub(super) enum Taken {
    /// A request for the service.
    Request(Request),
    /// Something that was dealt with here; go on.
    Inside,
}

impl NbdSession {
    /// Whether what was read and not yet understood holds a whole step for `next_request`.
    pub(super) fn has_step(&self) -> bool {
        let waiting = self.input.waiting().len();
        match &self.stage {
            Stage::Header => waiting >= RequestHeader::BYTES,
            Stage::Payload { buffer, filled, .. } => filled + waiting >= buffer.len(),
            Stage::Skip { left_bytes, .. } => waiting >= *left_bytes as usize,
        }
    }

    fn has_room(&self, buffer_bytes: usize) -> bool {
        self.requests < self.limits.requests
            && (self.buffer_bytes == 0
                || self.buffer_bytes + buffer_bytes <= self.limits.buffer_bytes)
    }

    /// Takes the next header. `None` when there is none, or no room for it.
    pub(super) fn take_header(&mut self, pool: &mut BufferPool) -> Option<Taken> {
        let bytes = self
            .input
            .waiting()
            .first_chunk::<{ RequestHeader::BYTES }>()?;
        let Some(header) = RequestHeader::decode(bytes) else {
            let text = "the client sent a request without its magic number";
            self.status = SessionStatus::Broken(text.into());
            return None;
        };
        let verdict = match judge(&header, &self.export, self.negotiated) {
            Verdict::Disconnect => {
                self.status = SessionStatus::Finishing;
                return None;
            }
            _ if self.draining => Verdict::Refuse(ErrorNumber::Shutdown),
            verdict => verdict,
        };
        let buffer_bytes = buffer_bytes(&header, verdict);
        if !self.has_room(buffer_bytes) {
            return None;
        }
        self.input.consume(RequestHeader::BYTES);
        self.requests += 1;
        match verdict {
            Verdict::Serve { kind, fua, single } => {
                let buffer = (buffer_bytes > 0).then(|| pool.take(buffer_bytes));
                return self.accept(&header, (kind, fua, single), buffer);
            }
            Verdict::Refuse(error) if payload_bytes(&header) > 0 => {
                let left_bytes = payload_bytes(&header);
                self.stage = Stage::Skip {
                    cookie: header.cookie,
                    left_bytes,
                    error,
                };
            }
            Verdict::Refuse(error) => self.refuse(header.cookie, error),
            Verdict::Nothing | Verdict::Disconnect if header.command == command::READ => {
                self.answer_empty_read(header.cookie);
            }
            Verdict::Nothing | Verdict::Disconnect => self.confirm(header.cookie),
        }
        Some(Taken::Inside)
    }

    fn accept(
        &mut self,
        header: &RequestHeader,
        (kind, fua, single): (RequestKind, bool, bool),
        buffer: Option<Buffer>,
    ) -> Option<Taken> {
        // There are as many slots as requests may be held, so one is free.
        let slot = self.free_slots.pop()?;
        let charged_bytes = buffer.as_ref().map_or(0, Buffer::capacity);
        self.buffer_bytes += charged_bytes;
        self.slots[slot as usize] = Slot {
            cookie: header.cookie,
            charged_bytes,
            offset_bytes: header.offset_bytes,
            len_bytes: header.len_bytes,
            single,
            in_use: true,
        };
        if kind != RequestKind::Write {
            return Some(Taken::Request(self.request(
                slot,
                kind,
                header.offset_bytes,
                fua,
                buffer,
            )));
        }
        if let Some(buffer) = buffer {
            let offset_bytes = header.offset_bytes;
            self.stage = Stage::Payload {
                slot,
                offset_bytes,
                fua,
                buffer,
                filled: 0,
            };
        }
        Some(Taken::Inside)
    }

    fn request(
        &self,
        slot: u32,
        kind: RequestKind,
        offset_bytes: u64,
        fua: bool,
        buffer: Option<Buffer>,
    ) -> Request {
        Request {
            origin: 0,
            handle: u64::from(slot),
            vdisk: self.export.vdisk,
            kind,
            offset_bytes,
            len_bytes: u64::from(self.slots[slot as usize].len_bytes),
            fua,
            buffer,
        }
    }

    /// Moves what is there into the write's buffer; its request once it is full.
    pub(super) fn take_payload(&mut self, pool: &mut BufferPool) -> Option<Taken> {
        let Stage::Payload { buffer, filled, .. } = &mut self.stage else {
            return None;
        };
        let waiting = &self.input.bytes[self.input.start..self.input.end];
        let here = waiting.len().min(buffer.len() - *filled);
        buffer[*filled..*filled + here].copy_from_slice(&waiting[..here]);
        *filled += here;
        self.input.consume(here);
        if *filled < buffer.len() {
            return None;
        }
        let stage = std::mem::replace(&mut self.stage, Stage::Header);
        let Stage::Payload {
            slot,
            offset_bytes,
            fua,
            buffer,
            ..
        } = stage
        else {
            return None;
        };
        if self.draining {
            let (cookie, charged_bytes) = self.free_slot(slot);
            self.buffer_bytes -= charged_bytes;
            pool.put(buffer);
            self.refuse(cookie, ErrorNumber::Shutdown);
            return Some(Taken::Inside);
        }
        let request = self.request(slot, RequestKind::Write, offset_bytes, fua, Some(buffer));
        Some(Taken::Request(request))
    }

    pub(super) fn skip_payload(&mut self) -> Option<Taken> {
        let Stage::Skip {
            cookie,
            left_bytes,
            error,
        } = &mut self.stage
        else {
            return None;
        };
        let here = self.input.waiting().len().min(*left_bytes as usize);
        *left_bytes -= here as u32;
        self.input.consume(here);
        if *left_bytes > 0 {
            return None;
        }
        let (cookie, error) = (*cookie, *error);
        self.stage = Stage::Header;
        self.refuse(cookie, error);
        Some(Taken::Inside)
    }
}

/// How much room a request needs from its header to its reply.
fn buffer_bytes(header: &RequestHeader, verdict: Verdict) -> usize {
    match verdict {
        Verdict::Serve { kind, .. } if kind.moves_data() => header.len_bytes as usize,
        Verdict::Serve {
            kind: RequestKind::Status,
            single,
            ..
        } => Extent::BYTES * if single { 1 } else { STATUS_EXTENTS },
        _ => 0,
    }
}
