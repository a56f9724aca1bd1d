//! The hard disk itself: a head over turning platters, and a cache in front of it.
//!
//! A request's time: command overhead, then either the cache serves it over the bus, or the arm
//! moves to its cylinder, the platter turns to its first sector, the sectors pass under the head,
//! track after track, while the bus carries them. After a read the drive reads on into the cache
//! until the next command. The platter's angle is the time modulo a turn, so the order and the
//! timing of requests matter as they do on a drive.
//!
//! With the write cache on, a write is reported when the cache has it; what is dirty goes to the
//! medium in idle time, oldest first, and a run that has begun is finished before the arm is free.
//!
//! Invariants: integer nanoseconds, no randomness, no allocation per request; two models given
//! the same calls answer the same. A request never ends before it starts.
//! Not modelled: command queueing, defects, thermal recalibration, half-written 4 KiB sectors.

use super::arm::Arm;
use super::cache::{DirtyQueue, Segments};
use super::geometry::Geometry;
use super::parameters::{HddError, HddParameters, ReadAheadPolicy, SECTOR_BYTES};
use super::seek::SeekTable;
use super::timing::Timing;
use crate::{Operation, ServiceModel};
use disktime_units::Nanos;

/// The drive reading on: the head is about to read `next` at time `at`.
#[derive(Debug, Clone, Copy)]
struct ReadAhead {
    segment: usize,
    next: u64,
    at: Nanos,
    /// Reads on up to this sector.
    limit: u64,
}

