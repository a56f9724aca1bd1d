//! The FUSE frontend on a reactor's thread: receives the kernel's messages, replies to those about
//! the directory itself, submits requests to vdisks, and replies when they are completed. A request
//! for a vdisk of this reactor's disk crosses no thread; one for another disk goes to that disk's
//! reactor by its mailbox, and the reply comes back by mailbox.
//!
//! Invariants: the requests in flight are bounded ([`InFlightTable`]), and no message is read
//! beyond that bound, so the kernel blocks the programs: that is the back-pressure. When the queue
//! of a vdisk is full, the requests of that vdisk are held in their order; other vdisks are
//! served meanwhile. Every request is completed once.

use crate::connection::{KernelConnection, Received, ReplyTo};
use crate::handler::{Handled, OperationHandler, opened_file};
use crate::held_requests::HeldRequests;
use crate::in_flight::{InFlightRequest, InFlightTable};
use crate::mounted_files::FileChanges;
use crate::protocol::{encode_found, encode_written};
use crate::vdisk_request::{SEEK_REPLY_BYTES, VdiskRequest, errno, find_target};
use disktime_engine::{
    Buffer, BufferPool, IoError, NotTaken, OpenedFile, Port, PortHost, PortStatus, Reply, Request,
    RequestKind, Submit,
};
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::oneshot;

/// How far the server has come with the end of a mount; shared by the mount's handle and its port.
#[derive(Debug, Default)]
pub(crate) struct MountState {
    unmounting: AtomicBool,
    closing: AtomicBool,
}

impl MountState {
    /// The server itself unmounts the directory: a connection that ends from now on is expected.
    pub(crate) fn begin_unmount(&self) {
        self.unmounting.store(true, Ordering::Release);
    }

    fn is_unmounting(&self) -> bool {
        self.unmounting.load(Ordering::Acquire)
    }

    /// Requests to vdisks are refused from now on.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }
}

/// The port of a mounted directory.
pub(crate) struct FusePort {
    connection: KernelConnection,
    handler: OperationHandler,
    /// Files that come and leave.
    changes: Arc<FileChanges>,
    in_flight: InFlightTable,
    /// Requests of full vdisks.
    held: HeldRequests,
    /// All reactors, and the index of this one.
    hosts: Vec<Arc<dyn PortHost>>,
    home: usize,
    origin: u64,
    body: Vec<u8>,
    state: Arc<MountState>,
    is_closing: bool,
    is_disconnected: bool,
    /// Dropped when no request is in flight and none can follow.
    drained: Option<oneshot::Sender<()>>,
}

impl FusePort {
    pub(crate) fn new(
        connection: KernelConnection,
        (handler, changes): (OperationHandler, Arc<FileChanges>),
        hosts: Vec<Arc<dyn PortHost>>,
        home: usize,
        state: Arc<MountState>,
        drained: oneshot::Sender<()>,
    ) -> FusePort {
        FusePort {
            connection,
            handler,
            changes,
            in_flight: InFlightTable::default(),
            held: HeldRequests::default(),
            hosts,
            home,
            origin: 0,
            body: Vec::new(),
            state,
            is_closing: false,
            is_disconnected: false,
            drained: Some(drained),
        }
    }

    /// Receives one message; `None` if there is none. Whether it was submitted to a vdisk.
    fn receive_one(&mut self, pool: &mut BufferPool, submit: Submit<'_>) -> Option<bool> {
        match self.connection.receive() {
            Ok(Received::Message) => {}
            Ok(Received::Empty) => return None,
            Ok(Received::Disconnected) => {
                self.is_disconnected = true;
                if !self.state.is_unmounting() {
                    tracing::warn!(
                        "the FUSE directory was unmounted by another program; restart the server \
                            to \
                         mount it again"
                    );
                }
                return None;
            }
            Err(error) => {
                tracing::error!("the FUSE connection failed, and the directory with it: {error}");
                self.is_disconnected = true;
                return None;
            }
        }
        let Ok(header) = self.connection.header() else {
            tracing::error!("the kernel sent a FUSE request without a complete header; ignored");
            return Some(false);
        };
        self.changes.apply(self.handler.directory_mut());
        self.body.clear();
        let reply_to = self.connection.reply_to(&header);
        let mut opened = OpenedFile::default();
        let handled = match self.connection.operation(&header) {
            Ok(operation) => {
                opened = operation.handle().map(opened_file).unwrap_or_default();
                self.handler.handle(&header, &operation, &mut self.body)
            }
            Err(_) => Handled::Error(libc::EINVAL),
        };
        match handled {
            Handled::Request(request) => {
                return Some(self.begin((reply_to, opened), request, pool, submit));
            }
            Handled::Reply => self.connection.reply(reply_to, 0, &self.body),
            Handled::Error(error) => self.connection.reply(reply_to, error, &[]),
            Handled::NoReply => {}
        }
        Some(false)
    }

