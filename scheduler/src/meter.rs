//! Which requests used the disk's busy time, when they overlap.
//!
//! While requests are in flight together, each is charged `∫ c / Σ c · dt` with c its price: the
//! busy time is split in proportion to what the requests cost, and with one request in flight the
//! charge is its measured time. One running integral serves all of them, so that an event costs
//! O(1). Charges add up to the busy time exactly whenever the disk is empty: the last request to
//! leave takes what rounding left over (less than a nanosecond a request).

use disktime_units::Nanos;

/// Fixed-point fraction bits of the running integral.
const FRACTION_BITS: u32 = 32;

/// Splits busy time among requests in flight.
#[derive(Debug, Default)]
pub(crate) struct BusyMeter {
    last: Nanos,
    in_flight: usize,
    weight_in_flight: u64,
    integral: u128,
    busy: Nanos,
    charged: Nanos,
}

/// What the meter remembers of a request in flight.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MeterMark {
    weight: u64,
    integral_at_start: u128,
}

impl BusyMeter {
    /// A request of price `price` goes to the disk.
    pub(crate) fn start(&mut self, now: Nanos, price: Nanos) -> MeterMark {
        self.advance(now);
        let weight = price.0.max(1);
        self.in_flight += 1;
        self.weight_in_flight += weight;
        MeterMark {
            weight,
            integral_at_start: self.integral,
        }
    }

    /// That request is done; its part of the busy time.
    pub(crate) fn finish(&mut self, now: Nanos, mark: MeterMark) -> Nanos {
        self.advance(now);
        assert!(self.in_flight > 0, "a request finished that never started");
        self.in_flight -= 1;
        self.weight_in_flight -= mark.weight;
        let left = self.busy - self.charged;
        let charge = if self.in_flight == 0 {
            left
        } else {
            let span = self.integral - mark.integral_at_start;
            let part = (span * u128::from(mark.weight)) >> FRACTION_BITS;
            Nanos(u64::try_from(part).unwrap_or(u64::MAX)).min(left)
        };
        self.charged += charge;
        charge
    }

    /// The time that at least one request was in flight.
    pub(crate) fn busy(&self, now: Nanos) -> Nanos {
        if self.in_flight > 0 {
            self.busy + now.saturating_sub(self.last)
        } else {
            self.busy
        }
    }

    fn advance(&mut self, now: Nanos) {
        let elapsed = now.saturating_sub(self.last);
        self.last = self.last.max(now);
        if self.in_flight > 0 && elapsed > Nanos::ZERO {
            self.busy += elapsed;
            // In 64 bits up to four seconds: a division of 128 costs several times as much.
            self.integral += if elapsed.0 >> FRACTION_BITS == 0 {
                u128::from((elapsed.0 << FRACTION_BITS) / self.weight_in_flight)
            } else {
                (u128::from(elapsed.0) << FRACTION_BITS) / u128::from(self.weight_in_flight)
            };
        }
    }
}

#[cfg(test)]
mod tests;
