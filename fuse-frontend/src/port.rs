//! The door on a reactor's thread: takes the kernel's requests, answers what concerns the directory
//! itself, submits what concerns a vdisk, and replies. A request for a vdisk of this reactor's disk
//! crosses no thread; one for another disk is mailed to that disk's reactor, and its answer comes
//! back by mail.
//!
//! Invariants: what is under way is bounded ([`Slots`]), and nothing is read beyond that, so the
//! kernel holds the programs that ask. A vdisk whose queue is full keeps its own requests waiting
//! here, in their order, and no other vdisk's. Every request is answered once.

use crate::answers::{Answer, Answers};
use crate::protocol::{encode_found, encode_written};
use crate::slots::{Slot, Slots};
use crate::source::{Next, Source, Ticket};
use crate::transfer::{SEEK_BYTES, Transfer, errno, found};
use disktime_engine::{
    Buffer, BufferPool, IoError, NotTaken, Port, PortHost, PortStatus, Reply, Request, RequestKind,
    Submit,
};
use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::oneshot;

/// What the mount and its port share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// The server unmounts the directory itself.
    pub(crate) unmounting: AtomicBool,
    /// The server is going away: vdisks take no more requests.
    pub(crate) closing: AtomicBool,
}

/// The port of a mounted directory.
pub(crate) struct FusePort {
    source: Source,
    answers: Answers,
    slots: Slots,
    /// Requests that the queue of their vdisk had no room for, by the position of their file.
    held: Vec<VecDeque<Request>>,
    /// The positions of files that have some.
    holding: Vec<usize>,
    /// All reactors, and which of them this is.
    hosts: Vec<Arc<dyn PortHost>>,
    home: usize,
    origin: u64,
    body: Vec<u8>,
    shared: Arc<Shared>,
    closing: bool,
    gone: bool,
    /// Dropped when nothing is under way and nothing more will be.
    drained: Option<oneshot::Sender<()>>,
}

impl FusePort {
    pub(crate) fn new(
        source: Source,
        answers: Answers,
        hosts: Vec<Arc<dyn PortHost>>,
        home: usize,
        shared: Arc<Shared>,
        drained: oneshot::Sender<()>,
    ) -> FusePort {
        let files = answers.directory.files().len();
        FusePort {
            source,
            answers,
            slots: Slots::default(),
            held: (0..files).map(|_| VecDeque::new()).collect(),
            holding: Vec::new(),
            hosts,
            home,
            origin: 0,
            body: Vec::new(),
            shared,
            closing: false,
            gone: false,
            drained: Some(drained),
        }
    }

    /// Takes one message; `None` if there is none. Whether it was submitted.
    fn receive_one(&mut self, pool: &mut BufferPool, submit: Submit<'_>) -> Option<bool> {
        match self.source.next() {
            Ok(Next::Message) => {}
            Ok(Next::Nothing) => return None,
            Ok(Next::Gone) => {
                self.gone = true;
                if !self.shared.unmounting.load(Ordering::Acquire) {
                    tracing::warn!(
                        "the FUSE directory was unmounted by somebody else; its files are there again \
                         when the server is started again"
                    );
                }
                return None;
            }
            Err(error) => {
                tracing::error!(
                    "the FUSE directory ends, as the kernel is not understood: {error}"
                );
                self.gone = true;
                return None;
            }
        }
        let Ok(header) = self.source.header() else {
            tracing::error!("the kernel sent a FUSE request without a header");
            return Some(false);
        };
        self.body.clear();
        let ticket = self.source.ticket(&header);
        let answer = match self.source.operation(&header) {
            Ok(operation) => self.answers.answer(&header, &operation, &mut self.body),
            Err(_) => Answer::Error(libc::EINVAL),
        };
        match answer {
            Answer::Transfer(transfer) => return Some(self.begin(ticket, transfer, pool, submit)),
            Answer::Body => self.source.answer(ticket, 0, &self.body),
            Answer::Error(error) => self.source.answer(ticket, error, &[]),
            Answer::Silence => {}
        }
        Some(false)
    }

    /// Submits a request to its vdisk, or keeps it. Whether it went.
    fn begin(
        &mut self,
        ticket: Ticket,
        transfer: Transfer,
        pool: &mut BufferPool,
        submit: Submit<'_>,
    ) -> bool {
        if self.closing {
            self.source.answer(ticket, libc::ESHUTDOWN, &[]);
            return false;
        }
        let Transfer {
            position,
            kind,
            len_bytes,
            ..
        } = transfer;
        let file = self.answers.directory.file(position);
        let (vdisk, disk) = (file.vdisk, file.disk);
        let buffer = match kind {
            RequestKind::Read => Some(self.source.room(len_bytes as usize, pool)),
            RequestKind::Write => Some(self.source.data(len_bytes as usize, pool)),
            RequestKind::Status => Some(pool.take(SEEK_BYTES)),
            _ => None,
        };
        let handle = self.slots.insert(Slot {
            ticket,
            len_bytes: buffer.as_ref().map_or(0, |buffer| buffer.len() as u32),
            buffer_bytes: buffer.as_ref().map_or(0, |buffer| buffer.capacity() as u32),
            range: (
                transfer.offset_bytes,
                transfer.offset_bytes.saturating_add(len_bytes),
            ),
            sought: transfer.sought,
        });
        let request = Request {
            origin: self.origin,
            handle,
            vdisk,
            kind,
            offset_bytes: transfer.offset_bytes,
            len_bytes,
            fua: transfer.durable,
            buffer,
        };
        if !self.held[position].is_empty() {
            self.held[position].push_back(request);
            return false;
        }
        match self.hand_over(disk, request, submit) {
            Ok(()) => true,
            Err(request) => {
                self.holding.push(position);
                self.held[position].push_back(request);
                false
            }
        }
    }

