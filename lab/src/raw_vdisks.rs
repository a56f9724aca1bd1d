//! Virtual disks without anything around them: vdisk i is one range of the raw disk and one stream.
//!
//! The papers measured on a raw, dedicated disk, one stream per virtual disk. The volumes of the
//! product have a label and a stream of their own for it, which takes a share; here all of the
//! disk's time can be given away. Scheduler, loop and disk are the product's.
//!
//! Invariants: every request taken is answered once; what was answered is counted per vdisk.
//! What is not known here: clocks, clients, experiments.

use disktime_disks::{Disk, Operation};
use disktime_engine::{
    DiskLoop, Io, IoDone, IoError, Reply, ReplyDetail, Request, RequestKind, Service, StreamConfig,
    StreamId, VdiskId,
};
use disktime_units::Nanos;
use slab::Slab;
use std::collections::VecDeque;
use std::os::fd::RawFd;

/// One vdisk: a range of the disk.
#[derive(Debug, Clone, Copy)]
struct Range {
    base_bytes: u64,
    size_bytes: u64,
    stream: StreamId,
    /// Requests answered without an error.
    requests: u64,
    /// Their bytes.
    bytes: u64,
}

/// Who is to be answered.
#[derive(Debug, Clone, Copy)]
struct Asker {
    origin: u64,
    handle: u64,
    kind: RequestKind,
    vdisk: usize,
    len_bytes: u64,
}

/// The vdisks of one raw disk.
#[derive(Debug)]
pub(crate) struct RawVdisks<D: Disk> {
    disk_loop: DiskLoop<D>,
    ranges: Vec<Range>,
    askers: Slab<Asker>,
    refused: VecDeque<Reply>,
    done: Vec<IoDone>,
}

impl<D: Disk> RawVdisks<D> {
    /// No vdisks yet on the disk of `disk_loop`.
    pub(crate) fn new(disk_loop: DiskLoop<D>) -> RawVdisks<D> {
        RawVdisks {
            disk_loop,
            ranges: Vec::new(),
            askers: Slab::new(),
            refused: VecDeque::new(),
            done: Vec::new(),
        }
    }

    /// Adds a vdisk, which must lie on the disk.
    pub(crate) fn add(
        &mut self,
        base_bytes: u64,
        size_bytes: u64,
        config: StreamConfig,
    ) -> VdiskId {
        debug_assert!(base_bytes + size_bytes <= self.disk_loop.properties().size_bytes);
        let stream = self.disk_loop.add_stream(Nanos::ZERO, config);
        self.ranges.push(Range {
            base_bytes,
            size_bytes,
            stream,
            requests: 0,
            bytes: 0,
        });
        VdiskId(self.ranges.len() as u64 - 1)
    }

    /// Changes what a vdisk is entitled to while it is served.
    pub(crate) fn reconfigure(&mut self, now: Nanos, vdisk: VdiskId, config: StreamConfig) {
        let stream = self.ranges[vdisk.0 as usize].stream;
        self.disk_loop.reconfigure(now, stream, config);
    }

    /// The loop, for reading what it counted.
    pub(crate) fn disk_loop(&self) -> &DiskLoop<D> {
        &self.disk_loop
    }

    /// Requests of a vdisk answered without an error, and their bytes.
    pub(crate) fn answered(&self, vdisk: VdiskId) -> (u64, u64) {
        let range = &self.ranges[vdisk.0 as usize];
        (range.requests, range.bytes)
    }

    /// The request as the disk is to be asked, or why it cannot be.
    fn translate(&self, request: &Request) -> Result<(Operation, Range), IoError> {
        let range = self
            .ranges
            .get(request.vdisk.0 as usize)
            .ok_or(IoError::Invalid)?;
        let operation = match request.kind {
            RequestKind::Read => Operation::Read,
            RequestKind::Write => Operation::Write,
            RequestKind::Flush => Operation::Flush,
            _ => return Err(IoError::NotSupported),
        };
        let end = request.offset_bytes.checked_add(request.len_bytes);
        let fits = end.is_some_and(|end| end <= range.size_bytes)
            && request.len_bytes <= u64::from(self.disk_loop.properties().quantum_bytes);
        if fits {
            Ok((operation, *range))
        } else {
            Err(IoError::Invalid)
        }
    }

    fn answer(&mut self, done: IoDone) -> Reply {
        let asker = self.askers.remove(done.tag as usize);
        if done.result.is_ok() {
            let range = &mut self.ranges[asker.vdisk];
            range.requests += 1;
            range.bytes += asker.len_bytes;
        }
        Reply {
            origin: asker.origin,
            handle: asker.handle,
            kind: asker.kind,
            result: done.result.map_err(|_| IoError::Io),
            buffer: done.buffer,
            detail: ReplyDetail::Nothing,
        }
    }
}

impl<D: Disk> Service for RawVdisks<D> {
    fn submit(&mut self, now: Nanos, request: Request) -> Result<(), Request> {
        if !self.disk_loop.has_room() {
            return Err(request);
        }
        let (operation, range) = match self.translate(&request) {
            Ok(translated) => translated,
            Err(error) => {
                self.refused.push_back(request.reply(Err(error)));
                return Ok(());
            }
        };
        let tag = self.askers.insert(Asker {
            origin: request.origin,
            handle: request.handle,
            kind: request.kind,
            vdisk: request.vdisk.0 as usize,
            len_bytes: request.len_bytes,
        });
        let io = Io {
            tag: tag as u64,
            stream: range.stream,
            operation,
            offset_bytes: range.base_bytes + request.offset_bytes,
            len_bytes: request.len_bytes,
            fua: request.fua,
            buffer: request.buffer,
        };
        self.disk_loop.submit(now, io);
        Ok(())
    }

    fn turn(&mut self, now: Nanos, replies: &mut Vec<Reply>) {
        replies.extend(self.refused.drain(..));
        let mut done = std::mem::take(&mut self.done);
        self.disk_loop.turn(now, &mut done);
        replies.extend(done.drain(..).map(|done| self.answer(done)));
        self.done = done;
    }

    fn next_wake(&self) -> Option<Nanos> {
        if self.refused.is_empty() {
            self.disk_loop.next_wake()
        } else {
            Some(Nanos::ZERO)
        }
    }

    fn wake_fds(&self) -> Vec<RawFd> {
        self.disk_loop.wake_fd().into_iter().collect()
    }

    fn is_idle(&self) -> bool {
        self.refused.is_empty() && self.disk_loop.is_idle()
    }
}
