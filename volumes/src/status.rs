//! What is known of a range without reading it: for status requests, and for reads that need not
//! send their zeroes; and how much of it is known when a vdisk is opened.
//!
//! Known are whole chunks of 64 KiB. Where there is a zero map, a chunk that was never written or
//! was trimmed or zeroed as a whole is a hole; elsewhere so is a chunk that is a hole of the file
//! below. What is trimmed or zeroed in smaller pieces counts as data, which is always safe to say.

use crate::layout::Layout;
use crate::presence::Presence;
use crate::vdisk::RequestState;
use crate::volume_set::VolumeSet;
use crate::zero_map::CHUNK_BYTES;
use disktime_disks::Disk;
use disktime_engine::{Extent, IoError, ReplyDetail, RequestKind, ZeroPieces};

/// Looks for data in one vdisk's space at opening. A file with more pieces than this is taken for
/// full from there on, so that opening stays short.
pub(crate) const PRESENCE_SEEKS: u32 = 1 << 17;

/// Asks the disk where in `range` of it data may lie.
pub(crate) fn read_presence<D: Disk>(
    disk: &D,
    range: (u64, u64),
    seeks_left: &mut u32,
) -> Presence {
    let (start, end) = range;
    let mut presence = Presence::new(end - start, false);
    let mut at = start;
    while at < end {
        let found = if *seeks_left > 0 {
            *seeks_left -= 1;
            match disk.content_map() {
                Some(map) => map.data_after(at, end),
                None => Some((at, end)),
            }
        } else {
            Some((at, end))
        };
        let Some((from, to)) = found else {
            break;
        };
        let behind = (to - start).div_ceil(CHUNK_BYTES);
        presence.set((from - start) / CHUNK_BYTES, behind, true);
        at = start + behind * CHUNK_BYTES;
    }
    presence
}

impl<D: Disk> VolumeSet<D> {
    /// Fills the buffer of a status request and answers it.
    pub(crate) fn answer_status(&mut self, id: u32) {
        let request = &mut self.requests[id];
        let layout = &self.vdisks[request.vdisk].layout;
        let (mut at, end) = (request.offset_bytes, request.end_bytes());
        if let Some(buffer) = &mut request.buffer {
            let mut used = 0;
            let (entries, _) = buffer.as_chunks_mut::<{ Extent::BYTES }>();
            for entry in entries {
                if at == end {
                    break;
                }
                let (zero, stop) = layout.zero_run_of_all(at, end);
                let extent = Extent {
                    len_bytes: stop - at,
                    hole: zero,
                    zero,
                };
                at = stop;
                *entry = extent.encode();
                used += Extent::BYTES;
            }
            buffer.set_len(used);
        }
        self.finish(id, Ok(()));
    }

    /// What a reply says besides its result.
    pub(crate) fn detail(
        &self,
        request: &RequestState,
        result: Result<(), IoError>,
    ) -> ReplyDetail {
        if let (Err(_), Some(at)) = (result, request.failed_at) {
            return ReplyDetail::FailedAt(at);
        }
        if request.kind != RequestKind::Read || request.len_bytes == 0 || result.is_err() {
            return ReplyDetail::Nothing;
        }
        self.zeroes_of(request)
    }

    /// What of a read's data is known to be zeroes. One look if it is the same all through, else one
    /// for each change, of which there are at most 512, as a read has at most that many chunks.
    fn zeroes_of(&self, request: &RequestState) -> ReplyDetail {
        let layout = &self.vdisks[request.vdisk].layout;
        let (start, end) = (request.offset_bytes, request.end_bytes());
        match layout.zero_run_of_all(start, end) {
            (false, stop) if stop == end => ReplyDetail::Nothing,
            run => zeroes_between(layout, run, start, end),
        }
    }
}

/// The zeroes of `start..end`, of which `run` is the beginning.
fn zeroes_between(layout: &Layout, run: (bool, u64), start: u64, end: u64) -> ReplyDetail {
    let relative = |at: u64| (at - start) as u32;
    let (mut first_bytes, mut last_bytes) = (0, 0);
    let mut middle = ZeroPieces::of_read(start, end - start);
    let (mut at, mut run) = (start, run);
    loop {
        let (zero, stop) = run;
        match (zero, at == start, stop == end) {
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
        run = layout.zero_run_of_all(at, end);
    }
}
