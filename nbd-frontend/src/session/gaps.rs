//! Zeroes in the middle of a structured read: they are not sent, and the headers of the chunks around
//! them take their place.
//!
//! A gap is at least 64 KiB of a buffer whose content nobody needs any more. Right before the data
//! behind it, in the gap's last bytes, are the chunk that tells of the hole and the header of the chunk
//! with that data. So a reply with any number of holes is still one buffer, of which some ranges are
//! sent, and needs no memory of its own.

use super::outgoing::chunk_header;
use crate::protocol::{ChunkHeader, chunk};
use disktime_engine::ZeroPieces;

/// What a gap sends: a chunk of a hole, the header of a chunk of data.
const HEADS_BYTES: usize = 2 * ChunkHeader::BYTES + 8 + 4 + 8;

/// Gaps in a buffer, with data before, between and behind them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gaps {
    zeroes: ZeroPieces,
    /// Where the data behind the last one ends.
    end: u32,
}

impl Gaps {
    pub(super) const NONE: Gaps = Gaps {
        zeroes: ZeroPieces::NONE,
        end: 0,
    };

    /// Those zeroes that have data between them and both ends of `start..end`.
    pub(super) fn between(zeroes: ZeroPieces, start: u32, end: u32) -> Gaps {
        let zeroes = zeroes.inside(start, end);
        Gaps { zeroes, end }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.zeroes.is_empty()
    }

    /// Where the first begins.
    pub(super) fn first(&self) -> Option<u32> {
        self.zeroes.runs().next().map(|(start, _)| start)
    }

    /// The ranges of the buffer that are sent behind the gaps.
    pub(super) fn parts_behind(&self) -> impl Iterator<Item = (u32, u32)> + use<> {
        let (mut runs, end) = (self.zeroes.runs(), self.end);
        let mut run = runs.next();
        std::iter::from_fn(move || {
            let (_, stop) = run?;
            run = runs.next();
            let until = run.map_or(end, |(start, _)| start);
            Some((stop - HEADS_BYTES as u32, until))
        })
    }

    /// Puts the heads of the chunks into the gaps of a read's data, which begins at `offset_bytes` of
    /// the vdisk.
    pub(super) fn fill(&self, data: &mut [u8], cookie: u64, offset_bytes: u64) {
        for ((start, stop), (from, until)) in self.zeroes.runs().zip(self.parts_behind()) {
            let hole_at = (offset_bytes + u64::from(start)).to_be_bytes();
            let data_at = (offset_bytes + u64::from(stop)).to_be_bytes();
            let last = until == self.end;
            let hole = chunk_header(cookie, chunk::OFFSET_HOLE, false, 12);
            let header = chunk_header(cookie, chunk::OFFSET_DATA, last, 8 + until - stop);
            let len_bytes = (stop - start).to_be_bytes();
            let parts: [&[u8]; 5] = [&hole, &hole_at, &len_bytes, &header, &data_at];
            let mut at = from as usize;
            for part in parts {
                data[at..at + part.len()].copy_from_slice(part);
                at += part.len();
            }
            debug_assert_eq!(at, stop as usize, "the heads end where the data begins");
        }
    }
}
