//! Disk time over time: counters read at regular times, and the disk time of each interval.
//!
//! A request's time is counted when it completes, so an interval can count more than it is long;
//! the excess was used just before and is moved there. Invariants: memory is bounded whatever
//! the duration and the number of streams; the parts of an interval add up to at most its length.

use disktime_engine::{Scheduler, StreamId};
use disktime_units::Nanos;

/// The most intervals that a picture shows.
const MOST_INTERVALS: u64 = 120;
/// The fewest, if periods are shorter.
const FEWEST_INTERVALS: u64 = 20;
/// Readings in a run, so that each is less than a dot of the picture wide;
const READINGS: u64 = 2_000;
/// fewer if the counters of all streams would take too much memory.
const READINGS_OF_STREAMS: u64 = 2_000_000;

/// How often counters are read, and the interval over which they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sampling {
    /// Time between two readings; `interval` is a multiple of it.
    every: Nanos,
    /// The length of an interval.
    interval: Nanos,
}

impl Sampling {
    /// For a run of that length with so many streams: intervals of a round length that are not
    /// shorter than a period, if there are enough of them.
    pub(super) fn new(duration: Nanos, shortest_period: Option<Nanos>, streams: usize) -> Sampling {
        let duration = duration.0.max(1);
        let fewest = duration / FEWEST_INTERVALS;
        let by_period = shortest_period.map_or(0, |period| period.0.min(fewest));
        let interval = round_up(by_period.max(duration / MOST_INTERVALS).max(1));
        let readings =
            (READINGS_OF_STREAMS / streams.max(1) as u64).clamp(MOST_INTERVALS, READINGS);
        let finest = duration.div_ceil(readings);
        let parts = [500, 200, 100, 50, 20, 10, 5, 2, 1]
            .into_iter()
            .find(|parts| interval.is_multiple_of(*parts) && interval / parts >= finest)
            .unwrap_or(1);
        Sampling {
            every: Nanos(interval / parts),
            interval: Nanos(interval),
        }
    }

    /// Time between two readings.
    pub(super) fn every(&self) -> Nanos {
        self.every
    }

    /// The length of an interval.
    pub(super) fn interval(&self) -> Nanos {
        self.interval
    }
}

/// The next 1, 2 or 5 times a power of ten.
fn round_up(value: u64) -> u64 {
    let mut power = 1u64;
    loop {
        for step in [1, 2, 5] {
            let round = power.saturating_mul(step);
            if round >= value {
                return round;
            }
        }
        power = power.saturating_mul(10);
    }
}

/// Cumulative counters of one stream.
#[derive(Debug, Clone, Copy, Default)]
struct Reading {
    reserved: Nanos,
    spare: Nanos,
    met: u64,
    missed: u64,
}

/// The counters of a disk at regular times.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    times: Vec<Nanos>,
    switching: Vec<Nanos>,
    /// By time, then stream.
    readings: Vec<Vec<Reading>>,
}

impl DiskReading {
    fn subtract(&mut self, before: &DiskReading) {
        self.switching = self.switching.saturating_sub(before.switching);
        for (now, then) in self.streams.iter_mut().zip(&before.streams) {
            *now = Reading {
                reserved: now.reserved.saturating_sub(then.reserved),
                spare: now.spare.saturating_sub(then.spare),
                met: now.met.saturating_sub(then.met),
                missed: now.missed.saturating_sub(then.missed),
            };
        }
    }
}

/// Disk time in an interval, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Used {
    /// On the reserved account.
    pub(super) reserved: f64,
    /// Spare time.
    pub(super) spare: f64,
}

impl Used {
    /// On both accounts.
    pub(super) fn total(self) -> f64 {
        self.reserved + self.spare
    }

    fn add(&mut self, more: Used) {
        self.reserved += more.reserved;
        self.spare += more.spare;
    }
}

/// What happened in an interval.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Interval {
    /// When it began.
    from: Nanos,
    /// When it ended.
    to: Nanos,
    /// By stream.
    streams: Vec<Used>,
    /// The switching account, in nanoseconds.
    switching: f64,
}

/// Deadlines between two readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deadlines {
    /// When they were counted.
    pub(super) at: Nanos,
    /// How many were met.
    pub(super) met: u64,
    /// How many were missed.
    pub(super) missed: u64,
}

/// The counters of a disk at a moment.
#[derive(Debug)]
pub(crate) struct DiskReading {
    at: Nanos,
    switching: Nanos,
    /// By stream.
    streams: Vec<Reading>,
}

impl DiskReading {
    /// Reads the counters.
    pub(crate) fn take(now: Nanos, scheduler: &Scheduler) -> DiskReading {
        let reading = |stream: StreamId| {
            let counters = scheduler.stream_counters(stream);
            Reading {
                reserved: counters.reserved,
                spare: counters.spare,
                met: counters.deadlines_met,
                missed: counters.deadlines_missed,
            }
        };
        DiskReading {
            at: now,
            switching: scheduler.disk_counters(now).switching,
            streams: scheduler.streams().map(reading).collect(),
        }
    }

    /// When it was taken.
    pub(crate) fn at(&self) -> Nanos {
        self.at
    }
}

impl Timeline {
    /// Reads the counters.
    pub(super) fn sample(&mut self, now: Nanos, scheduler: &Scheduler) {
        self.add(DiskReading::take(now, scheduler));
    }

