//! The table of requests that are in flight at vdisks: what a reply needs to know of its request,
//! and the bounds on their number and on the size of their buffers.
//!
//! Invariant: a request has an entry from the moment in which it is read to its reply.

use crate::connection::ReplyTo;
use crate::vdisk_request::SeekTarget;
use disktime_engine::OpenedFile;
use slab::Slab;

/// The most requests in flight. The kernel itself holds back asynchronous requests beyond its
/// limit. A ring has its own bound, the number of its entries, and is not bounded here.
pub(crate) const REQUESTS_MAX: usize = 1024;

/// The most bytes of buffers in flight.
const BYTES_MAX: usize = 256 << 20;

/// A request in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InFlightRequest {
    /// Where its reply goes.
    pub(crate) reply_to: ReplyTo,
    /// The length of its data; for a write what the reply reports as written.
    pub(crate) len_bytes: u32,
    /// The size of its buffer, which may be larger than the data.
    pub(crate) buffer_bytes: u32,
    /// The range of the vdisk, start and end, and what a seek looks for in it.
    pub(crate) range: (u64, u64),
    pub(crate) target: SeekTarget,
    /// The file that it came by.
    pub(crate) opened: OpenedFile,
}

/// All requests in flight; the index of an entry is the handle of its request.
#[derive(Debug, Default)]
pub(crate) struct InFlightTable {
    entries: Slab<InFlightRequest>,
    bytes: usize,
}

impl InFlightTable {
    /// Whether one more request may be read.
    pub(crate) fn has_room(&self) -> bool {
        self.count() < REQUESTS_MAX && self.bytes < BYTES_MAX
    }

    pub(crate) fn count(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn insert(&mut self, request: InFlightRequest) -> u64 {
        self.bytes += request.buffer_bytes as usize;
        self.entries.insert(request) as u64
    }

    /// The file that the request of a handle came by.
    pub(crate) fn opened(&self, handle: u64) -> OpenedFile {
        self.entries[handle as usize].opened
    }

    /// Takes out the request of a handle; panics if it has been completed already.
    pub(crate) fn remove(&mut self, handle: u64) -> InFlightRequest {
        let request = self.entries.remove(handle as usize);
        self.bytes -= request.buffer_bytes as usize;
        request
    }
}

#[cfg(test)]
mod tests;