    /// Submits a request to its vdisk, or queues it. Whether it was submitted.
    fn begin(
        &mut self,
        (reply_to, opened): (ReplyTo, OpenedFile),
        wanted: VdiskRequest,
        pool: &mut BufferPool,
        submit: Submit<'_>,
    ) -> bool {
        if self.is_closing {
            self.connection.reply(reply_to, libc::ESHUTDOWN, &[]);
            return false;
        }
        let VdiskRequest {
            position,
            kind,
            offset_bytes,
            len_bytes,
            ..
        } = wanted;
        let file = self.handler.directory().file(position);
        let (vdisk, disk) = (file.vdisk, file.disk);
        let len = len_bytes as usize;
        let buffer = match kind {
            RequestKind::Read => Some(self.connection.buffer_for_read(len, pool)),
            RequestKind::Write => Some(self.connection.written_data(len, pool)),
            RequestKind::Status => Some(pool.take(SEEK_REPLY_BYTES)),
            _ => None,
        };
        let handle = self.in_flight.insert(InFlightRequest {
            reply_to,
            len_bytes: buffer.as_ref().map_or(0, |buffer| buffer.len() as u32),
            buffer_bytes: buffer.as_ref().map_or(0, |buffer| buffer.capacity() as u32),
            range: (offset_bytes, offset_bytes.saturating_add(len_bytes)),
            target: wanted.target,
            opened,
        });
        let request = Request {
            origin: self.origin,
            handle,
            vdisk,
            kind,
            offset_bytes,
            len_bytes,
            fua: wanted.durable,
            buffer,
        };
        let mut held = std::mem::take(&mut self.held);
        let submitted = held.submit_or_hold(position, request, |request| {
            self.submit(disk, request, submit)
        });
        self.held = held;
        submitted
    }

    /// Submits a request to the reactor of its disk, if there is space for it.
    fn submit(&mut self, disk: usize, request: Request, submit: Submit<'_>) -> Result<(), Request> {
        if disk == self.home {
            return submit(request);
        }
        let (home, origin) = (Arc::clone(&self.hosts[self.home]), self.origin);
        let on_reply = Box::new(move |mut reply: Reply| {
            reply.origin = origin;
            // It fails only when this port's reactor has ended, and the port with it.
            let _ = home.reply_to_port(reply);
        });
        match self.hosts[disk].try_submit(request, on_reply) {
            Ok(()) => Ok(()),
            Err(NotTaken::Full(request)) => Err(request),
            Err(NotTaken::Gone(request)) => {
                self.refuse(request, errno(IoError::Shutdown));
                Ok(())
            }
        }
    }

    /// Replies to a request that no vdisk has.
    fn refuse(&mut self, request: Request, error: i32) {
        let refused = self.in_flight.remove(request.handle);
        // The ring entry's memory must be free before the reply.
        drop(request);
        self.connection.reply(refused.reply_to, error, &[]);
    }

    fn reply_read(&mut self, to: &InFlightRequest, data: Option<Buffer>, pool: &mut BufferPool) {
        match data {
            Some(data) if data.len() == to.len_bytes as usize => {
                self.connection.reply_read(to.reply_to, data, pool);
            }
            data => {
                tracing::error!("a vdisk completed a read without its data");
                drop(data);
                self.connection.reply(to.reply_to, libc::EIO, &[]);
            }
        }
    }

