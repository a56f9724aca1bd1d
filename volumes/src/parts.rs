//! Cutting requests into pieces for the disk's loop, and putting the answers together.

use crate::below::{Io, IoDone, StreamId};
use crate::layout::Piece;
use crate::volume_set::VolumeSet;
use disktime_disks::{Buffer, Disk, DiskError, DiskErrorKind, Operation};
use disktime_engine::{IoError, RequestKind};
use disktime_units::Nanos;

/// What a request to the disk is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    /// A piece of a request, from `start` to `end` of its vdisk.
    Piece {
        request: u32,
        work: Work,
        start: u64,
        end: u64,
    },
    /// The data flush of a vdisk's sync.
    DataFlush { vdisk: usize },
    /// A block of a zero map.
    MapBlock { vdisk: usize },
    /// The second flush of a vdisk's sync.
    MapFlush { vdisk: usize },
}

/// What a piece does, and whose buffer it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Reads or writes the request's own buffer as a whole.
    Direct,
    /// Reads into a pooled buffer.
    Read,
    /// Writes a pooled buffer.
    Write,
    /// Reads what is going to be modified.
    ModifyRead,
    /// Has the disk zero the range.
    Zero,
    /// Discards the range.
    Discard,
    /// Discards the range so that it reads as zeroes.
    ZeroByDiscard,
}

impl<D: Disk> VolumeSet<D> {
    /// Sends the next piece of the request whose turn it is, if there is any.
    pub(crate) fn send_next_piece(&mut self, now: Nanos, vdisk: usize) {
        while let Some(id) = self.vdisks[vdisk].ready.pop_front() {
            self.requests[id].in_ready = false;
            if let Some(piece) = self.next_piece(id) {
                self.send_piece(now, id, piece);
                let request = &mut self.requests[id];
                if request.cursor < request.range.1 {
                    request.in_ready = true;
                    self.vdisks[vdisk].ready.push_back(id);
                }
                return;
            }
            self.finish_data_if_done(id);
        }
    }

    /// The next piece of a request that needs the disk. What was never written is done here.
    fn next_piece(&mut self, id: u32) -> Option<Piece> {
        let request = &mut self.requests[id];
        let layout = &self.vdisks[request.vdisk].layout;
        while request.cursor < request.range.1 {
            let (piece, next) =
                layout.next_piece(request.kind, request.range, request.cursor, self.grain);
            request.cursor = next;
            match piece {
                Piece::Untouched { start, end } => {
                    if request.kind == RequestKind::Read {
                        request.gather_zeroes(start, end);
                    }
                }
                Piece::Discard { .. } if !self.discards => request.zeroes_disk = false,
                other => return Some(other),
            }
        }
        None
    }

    fn send_piece(&mut self, now: Nanos, id: u32, piece: Piece) {
        let (start, end, mut work) = match piece {
            Piece::Read { start, end } => (start, end, Work::Read),
            Piece::Write { start, end } => (start, end, Work::Write),
            Piece::Modify { start, end } => (start, end, Work::ModifyRead),
            Piece::Zero { start, end } => (start, end, Work::Zero),
            Piece::Discard { start, end } | Piece::Untouched { start, end } => {
                (start, end, Work::Discard)
            }
        };
        let zeroes_by_discard = self.zeroes_by_discard();
        let request = &mut self.requests[id];
        if work == Work::Zero && zeroes_by_discard && request.kind.makes_holes() {
            work = Work::ZeroByDiscard;
        } else if work == Work::Zero && self.zero_by_writing {
            work = Work::Write;
        }
        request.outstanding += 1;
        let own = start == request.offset_bytes && end == request.end_bytes();
        let moves_data = request.kind.moves_data();
        let buffer = match work {
            Work::Read | Work::Write if own && moves_data => {
                work = Work::Direct;
                request.buffer.take()
            }
            Work::Read | Work::ModifyRead => self.part_buffer(start, end),
            Work::Write => self.filled_buffer(id, start, end),
            Work::Direct | Work::Zero | Work::Discard | Work::ZeroByDiscard => None,
        };
        self.send_part(
            now,
            Part::Piece {
                request: id,
                work,
                start,
                end,
            },
            buffer,
        );
    }

