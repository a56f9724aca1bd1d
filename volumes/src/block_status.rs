//! Block status: what is known of a range without reading it. For status requests, and for reads
//! whose zeroes need not be sent. Pure.
//!
//! Of zeroes, whole chunks of 64 KiB are known. Where there is a zero map, a chunk that was never
//! written or was trimmed or zeroed as a whole is zeroes; elsewhere so is a chunk without data in
//! the file below. What is trimmed or zeroed in smaller pieces counts as data, which is always safe
//! to say. On a disk whose space is a file system's, holes are known by its blocks, as a write to
//! what is not called a hole must not fail for want of space; on others, what is zeroes is a hole.
//!
//! Invariants: what is reported as a hole reads as zeroes, so a client that leaves holes out copies
//! all data; the extents of an answer follow one another without gaps from the beginning of the
//! range, and neighbours differ unless the space ended.

use crate::layout::Layout;
use crate::request_header::RequestHeader;
use disktime_engine::{Extent, ReplyDetail, RequestKind, ZeroPieces};

/// What is known of a vdisk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockStatus<'a> {
    layout: &'a Layout,
}

impl<'a> BlockStatus<'a> {
    pub(crate) fn new(layout: &'a Layout) -> BlockStatus<'a> {
        BlockStatus { layout }
    }

    /// Puts the extents of `start..end` into `room`, as many as fit; returns the bytes used.
    pub(crate) fn fill(self, start: u64, end: u64, room: &mut [u8]) -> usize {
        let (entries, _) = room.as_chunks_mut::<{ Extent::BYTES }>();
        let (mut at, mut used) = (start, 0);
        for (entry, ((hole, zero), stop)) in
            entries.iter_mut().zip(self.layout.status_runs(start, end))
        {
            let extent = Extent {
                len_bytes: stop - at,
                hole,
                zero,
            };
            at = stop;
            *entry = extent.encode();
            used += Extent::BYTES;
        }
        used
    }

    /// What the reply to a request that succeeded says besides its success: which bytes of a read
    /// are known to be zeroes. One search if it is the same all through, else one for each change,
    /// of which there are at most 512, as a read has at most that many chunks.
    pub(crate) fn detail(self, header: RequestHeader) -> ReplyDetail {
        let (start, end) = (header.start(), header.end());
        if header.kind() != RequestKind::Read || start == end {
            return ReplyDetail::Nothing;
        }
        match self.layout.hole_run_across(start, end) {
            (false, stop) if stop == end => ReplyDetail::Nothing,
            run => self.zeroes(run, start, end),
        }
    }

    /// The zeroes of `start..end`, of which `run` is the beginning.
    fn zeroes(self, run: (bool, u64), start: u64, end: u64) -> ReplyDetail {
        let relative = |at: u64| (at - start) as u32;
        let (mut first_bytes, mut last_bytes) = (0, 0);
        let mut middle = ZeroPieces::of_read(start, end - start);
        let (mut at, mut run) = (start, run);
        loop {
            let (hole, stop) = run;
            match (hole, at == start, stop == end) {
                (false, ..) => {}
                (true, true, _) => first_bytes = relative(stop),
                (true, false, true) => last_bytes = relative(end) - relative(at),
                (true, false, false) => middle.add(relative(at), relative(stop)),
            }
            if stop == end {
                return ReplyDetail::Zeroes {
                    first_bytes,
                    last_bytes,
                    middle,
                };
            }
            at = stop;
            run = self.layout.hole_run_across(at, end);
        }
    }
}

#[cfg(test)]
mod tests;
