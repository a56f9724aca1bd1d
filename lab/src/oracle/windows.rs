//! What one stream received on its own account, held against whole periods from the start of a
//! backlog and inside it.
//!
//! Knows only when time was received, not what the scheduler thinks of it.

use disktime_scheduler::Reservation;
use disktime_units::Nanos;

/// Parts per million in one.
const MILLION: i128 = 1_000_000;

/// The worst shortfalls seen, in ppm-nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shortfall {
    /// k·u·p − received over k periods from the start.
    pub from_start: i128,
    /// The same over any k whole periods.
    pub inside: i128,
    /// Period ends counted.
    pub periods: u64,
}

/// A backlog that goes on.
#[derive(Debug, Clone, Copy)]
struct Backlog {
    next_end: Nanos,
    /// Received − due at `next_end` if nothing more were received, at the end before the maximum.
    ahead: i128,
    highest: i128,
}

/// The books of one stream.
#[derive(Debug)]
pub struct Windows {
    per_period: i128,
    period: Nanos,
    backlog: Option<Backlog>,
    worst: Shortfall,
}

impl Windows {
    pub(super) fn new(share_ppm: u32, period: Nanos) -> Windows {
        Windows {
            per_period: i128::from(period.0) * i128::from(share_ppm),
            period,
            backlog: None,
            worst: Shortfall::default(),
        }
    }

    /// It is entitled to something else.
    pub(super) fn change(&mut self, own: Reservation) {
        self.period = own.period;
        self.per_period = i128::from(own.period.0) * i128::from(own.share.0);
    }

    /// The worst shortfalls so far.
    pub(super) fn worst(&self) -> Shortfall {
        self.worst
    }

    /// A backlog begins, so long after the last that the stream starts afresh.
    pub(super) fn begin(&mut self, at: Nanos) {
        self.backlog = Some(Backlog {
            next_end: at + self.period,
            ahead: -self.per_period,
            highest: 0,
        });
    }

    /// It had `own` on its own account from `start` on, until `end`.
    pub(super) fn receive(&mut self, start: Nanos, end: Nanos, own: Nanos) {
        let Some(backlog) = &mut self.backlog else {
            return;
        };
        while backlog.next_end <= end {
            let part = backlog.next_end.0.saturating_sub(start.0).min(own.0);
            let ahead = backlog.ahead + i128::from(part) * MILLION;
            let worst = &mut self.worst;
            worst.from_start = worst.from_start.max(-ahead);
            worst.inside = worst.inside.max(backlog.highest - ahead);
            worst.periods += 1;
            backlog.highest = backlog.highest.max(ahead);
            backlog.ahead -= self.per_period;
            backlog.next_end += self.period;
        }
        backlog.ahead += i128::from(own.0) * MILLION;
    }

    /// What happens from here on is not counted: a service may be in flight, of which it is not
    /// known yet how long it takes.
    pub(super) fn abandon(&mut self) {
        self.backlog = None;
    }

    /// The backlog is over.
    pub(super) fn end(&mut self, at: Nanos) {
        self.receive(at, at, Nanos::ZERO);
        self.backlog = None;
    }
}

#[cfg(test)]
mod tests;
