//! Taking requests in: bounds, validity, and who may write where.

use crate::vdisk::{MAX_REQUEST_BYTES, MAX_REQUESTS, RequestState, held_bytes};
use crate::volume_set::VolumeSet;
use disktime_disks::Disk;
use disktime_engine::{Extent, IoError, Request, RequestKind};

/// Bytes that one cache request reads at most.
const CACHE_BYTES: u64 = 32 << 20;

impl<D: Disk> VolumeSet<D> {
    /// Takes a request in, or gives it back when its vdisk holds enough of them.
    pub(crate) fn take_in(&mut self, request: Request) -> Result<(), Request> {
        let vdisk = request.vdisk.0 as usize;
        let mut request = request;
        if request.kind == RequestKind::Cache {
            // A hint; more than a vdisk's share of memory at once is more than helps.
            request.len_bytes = request.len_bytes.min(CACHE_BYTES);
        }
        let held = held_bytes(request.kind, request.len_bytes);
        if let Some(state) = self.vdisks.get_mut(vdisk) {
            let some = state.taken_requests > 0;
            let full = state.taken_requests >= MAX_REQUESTS
                || (some && state.taken_bytes.saturating_add(held) > MAX_REQUEST_BYTES);
            if full {
                return Err(request);
            }
            state.taken_requests += 1;
            state.taken_bytes += held;
        }
        self.turn_due = true;
        let refusal = self.refusal(&request);
        let id = self.requests.insert(RequestState {
            origin: request.origin,
            handle: request.handle,
            vdisk,
            kind: request.kind,
            offset_bytes: request.offset_bytes,
            len_bytes: request.len_bytes,
            chunks_end: self.chunks_end(&request),
            fua: request.fua,
            buffer: request.buffer,
            range: (0, 0),
            cursor: 0,
            outstanding: 0,
            in_ready: false,
            exclusive: false,
            needs_sync: false,
            zeroes_disk: false,
            failed_at: None,
            error: None,
        });
        match refusal {
            Some(error) => self.finish(id, Err(error)),
            None => self.begin(id),
        }
        Ok(())
    }

    /// Why a request fails before anything is done.
    fn refusal(&self, request: &Request) -> Option<IoError> {
        let Some(vdisk) = self.vdisks.get(request.vdisk.0 as usize) else {
            return Some(IoError::Invalid);
        };
        if request.kind == RequestKind::Flush {
            // A damaged vdisk takes no writes, so there is nothing that could be lost.
            return (self.flush_failed && !vdisk.damaged).then_some(IoError::Io);
        }
        if vdisk.damaged {
            return Some(IoError::Io);
        }
        if self.gave_up {
            return Some(IoError::Shutdown);
        }
        let kind = request.kind;
        let end = request.offset_bytes.checked_add(request.len_bytes);
        let Some(end) = end.filter(|end| *end <= vdisk.size_bytes) else {
            return Some(if kind.modifies() {
                IoError::NoSpace
            } else {
                IoError::Invalid
            });
        };
        let fits = match &request.buffer {
            Some(buffer) if kind == RequestKind::Status => {
                buffer.len() >= Extent::BYTES && request.len_bytes > 0
            }
            Some(buffer) => kind.moves_data() && buffer.len() as u64 == request.len_bytes,
            None if kind == RequestKind::Status => false,
            None => !kind.moves_data() || !self.holds_data || request.len_bytes == 0,
        };
        if !fits {
            return Some(IoError::Invalid);
        }
        if request.fua && kind.modifies() && self.flush_failed {
            return Some(IoError::Io);
        }
        let fast = || {
            vdisk
                .layout
                .zeroes_fast(request.offset_bytes, end, self.zeroes_by_discard())
        };
        (kind == RequestKind::ZeroFast && !fast()).then_some(IoError::NotSupported)
    }

    /// Whether the disk zeroes by giving space back, which is faster than writing. Where seeks cost
    /// time a real disk would have to write, so a modelled one does.
    pub(crate) fn zeroes_by_discard(&self) -> bool {
        self.discards && self.discard_zeroes && !self.has_seeks
    }

    /// The end of a request's range; that of the vdisk's extents if it reaches the vdisk's end.
    fn chunks_end(&self, request: &Request) -> u64 {
        let end = request.offset_bytes.saturating_add(request.len_bytes);
        match self.vdisks.get(request.vdisk.0 as usize) {
            Some(vdisk) if end == vdisk.size_bytes => vdisk.layout.end_bytes(),
            _ => end,
        }
    }

    fn begin(&mut self, id: u32) {
        let request = &self.requests[id];
        let vdisk = request.vdisk;
        if request.kind == RequestKind::Flush {
            self.vdisks[vdisk].sync.waiting.push(id);
            self.schedule(vdisk);
        } else if request.len_bytes == 0 {
            self.finish(id, Ok(()));
        } else if request.kind == RequestKind::Status {
            self.answer_status(id);
        } else if request.kind == RequestKind::Cache && !self.caches_reads {
            // Nothing between here and the disk would keep what is read.
            self.finish(id, Ok(()));
        } else if !request.kind.modifies() {
            self.start(id);
        } else {
            let state = &mut self.vdisks[vdisk];
            let claim = request.claim(id, &state.layout, self.grain);
            if state.locks.claim(claim) {
                self.start(id);
            }
        }
    }

    /// Nothing stands in the way of a request any more.
    pub(crate) fn start(&mut self, id: u32) {
        let request = &mut self.requests[id];
        let vdisk = &mut self.vdisks[request.vdisk];
        let (start, end) = (request.offset_bytes, request.end_bytes());
        let durable = |layout: &crate::layout::Layout| layout.all_durable(start, end);
        match request.kind {
            RequestKind::Write => {
                request.exclusive = vdisk.layout.any_unwritten(start, end);
                request.range = vdisk.layout.padded(start, end);
                // A chunk that is zeroes may be durable as what it was before.
                request.needs_sync = request.fua && (request.exclusive || !durable(&vdisk.layout));
                vdisk.layout.mark_held(start, end);
            }
            RequestKind::Trim => {
                let first = self.grain.ceil(start);
                request.range = (first, self.grain.floor(end).max(first));
                request.needs_sync = request.fua;
                request.zeroes_disk = self.discards && self.discard_zeroes;
                if request.range.1 < end {
                    // What is left of the last block is not discarded.
                    request.chunks_end = request.range.1;
                }
            }
            RequestKind::WriteZeroes | RequestKind::ZeroFast => {
                request.range = (start, end);
                request.needs_sync = request.fua;
                request.zeroes_disk = true;
            }
            RequestKind::ZeroKeepingSpace => {
                request.range = (start, end);
                // A hole that it leaves alone may not be durable yet.
                request.needs_sync = request.fua && vdisk.layout.any_unwritten(start, end);
                vdisk.layout.mark_held(start, end);
            }
            RequestKind::Read | RequestKind::Cache | RequestKind::Flush | RequestKind::Status => {
                request.range = (start, end)
            }
        }
        // One that failed while it waited for its claim makes no pieces.
        request.cursor = match request.error {
            None => request.range.0,
            Some(_) => request.range.1,
        };
        request.in_ready = true;
        vdisk.ready.push_back(id);
        let vdisk = request.vdisk;
        self.schedule(vdisk);
    }
}
