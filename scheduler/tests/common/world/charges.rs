//! The world's own books: who was charged when, who was backlogged since when, and whether all of it adds up.

use super::World;
use crate::common::books::{Backlog, Segment};
use disktime_scheduler::StreamCounters;
use disktime_units::Nanos;

impl World {
    pub(super) fn end_backlog(&mut self, stream: usize) {
        if let Some((start, fresh)) = self.backlog_since[stream].take() {
            self.backlogs[stream].push(Backlog {
                start,
                end: self.now,
                fresh,
            });
            self.idle_since[stream] = Some(self.now);
        }
    }

    /// Looks which streams were charged by the last call, for time used from `start` on.
    pub(super) fn note_charges(&mut self, start: Nanos) {
        for (index, seen) in self.seen.iter_mut().enumerate() {
            let stream = self.scheduler.stream_at(index).expect("it was added");
            let counters = self.scheduler.stream_counters(stream);
            if counters.reserved > seen.reserved {
                let own = counters.reserved - seen.reserved;
                let start = start.min(self.now.saturating_sub(own));
                let end = self.now;
                self.segments[index].push(Segment { start, end, own });
            }
            let before = seen.reserved + seen.spare;
            let own = counters.reserved + counters.spare - before;
            if own > Nanos::ZERO {
                let start = start.min(self.now.saturating_sub(own));
                let end = self.now;
                self.used[index].push(Segment { start, end, own });
            }
            *seen = counters;
        }
    }

    pub fn counters(&self, stream: usize) -> StreamCounters {
        self.scheduler.stream_counters(self.stream(stream))
    }

    /// Disk time of all kinds.
    pub fn received(&self, stream: usize) -> Nanos {
        let counters = self.counters(stream);
        counters.reserved + counters.spare
    }

    /// Charges to streams + switching account = busy + waiting, all seen from both sides. Call
    /// after `drain`.
    pub fn assert_charges_add_up(&self, context: &str) {
        let disk = self.scheduler.disk_counters(self.now);
        let streams = 0..self.clients.len();
        let charged: Nanos = streams
            .map(|stream| self.counters(stream).reserved + self.counters(stream).spare)
            .sum();
        assert_eq!(charged, disk.charged, "{context}: sum over streams");
        assert_eq!(disk.busy, self.busy, "{context}: busy time");
        assert_eq!(
            charged + disk.switching,
            disk.busy + disk.waiting,
            "{context}: I2"
        );
        assert_eq!(
            self.now,
            self.busy + self.empty + self.asleep,
            "{context}: the clock"
        );
        if !self.has_limits {
            assert_eq!(
                disk.waiting, self.asleep,
                "{context}: asleep with requests queued"
            );
        }
    }
}