    /// Adds a reading, which is not earlier than the last one.
    fn add(&mut self, reading: DiskReading) {
        if self.times.last().is_some_and(|last| *last >= reading.at) {
            // The last regular time can be the end of the run, which is read again after its
            // requests.
            self.times.pop();
            self.switching.pop();
            self.readings.pop();
        }
        self.times.push(reading.at);
        self.switching.push(reading.switching);
        self.readings.push(reading.streams);
    }

    /// What the readings count from `origin` to `end`, with times from `origin` on. The last
    /// reading at or before `origin` is what counts as nothing yet.
    pub(crate) fn between(
        readings: impl IntoIterator<Item = DiskReading>,
        origin: Nanos,
        end: Nanos,
    ) -> Timeline {
        let mut timeline = Timeline::default();
        let mut before: Option<DiskReading> = None;
        for mut reading in readings {
            if reading.at <= origin {
                before = Some(reading);
                continue;
            }
            if reading.at > end {
                break;
            }
            reading.at -= origin;
            if let Some(before) = &before {
                reading.subtract(before);
            }
            timeline.add(reading);
        }
        timeline
    }

    /// The deadlines of a stream, in order of time.
    pub(super) fn deadlines(&self, stream: StreamId) -> Vec<Deadlines> {
        let mut all = Vec::new();
        let (mut met, mut missed) = (0, 0);
        for (at, streams) in self.times.iter().zip(&self.readings) {
            let reading = streams[stream.index()];
            if (reading.met, reading.missed) != (met, missed) {
                all.push(Deadlines {
                    at: *at,
                    met: reading.met - met,
                    missed: reading.missed - missed,
                });
            }
            (met, missed) = (reading.met, reading.missed);
        }
        all
    }

    /// What happened in each interval of that length; the last may be shorter.
    pub(super) fn intervals(&self, length: Nanos) -> Vec<Interval> {
        let mut intervals: Vec<Interval> = Vec::new();
        for part in self.parts() {
            match intervals.last_mut() {
                Some(last) if part.from.0 / length.0.max(1) == last.from.0 / length.0.max(1) => {
                    last.extend(&part);
                }
                _ => intervals.push(part),
            }
        }
        intervals
    }

    /// The disk time between every two readings, with the excess moved to the interval before.
    fn parts(&self) -> Vec<Interval> {
        let mut parts: Vec<Interval> = (0..self.times.len())
            .map(|index| self.part(index))
            .collect();
        for index in (1..parts.len()).rev() {
            if let Some(excess) = parts[index].take_excess() {
                parts[index - 1].add(&excess);
            }
        }
        if let Some(first) = parts.first_mut() {
            first.take_excess();
        }
        parts
    }

    fn part(&self, index: usize) -> Interval {
        let before = index.checked_sub(1);
        let difference = |now: Nanos, then: Nanos| now.saturating_sub(then).0 as f64;
        let streams = self.readings[index]
            .iter()
            .enumerate()
            .map(|(stream, now)| {
                let then = before.map_or_else(Reading::default, |at| self.readings[at][stream]);
                Used {
                    reserved: difference(now.reserved, then.reserved),
                    spare: difference(now.spare, then.spare),
                }
            });
        Interval {
            from: before.map_or(Nanos::ZERO, |at| self.times[at]),
            to: self.times[index],
            streams: streams.collect(),
            switching: difference(
                self.switching[index],
                before.map_or(Nanos::ZERO, |at| self.switching[at]),
            ),
        }
    }
}

impl Interval {
    /// When it began.
    pub(super) fn start(&self) -> Nanos {
        self.from
    }

    /// When it ended.
    pub(super) fn end(&self) -> Nanos {
        self.to
    }

    /// What some of the streams used together.
    pub(super) fn used_by(&self, streams: &[StreamId]) -> Used {
        let mut all = Used::default();
        for stream in streams {
            all.add(self.streams[stream.index()]);
        }
        all
    }

    /// What the switching account used, and all streams but those.
    pub(super) fn used_by_others(&self, streams: &[StreamId]) -> f64 {
        let is_other = |index: usize| streams.iter().all(|stream| stream.index() != index);
        let others = self.streams.iter().enumerate();
        let others = others.filter(|(index, _)| is_other(*index));
        others.map(|(_, used)| used.total()).sum::<f64>() + self.switching
    }

    /// Its length in nanoseconds.
    pub(super) fn length(&self) -> f64 {
        self.to.saturating_sub(self.from).0 as f64
    }

    fn used(&self) -> f64 {
        let streams = self.streams.iter().map(|used| used.total());
        streams.sum::<f64>() + self.switching
    }

    /// Removes and returns what does not fit into its length.
    fn take_excess(&mut self) -> Option<Interval> {
        let used = self.used();
        if used <= self.length() {
            return None;
        }
        let mut excess = self.clone();
        let fits = self.length() / used;
        self.scale(fits);
        excess.scale(1.0 - fits);
        Some(excess)
    }

    fn scale(&mut self, factor: f64) {
        for used in &mut self.streams {
            used.reserved *= factor;
            used.spare *= factor;
        }
        self.switching *= factor;
    }

    fn add(&mut self, other: &Interval) {
        for (used, more) in self.streams.iter_mut().zip(&other.streams) {
            used.add(*more);
        }
        self.switching += other.switching;
    }

    /// Adds the part that follows it.
    fn extend(&mut self, next: &Interval) {
        self.to = next.to;
        self.add(next);
    }
}

#[cfg(test)]
mod tests;
