//! Taking requests in: bounds, validity, and who may write where.

use crate::vdisk::{MAX_REQUEST_BYTES, MAX_REQUESTS, RequestState, held_bytes};
use crate::volume_set::VolumeSet;
use disktime_disks::Disk;
use disktime_engine::{IoError, Request, RequestKind};

impl<D: Disk> VolumeSet<D> {
    /// Takes a request in, or gives it back when its vdisk holds enough of them.
    pub(crate) fn take_in(&mut self, request: Request) -> Result<(), Request> {
        let vdisk = request.vdisk.0 as usize;
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
            fua: request.fua,
            buffer: request.buffer,
            range: (0, 0),
            cursor: 0,
            outstanding: 0,
            in_ready: false,
            exclusive: false,
            needs_sync: false,
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
        let is_read = request.kind == RequestKind::Read;
        let end = request.offset_bytes.checked_add(request.len_bytes);
        if end.is_none_or(|end| end > vdisk.size_bytes) {
            return Some(if is_read {
                IoError::Invalid
            } else {
                IoError::NoSpace
            });
        }
        let moves_data = is_read || request.kind == RequestKind::Write;
        let fits = match &request.buffer {
            Some(buffer) => moves_data && buffer.len() as u64 == request.len_bytes,
            None => !moves_data || !self.holds_data || request.len_bytes == 0,
        };
        if !fits {
            return Some(IoError::Invalid);
        }
        (request.fua && !is_read && self.flush_failed).then_some(IoError::Io)
    }

    fn begin(&mut self, id: u32) {
        let request = &self.requests[id];
        let vdisk = request.vdisk;
        if request.kind == RequestKind::Flush {
            self.vdisks[vdisk].sync.waiting.push(id);
            self.schedule(vdisk);
        } else if request.len_bytes == 0 {
            self.finish(id, Ok(()));
        } else if request.kind == RequestKind::Read {
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
                request.needs_sync = request.fua && !durable(&vdisk.layout);
            }
            RequestKind::Trim => {
                let first = self.grain.ceil(start);
                request.range = (first, self.grain.floor(end).max(first));
                request.needs_sync = request.fua;
            }
            RequestKind::Read | RequestKind::WriteZeroes | RequestKind::Flush => {
                request.range = (start, end);
            }
        }
        request.cursor = request.range.0;
        request.in_ready = true;
        vdisk.ready.push_back(id);
        let vdisk = request.vdisk;
        self.schedule(vdisk);
    }
}