    /// Sends a piece with its buffer.
    fn send_part(&mut self, now: Nanos, part: Part, buffer: Option<Buffer>) {
        let Part::Piece {
            request,
            work,
            start,
            end,
        } = part
        else {
            return;
        };
        let request = &self.requests[request];
        let operation = match work {
            Work::Direct if request.kind == RequestKind::Read => Operation::Read,
            Work::Read | Work::ModifyRead => Operation::Read,
            Work::Direct | Work::Write => Operation::Write,
            Work::Zero => Operation::WriteZeroes,
            Work::Discard | Work::ZeroByDiscard => Operation::Discard,
        };
        let writes = matches!(operation, Operation::Write | Operation::WriteZeroes);
        let fua = writes && request.fua && !request.needs_sync;
        let vdisk = &self.vdisks[request.vdisk];
        let offset_bytes = vdisk.layout.disk_offset(start);
        let (index, stream) = (request.vdisk, vdisk.stream);
        let io = Io {
            tag: 0,
            stream,
            operation,
            offset_bytes,
            len_bytes: end - start,
            fua,
            buffer,
        };
        self.send(now, index, part, io);
    }

    /// Hands a request to the loop in the name of a vdisk.
    pub(crate) fn send(&mut self, now: Nanos, vdisk: usize, part: Part, io: Io) {
        self.vdisks[vdisk].queued_parts += 1;
        self.sent = true;
        let tag = u64::from(self.parts.insert(part));
        self.disk_loop.submit(now, Io { tag, ..io });
    }

    /// A flush, paid by `stream`.
    pub(crate) fn flush_io(stream: StreamId) -> Io {
        let operation = Operation::Flush;
        Io {
            tag: 0,
            stream,
            operation,
            offset_bytes: 0,
            len_bytes: 0,
            fua: false,
            buffer: None,
        }
    }

    /// Room for a piece, with any content; none on a disk that holds no data.
    fn part_buffer(&mut self, start: u64, end: u64) -> Option<Buffer> {
        self.holds_data
            .then(|| self.pool.take((end - start) as usize))
    }

    /// The request's bytes for a piece, zeroes where it has none.
    fn filled_buffer(&mut self, id: u32, start: u64, end: u64) -> Option<Buffer> {
        let mut buffer = self.part_buffer(start, end)?;
        let request = &self.requests[id];
        if start < request.offset_bytes || end > request.end_bytes() {
            buffer.fill(0);
        }
        request.overlay(start, &mut buffer);
        Some(buffer)
    }

    /// An answer of the loop.
    pub(crate) fn complete(&mut self, now: Nanos, io: IoDone) {
        let part = self.parts.remove(io.tag as u32);
        let vdisk = match part {
            Part::Piece { request, .. } => self.requests[request].vdisk,
            Part::DataFlush { vdisk } | Part::MapBlock { vdisk } | Part::MapFlush { vdisk } => {
                vdisk
            }
        };
        self.vdisks[vdisk].queued_parts -= 1;
        match part {
            Part::Piece {
                request,
                work,
                start,
                end,
            } => {
                self.piece_done(now, (request, work, start, end), io.result, io.buffer);
            }
            Part::DataFlush { vdisk } => self.data_flush_done(vdisk, io.result),
            Part::MapBlock { vdisk } => self.map_block_done(vdisk, io.result, io.buffer),
            Part::MapFlush { vdisk } => self.map_flush_done(vdisk, io.result),
        }
        self.schedule(vdisk);
    }

