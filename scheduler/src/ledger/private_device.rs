//! What one account would have received of the disk had it been alone: a virtual device of its own.
//!
//! Alone, a stream sees a server that works off a request's *occupancy* and answers its *lone
//! latency* after it started. The clock of that device, advanced by what really completes, is the
//! stream's *solo time*, the currency where requests overlap. Two numbers a request are enough: no
//! depth, mix or rate is configured or measured, and bursts are defined as well.
//!
//! Example, occupancy 3 µs, lone latency 71 µs: a client of depth 1 receives 71 µs with each
//! request, one of depth 32 in the mean 3 µs, one of depth 4 in the mean 18 µs.
//!
//! Invariants: what requests add telescopes to the device's clock whenever the account has nothing
//! outstanding; requests that complete out of order add up to the same.
//!
//! What is not known here: what requests really took, and who else is in the disk.

use disktime_units::Nanos;

/// A device that one account has to itself, in virtual time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PrivateDevice {
    /// V: what has been received.
    received: Nanos,
    /// F: when it will have answered all that was asked of it.
    last_answer: Nanos,
    /// B: when it will have worked off all that was asked of it.
    worked_off: Nanos,
}

impl PrivateDevice {
    /// A request arrives. What it adds: solo time that is received when it completes.
    #[inline]
    pub(crate) fn admit(&mut self, occupancy: Nanos, lone: Nanos) -> Nanos {
        let known = self.last_answer.max(self.received);
        let start = self.worked_off.max(self.received);
        self.worked_off = start.saturating_add(occupancy);
        let answer = start.saturating_add(lone.max(occupancy));
        self.last_answer = known.max(answer);
        self.last_answer - known
    }

    /// A request that added so much is done.
    #[inline]
    pub(crate) fn receive(&mut self, added: Nanos) {
        self.received += added;
    }

    /// V.
    pub(crate) fn received(&self) -> Nanos {
        self.received
    }
}

#[cfg(test)]
mod tests;
