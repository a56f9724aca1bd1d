//! What a request asks, without its data and without who asked: kind, range, durability.
//!
//! The splitter and the block status work on headers alone, so neither can complete a request or
//! touch its buffer.

use crate::geometry::whole_chunks;
use disktime_engine::{Request, RequestKind};
use std::ops::Range;

/// The header of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestHeader {
    kind: RequestKind,
    start: u64,
    end: u64,
    fua: bool,
}

impl RequestHeader {
    /// Of a request whose range was checked against the vdisk's size.
    pub(crate) fn of(request: &Request) -> RequestHeader {
        RequestHeader {
            kind: request.kind,
            start: request.offset_bytes,
            end: request.offset_bytes.saturating_add(request.len_bytes),
            fua: request.fua,
        }
    }

    #[cfg(test)]
    pub(crate) fn new(kind: RequestKind, start: u64, end: u64, fua: bool) -> RequestHeader {
        RequestHeader {
            kind,
            start,
            end,
            fua,
        }
    }

    pub(crate) fn kind(&self) -> RequestKind {
        self.kind
    }

    /// First byte of the vdisk that it is about.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// The byte behind the last one.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    pub(crate) fn len_bytes(&self) -> u64 {
        self.end - self.start
    }

    /// Whether its reply waits until its data is durable.
    pub(crate) fn fua(&self) -> bool {
        self.fua
    }

    /// As it is, of another range.
    pub(crate) fn with_range(self, (start, end): (u64, u64)) -> RequestHeader {
        RequestHeader { start, end, ..self }
    }

    /// Bytes of memory that it holds until it is answered.
    pub(crate) fn held_bytes(&self) -> u64 {
        held_bytes(self.kind, self.len_bytes())
    }

    /// Whether it is about exactly `start..end`.
    pub(crate) fn is_range(&self, start: u64, end: u64) -> bool {
        (self.start, self.end) == (start, end)
    }

    /// Whether all of `start..end` lies in its range.
    pub(crate) fn covers(&self, start: u64, end: u64) -> bool {
        self.start <= start && end <= self.end
    }

    /// What of its range lies in the `len` bytes from `start` on.
    pub(crate) fn overlap(&self, start: u64, len: usize) -> Option<(u64, u64)> {
        let (from, to) = (start.max(self.start), (start + len as u64).min(self.end));
        (from < to).then_some((from, to))
    }

    /// Where `from..to` of the vdisk lies in the request's buffer.
    pub(crate) fn within(&self, from: u64, to: u64) -> Range<usize> {
        (from - self.start) as usize..(to - self.start) as usize
    }

    /// Whether chunks up to `end` are known to be zeroes once it is done.
    pub(crate) fn makes_hole_chunks(&self, end: u64) -> bool {
        self.kind.makes_holes() && whole_chunks(self.start, end).is_some()
    }
}

/// Bytes of memory that a request of this kind and length holds.
pub(crate) fn held_bytes(kind: RequestKind, len_bytes: u64) -> u64 {
    match kind {
        RequestKind::Read | RequestKind::Write | RequestKind::Cache => len_bytes,
        _ => 0,
    }
}
