//! What was counted in a window of time: of a disk, and of a stream (a vdisk, a group, background
//! work).
//!
//! Invariant: shares follow from the nanoseconds of the same window, so two windows of the same
//! counters can be subtracted ([`DiskWindow::since`], [`StreamWindow::since`]).

use disktime_units::Nanos;
use serde::{Deserialize, Serialize};

/// The same counters over the last second, the last ten seconds, and since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Windows<W> {
    /// The last second.
    pub last_1s: W,
    /// The last ten seconds.
    pub last_10s: W,
    /// Since the start.
    pub total: W,
}

impl<W: Copy> Windows<W> {
    /// The windows with their names, the shortest first.
    pub fn by_name(&self) -> [(&'static str, W); 3] {
        [
            ("last 1s", self.last_1s),
            ("last 10s", self.last_10s),
            ("total", self.total),
        ]
    }
}

/// What a disk's time was used for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskTimes {
    /// Requests were in the disk.
    pub busy: Nanos,
    /// Charged to streams.
    pub charged: Nanos,
    /// The disk waited deliberately for a stream's next request.
    pub waiting: Nanos,
    /// Paid by the switching account.
    pub switching: Nanos,
}

/// What was counted of a disk in a window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct DiskWindow {
    /// The window's length.
    pub elapsed_ns: u64,
    /// Requests were in the disk.
    pub busy_ns: u64,
    /// Charged to streams.
    pub charged_ns: u64,
    /// The disk waited deliberately for a stream's next request.
    pub waiting_ns: u64,
    /// Paid by the switching account.
    pub switching_ns: u64,
    /// `busy_ns` ÷ `elapsed_ns`.
    pub busy_share: f64,
    /// `charged_ns` ÷ `elapsed_ns`.
    pub charged_share: f64,
    /// `waiting_ns` ÷ `elapsed_ns`.
    pub waiting_share: f64,
    /// `switching_ns` ÷ `elapsed_ns`.
    pub switching_share: f64,
    /// What is left of 1 by `busy_share` and `waiting_share`.
    pub idle_share: f64,
    /// Changes from one stream to another.
    pub switches: u64,
    /// Requests sent to the disk.
    pub requests_dispatched: u64,
}

impl DiskWindow {
    /// A window of that length.
    pub fn new(
        elapsed: Nanos,
        times: DiskTimes,
        switches: u64,
        requests_dispatched: u64,
    ) -> DiskWindow {
        let busy_share = share(times.busy, elapsed);
        let waiting_share = share(times.waiting, elapsed);
        DiskWindow {
            elapsed_ns: elapsed.0,
            busy_ns: times.busy.0,
            charged_ns: times.charged.0,
            waiting_ns: times.waiting.0,
            switching_ns: times.switching.0,
            busy_share,
            charged_share: share(times.charged, elapsed),
            waiting_share,
            switching_share: share(times.switching, elapsed),
            idle_share: rounded((1.0 - busy_share - waiting_share).max(0.0)),
            switches,
            requests_dispatched,
        }
    }

    /// What was counted between an earlier reading of the same counters and this one.
    pub fn since(&self, earlier: &DiskWindow) -> DiskWindow {
        let times = DiskTimes {
            busy: moved(self.busy_ns, earlier.busy_ns),
            charged: moved(self.charged_ns, earlier.charged_ns),
            waiting: moved(self.waiting_ns, earlier.waiting_ns),
            switching: moved(self.switching_ns, earlier.switching_ns),
        };
        DiskWindow::new(
            moved(self.elapsed_ns, earlier.elapsed_ns),
            times,
            self.switches.saturating_sub(earlier.switches),
            self.requests_dispatched
                .saturating_sub(earlier.requests_dispatched),
        )
    }
}

/// The disk time of a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StreamTimes {
    /// Received on its reserved account.
    pub reserved: Nanos,
    /// Received on its spare account, beyond what is reserved.
    pub spare: Nanos,
    /// The part of both in which the disk waited for its next request.
    pub waited: Nanos,
}

/// What is counted of a stream beside its time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StreamCounts {
    /// Periods at whose end it had received what is reserved.
    pub deadlines_met: u64,
    /// Periods at whose end it had not.
    pub deadlines_missed: u64,
    /// Requests completed.
    pub requests: u64,
}

/// What was counted of a stream in a window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct StreamWindow {
    /// The window's length.
    pub elapsed_ns: u64,
    /// Received on its reserved account.
    pub reserved_used_ns: u64,
    /// Received on its spare account, beyond what is reserved.
    pub spare_ns: u64,
    /// The part of both in which the disk waited for its next request.
    pub waited_ns: u64,
    /// (`reserved_used_ns` + `spare_ns`) ÷ `elapsed_ns`.
    pub received_share: f64,
    /// `reserved_used_ns` ÷ `elapsed_ns`.
    pub reserved_used_share: f64,
    /// `spare_ns` ÷ `elapsed_ns`.
    pub spare_share: f64,
    /// `waited_ns` ÷ `elapsed_ns`.
    pub waited_share: f64,
    /// Periods at whose end it had received what is reserved.
    pub deadlines_met: u64,
    /// Periods at whose end it had not.
    pub deadlines_missed: u64,
    /// Requests completed.
    pub requests: u64,
}

impl StreamWindow {
    /// A window of that length.
    pub fn new(elapsed: Nanos, times: StreamTimes, counts: StreamCounts) -> StreamWindow {
        StreamWindow {
            elapsed_ns: elapsed.0,
            reserved_used_ns: times.reserved.0,
            spare_ns: times.spare.0,
            waited_ns: times.waited.0,
            received_share: share(times.reserved + times.spare, elapsed),
            reserved_used_share: share(times.reserved, elapsed),
            spare_share: share(times.spare, elapsed),
            waited_share: share(times.waited, elapsed),
            deadlines_met: counts.deadlines_met,
            deadlines_missed: counts.deadlines_missed,
            requests: counts.requests,
        }
    }

    /// Disk time received, on both accounts.
    pub fn received_ns(&self) -> u64 {
        self.reserved_used_ns + self.spare_ns
    }

    /// What was counted between an earlier reading of the same counters and this one.
    pub fn since(&self, earlier: &StreamWindow) -> StreamWindow {
        let times = StreamTimes {
            reserved: moved(self.reserved_used_ns, earlier.reserved_used_ns),
            spare: moved(self.spare_ns, earlier.spare_ns),
            waited: moved(self.waited_ns, earlier.waited_ns),
        };
        let counts = StreamCounts {
            deadlines_met: self.deadlines_met.saturating_sub(earlier.deadlines_met),
            deadlines_missed: self
                .deadlines_missed
                .saturating_sub(earlier.deadlines_missed),
            requests: self.requests.saturating_sub(earlier.requests),
        };
        StreamWindow::new(moved(self.elapsed_ns, earlier.elapsed_ns), times, counts)
    }
}

fn moved(now: u64, then: u64) -> Nanos {
    Nanos(now.saturating_sub(then))
}

/// A part of a window's length, with six decimals; 0 of an empty window.
fn share(part: Nanos, window: Nanos) -> f64 {
    if window == Nanos::ZERO {
        return 0.0;
    }
    rounded(part.0 as f64 / window.0 as f64)
}

fn rounded(share: f64) -> f64 {
    (share * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests;
