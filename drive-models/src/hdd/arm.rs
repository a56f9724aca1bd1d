//! The mechanics: an arm that moves its heads over turning platters.
//!
//! Invariant: the platter's angle is the time modulo a turn, so the time alone decides when a
//! sector passes under the head.
//!
//! What is not known here: commands and caches.

use super::geometry::{Geometry, SectorPlace};
use super::seek::SeekTable;
use super::timing::Timing;
use disktime_units::Nanos;

/// The arm, its position, and the geometry that it moves over.
#[derive(Debug, Clone)]
pub(crate) struct Arm {
    geometry: Geometry,
    seeks: SeekTable,
    timing: Timing,
    cylinder: u32,
    surface: u32,
}

/// The times of moving to a run of sectors and passing over it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Passage {
    /// When the head was over the first track and ready.
    pub arrived: Nanos,
    /// When the first sector began to pass.
    pub begun: Nanos,
    /// When the last one had passed.
    pub done: Nanos,
}

impl Arm {
    pub(crate) fn new(geometry: Geometry, seeks: SeekTable, timing: Timing) -> Arm {
        Arm {
            geometry,
            seeks,
            timing,
            cylinder: 0,
            surface: 0,
        }
    }

    /// What it moves over.
    #[inline]
    pub(crate) fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Seek times.
    #[inline]
    pub(crate) fn seeks(&self) -> &SeekTable {
        &self.seeks
    }

    /// Overheads, switches and rates.
    #[inline]
    pub(crate) fn timing(&self) -> &Timing {
        &self.timing
    }

    /// Moves it back over the first track.
    pub(crate) fn reset(&mut self) {
        (self.cylinder, self.surface) = (0, 0);
    }

    /// Moves to `place`, where sector `first` lies, and passes over the sectors up to `end`. The
    /// medium is not read or written before `ready`, however near the arm is.
    /// Only the move to the first sector includes a write's settling: afterwards the skew, which is
    /// wide enough for writing, covers the switches.
    #[inline]
    pub(crate) fn access(
        &mut self,
        start: Nanos,
        ready: Nanos,
        place: SectorPlace,
        first: u64,
        end: u64,
        settle: Nanos,
    ) -> Passage {
        let arrived = (start + self.move_time(place, settle)).max(ready);
        let begun = self.wait_for(arrived, place);
        let (mut done, mut next, mut place) = (begun, first, place);
        loop {
            let left = u64::from(place.sectors_per_track - place.sector);
            let count = left.min(end - next);
            done += self.passing(place, count as u32);
            self.settle_at(place);
            next += count;
            if next >= end {
                break;
            }
            place = self.geometry.locate(next);
            done = self.reach(done, place);
        }
        Passage {
            arrived,
            begun,
            done,
        }
    }

    /// Goes on streaming to `place` and over `count` sectors of its track; returns when they have
    /// passed.
    #[inline]
    pub(crate) fn pass(&mut self, now: Nanos, place: SectorPlace, count: u32) -> Nanos {
        let begun = self.reach(now, place);
        self.settle_at(place);
        begun + self.passing(place, count)
    }

    /// How long `count` sectors from `place` on take to pass.
    #[inline]
    fn passing(&self, place: SectorPlace, count: u32) -> Nanos {
        let turn_ns = self.geometry.turn_ns;
        let end = place.sector_ns(place.sector + count, turn_ns);
        Nanos(end - place.sector_ns(place.sector, turn_ns))
    }

    /// When the first sector of `place` begins to pass under the head, if the arm starts now.
    #[inline]
    pub(crate) fn reach(&self, now: Nanos, place: SectorPlace) -> Nanos {
        self.wait_for(now + self.move_time(place, Nanos::ZERO), place)
    }

    /// When `place` passes under a head that is over its track at `ready`.
    #[inline]
    fn wait_for(&self, ready: Nanos, place: SectorPlace) -> Nanos {
        let turn_ns = self.geometry.turn_ns;
        let angle = place.angle_ns(turn_ns);
        let phase = ready.0 % turn_ns;
        let wait = if angle >= phase {
            angle - phase
        } else {
            angle + turn_ns - phase
        };
        ready + Nanos(wait)
    }

    /// Whether the arm is over the cylinder of `place` already.
    #[inline]
    pub(crate) fn is_over(&self, place: SectorPlace) -> bool {
        self.cylinder == place.cylinder
    }

    #[inline]
    pub(crate) fn move_time(&self, place: SectorPlace, settle: Nanos) -> Nanos {
        self.move_between((self.cylinder, self.surface), place, settle)
    }

    /// Time to move from cylinder and surface `from` to `place`.
    #[inline]
    pub(crate) fn move_between(
        &self,
        from: (u32, u32),
        place: SectorPlace,
        settle: Nanos,
    ) -> Nanos {
        let (cylinder, surface) = from;
        let distance = cylinder.abs_diff(place.cylinder);
        if distance == 0 {
            if surface == place.surface {
                return Nanos::ZERO;
            }
            return self.timing.head_switch + settle;
        }
        let arm = match self.timing.track_switch {
            Some(track_switch) if distance == 1 && place.sector == 0 => track_switch,
            _ => self.seeks.time(distance) + settle,
        };
        if surface == place.surface {
            arm
        } else {
            arm.max(self.timing.head_switch)
        }
    }

    #[inline]
    pub(crate) fn settle_at(&mut self, place: SectorPlace) {
        self.cylinder = place.cylinder;
        self.surface = place.surface;
    }
}
