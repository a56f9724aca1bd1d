//! The hard disk itself: a head over turning platters, and a cache in front of it.
//!
//! A request's time: command overhead, then either the cache serves it over the bus, or the arm
//! moves to its cylinder, the platter turns to its first sector, the sectors pass under the head,
//! track after track, while the bus transfers them. After a read the drive reads ahead into the
//! cache until the next command. The platter's angle is the time modulo a turn, so the order and
//! the timing of requests matter as they do on a drive.
//!
//! With the write cache on, a write is reported when the cache has it; dirty runs are written to
//! the medium in idle time, oldest first, and a run that has begun is finished before the arm is
//! free.
//!
//! Invariants: integer nanoseconds, no randomness, no allocation per request; two models given the
//! same calls return the same times. A request never ends before it starts.
//! Not modelled: command queueing, defects, thermal recalibration, half-written 4 KiB sectors.

mod bounds;
mod reading;

pub(super) use bounds::HDD_QUANTUM_BYTES;
pub use bounds::{MeanTime, ZoneSummary};

use super::arm::Arm;
use super::cache::{DirtyQueue, Segments};
use super::geometry::Geometry;
use super::parameters::{
    HddError, HddParameters, ReadAheadPolicy, ReadBefore, SECTOR_BYTES, WriteInvalidation,
};
use super::seek::SeekTable;
use super::timing::Timing;
use crate::{Operation, ServiceModel};
use disktime_units::Nanos;

/// A running read-ahead: the head is about to read `next` at time `at`.
#[derive(Debug, Clone, Copy)]
struct ReadAhead {
    segment: usize,
    next: u64,
    at: Nanos,
    /// Reads ahead up to this sector.
    limit: u64,
    /// The sectors from this one to the segment's start are in the cache too, from a time on.
    before: Option<(u64, Nanos)>,
}

/// How the last read or write was served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Served {
    /// A read, from the cache.
    FromCache,
    /// From or to the cylinder where the arm was.
    Near,
    /// From or to another cylinder.
    Far,
}

/// A modelled hard disk and its state.
#[derive(Debug, Clone)]
pub struct HddModel {
    arm: Arm,
    size_bytes: u64,
    write_cache: bool,
    policy: CachePolicy,
    segments: Segments,
    dirty: DirtyQueue,
    read_ahead: Option<ReadAhead>,
    /// When the last command was answered.
    answered: Nanos,
    /// When the arm has finished what it is doing.
    mechanism_free: Nanos,
    last_was_write: bool,
    last_served: Served,
    /// Where the last read ended.
    last_read_end: u64,
}

/// What the cache does, from the parameters.
#[derive(Debug, Clone, Copy)]
struct CachePolicy {
    read_ahead: ReadAheadPolicy,
    read_ahead_sectors: u64,
    keeps: bool,
    before: ReadBefore,
    write_invalidates: WriteInvalidation,
    reads_hit_writes: bool,
}

impl HddModel {
    /// The whole drive.
    ///
    /// # Errors
    /// A sentence that names the field that is wrong.
    pub fn new(parameters: &HddParameters) -> Result<HddModel, HddError> {
        HddModel::scaled_to(parameters, parameters.size_bytes())
    }

    /// The drive serving `size_bytes`: fewer cylinders with the seeks of the whole drive, or its
    /// outer part where the parameters say `short_stroke`.
    ///
    /// # Errors
    /// A sentence that names the field that is wrong, or says why the size is not possible.
    pub fn scaled_to(parameters: &HddParameters, size_bytes: u64) -> Result<HddModel, HddError> {
        parameters.validate()?;
        let mut geometry = Geometry::new(parameters, size_bytes)?;
        let seeks = SeekTable::new(parameters, geometry.cylinders, geometry.scaled);
        let mut timing = Timing::new(parameters);
        if timing.track_switch.is_none() && parameters.skew_rev > 0.0 {
            // A skew given in turns for the whole drive is the drive's track-to-track time.
            let skew = Nanos((parameters.skew_rev * geometry.turn_ns as f64) as u64);
            timing.track_switch = Some(seeks.time(1).min(skew));
        }
        geometry.align_borders(|distance| seeks.time(distance).max(timing.head_switch).0);
        let cache_sectors =
            u64::from(parameters.cache_segments) * u64::from(parameters.seg_sectors);
        let dirty_limit = parameters
            .write_cache_sectors
            .map_or(cache_sectors / 2, u64::from);
        let read_ahead_sectors = parameters
            .read_ahead_sectors
            .unwrap_or(parameters.seg_sectors);
        Ok(HddModel {
            arm: Arm::new(geometry, seeks, timing),
            size_bytes,
            write_cache: parameters.write_cache,
            policy: CachePolicy {
                read_ahead: parameters.read_ahead,
                read_ahead_sectors: u64::from(read_ahead_sectors),
                keeps: parameters.read_ahead_keeps,
                before: parameters.read_before,
                write_invalidates: parameters.write_invalidates,
                reads_hit_writes: parameters.reads_hit_writes,
            },
            segments: Segments::new(parameters.cache_segments, parameters.seg_sectors),
            dirty: DirtyQueue::new(dirty_limit),
            read_ahead: None,
            answered: Nanos::ZERO,
            mechanism_free: Nanos::ZERO,
            last_was_write: false,
            last_served: Served::Far,
            last_read_end: u64::MAX,
        })
    }

    /// Size of the address space: exactly the size given.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Whether writes are reported before they are on the medium.
    pub fn write_cache(&self) -> bool {
        self.write_cache
    }

    /// The arm, with geometry, seeks and overheads.
    pub(super) fn arm(&self) -> &Arm {
        &self.arm
    }

