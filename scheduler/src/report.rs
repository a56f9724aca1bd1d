//! What the scheduler counts: cumulative, so that any window is a difference of two readings.

use disktime_units::Nanos;

/// Counters of one stream since it was added. Times are disk time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StreamCounters {
    /// Disk time received on its reserved account, waiting for it included.
    pub reserved: Nanos,
    /// Disk time received from spare time, waiting for it and its switches included.
    pub spare: Nanos,
    /// The part of `reserved + spare` in which the disk waited for this stream's next request.
    pub waited: Nanos,
    /// Periods at whose end it was active and had had what was promised.
    pub deadlines_met: u64,
    /// Periods at whose end requests waited or were in service and more was unspent than the
    /// account's bound.
    pub deadlines_missed: u64,
    /// The largest unspent budget seen at the end of a period with requests waiting, in ns;
    /// negative is a debt.
    pub unspent_max: Option<i64>,
    /// The unspent budget at the last such end, in ns.
    pub unspent_last: i64,
    /// Requests dispatched.
    pub requests: u64,
    /// Dispatches (merged requests count once).
    pub dispatches: u64,
}

impl StreamCounters {
    /// What was unspent at the end of a period with requests waiting.
    pub(crate) fn note_unspent(&mut self, unspent: i64) {
        self.unspent_last = unspent;
        let most = self.unspent_max.map_or(unspent, |old| old.max(unspent));
        self.unspent_max = Some(most);
    }
}

/// Counters of the disk since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskCounters {
    /// Time with at least one request in flight.
    pub busy: Nanos,
    /// Time the disk was kept idle for a stream's next request while others had requests.
    pub waiting: Nanos,
    /// Charges to streams, waiting included.
    pub charged: Nanos,
    /// The part of `charged` that streams used which have been removed since.
    pub charged_to_removed: Nanos,
    /// Paid by the switching account.
    pub switching: Nanos,
    /// Changes of the stream that is served.
    pub switches: u64,
    /// Dispatches.
    pub dispatches: u64,
    /// Dispatches that took longer than W, and where requests overlap longer than W after all that
    /// can be in the disk before them.
    pub overruns: u64,
    /// The longest dispatch.
    pub longest: Nanos,
    /// Time in which the disk was kept for one stream, where requests overlap.
    pub focused: Nanos,
    /// Pauses of the caller.
    pub pauses: u64,
    /// How long they were together: time that is no stream's.
    pub paused: Nanos,
}

/// How full a disk is that overlaps requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OccupancyReading {
    /// H, without regard to who is active.
    pub bound: Nanos,
    /// X: the occupancy of what is in the disk.
    pub filled: Nanos,
    /// The most since the start.
    pub most: Nanos,
    /// How long the disk takes to run empty.
    pub drain: Nanos,
}

/// A disk that is slower than its prices say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slowdown {
    /// Factor of lone latencies, in ppm.
    pub latency_ppm: u64,
    /// Factor of occupancies, in ppm.
    pub occupancy_ppm: u64,
    /// Since when.
    pub since: Nanos,
}