    fn piece_done(
        &mut self,
        now: Nanos,
        (id, work, start, end): (u32, Work, u64, u64),
        result: Result<(), DiskError>,
        buffer: Option<Buffer>,
    ) {
        // Where no data is held there is nothing to gather or to merge.
        let mut buffer = buffer.filter(|_| self.holds_data);
        // The answer made room in the loop for the second half of a piece.
        match (&result, work) {
            (Ok(()), Work::ModifyRead) => {
                if let Some(buffer) = &mut buffer {
                    self.requests[id].overlay(start, buffer);
                }
                let part = Part::Piece {
                    request: id,
                    work: Work::Write,
                    start,
                    end,
                };
                return self.send_part(now, part, buffer);
            }
            (Err(error), Work::ZeroByDiscard) if error.kind == DiskErrorKind::NotSupported => {
                self.discards = false;
                let part = Part::Piece {
                    request: id,
                    work: Work::Zero,
                    start,
                    end,
                };
                return self.send_part(now, part, None);
            }
            (Err(error), Work::Zero) if error.kind == DiskErrorKind::NotSupported => {
                self.zero_by_writing = true;
                let buffer = self.filled_buffer(id, start, end);
                let part = Part::Piece {
                    request: id,
                    work: Work::Write,
                    start,
                    end,
                };
                return self.send_part(now, part, buffer);
            }
            (Err(error), Work::Discard) if error.kind == DiskErrorKind::NotSupported => {
                self.discards = false;
                self.requests[id].zeroes_disk = false;
            }
            (Err(error), _) => self.fail(id, error, start),
            (Ok(()), _) => {}
        }
        let request = &mut self.requests[id];
        if work == Work::Direct {
            request.buffer = buffer;
        } else if let Some(buffer) = buffer {
            if work == Work::Read && result.is_ok() {
                request.gather(start, &buffer);
            }
            self.pool.put(buffer);
        }
        self.requests[id].outstanding -= 1;
        self.finish_data_if_done(id);
    }

    /// A piece failed: the request fails with the first error, and no further piece is made.
    fn fail(&mut self, id: u32, error: &DiskError, start: u64) {
        let request = &mut self.requests[id];
        request
            .failed_at
            .get_or_insert(start.max(request.offset_bytes));
        request.error.get_or_insert(io_error(error));
        request.cursor = request.range.1;
        let (name, kind) = (&self.vdisks[request.vdisk].name, request.kind);
        match self.failures.allow(self.now) {
            None => {}
            Some(0) => tracing::warn!(vdisk = %name, ?kind, "{error}"),
            Some(unsaid) => tracing::warn!(
                vdisk = %name, ?kind, "{error} ({unsaid} more failed that were not logged)"
            ),
        }
    }

    fn finish_data_if_done(&mut self, id: u32) {
        let request = &self.requests[id];
        if request.outstanding > 0 || request.in_ready || request.cursor < request.range.1 {
            return;
        }
        let (index, error) = (request.vdisk, request.error);
        let vdisk = &mut self.vdisks[index];
        if request.kind == RequestKind::Write && request.exclusive && error.is_none() {
            vdisk.layout.mark_written(request.range.0, request.range.1);
        }
        if error.is_none() && request.zeroes_chunks() {
            let (start, end) = (request.offset_bytes, request.chunks_end);
            vdisk.layout.mark_zero(start, end, request.zeroes_disk);
        }
        if request.kind.modifies() {
            self.release(id, index);
        }
        match (error, self.requests[id].needs_sync) {
            (Some(error), _) => self.finish(id, Err(error)),
            (None, true) => {
                self.vdisks[index].sync.waiting.push(id);
                self.schedule(index);
            }
            (None, false) => self.finish(id, Ok(())),
        }
    }

    /// Gives up a request's claim, and starts those that waited for it.
    fn release(&mut self, id: u32, vdisk: usize) {
        let mut granted = std::mem::take(&mut self.granted);
        let state = &mut self.vdisks[vdisk];
        let (requests, grain, layout) = (&self.requests, self.grain, &state.layout);
        let refresh = |waiting: u32| requests[waiting].claim(waiting, layout, grain);
        state.locks.release(id, refresh, &mut granted);
        for id in granted.drain(..) {
            self.start(id);
        }
        self.granted = granted;
    }
}

/// What a client is told of a disk's error.
pub(crate) fn io_error(error: &DiskError) -> IoError {
    match error.kind {
        DiskErrorKind::Io | DiskErrorKind::FlushFailedBefore => IoError::Io,
        DiskErrorKind::NoSpace => IoError::NoSpace,
        DiskErrorKind::NotSupported => IoError::NotSupported,
    }
}
