//! Which parts inside of a read are zeroes: a bit each for up to 64 pieces of one size, so that the
//! answer to a read can say so without any memory of its own.
//!
//! Pieces begin at multiples of their size in the vdisk. The size is 64 KiB for reads of up to 4 MiB
//! and doubles with the length beyond, so what is known is exact for most reads and at least a 64th
//! of a longer one.

/// The smallest piece.
const PIECE_BYTES_MIN: u64 = 64 << 10;

/// Pieces inside of a read that are zeroes. Places are relative to the beginning of the read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZeroPieces {
    bits: u64,
    /// Where the first piece that lies in the read as a whole begins.
    first_bytes: u32,
    piece_bytes: u32,
}

impl ZeroPieces {
    /// Of any read.
    pub const NONE: ZeroPieces = ZeroPieces {
        bits: 0,
        first_bytes: 0,
        piece_bytes: PIECE_BYTES_MIN as u32,
    };

    /// None yet, of a read of `len_bytes` (at most 4 GiB) at `offset_bytes`.
    pub fn of_read(offset_bytes: u64, len_bytes: u64) -> ZeroPieces {
        let piece_bytes = len_bytes
            .div_ceil(u64::from(u64::BITS))
            .next_power_of_two()
            .max(PIECE_BYTES_MIN);
        let into = offset_bytes % piece_bytes;
        ZeroPieces {
            bits: 0,
            first_bytes: ((piece_bytes - into) % piece_bytes) as u32,
            piece_bytes: piece_bytes as u32,
        }
    }

    /// Whether nothing is known to be zeroes.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bits == 0
    }

    /// Notes that the bytes `start..end` are zeroes; counts as far as they make whole pieces.
    pub fn add(&mut self, start: u32, end: u32) {
        let from = start
            .saturating_sub(self.first_bytes)
            .div_ceil(self.piece_bytes);
        let to = end.saturating_sub(self.first_bytes) / self.piece_bytes;
        self.bits |= ones(from, to);
    }

    /// Only what has other bytes between it and both ends of `start..end`.
    pub fn inside(mut self, start: u32, end: u32) -> ZeroPieces {
        if !self.is_empty() {
            let from = (start + 1)
                .saturating_sub(self.first_bytes)
                .div_ceil(self.piece_bytes);
            let to = (end.saturating_sub(1)).saturating_sub(self.first_bytes) / self.piece_bytes;
            self.bits &= ones(from, to);
        }
        self
    }

    /// Beginnings and ends of what is zeroes, in order; there are other bytes between any two.
    pub fn runs(self) -> impl Iterator<Item = (u32, u32)> {
        let mut bits = self.bits;
        std::iter::from_fn(move || {
            if bits == 0 {
                return None;
            }
            let from = bits.trailing_zeros();
            let to = from + (bits >> from).trailing_ones();
            bits &= !ones(from, to);
            let place = |piece: u32| self.first_bytes + piece * self.piece_bytes;
            Some((place(from), place(to)))
        })
    }
}

/// The bits `from..to`.
fn ones(from: u32, to: u32) -> u64 {
    let to = to.min(u64::BITS);
    if from >= to {
        return 0;
    }
    (u64::MAX >> (u64::BITS - (to - from))) << from
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against one flag per byte, in units of 4 KiB and a few odd bytes.
        #[test]
        fn runs_are_the_whole_pieces_of_what_was_added(
            offset in (0u64..200, 0u64..4096),
            len in (1u64..8192, 0u64..4096),
            added in prop::collection::vec((0u32..8192, 1u32..2000), 0..8),
        ) {
            let (offset_bytes, len_bytes) = (offset.0 * 4096 + offset.1, len.0 * 4096 - len.1);
            let mut pieces = ZeroPieces::of_read(offset_bytes, len_bytes);
            let mut flags = vec![false; len_bytes as usize];
            for (start, count) in added {
                let start = (start * 4096).min(len_bytes as u32);
                let end = (start + count * 4096 + 3).min(len_bytes as u32);
                pieces.add(start, end);
                flags[start as usize..end as usize].fill(true);
            }
            let mut told = vec![false; len_bytes as usize];
            let mut before = None;
            for (start, end) in pieces.runs() {
                prop_assert!(before.is_none_or(|before| before < start) && start < end);
                told[start as usize..end as usize].fill(true);
                before = Some(end);
            }
            prop_assert!(told.iter().zip(&flags).all(|(told, flag)| !told || *flag));
            // What is added at once is told at once, but for less than a piece at either end.
            let piece = pieces.piece_bytes as usize;
            prop_assert!(piece == 64 << 10 || piece as u64 * 32 < len_bytes);
            let mut all = ZeroPieces::of_read(offset_bytes, len_bytes);
            all.add(0, len_bytes as u32);
            let whole: u64 = all.runs().map(|(start, end)| u64::from(end - start)).sum();
            prop_assert!(whole + 2 * piece as u64 > len_bytes);
        }

        #[test]
        fn inside_is_what_lies_between_other_bytes(
            offset_bytes in 0u64..1 << 20,
            len_bytes in 1u64..5 << 20,
            ends in (0u64..5 << 20, 0u64..5 << 20),
            bits: u64,
        ) {
            let (start, end) = (ends.0.min(len_bytes) as u32, ends.1.min(len_bytes) as u32);
            let (start, end) = (start.min(end), start.max(end));
            let pieces = ZeroPieces { bits, ..ZeroPieces::of_read(offset_bytes, len_bytes) };
            let inside = pieces.inside(start, end);
            prop_assert_eq!(inside.bits & !pieces.bits, 0);
            for piece in 0..64 {
                let from = pieces.first_bytes + piece * pieces.piece_bytes;
                let is_inside = start < from && from + pieces.piece_bytes < end;
                let expected = is_inside && bits >> piece & 1 == 1;
                prop_assert_eq!(inside.bits >> piece & 1 == 1, expected);
            }
        }
    }

    #[test]
    fn the_piece_grows_with_the_read() {
        for (len_bytes, piece_bytes) in [
            (1, 64 << 10),
            (4 << 20, 64 << 10),
            ((4 << 20) + 1, 128 << 10),
            (32 << 20, 512 << 10),
        ] {
            let pieces = ZeroPieces::of_read(3, len_bytes);
            assert_eq!(pieces.piece_bytes, piece_bytes);
            assert_eq!(pieces.first_bytes, piece_bytes - 3);
        }
    }
}
