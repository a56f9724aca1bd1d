//! Which parts inside of a read are zeroes: one bit for each of up to 64 pieces of one size, so
//! that the reply to a read carries it without an allocation.
//!
//! Pieces begin at multiples of their size in the vdisk. The size is 64 KiB for reads of up to 4
//! MiB and doubles with the length beyond that, so it is exact for most reads and resolves at least
//! a 64th of a longer one.

/// The smallest piece.
const PIECE_BYTES_MIN: u64 = 64 << 10;

/// Pieces inside of a read that are zeroes. Places are relative to the beginning of the read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZeroPieces {
    bits: u64,
    /// Start of the first piece that lies in the read as a whole.
    first_bytes: u32,
    piece_bytes: u32,
}

impl ZeroPieces {
    /// No zeroes, for any read.
    pub const NONE: ZeroPieces = ZeroPieces {
        bits: 0,
        first_bytes: 0,
        piece_bytes: PIECE_BYTES_MIN as u32,
    };

    /// No zeroes yet, for a read of `len_bytes` (at most 4 GiB) at `offset_bytes`.
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

    /// Whether no piece is known to be zeroes.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bits == 0
    }

    /// Notes that the bytes `start..end` are zeroes; only whole pieces in it are kept.
    pub fn add(&mut self, start: u32, end: u32) {
        let from = start
            .saturating_sub(self.first_bytes)
            .div_ceil(self.piece_bytes);
        let to = end.saturating_sub(self.first_bytes) / self.piece_bytes;
        self.bits |= ones(from, to);
    }

    /// Only the pieces with other bytes between them and both ends of `start..end`.
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

    /// Start and end of each run of zeroes, in order; there are other bytes between any two.
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
mod tests;
