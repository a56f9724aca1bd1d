//! What one stream has: its own time, what it has in flight, its debt, and its weight.
//!
//! Times are in nanoseconds times a million, so that a rate in parts per million is exact.
//!
//! What is not known here: the other streams.

use disktime_units::Nanos;
use std::collections::VecDeque;

/// A cost as time of the device.
pub(super) fn absolute(cost: Nanos) -> i128 {
    i128::from(cost.0) * super::clock::WHOLE_RATE
}

/// A stream.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// Configured; 0 while it is not active.
    pub(super) active: i128,
    /// Of it, what is not lent to others.
    pub(super) inuse: i128,
    /// `inuse` when it was last active.
    pub(super) last_inuse: i128,
    /// How far behind the device's time it was when `inuse` was last set.
    pub(super) saved_margin: i128,
    /// Its own time: it advances when a request goes.
    pub(super) vtime: i128,
    /// What requests in flight have added to it, in order.
    in_flight: VecDeque<i128>,
    in_flight_sum: i128,
    /// Cost that it has to pay before its next request goes.
    pub(super) debt: i128,
    /// Cost of what it sent in this period.
    pub(super) used: i128,
    /// The period in which it last had a request.
    pub(super) active_in: u64,
    pub(super) activated_at: Nanos,
    /// When its next request may go, as far as that was worked out.
    pub(super) due: Option<Due>,
}

/// A time that holds for a request and a division of shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) at: i128,
    pub(super) cost: Nanos,
    pub(super) division: u64,
}

impl Account {
    /// It becomes active at `vtime`.
    pub(super) fn begins(&mut self, vtime: i128, now: Nanos, period: u64) {
        self.vtime = vtime;
        self.saved_margin = i128::MAX;
        self.activated_at = now;
        self.active_in = period;
        self.used = 0;
        self.due = None;
    }

    /// It sends what costs so much: of its time, and of the device's.
    pub(super) fn sends(&mut self, time: i128, absolute: i128) {
        self.vtime += time;
        self.used += absolute;
        self.in_flight.push_back(time);
        self.in_flight_sum += time;
        self.due = None;
    }

    /// One of its requests is done.
    pub(super) fn completes(&mut self) {
        if let Some(time) = self.in_flight.pop_front() {
            self.in_flight_sum -= time;
        }
    }

    pub(super) fn has_in_flight(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// What is in flight, of its time.
    pub(super) fn in_flight(&self) -> i128 {
        self.in_flight_sum
    }

    /// Its time up to which all is done.
    pub(super) fn done(&self) -> i128 {
        self.vtime - self.in_flight_sum
    }

    /// Takes so much of its saved time.
    pub(super) fn gives_up(&mut self, time: i128) {
        self.vtime += time;
        self.due = None;
    }
}
