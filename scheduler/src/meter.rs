//! Who used the disk's busy time, when requests overlap.
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
            self.integral +=
                (u128::from(elapsed.0) << FRACTION_BITS) / u128::from(self.weight_in_flight);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_lone_request_is_charged_its_measured_time() {
        let mut meter = BusyMeter::default();
        let mark = meter.start(Nanos(100), Nanos(7));
        assert_eq!(meter.finish(Nanos(350), mark), Nanos(250));
        assert_eq!(meter.busy(Nanos(1000)), Nanos(250));
    }

    #[test]
    fn overlapping_requests_share_by_price() {
        let mut meter = BusyMeter::default();
        let cheap = meter.start(Nanos(0), Nanos(100));
        let dear = meter.start(Nanos(0), Nanos(300));
        let (cheap, dear) = (
            meter.finish(Nanos(400), cheap),
            meter.finish(Nanos(400), dear),
        );
        assert_eq!((cheap, dear), (Nanos(100), Nanos(300)));
    }

    proptest! {
        #[test]
        fn charges_add_up_to_the_busy_time_whenever_the_disk_is_empty(
            steps in proptest::collection::vec((0u64..1_000, 1u64..1_000_000, any::<bool>()), 1..200)
        ) {
            let mut meter = BusyMeter::default();
            let mut flights = std::collections::VecDeque::new();
            let (mut now, mut charged) = (Nanos::ZERO, Nanos::ZERO);
            for (wait, price, start) in steps {
                now += Nanos(wait);
                if start || flights.is_empty() {
                    flights.push_back(meter.start(now, Nanos(price)));
                } else if let Some(mark) = flights.pop_front() {
                    charged += meter.finish(now, mark);
                }
                prop_assert!(charged <= meter.busy(now));
            }
            while let Some(mark) = flights.pop_front() {
                now += Nanos(1);
                charged += meter.finish(now, mark);
            }
            prop_assert_eq!(charged, meter.busy(now));
        }
    }
}
