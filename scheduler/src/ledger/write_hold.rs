//! How much longer than its price an acknowledged write counts as in the disk, learnt from the
//! reads that come after it.
//!
//! At its price alone the disk's own queue of writes would have the load 1 and grow without bound,
//! so a write counts for a quarter more. If prices of writes are too low, that is not enough, and
//! the stream that gets the disk alone after the writes finds it busy: a read that is alone takes
//! more than twice its price. That time compared with the time for which writes were held is what
//! the hold lacks.
//!
//! Invariant: between [`LEAST_PERCENT`] and [`MOST_PERCENT`]; without reads that are late it
//! returns to the least.
//!
//! What is not known here: which writes are held, and for whom.

use disktime_units::Nanos;

/// A write counts for this many per cent of its occupancy after it was acknowledged,
const LEAST_PERCENT: u64 = 125;
/// and for so many at most: prices of writes that are half of what they should be.
const MOST_PERCENT: u64 = 250;
/// Judged each time writes were held for so long in all.
const JUDGED_AFTER: Nanos = Nanos::from_millis(50);
/// Late reads of less than one part in so many of the time are chance.
const NOISE_PARTS: u64 = 50;
/// The hold grows by a quarter at once at most,
const GROWTH_PARTS: u64 = 4;
/// and returns by one part in so many of what it is above the least.
const RETURN_PARTS: u64 = 16;

/// The hold of writes beside reserved streams.
#[derive(Debug)]
pub(super) struct WriteHold {
    percent: u64,
    held: Nanos,
    late: Nanos,
}

impl WriteHold {
    pub(super) const fn new() -> WriteHold {
        WriteHold {
            percent: LEAST_PERCENT,
            held: Nanos::ZERO,
            late: Nanos::ZERO,
        }
    }

    /// A write of so much occupancy is acknowledged. How long it counts.
    pub(super) fn hold(&mut self, occupancy: Nanos) -> Nanos {
        let held = Nanos(occupancy.0 * self.percent / 100);
        self.held += held;
        if self.held > JUDGED_AFTER {
            self.judge();
        }
        held
    }

    /// A read that had the disk alone took so long, and its price is this.
    pub(super) fn note_read_alone(&mut self, took: Nanos, price: Nanos) {
        self.late += took.saturating_sub(price + price);
    }

    fn judge(&mut self) {
        let lacking = self.late.0.min(self.held.0 / GROWTH_PARTS);
        if lacking * NOISE_PARTS > self.held.0 {
            self.percent += self.percent * lacking / self.held.0;
            self.percent = self.percent.min(MOST_PERCENT);
        } else {
            self.percent -= (self.percent - LEAST_PERCENT).div_ceil(RETURN_PARTS);
        }
        (self.held, self.late) = (Nanos::ZERO, Nanos::ZERO);
    }
}

#[cfg(test)]
mod tests;
