//! How long requests without data take, as measured: discards, zeroings and flushes.
//!
//! No model says it. A discard is a note in one device's map and a commit of a journal in another
//! file system, a flush depends on what was written, and a profile measures neither. So the time of
//! each that is done is remembered, by its kind and by the power of two that its length fills, as a
//! mean and as the most of late.
//!
//! Invariants: the most is never less than the last that was measured, nor than the mean; of a
//! length that was not seen yet it is assumed that it takes no longer than a longer one, and no
//! more for each byte than a shorter one.
//!
//! What is not known here: prices, and who asked.

use crate::config::RequestKind;
use crate::ppm_time::proportion;
use disktime_units::Nanos;

/// Lengths are told apart from this on,
const LEAST_BYTES: u64 = 4096;
/// by so many powers of two.
const LENGTHS: usize = 16;
/// A new time counts for one part in this many of the mean.
const MEAN_MEMORY: u64 = 8;
/// The most falls to what is measured by one part in this many.
const MOST_MEMORY: u64 = 32;
/// Half the length must take less than this, in per cent, or halving gains nothing.
const WORTH_HALVING_PERCENT: u64 = 75;

/// What was measured of requests of one kind and length.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LearntTime {
    pub(crate) mean: Nanos,
    /// The longest of late.
    pub(crate) most: Nanos,
}

impl LearntTime {
    fn learn(&mut self, took: Nanos) {
        let took = took.max(Nanos(1));
        if *self == LearntTime::default() {
            *self = LearntTime {
                mean: took,
                most: took,
            };
            return;
        }
        self.mean = Nanos((self.mean.0 * (MEAN_MEMORY - 1)).saturating_add(took.0) / MEAN_MEMORY);
        let fallen = self.most.0 - self.most.0.saturating_sub(took.0) / MOST_MEMORY;
        self.most = Nanos(fallen).max(took).max(self.mean);
    }

    /// T: how long the disk counts as busy with such a request. Of a flush it is the mean: what one
    /// takes depends on what was written before it, so one that took long says little of the next.
    pub(crate) fn counted(self, kind: RequestKind) -> Nanos {
        match kind {
            RequestKind::Flush => self.mean,
            _ => self.most,
        }
    }

    fn known(self) -> Option<LearntTime> {
        (self != LearntTime::default()).then_some(self)
    }

    fn times(self, factor: u64) -> LearntTime {
        LearntTime {
            mean: Nanos(proportion(self.mean.0, factor, 1)),
            most: Nanos(proportion(self.most.0, factor, 1)),
        }
    }
}

/// The times of one kind, by length.
#[derive(Debug, Clone, Copy, Default)]
struct ByLength([LearntTime; LENGTHS]);

impl ByLength {
    fn expect(&self, len_bytes: u64) -> Option<LearntTime> {
        let index = length_index(len_bytes);
        let longer = self.0[index..].iter().find_map(|time| time.known());
        let shorter = || {
            let below = self.0[..index].iter().enumerate().rev();
            let known = below.filter_map(|(at, time)| Some((at, time.known()?)));
            let (at, time) = known.into_iter().next()?;
            Some(time.times(1 << (index - at)))
        };
        longer.or_else(shorter)
    }

    fn seen(&self, len_bytes: u64) -> Option<LearntTime> {
        self.0[length_index(len_bytes)].known()
    }
}

/// The times of all kinds.
#[derive(Debug, Default)]
pub(super) struct LearntTimes {
    discards: ByLength,
    zeroings: ByLength,
    flushes: LearntTime,
}

impl LearntTimes {
    /// A request took so long.
    pub(super) fn learn(&mut self, kind: RequestKind, len_bytes: u64, took: Nanos) {
        let index = length_index(len_bytes);
        match kind {
            RequestKind::Discard => self.discards.0[index].learn(took),
            RequestKind::Zero => self.zeroings.0[index].learn(took),
            RequestKind::Flush => self.flushes.learn(took),
            RequestKind::Read | RequestKind::Write => {}
        }
    }

    /// How long such a request will take, if any was measured.
    pub(super) fn expect(&self, kind: RequestKind, len_bytes: u64) -> Option<LearntTime> {
        match kind {
            RequestKind::Discard => self.discards.expect(len_bytes),
            RequestKind::Zero => self.zeroings.expect(len_bytes),
            RequestKind::Flush => self.flushes.known(),
            RequestKind::Read | RequestKind::Write => None,
        }
    }

    /// The longest piece, of `least_bytes` to `most_bytes`, that takes no longer than `target`; or
    /// one that is longer and of which half takes about as long. A length that was not seen yet is
    /// tried.
    pub(super) fn piece_bytes(
        &self,
        kind: RequestKind,
        (least_bytes, most_bytes): (u64, u64),
        target: Nanos,
    ) -> u64 {
        let times = match kind {
            RequestKind::Discard => &self.discards,
            RequestKind::Zero => &self.zeroings,
            _ => return most_bytes,
        };
        let mut len_bytes = most_bytes;
        while let Some(here) = times.seen(len_bytes) {
            let half_bytes = len_bytes / 2;
            let gains_nothing = times.seen(half_bytes).is_some_and(|half| {
                half.mean.0 > proportion(here.mean.0, WORTH_HALVING_PERCENT, 100)
            });
            if here.most <= target || half_bytes < least_bytes || gains_nothing {
                break;
            }
            len_bytes = half_bytes;
        }
        len_bytes
    }
}

/// Which power of two a length fills.
fn length_index(len_bytes: u64) -> usize {
    let blocks = len_bytes.div_ceil(LEAST_BYTES).max(1);
    let index = blocks.next_power_of_two().trailing_zeros() as usize;
    index.min(LENGTHS - 1)
}

#[cfg(test)]
mod tests;
