//! Cutting zeroes, which may give space back, and the steps of setting space aside.

use super::{Action, Cut, MODIFY_AT_ONCE_BYTES, Splitter};
use crate::geometry::{CHUNK_BYTES, whole_chunks};
use crate::layout::Space;
use disktime_engine::RequestKind;

impl Splitter<'_> {
    /// Zeroes that may give space back, and do where the disk can; fast ones only where that is
    /// fast.
    pub(super) fn cut_zeroes(&self, kind: RequestKind, limit: u64, at: u64) -> (Cut, u64) {
        let is_fast = kind == RequestKind::ZeroFast && !self.abilities.zeroes_by_discard();
        let gives_back = self.abilities.discards() && !is_fast;
        let (hole, stop) = self.layout.hole_run(at, limit);
        if hole && gives_back {
            return self.cut_zero_space(limit, at);
        }
        if hole {
            return (
                Cut::Hole {
                    start: at,
                    end: stop,
                },
                stop,
            );
        }
        let zero = match gives_back && self.abilities.discarding_zeroes() {
            true => Action::ZeroByDiscard,
            false => self.zero_in_place(),
        };
        match whole_chunks(at, stop).filter(|_| self.layout.has_map(at)) {
            // For whole chunks it is enough that the map says so, whatever a discard leaves.
            Some((start, end)) if start == at => match gives_back {
                true => self.cut_discard(start, end),
                false => (Cut::Hole { start, end }, end),
            },
            Some((start, _)) => self.cut_blocks(zero, at, start),
            None => self.cut_blocks(zero, at, stop),
        }
    }

    /// What is zeroes already: its whole blocks give back what space they have.
    fn cut_zero_space(&self, limit: u64, at: u64) -> (Cut, u64) {
        let (returned, stop) = self.layout.returned_run(at, limit);
        let whole_end = self.grain().floor(stop);
        if !returned && self.grain().is_aligned(at) && whole_end > at {
            return self.cut_discard(at, whole_end);
        }
        let end = match returned || self.grain().is_aligned(at) {
            true => stop,
            false => self.grain().ceil(at).min(stop),
        };
        (Cut::Hole { start: at, end }, end)
    }

    /// What has no space is zeroed, which sets its space aside and changes nothing that is read.
    /// What may hold some of a write that failed is written again as it is.
    pub(super) fn cut_unheld(&self, limit: u64, at: u64) -> (Cut, u64) {
        match self.layout.space_run(at, limit) {
            (Space::Missing, stop) => self.cut_blocks(self.zero_in_place(), at, stop),
            (Space::Unsure, stop) => match self.layout.hole_run(at, stop) {
                (true, stop) => self.cut_blocks(self.zero_in_place(), at, stop),
                (false, stop) => {
                    let longest = MODIFY_AT_ONCE_BYTES.min(self.grain().quantum_bytes());
                    let (start, end) = (self.grain().floor(at), stop.min(at + longest));
                    (
                        self.piece(Action::Modify, start, self.grain().ceil(end)),
                        end,
                    )
                }
            },
            (Space::Held, stop) => (
                Cut::Hole {
                    start: at,
                    end: stop,
                },
                stop,
            ),
        }
    }

    /// The next step of setting `at..end` aside: so long that it is a piece or a chunk, so that
    /// what is written there meanwhile waits for no more. `None` if all has its space.
    pub(crate) fn next_step(&self, mut at: u64, end: u64) -> Option<(u64, u64)> {
        while at < end && self.abilities.can_run_out() {
            let (space, stop) = self.layout.space_run(at, end);
            if space != Space::Held {
                let piece_bytes = match self.zero_in_place() {
                    Action::Zero => self.abilities.zeroing_bytes(),
                    _ => self.grain().quantum_bytes(),
                };
                let step = piece_bytes.next_multiple_of(CHUNK_BYTES);
                let start = at - at % CHUNK_BYTES;
                return Some((start, end.min(start + step)));
            }
            at = stop;
        }
        None
    }

    /// How many bytes of a range have no space yet that such a request sets aside for them.
    pub(crate) fn unallocated_bytes(&self, kind: RequestKind, start: u64, end: u64) -> u64 {
        let (mut at, mut bytes) = (start, 0);
        while at < end {
            let (space, stop) = self.layout.space_run(at, end);
            let held = space == Space::Held;
            // Zeroes that keep space leave holes of a zero map as they are.
            if !held && (kind == RequestKind::Allocate || !self.layout.has_map(at)) {
                bytes += stop - at;
            }
            at = stop;
        }
        bytes
    }
}