    /// Gives a request to the reactor of its disk, if there is room for it.
    fn hand_over(
        &mut self,
        disk: usize,
        request: Request,
        submit: Submit<'_>,
    ) -> Result<(), Request> {
        if disk == self.home {
            return submit(request);
        }
        let (home, origin) = (Arc::clone(&self.hosts[self.home]), self.origin);
        let answer = Box::new(move |mut reply: Reply| {
            reply.origin = origin;
            // It fails only when this door's reactor has ended, and the door with it.
            let _ = home.reply_to_port(reply);
        });
        match self.hosts[disk].try_submit(request, answer) {
            Ok(()) => Ok(()),
            Err(NotTaken::Full(request)) => Err(request),
            Err(NotTaken::Gone(request)) => {
                let slot = self.slots.remove(request.handle);
                drop(request);
                self.source
                    .answer(slot.ticket, errno(IoError::Shutdown), &[]);
                Ok(())
            }
        }
    }

    fn reply_read(&mut self, slot: &Slot, data: Option<Buffer>, pool: &mut BufferPool) {
        match data {
            Some(data) if data.len() == slot.len_bytes as usize => {
                self.source.answer_read(slot.ticket, data, pool);
            }
            data => {
                tracing::error!("a read was answered without its data");
                drop(data);
                self.source.answer(slot.ticket, libc::EIO, &[]);
            }
        }
    }

    /// Offers what is held for some files again; whether any went.
    fn retry(&mut self, foreign: bool, submit: Submit<'_>) -> bool {
        let mut any = false;
        let mut holding = std::mem::take(&mut self.holding);
        holding.retain(|position| {
            let disk = self.answers.directory.file(*position).disk;
            while (disk != self.home) == foreign
                && let Some(request) = self.held[*position].pop_front()
            {
                if let Err(request) = self.hand_over(disk, request, &mut *submit) {
                    self.held[*position].push_front(request);
                    break;
                }
                any = true;
            }
            !self.held[*position].is_empty()
        });
        self.holding = holding;
        any
    }

    fn holds(&self, foreign: bool) -> bool {
        self.holding
            .iter()
            .any(|position| (self.answers.directory.file(*position).disk != self.home) == foreign)
    }
}

impl Port for FusePort {
    fn opened(&mut self, origin: u64) {
        self.origin = origin;
        self.source.opened();
    }

    fn descriptor(&self) -> RawFd {
        self.source.descriptor()
    }

    fn is_ready(&mut self) -> bool {
        !self.gone && self.source.is_ready()
    }

    fn wants_input(&self) -> bool {
        !self.gone && (self.source.has_ring() || self.slots.have_room())
    }

    fn receive(&mut self, pool: &mut BufferPool, submit: Submit<'_>) -> bool {
        let mut any = false;
        let appetite = self.source.appetite();
        for count in 0..appetite {
            if !self.wants_input() {
                return any;
            }
            match self.receive_one(pool, &mut *submit) {
                Some(went) => any |= went,
                None => {
                    self.source.came_to_the_end(count);
                    return any;
                }
            }
        }
        self.source.was_satisfied();
        any
    }

    fn holds_requests(&self) -> bool {
        self.holds(false)
    }

    fn submit_held(&mut self, submit: Submit<'_>) -> bool {
        self.retry(false, submit)
    }

    fn reply(&mut self, reply: Reply, pool: &mut BufferPool) {
        let slot = self.slots.remove(reply.handle);
        if reply.kind == RequestKind::Read && reply.result.is_ok() {
            return self.reply_read(&slot, reply.buffer, pool);
        }
        self.body.clear();
        let error = match (reply.result, reply.kind) {
            (Err(error), _) => errno(error),
            (Ok(()), RequestKind::Write) => {
                encode_written(&mut self.body, slot.len_bytes);
                0
            }
            (Ok(()), RequestKind::Status) => {
                let told = reply.buffer.as_deref().unwrap_or_default();
                found(slot.sought, slot.range, told).map_or(libc::ENXIO, |offset_bytes| {
                    encode_found(&mut self.body, offset_bytes);
                    0
                })
            }
            (Ok(()), _) => 0,
        };
        // Its memory is free before the answer.
        reply.buffer.into_iter().for_each(|buffer| pool.put(buffer));
        self.source.answer(slot.ticket, error, &self.body);
    }

    fn send(&mut self) {
        self.source.send();
    }

    fn drain(&mut self) {
        self.closing = true;
    }

    fn turn(&mut self) -> PortStatus {
        self.closing |= self.shared.closing.load(Ordering::Acquire);
        if self.holds(true) {
            self.retry(true, &mut Err);
        }
        let nothing_under_way = self.slots.count() == 0;
        if nothing_under_way && (self.closing || self.gone) {
            self.drained = None;
        }
        self.send();
        let busy = self.holds(true) || self.source.is_unsent();
        match (self.gone && nothing_under_way, busy) {
            (true, _) => PortStatus::Over,
            (false, true) => PortStatus::Busy,
            (false, false) => PortStatus::Open,
        }
    }
}
