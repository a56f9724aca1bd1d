//! The receiving side of a session: bytes of the peer become requests for the service, or immediate
//! replies.
//!
//! Invariant: a step either consumes something whole (a header that has space for its request, the
//! rest of some data) or changes nothing.

use super::held::{HeldRequest, HeldRequests};
use super::input::InputBuffer;
use super::replies::{CHANGED_BYTES, ReplyQueue};
use crate::export::Export;
use crate::negotiated::Negotiated;
use crate::validate::{RequestAction, payload_bytes, validate};
use disktime_engine::{Buffer, BufferPool, Extent, Request, RequestKind, VdiskId};
use disktime_nbd_protocol::{ErrorNumber, RequestHeader, command};

/// Most descriptors of a block status. With pieces of 64 KiB of alternating kind they cover 32 MiB;
/// the client continues from there.
const STATUS_EXTENTS: usize = 512;

/// What the next bytes of the peer are.
#[derive(Debug)]
enum ReceiveStage {
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
    SkipPayload {
        cookie: u64,
        left_bytes: u32,
        error: ErrorNumber,
    },
}

/// The result of a step.
pub(super) enum ReceiveStep {
    /// A request for the service.
    Request(Request),
    /// Something was consumed and answered here, or begun; continue.
    Continue,
    /// Nothing was consumed: more bytes or more space are needed.
    Wait,
    /// The client has sent DISC.
    Disconnect,
    /// The client broke the protocol. The text is for the log.
    Broken(&'static str),
}

/// The parser of received bytes.
pub(super) struct Receiver {
    export: Export,
    negotiated: Negotiated,
    input: InputBuffer,
    stage: ReceiveStage,
    /// The last `space` was in a write's buffer.
    space_in_payload: bool,
}

impl Receiver {
    pub(super) fn new(export: Export, input_bytes: usize, carried: &[u8]) -> Receiver {
        Receiver {
            export,
            negotiated: Negotiated::default(),
            input: InputBuffer::new(input_bytes.max(RequestHeader::BYTES), carried),
            stage: ReceiveStage::Header,
            space_in_payload: false,
        }
    }

    /// The vdisk that the requests are for.
    pub(super) fn vdisk(&self) -> VdiskId {
        self.export.vdisk
    }

    pub(super) fn set_negotiated(&mut self, negotiated: Negotiated) {
        self.negotiated = negotiated;
    }

    /// Whether the waiting bytes are enough for a step.
    pub(super) fn has_step(&self) -> bool {
        let waiting = self.input.waiting().len();
        match &self.stage {
            ReceiveStage::Header => waiting >= RequestHeader::BYTES,
            ReceiveStage::Payload { buffer, filled, .. } => filled + waiting >= buffer.len(),
            ReceiveStage::SkipPayload { left_bytes, .. } => waiting >= *left_bytes as usize,
        }
    }

    /// Space for received bytes: the rest of a write's own buffer if nothing waits before it.
    pub(super) fn space(&mut self) -> &mut [u8] {
        let behind_waiting = !self.input.is_empty();
        self.space_in_payload = false;
        match &mut self.stage {
            ReceiveStage::Payload { buffer, filled, .. } if !behind_waiting => {
                self.space_in_payload = true;
                &mut buffer[*filled..]
            }
            _ => self.input.space(),
        }
    }

    /// The first `count` bytes of the last `space` were filled.
    pub(super) fn filled(&mut self, count: usize) {
        match &mut self.stage {
            ReceiveStage::Payload { filled, .. } if self.space_in_payload => *filled += count,
            _ => self.input.filled(count),
        }
    }

    /// Consumes the next header or data, if they are complete and there is space.
    pub(super) fn step(
        &mut self,
        held: &mut HeldRequests,
        replies: &mut ReplyQueue,
        pool: &mut BufferPool,
    ) -> ReceiveStep {
        match self.stage {
            ReceiveStage::Header => self.take_header(held, replies, pool),
            ReceiveStage::Payload { .. } => self.take_payload(),
            ReceiveStage::SkipPayload { .. } => self.skip_payload(replies),
        }
    }

    fn take_header(
        &mut self,
        held: &mut HeldRequests,
        replies: &mut ReplyQueue,
        pool: &mut BufferPool,
    ) -> ReceiveStep {
        let Some(bytes) = self.input.waiting().first_chunk() else {
            return ReceiveStep::Wait;
        };
        let Some(header) = RequestHeader::decode(bytes) else {
            return ReceiveStep::Broken("the client sent a request with a wrong magic number");
        };
        let action = match validate(&header, &self.export, &self.negotiated) {
            RequestAction::Disconnect => return ReceiveStep::Disconnect,
            action => action,
        };
        let buffer_bytes = self.buffer_bytes(&header, action);
        let reply_bytes = self.reply_bytes(action);
        if !held.has_room(buffer_bytes + reply_bytes) {
            return ReceiveStep::Wait;
        }
        self.input.consume(RequestHeader::BYTES);
        held.count();
        match action {
            RequestAction::Submit { kind, fua, single } => {
                let buffer = (buffer_bytes > 0).then(|| pool.take(buffer_bytes));
                return self.accept(&header, (kind, fua, single), buffer, held);
            }
            RequestAction::Refuse(error) if payload_bytes(&header) > 0 => {
                self.stage = ReceiveStage::SkipPayload {
                    cookie: header.cookie,
                    left_bytes: payload_bytes(&header),
                    error,
                };
            }
            RequestAction::Refuse(error) => replies.push_error(header.cookie, error),
            RequestAction::Succeed | RequestAction::Disconnect
                if header.command == command::READ =>
            {
                replies.push_empty_read(header.cookie);
            }
            RequestAction::Succeed | RequestAction::Disconnect => {
                replies.push_success(header.cookie);
            }
        }
        ReceiveStep::Continue
    }

