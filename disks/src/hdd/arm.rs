//! The mechanics: an arm that moves its heads over turning platters.
//!
//! Invariant: the platter's angle is the time modulo a turn, so that when a sector comes by is
//! decided by the time alone. What is not known here: commands and caches.

use super::geometry::{Geometry, Place};
use super::seek::SeekTable;
use super::timing::Timing;
use disktime_units::Nanos;

/// The arm, where it is, and what it moves over.
#[derive(Debug, Clone)]
pub(crate) struct Arm {
    pub geometry: Geometry,
    pub seeks: SeekTable,
    pub timing: Timing,
    cylinder: u32,
    surface: u32,
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

    /// Back over the first track.
    pub(crate) fn reset(&mut self) {
        (self.cylinder, self.surface) = (0, 0);
    }

    /// Moves to `first` and passes over the sectors up to `end`: when the first one begins, and
    /// when the last one ends.
    /// Only the way to the first needs the arm to settle for a write: from there on the skew, which
    /// drives make wide enough for writing, covers the switches.
    pub(crate) fn access(
        &mut self,
        start: Nanos,
        first: u64,
        end: u64,
        settle: Nanos,
    ) -> (Nanos, Nanos) {
        let (mut now, mut next, mut reached) = (start, first, None);
        let mut settle = settle;
        while next < end {
            let place = self.geometry.locate(next);
            let count = u64::from(place.sectors_per_track - place.sector).min(end - next);
            let (begun, done) = self.pass(now, place, count as u32, settle);
            reached.get_or_insert(begun);
            settle = Nanos::ZERO;
            now = done;
            next += count;
        }
        (reached.unwrap_or(start), now)
    }

    /// Reaches `place` and reads or writes `count` sectors of its track.
    #[inline]
    pub(crate) fn pass(
        &mut self,
        now: Nanos,
        place: Place,
        count: u32,
        settle: Nanos,
    ) -> (Nanos, Nanos) {
        let begun = self.reach(now, place, settle);
        self.settle_at(place);
        let turn_ns = self.geometry.turn_ns;
        let passed =
            place.sector_ns(place.sector + count, turn_ns) - place.sector_ns(place.sector, turn_ns);
        (begun, begun + Nanos(passed))
    }

    /// When the first sector of `place` begins to pass under the head, if the arm starts now.
    #[inline]
    pub(crate) fn reach(&self, now: Nanos, place: Place, settle: Nanos) -> Nanos {
        let turn_ns = self.geometry.turn_ns;
        let ready = now + self.move_time(place, settle);
        let angle = place.angle_ns(turn_ns);
        let phase = ready.0 % turn_ns;
        let wait = if angle >= phase {
            angle - phase
        } else {
            angle + turn_ns - phase
        };
        ready + Nanos(wait)
    }

    #[inline]
    pub(crate) fn move_time(&self, place: Place, settle: Nanos) -> Nanos {
        self.move_between((self.cylinder, self.surface), place, settle)
    }

    /// The way from cylinder and surface `from` to `place`.
    #[inline]
    pub(crate) fn move_between(&self, from: (u32, u32), place: Place, settle: Nanos) -> Nanos {
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
    pub(crate) fn settle_at(&mut self, place: Place) {
        self.cylinder = place.cylinder;
        self.surface = place.surface;
    }
}
