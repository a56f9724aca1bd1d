//! Pauses of the caller: time in which no stream could be served, such as a stopped process, a
//! suspended machine, a virtual machine that does not run.
//!
//! The scheduler's own time stands still meanwhile, so no stream is charged for a pause, and none
//! is owed what could not be given. Times that come in and go out are the caller's; inside they
//! are without the pauses.
//!
//! Invariant: what a pause cost is counted: its length at the disk, and at each stream with
//! requests the ends of periods that fell into it, as missed.

use super::Scheduler;
use disktime_units::Nanos;

impl Scheduler {
    /// The caller could do nothing for `pause` after the latest time that it named: that time is
    /// no stream's. The next time that it names is after the pause.
    pub fn paused(&mut self, pause: Nanos) {
        self.ledger.count_pause(self.now, pause);
        self.paused = self.paused.saturating_add(pause);
    }

    /// The caller's time without pauses.
    #[inline]
    pub(super) fn inside(&self, now: Nanos) -> Nanos {
        now.saturating_sub(self.paused)
    }

    /// A time of the scheduler as the caller's.
    #[inline]
    pub(super) fn outside(&self, time: Nanos) -> Nanos {
        time.saturating_add(self.paused)
    }
}