    /// Submits held requests, for other reactors' disks or for this one's; whether any went.
    fn retry_held(&mut self, for_other_disks: bool, submit: Submit<'_>) -> bool {
        let mut held = std::mem::take(&mut self.held);
        let any = held.retry(|position, request| {
            let file = self.handler.directory().file(position);
            let disk = file.disk;
            if !file.clients.is_open(self.in_flight.opened(request.handle)) {
                // It would be done to another content than that of the file which was ended.
                self.refuse(request, libc::EIO);
                return Ok(());
            }
            match (disk != self.home) == for_other_disks {
                true => self.submit(disk, request, &mut *submit),
                false => Err(request),
            }
        });
        self.held = held;
        any
    }

    fn has_held(&self, for_other_disks: bool) -> bool {
        let directory = self.handler.directory();
        let is_other = |position| directory.file(position).disk != self.home;
        self.held
            .has_some(|position| is_other(position) == for_other_disks)
    }
}

impl Port for FusePort {
    fn opened(&mut self, origin: u64) {
        self.origin = origin;
        self.connection.opened();
    }

    fn descriptor(&self) -> RawFd {
        self.connection.descriptor()
    }

    fn is_ready(&mut self) -> bool {
        !self.is_disconnected && self.connection.is_ready()
    }

    fn wants_input(&self) -> bool {
        !self.is_disconnected && (self.connection.has_ring() || self.in_flight.has_room())
    }

    fn receive(&mut self, pool: &mut BufferPool, submit: Submit<'_>) -> bool {
        let mut any = false;
        for count in 0..self.connection.batch_size() {
            if !self.wants_input() {
                return any;
            }
            match self.receive_one(pool, &mut *submit) {
                Some(submitted) => any |= submitted,
                None => {
                    self.connection.ended_after(count);
                    return any;
                }
            }
        }
        self.connection.was_full();
        any
    }

    fn holds_requests(&self) -> bool {
        self.has_held(false)
    }

    fn submit_held(&mut self, submit: Submit<'_>) -> bool {
        self.retry_held(false, submit)
    }

    fn reply(&mut self, reply: Reply, pool: &mut BufferPool) {
        let request = self.in_flight.remove(reply.handle);
        if reply.kind == RequestKind::Read && reply.result.is_ok() {
            return self.reply_read(&request, reply.buffer, pool);
        }
        self.body.clear();
        let error = match (reply.result, reply.kind) {
            (Err(error), _) => errno(error),
            (Ok(()), RequestKind::Write) => {
                encode_written(&mut self.body, request.len_bytes);
                0
            }
            (Ok(()), RequestKind::Status) => {
                let extents = reply.buffer.as_deref().unwrap_or_default();
                let found = find_target(request.target, request.range, extents);
                found.map_or(libc::ENXIO, |offset_bytes| {
                    encode_found(&mut self.body, offset_bytes);
                    0
                })
            }
            (Ok(()), _) => 0,
        };
        // The ring entry's memory must be free before the reply.
        reply.buffer.into_iter().for_each(|buffer| pool.put(buffer));
        self.connection.reply(request.reply_to, error, &self.body);
    }

    fn send(&mut self) {
        self.connection.send();
    }

    fn drain(&mut self) {
        self.is_closing = true;
    }

    fn turn(&mut self) -> PortStatus {
        self.is_closing |= self.state.is_closing();
        self.changes.apply(self.handler.directory_mut());
        if self.has_held(true) {
            self.retry_held(true, &mut Err);
        }
        let is_idle = self.in_flight.count() == 0;
        if is_idle && (self.is_closing || self.is_disconnected) {
            self.drained = None;
        }
        self.send();
        let is_busy = self.has_held(true) || self.connection.has_unsent_replies();
        match (self.is_disconnected && is_idle, is_busy) {
            (true, _) => PortStatus::Closed,
            (false, true) => PortStatus::Busy,
            (false, false) => PortStatus::Open,
        }
    }
}

#[cfg(test)]
mod tests;
