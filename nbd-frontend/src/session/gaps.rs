//! Zeroes in the middle of a structured read: they are not sent, and the headers of the chunks
//! around them are stored in their place.
//!
//! A gap is at least 64 KiB of a buffer whose contents are not needed any more. Its last bytes hold
//! the chunk that describes the hole, and the header of the data chunk that follows the gap; the
//! data follow in the buffer. So a reply with any number of holes is still one buffer, of which
//! some ranges are sent, and needs no memory of its own.

use disktime_engine::ZeroPieces;
use disktime_nbd_protocol::{ChunkHeader, chunk};

/// What is stored in a gap: the chunk of a hole, and the header of a chunk of data with its offset.
const HEADERS_BYTES: usize = 2 * ChunkHeader::BYTES + 8 + 4 + 8;

/// The gaps in a buffer, with data before, between and behind them.
#[derive(Debug, Clone, Copy)]
pub(super) struct ZeroGaps {
    zeroes: ZeroPieces,
    /// The end of the data behind the last gap.
    end: u32,
}

impl ZeroGaps {
    pub(super) const NONE: ZeroGaps = ZeroGaps {
        zeroes: ZeroPieces::NONE,
        end: 0,
    };

    /// The zeroes in `start..end` that have data on both sides.
    pub(super) fn between(zeroes: ZeroPieces, start: u32, end: u32) -> ZeroGaps {
        let zeroes = zeroes.inside(start, end);
        ZeroGaps { zeroes, end }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.zeroes.is_empty()
    }

    /// The start of the first gap.
    pub(super) fn first(&self) -> Option<u32> {
        self.zeroes.runs().next().map(|(start, _)| start)
    }

    /// The ranges of the buffer that are sent after the first gap's start: headers and data, once
    /// per gap.
    pub(super) fn parts_behind(&self) -> impl Iterator<Item = (u32, u32)> + use<> {
        let (mut runs, end) = (self.zeroes.runs(), self.end);
        let mut run = runs.next();
        std::iter::from_fn(move || {
            let (_, stop) = run?;
            run = runs.next();
            let until = run.map_or(end, |(start, _)| start);
            Some((stop - HEADERS_BYTES as u32, until))
        })
    }

    /// Writes the chunk headers into the gaps of a read's data, which begin at `offset_bytes` of
    /// the vdisk.
    pub(super) fn write_headers(&self, data: &mut [u8], cookie: u64, offset_bytes: u64) {
        for ((start, stop), (from, until)) in self.zeroes.runs().zip(self.parts_behind()) {
            let hole_at = (offset_bytes + u64::from(start)).to_be_bytes();
            let data_at = (offset_bytes + u64::from(stop)).to_be_bytes();
            let last = until == self.end;
            let hole = ChunkHeader::new(cookie, chunk::OFFSET_HOLE, false, 12).encode();
            let data_len = 8 + until - stop;
            let header = ChunkHeader::new(cookie, chunk::OFFSET_DATA, last, data_len).encode();
            let len_bytes = (stop - start).to_be_bytes();
            let parts: [&[u8]; 5] = [&hole, &hole_at, &len_bytes, &header, &data_at];
            let mut at = from as usize;
            for part in parts {
                data[at..at + part.len()].copy_from_slice(part);
                at += part.len();
            }
            debug_assert_eq!(at, stop as usize, "the headers end where the data begin");
        }
    }
}