    fn accept(
        &mut self,
        header: &RequestHeader,
        (kind, fua, single): (RequestKind, bool, bool),
        buffer: Option<Buffer>,
        held: &mut HeldRequests,
    ) -> ReceiveStep {
        let request = HeldRequest {
            cookie: header.cookie,
            charged_bytes: buffer.as_ref().map_or(0, Buffer::capacity)
                + self.reply_bytes(RequestAction::Submit { kind, fua, single }),
            offset_bytes: header.offset_bytes,
            len_bytes: header.len_bytes,
            single,
        };
        let Some(slot) = held.insert(request) else {
            debug_assert!(false, "there are as many slots as requests may be held");
            return ReceiveStep::Wait;
        };
        match buffer {
            Some(buffer) if kind == RequestKind::Write => {
                self.stage = ReceiveStage::Payload {
                    slot,
                    offset_bytes: header.offset_bytes,
                    fua,
                    buffer,
                    filled: 0,
                };
                ReceiveStep::Continue
            }
            buffer => {
                // Without `base:allocation` the service has nothing to say of the range; its pace
                // of answers counts all the same.
                let is_paced_only =
                    kind == RequestKind::Status && self.negotiated.allocation.is_none();
                let len_bytes = if is_paced_only { 1 } else { header.len_bytes };
                let range = (header.offset_bytes, u64::from(len_bytes));
                ReceiveStep::Request(self.request(slot, kind, range, fua, buffer))
            }
        }
    }

    fn request(
        &self,
        slot: u32,
        kind: RequestKind,
        (offset_bytes, len_bytes): (u64, u64),
        fua: bool,
        buffer: Option<Buffer>,
    ) -> Request {
        Request {
            origin: 0,
            handle: u64::from(slot),
            vdisk: self.export.vdisk,
            kind,
            offset_bytes,
            len_bytes,
            fua,
            buffer,
        }
    }

    /// Moves waiting bytes into the write's buffer; the write is submitted once it is full.
    fn take_payload(&mut self) -> ReceiveStep {
        let ReceiveStage::Payload { buffer, filled, .. } = &mut self.stage else {
            return ReceiveStep::Wait;
        };
        let waiting = self.input.waiting();
        let here = waiting.len().min(buffer.len() - *filled);
        buffer[*filled..*filled + here].copy_from_slice(&waiting[..here]);
        *filled += here;
        self.input.consume(here);
        if *filled < buffer.len() {
            return ReceiveStep::Wait;
        }
        let stage = std::mem::replace(&mut self.stage, ReceiveStage::Header);
        let ReceiveStage::Payload {
            slot,
            offset_bytes,
            fua,
            buffer,
            ..
        } = stage
        else {
            return ReceiveStep::Wait;
        };
        let range = (offset_bytes, buffer.len() as u64);
        ReceiveStep::Request(self.request(slot, RequestKind::Write, range, fua, Some(buffer)))
    }

    fn skip_payload(&mut self, replies: &mut ReplyQueue) -> ReceiveStep {
        let ReceiveStage::SkipPayload {
            cookie,
            left_bytes,
            error,
        } = &mut self.stage
        else {
            return ReceiveStep::Wait;
        };
        let here = self.input.waiting().len().min(*left_bytes as usize);
        *left_bytes -= here as u32;
        self.input.consume(here);
        if *left_bytes > 0 {
            return ReceiveStep::Wait;
        }
        replies.push_error(*cookie, *error);
        self.stage = ReceiveStage::Header;
        ReceiveStep::Continue
    }

    /// The size of the buffer that a request needs from its header to its reply.
    fn buffer_bytes(&self, header: &RequestHeader, action: RequestAction) -> usize {
        match action {
            RequestAction::Submit { kind, .. } if kind.moves_data() => header.len_bytes as usize,
            RequestAction::Submit {
                kind: RequestKind::Status,
                single,
                ..
            } => {
                let is_single = single || self.negotiated.allocation.is_none();
                Extent::BYTES * if is_single { 1 } else { STATUS_EXTENTS }
            }
            _ => 0,
        }
    }

    /// The size of a buffer that its reply needs besides.
    fn reply_bytes(&self, action: RequestAction) -> usize {
        let has_changed = !self.negotiated.changed.is_empty();
        match action {
            RequestAction::Submit {
                kind: RequestKind::Status,
                ..
            } if has_changed => CHANGED_BYTES,
            _ => 0,
        }
    }

    /// Discards what was received, and gives back the buffer of an incomplete write.
    pub(super) fn abandon(&mut self, pool: &mut BufferPool) {
        self.input.clear();
        if let ReceiveStage::Payload { buffer, .. } =
            std::mem::replace(&mut self.stage, ReceiveStage::Header)
        {
            pool.put(buffer);
        }
    }
}