/// A modelled hard disk and its state.
#[derive(Debug, Clone)]
pub struct HddModel {
    pub(crate) arm: Arm,
    size_bytes: u64,
    write_cache: bool,
    read_ahead_sectors: u64,
    segments: Segments,
    dirty: DirtyQueue,
    read_ahead: Option<ReadAhead>,
    /// When the last command was answered.
    answered: Nanos,
    /// When the arm has finished what it is doing.
    mechanism_free: Nanos,
    last_was_write: bool,
    /// Whether the last read or write was served as the cache's.
    last_was_hit: bool,
    /// The sectors of the last write.
    last_write: (u64, u64),
    /// Where the last read ended.
    last_read_end: u64,
    sequential_read_ahead: bool,
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
            // A skew given in turns for the whole drive is the drive's own track-to-track time.
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
            read_ahead_sectors: u64::from(read_ahead_sectors),
            segments: Segments::new(parameters.cache_segments, parameters.seg_sectors),
            dirty: DirtyQueue::new(dirty_limit),
            read_ahead: None,
            answered: Nanos::ZERO,
            mechanism_free: Nanos::ZERO,
            last_was_write: false,
            last_was_hit: false,
            last_write: (u64::MAX, 0),
            last_read_end: u64::MAX,
            sequential_read_ahead: parameters.read_ahead == ReadAheadPolicy::Sequential,
        })
    }

    /// Size of the address space: exactly what was asked for.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Whether writes are reported before they are on the medium.
    pub fn write_cache(&self) -> bool {
        self.write_cache
    }

    /// One turn of the platters.
    pub fn turn(&self) -> Nanos {
        Nanos(self.arm.geometry.turn_ns)
    }

    /// Serves a request that arrives at `start` and says when it is done. A command that arrives
    /// before the former one is answered waits for it.
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
            .min(self.arm.geometry.sectors());
        let finish = match operation {
            Operation::Flush => self.flush(start),
            Operation::Discard => {
                start + self.arm.timing.read_hit[usize::from(self.last_was_write)]
            }
            _ if first >= end => start + self.arm.timing.read_hit[usize::from(self.last_was_write)],
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

    /// What the drive does by itself between the last answer and the next command.
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
            now = self.access(now, first, end, self.arm.timing.write_settle).1;
            self.mechanism_free = now;
        }
    }

    fn read(&mut self, start: Nanos, first: u64, end: u64) -> Nanos {
        let after = usize::from(self.last_was_write);
        let bus = self.arm.timing.bus(end - first);
        let sequential = first == self.last_read_end;
        self.last_read_end = end;
        let found = self.segments.find(first);
        self.last_was_hit = true;
        if let Some(index) = found {
            if end <= self.segments.get(index).end {
                self.prolong_read_ahead(index, end);
                return start + self.arm.timing.read_hit[after] + bus;
            }
            if let Some(finish) = self.read_from_stream(start, index, first, end) {
                return finish;
            }
        }
        self.last_was_hit = false;
        // What a segment already holds of the start need not be read again.
        let from = found.map_or(first, |index| self.segments.get(index).end.max(first));
        let begin = (start + self.arm.timing.read_miss[after]).max(self.mechanism_free);
        let segment = found.or_else(|| self.segments.allocate(first));
        let (reached, done) = self.access(begin, from, end, Nanos::ZERO);
        self.mechanism_free = done;
        self.start_read_ahead(
            segment,
            end,
            done,
            sequential || !self.sequential_read_ahead,
        );
        self.last_sector_over_bus(reached + bus, done)
    }

    /// A read that the running read-ahead is about to reach waits for it.
    fn read_from_stream(
        &mut self,
        start: Nanos,
        index: usize,
        first: u64,
        end: u64,
    ) -> Option<Nanos> {
        let mut ahead = self.read_ahead.filter(|ahead| ahead.segment == index)?;
        if ahead.at < start && ahead.next >= ahead.limit {
            // It had stopped; the platter has turned on since.
            return None;
        }
        let after = usize::from(self.last_was_write);
        ahead.limit = ahead.limit.max(end);
        while ahead.next < end {
            let place = self.arm.geometry.locate(ahead.next);
            let count = u64::from(place.sectors_per_track - place.sector).min(end - ahead.next);
            ahead.at = self.arm.pass(ahead.at, place, count as u32, Nanos::ZERO).1;
            ahead.next += count;
        }
        self.segments.extend(index, end);
        self.read_ahead = Some(ahead);
        self.mechanism_free = ahead.at;
        self.prolong_read_ahead(index, end);
        let over_bus = start + self.arm.timing.read_hit[after] + self.arm.timing.bus(end - first);
        Some(self.last_sector_over_bus(over_bus, ahead.at))
    }

    /// The bus carries sectors while later ones are read; the last can follow only when read.
    fn last_sector_over_bus(&self, over_bus: Nanos, read: Nanos) -> Nanos {
        over_bus.max(read + self.arm.timing.bus(1))
    }

    fn start_read_ahead(&mut self, segment: Option<usize>, end: u64, at: Nanos, reads_on: bool) {
        self.read_ahead = segment.and_then(|segment| {
            self.segments.extend(segment, end);
            let limit = self.read_ahead_limit(end);
            reads_on.then_some(ReadAhead {
                segment,
                next: end,
                at,
                limit,
            })
        });
    }

    fn read_ahead_limit(&self, end: u64) -> u64 {
        let reach = self.read_ahead_sectors.min(self.segments.length);
        (end + reach).min(self.arm.geometry.sectors())
    }

    /// The host has read up to `end` from this segment, so there is room to read on.
    fn prolong_read_ahead(&mut self, index: usize, end: u64) {
        let limit = self.read_ahead_limit(end);
        if let Some(ahead) = &mut self.read_ahead
            && ahead.segment == index
        {
            ahead.limit = ahead.limit.max(limit);
        }
    }

    /// Reads on until `until` or the limit.
    fn read_on(&mut self, ahead: &mut ReadAhead, until: Nanos) {
        let turn_ns = self.arm.geometry.turn_ns;
        while ahead.next < ahead.limit && ahead.at < until {
            let place = self.arm.geometry.locate(ahead.next);
            let on_track = u64::from(place.sectors_per_track - place.sector);
            let count = on_track.min(ahead.limit - ahead.next) as u32;
            let begun = self.arm.reach(ahead.at, place, Nanos::ZERO);
            let passed = place.sector_ns(place.sector + count, turn_ns);
            let base = place.sector_ns(place.sector, turn_ns);
            if begun + Nanos(passed - base) <= until {
                self.arm.settle_at(place);
                ahead.at = begun + Nanos(passed - base);
                ahead.next += u64::from(count);
                continue;
            }
            // The command comes while this track is read: only whole sectors count.
            let time = until.saturating_sub(begun).0;
            let whole = (time * u64::from(place.sectors_per_track) / turn_ns) as u32;
            let whole = whole.min(count);
            if whole > 0 {
                self.arm.settle_at(place);
                let passed = place.sector_ns(place.sector + whole, turn_ns);
                ahead.at = begun + Nanos(passed - base);
                ahead.next += u64::from(whole);
            }
            break;
        }
        self.segments.extend(ahead.segment, ahead.next);
    }

    fn write(&mut self, start: Nanos, first: u64, end: u64, over_bus: bool) -> Nanos {
        let after = usize::from(self.last_was_write);
        // A write that continues or repeats the one before it is the cheap kind.
        self.last_was_hit = self.last_write.0 <= first && first <= self.last_write.1;
        self.last_write = (first, end);
        let overhead = if self.last_was_hit {
            self.arm.timing.write_hit
        } else {
            self.arm.timing.write_miss
        };
        let bus = if over_bus {
            self.arm.timing.bus(end - first)
        } else {
            Nanos::ZERO
        };
        let received = start + overhead[after] + bus;
        self.read_ahead = None;
        self.segments.invalidate(first, end);
        if self.write_cache && self.dirty.can_ever_hold(end - first) {
            let begin = start + overhead[after];
            let mut room_at = begin;
            while !self.dirty.has_room(end - first) {
                let Some((dirty_first, dirty_end)) = self.dirty.pop() else {
                    break;
                };
                let from = self.mechanism_free.max(start);
                let settle = self.arm.timing.write_settle;
                self.mechanism_free = self.access(from, dirty_first, dirty_end, settle).1;
                room_at = self.mechanism_free.max(begin);
            }
            self.dirty.push(first, end);
            return room_at + bus;
        }
        // The bus fills the buffer while the arm moves. A bus slower than the medium must be done
        // before the first sector passes under the head, or the buffer would run dry.
        let place = self.arm.geometry.locate(first);
        let medium_ns = self.arm.geometry.turn_ns / u64::from(place.sectors_per_track);
        let slow_bus = self.arm.timing.bus(1).0 > medium_ns;
        let begin = (start + overhead[after]).max(self.mechanism_free);
        let begin = if slow_bus && over_bus {
            begin.max(received)
        } else {
            begin
        };
        let settle = self.arm.timing.write_settle;
        let done = self.access(begin, first, end, settle).1;
        self.mechanism_free = done;
        done.max(received)
    }

    /// Moves the arm over a run of sectors, which ends the read-ahead.
    fn access(&mut self, start: Nanos, first: u64, end: u64, settle: Nanos) -> (Nanos, Nanos) {
        self.read_ahead = None;
        self.arm.access(start, first, end, settle)
    }

    fn flush(&mut self, start: Nanos) -> Nanos {
        let mut now = start + self.arm.timing.write_hit[usize::from(self.last_was_write)];
        if self.write_cache {
            // A run whose destaging has begun must be finished too.
            now = now.max(self.mechanism_free);
        }
        while let Some((first, end)) = self.dirty.pop() {
            now = self.access(now, first, end, self.arm.timing.write_settle).1;
            self.mechanism_free = now;
        }
        now
    }

    /// Whether the last read or write was of the kind that the cache serves.
    pub(crate) fn last_was_hit(&self) -> bool {
        self.last_was_hit
    }

    /// Forgets all state: the head at the outermost cylinder, an empty cache, time zero.
    pub fn reset(&mut self) {
        self.segments.clear();
        while self.dirty.pop().is_some() {}
        self.arm.reset();
        self.read_ahead = None;
        (self.answered, self.mechanism_free) = (Nanos::ZERO, Nanos::ZERO);
        (self.last_was_write, self.last_was_hit) = (false, false);
        (self.last_write, self.last_read_end) = ((u64::MAX, 0), u64::MAX);
    }

    /// Whether writes wait in the cache.
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
