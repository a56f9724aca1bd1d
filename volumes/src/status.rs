//! What is known of a range without reading it: for status requests, and for reads that need not
//! send their zeroes; and how much of it is known when a vdisk is opened.
//!
//! Known are whole chunks of 64 KiB. Where there is a zero map, a chunk that was never written or
//! was trimmed or zeroed as a whole is a hole; elsewhere so is a chunk that is a hole of the file
//! below. What is trimmed or zeroed in smaller pieces counts as data, which is always safe to say.

use crate::presence::Presence;
use crate::vdisk::RequestState;
use crate::volume_set::VolumeSet;
use crate::zero_map::CHUNK_BYTES;
use disktime_disks::Disk;
use disktime_engine::{Extent, IoError, ReplyDetail, RequestKind};

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
            disk.data_after(at, end)
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
                let start = at;
                let (zero, mut stop) = layout.zero_run(at, end);
                // The same may go on in the next extent.
                while stop < end {
                    let (same, next) = layout.zero_run(stop, end);
                    if same != zero {
                        break;
                    }
                    stop = next;
                }
                at = stop;
                let extent = Extent {
                    len_bytes: stop - start,
                    hole: zero,
                    zero,
                };
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

    /// How much of a read's beginning and end is known to be zeroes. At most 512 looks, as a read has
    /// at most that many chunks; one for a read inside of a chunk.
    fn zeroes_of(&self, request: &RequestState) -> ReplyDetail {
        let layout = &self.vdisks[request.vdisk].layout;
        let (start, end) = (request.offset_bytes, request.end_bytes());
        let (mut first, mut last) = (start, end);
        while first < end {
            match layout.zero_run(first, end) {
                (true, stop) => first = stop,
                (false, _) => break,
            }
        }
        while last > first {
            let chunk = (last - 1) - (last - 1) % CHUNK_BYTES;
            if !layout.zero_run(chunk.max(first), last).0 {
                break;
            }
            last = chunk.max(first);
        }
        if first == start && last == end {
            return ReplyDetail::Nothing;
        }
        ReplyDetail::Zeroes {
            first_bytes: (first - start) as u32,
            last_bytes: (end - last) as u32,
        }
    }
}
