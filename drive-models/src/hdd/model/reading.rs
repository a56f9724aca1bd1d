//! How the modelled drive serves a read: from the cache, from the running read-ahead, or from the
//! medium; and how it reads ahead afterwards.
//!
//! Drives differ most in which sectors around a read their cache holds later: whether they read
//! ahead after every read, beyond the segment's length (dropping sectors that the host has) or only
//! until the segment is full, and whether they keep the sectors that pass before the first one
//! asked for.

use super::{HddModel, ReadAhead, Served};
use crate::hdd::arm::Passage;
use crate::hdd::geometry::SectorPlace;
use crate::hdd::parameters::{ReadAheadPolicy, ReadBefore};
use disktime_units::Nanos;

impl HddModel {
    #[inline]
    pub(super) fn read(&mut self, start: Nanos, first: u64, end: u64) -> Nanos {
        let after = usize::from(self.last_was_write);
        let sequential = first == self.last_read_end;
        self.last_read_end = end;
        let found = self.segments.find(first);
        self.last_served = Served::FromCache;
        if let Some(index) = found {
            let overhead = if sequential && after == 0 {
                self.arm.timing().read_stream
            } else {
                self.arm.timing().read_hit[after]
            };
            let over_bus = start + overhead + self.arm.timing().bus(end - first);
            if end <= self.segments.get(index).end {
                self.prolong_read_ahead(index, first, end);
                return over_bus;
            }
            if let Some(finish) = self.read_from_stream(start, over_bus, index, first, end) {
                return finish;
            }
        }
        self.read_medium(start, found, first, end, sequential)
    }

    #[inline]
    fn read_medium(
        &mut self,
        start: Nanos,
        found: Option<usize>,
        first: u64,
        end: u64,
        sequential: bool,
    ) -> Nanos {
        let after = usize::from(self.last_was_write);
        // The first sectors that a segment already holds are not read again.
        let from = found.map_or(first, |index| self.segments.get(index).end.max(first));
        let place = self.arm.geometry().locate(from);
        self.last_served = if self.arm.is_over(place) {
            Served::Near
        } else {
            Served::Far
        };
        let begin = (start + self.arm.timing().read_miss[after]).max(self.mechanism_free);
        let ready = start + self.arm.timing().read_ready[after];
        let segment = found.or_else(|| self.segments.allocate(first));
        let passage = self.arm.access(begin, ready, place, from, end, Nanos::ZERO);
        self.mechanism_free = passage.done;
        let reads_on = match self.policy.read_ahead {
            ReadAheadPolicy::Always => true,
            ReadAheadPolicy::Sequential => sequential,
            ReadAheadPolicy::Never => false,
        };
        self.read_ahead = None;
        if let Some(segment) = segment {
            self.segments.extend(segment, end);
            if reads_on {
                let before = self.read_before(segment, from, place, passage);
                // Room is left for the sectors that are still to be read.
                let start = self.segments.get(segment).start;
                let start = before.map_or(start, |(first, _)| start.min(first));
                self.read_ahead = Some(ReadAhead {
                    segment,
                    next: end,
                    at: passage.done,
                    limit: self.read_ahead_limit(start, end),
                    before,
                });
            }
        }
        let bus = self.arm.timing().bus(end - first);
        self.last_sector_over_bus(passage.begun + bus, passage.done)
    }

    /// Keeps the sectors of the track that passed before sector `from`; returns those that will
    /// still pass, and when.
    fn read_before(
        &mut self,
        segment: usize,
        from: u64,
        place: SectorPlace,
        passage: Passage,
    ) -> Option<(u64, Nanos)> {
        if self.policy.before == ReadBefore::Nothing {
            return None;
        }
        let turn_ns = self.arm.geometry().turn_ns;
        let waited = (passage.begun - passage.arrived).0;
        let passed = waited * u64::from(place.sectors_per_track) / turn_ns;
        let on_track = u64::from(place.sector);
        self.segments.prepend(segment, from - passed.min(on_track));
        let to_come = self.policy.before == ReadBefore::Track && passed < on_track;
        to_come.then(|| (from - on_track, passage.arrived + Nanos(turn_ns)))
    }

    /// A read that the running read-ahead is about to reach waits for it.
    fn read_from_stream(
        &mut self,
        start: Nanos,
        over_bus: Nanos,
        index: usize,
        first: u64,
        end: u64,
    ) -> Option<Nanos> {
        let mut ahead = self.read_ahead.filter(|ahead| ahead.segment == index)?;
        if ahead.at < start && ahead.next >= ahead.limit {
            // It had stopped; the platter has turned since then.
            return None;
        }
        ahead.limit = ahead.limit.max(end);
        while ahead.next < end {
            let place = self.arm.geometry().locate(ahead.next);
            let count = u64::from(place.sectors_per_track - place.sector).min(end - ahead.next);
            ahead.at = self.arm.pass(ahead.at, place, count as u32);
            ahead.next += count;
        }
        self.segments.extend(index, end);
        self.read_ahead = Some(ahead);
        self.mechanism_free = ahead.at;
        self.prolong_read_ahead(index, first, end);
        Some(self.last_sector_over_bus(over_bus, ahead.at))
    }

    /// The bus carries sectors while later ones are read; the last can follow only when read.
    fn last_sector_over_bus(&self, over_bus: Nanos, read: Nanos) -> Nanos {
        over_bus.max(read + self.arm.timing().bus(1))
    }

    /// The sector up to which the drive reads ahead in a segment from `start`, after a read up to
    /// `end`.
    #[inline]
    fn read_ahead_limit(&self, start: u64, end: u64) -> u64 {
        let reach = self.policy.read_ahead_sectors.min(self.segments.length);
        let limit = if self.policy.keeps {
            (end + reach).min(start + self.segments.length).max(end)
        } else {
            end + reach
        };
        limit.min(self.arm.geometry().sectors())
    }

    /// The host has read up to `end` from this segment, so there is room to read ahead.
    #[inline]
    fn prolong_read_ahead(&mut self, index: usize, first: u64, end: u64) {
        let Some(mut ahead) = self.read_ahead.filter(|ahead| ahead.segment == index) else {
            return;
        };
        if self.policy.keeps {
            // Earlier sectors are dropped only when the host has read half of the segment.
            let half_way = self.segments.get(index).start + self.segments.length / 2;
            if end > half_way {
                ahead.limit = ahead.limit.max(self.read_ahead_limit(first, end));
            }
        } else {
            ahead.limit = ahead.limit.max(self.read_ahead_limit(first, end));
        }
        self.read_ahead = Some(ahead);
    }

    /// Reads ahead until `until` or the limit.
    #[inline]
    pub(super) fn read_on(&mut self, ahead: &mut ReadAhead, until: Nanos) {
        if let Some((start, _)) = ahead.before.take_if(|(_, at)| *at <= until) {
            self.segments.prepend(ahead.segment, start);
        }
        let turn_ns = self.arm.geometry().turn_ns;
        while ahead.next < ahead.limit && ahead.at < until {
            let place = self.arm.geometry().locate(ahead.next);
            let on_track = u64::from(place.sectors_per_track - place.sector);
            let count = on_track.min(ahead.limit - ahead.next) as u32;
            let begun = self.arm.reach(ahead.at, place);
            let passed = place.sector_ns(place.sector + count, turn_ns);
            let base = place.sector_ns(place.sector, turn_ns);
            if begun + Nanos(passed - base) <= until {
                self.arm.settle_at(place);
                ahead.at = begun + Nanos(passed - base);
                ahead.next += u64::from(count);
                continue;
            }
            // The command arrives while this track is read: only whole sectors count.
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
}