    /// One turn of the platters.
    pub fn turn(&self) -> Nanos {
        Nanos(self.arm.geometry().turn_ns)
    }

    /// Serves a request that arrives at `start` and says when it is done. A command that arrives
    /// before the previous one is answered waits for it.
    pub fn serve(
        &mut self,
        start: Nanos,
        operation: Operation,
        offset_bytes: u64,
        len_bytes: u64,
    ) -> Nanos {
        let start = start.max(self.answered);
        self.work_until(start);
        let first = offset_bytes / SECTOR_BYTES;
        let end = (offset_bytes + len_bytes)
            .div_ceil(SECTOR_BYTES)
            .min(self.arm.geometry().sectors());
        let finish = match operation {
            Operation::Flush => self.flush(start),
            Operation::Discard => {
                start + self.arm.timing().read_hit[usize::from(self.last_was_write)]
            }
            _ if first >= end => {
                start + self.arm.timing().read_hit[usize::from(self.last_was_write)]
            }
            Operation::Read => self.read(start, first, end),
            Operation::Write => self.write(start, first, end, true),
            Operation::WriteZeroes => self.write(start, first, end, false),
        };
        if matches!(
            operation,
            Operation::Read | Operation::Write | Operation::WriteZeroes
        ) {
            self.last_was_write = operation != Operation::Read;
        }
        self.answered = finish;
        finish
    }

    /// Read-ahead and destaging between the last answer and the next command.
    fn work_until(&mut self, until: Nanos) {
        if let Some(mut ahead) = self.read_ahead {
            self.read_on(&mut ahead, until);
            self.read_ahead = Some(ahead);
        }
        let mut now = self.mechanism_free.max(self.answered);
        while now < until {
            let Some((first, end)) = self.dirty.pop() else {
                break;
            };
            now = self.destage(now, first, end);
        }
    }

    /// Writes a dirty run to the medium; returns when it is there.
    fn destage(&mut self, now: Nanos, first: u64, end: u64) -> Nanos {
        self.read_ahead = None;
        let settle = self.arm.timing().write_settle;
        let place = self.arm.geometry().locate(first);
        self.mechanism_free = self.arm.access(now, now, place, first, end, settle).done;
        self.mechanism_free
    }

    fn write(&mut self, start: Nanos, first: u64, end: u64, over_bus: bool) -> Nanos {
        let after = usize::from(self.last_was_write);
        let place = self.arm.geometry().locate(first);
        let (served, overhead) = if self.arm.is_over(place) {
            (Served::Near, self.arm.timing().write_hit)
        } else {
            (Served::Far, self.arm.timing().write_miss)
        };
        self.last_served = served;
        let bus = if over_bus {
            self.arm.timing().bus(end - first)
        } else {
            Nanos::ZERO
        };
        let received = start + overhead[after] + bus;
        self.read_ahead = None;
        self.segments
            .invalidate(first, end, self.policy.write_invalidates);
        if self.policy.reads_hit_writes
            && let Some(segment) = self.segments.allocate(first)
        {
            self.segments.extend(segment, end);
        }
        if self.write_cache && self.dirty.can_ever_hold(end - first) {
            let begin = start + overhead[after];
            let mut room_at = begin;
            while !self.dirty.has_room(end - first) {
                let Some((dirty_first, dirty_end)) = self.dirty.pop() else {
                    break;
                };
                let from = self.mechanism_free.max(start);
                room_at = self.destage(from, dirty_first, dirty_end).max(begin);
            }
            self.dirty.push(first, end);
            return room_at + bus;
        }
        // The bus fills the buffer while the arm moves. A bus slower than the medium must be done
        // before the first sector passes under the head, or the buffer would run dry.
        let medium_ns = self.arm.geometry().turn_ns / u64::from(place.sectors_per_track);
        let slow_bus = self.arm.timing().bus(1).0 > medium_ns;
        let begin = (start + overhead[after]).max(self.mechanism_free);
        let begin = if slow_bus && over_bus {
            begin.max(received)
        } else {
            begin
        };
        let settle = self.arm.timing().write_settle;
        let passage = self.arm.access(begin, begin, place, first, end, settle);
        self.mechanism_free = passage.done;
        passage.done.max(received)
    }

    fn flush(&mut self, start: Nanos) -> Nanos {
        let mut now = start + self.arm.timing().write_hit[usize::from(self.last_was_write)];
        if self.write_cache {
            // A run whose destaging has begun must be finished too.
            now = now.max(self.mechanism_free);
        }
        while let Some((first, end)) = self.dirty.pop() {
            now = self.destage(now, first, end);
        }
        now
    }

    /// How the last read or write was served.
    pub(crate) fn last_served(&self) -> Served {
        self.last_served
    }

    /// Forgets all state: the head at the outermost cylinder, an empty cache, time zero.
    pub fn reset(&mut self) {
        self.segments.clear();
        while self.dirty.pop().is_some() {}
        self.arm.reset();
        self.read_ahead = None;
        (self.answered, self.mechanism_free) = (Nanos::ZERO, Nanos::ZERO);
        (self.last_was_write, self.last_served) = (false, Served::Far);
        self.last_read_end = u64::MAX;
    }

    /// Whether the cache holds dirty sectors.
    pub fn has_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }
}

impl ServiceModel for HddModel {
    fn serve(
        &mut self,
        start: Nanos,
        operation: Operation,
        offset_bytes: u64,
        len_bytes: u64,
    ) -> Nanos {
        HddModel::serve(self, start, operation, offset_bytes, len_bytes)
    }
}

#[cfg(test)]
mod tests;
