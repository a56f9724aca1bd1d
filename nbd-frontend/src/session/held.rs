//! The requests that a session holds, and what they count against its limits.
//!
//! Invariants: a request is held from the moment its header is taken until its reply is sent to the
//! last byte; there are as many slots as requests may be held, so a held request always gets one; a
//! slot is in use from the request's submission to its reply.

use super::limits::SessionLimits;

/// A request that was or will be submitted to the service.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeldRequest {
    pub(super) cookie: u64,
    /// The size of its buffer when it was taken; the reply may carry another buffer.
    pub(super) charged_bytes: usize,
    pub(super) offset_bytes: u64,
    pub(super) len_bytes: u32,
    /// Its data or descriptors have to come in one piece.
    pub(super) single: bool,
}

impl HeldRequest {
    /// Whether the byte `at` of the vdisk lies in the request's range.
    pub(super) fn contains(&self, at: u64) -> bool {
        at.checked_sub(self.offset_bytes)
            .is_some_and(|inside| inside < u64::from(self.len_bytes))
    }
}

/// All held requests of a session.
pub(super) struct HeldRequests {
    requests_max: usize,
    buffer_bytes_max: usize,
    slots: Vec<Option<HeldRequest>>,
    free_slots: Vec<u32>,
    requests: usize,
    buffer_bytes: usize,
}

impl HeldRequests {
    pub(super) fn new(limits: &SessionLimits) -> HeldRequests {
        let requests_max = limits.requests.max(1);
        HeldRequests {
            requests_max,
            buffer_bytes_max: limits.buffer_bytes,
            slots: vec![None; requests_max],
            free_slots: (0..requests_max as u32).rev().collect(),
            requests: 0,
            buffer_bytes: 0,
        }
    }

    /// Requests held.
    pub(super) fn requests(&self) -> usize {
        self.requests
    }

    /// Bytes of buffers held.
    pub(super) fn buffer_bytes(&self) -> usize {
        self.buffer_bytes
    }

    /// Most requests held at once.
    pub(super) fn requests_max(&self) -> usize {
        self.requests_max
    }

    /// Whether one more request with a buffer of that size is within the limits.
    pub(super) fn has_room(&self, buffer_bytes: usize) -> bool {
        self.requests < self.requests_max
            && (self.buffer_bytes == 0 || self.buffer_bytes + buffer_bytes <= self.buffer_bytes_max)
    }

    /// Counts a request whose header was taken.
    pub(super) fn count(&mut self) {
        self.requests += 1;
    }

    /// Stores a counted request that is to be submitted, and returns its slot.
    pub(super) fn insert(&mut self, request: HeldRequest) -> Option<u32> {
        let slot = self.free_slots.pop()?;
        self.buffer_bytes += request.charged_bytes;
        self.slots[slot as usize] = Some(request);
        Some(slot)
    }

    /// Frees the slot of a request that was answered or is refused; `None` if it is not in use.
    pub(super) fn remove(&mut self, slot: u64) -> Option<HeldRequest> {
        let entry = self.slots.get_mut(usize::try_from(slot).ok()?)?;
        let request = entry.take()?;
        self.free_slots.push(slot as u32);
        Some(request)
    }

    /// Releases bytes of buffers.
    pub(super) fn release_buffer(&mut self, charged_bytes: usize) {
        self.buffer_bytes -= charged_bytes;
    }

    /// Releases a request whose reply is sent.
    pub(super) fn release_request(&mut self) {
        self.requests -= 1;
    }
}
