//! What a scheduler may know of a modelled disk to guess how long a request must wait for the arm
//! and the platter: places, seeks between them, and the angle at which each passes.
//!
//! A scheduler looks a request's place up once, when it arrives ([`PositioningMap::place`]), and
//! compares candidates with [`PositioningMap::positioning`], which does a table look-up and one
//! division. All in integers, so that decisions taken from it are the same everywhere.
//!
//! Invariants: no allocation in any query; a copy shares the tables. The platter's angle is the
//! time modulo a turn on the clock with which the model is served, so the map needs no news from
//! the model. What is not known here: the cache. A request that the cache would serve takes less
//! than the map says, and the arm of a drive that reads ahead is a little farther than the end of
//! the last request.

use super::arm::Arm;
use super::geometry::Place;
use super::model::HddModel;
use super::parameters::SECTOR_BYTES;
use disktime_units::Nanos;
use std::sync::Arc;

/// Seek times, the turn of the platter and the angle of every byte of a modelled disk.
#[derive(Debug, Clone)]
pub struct PositioningMap {
    arm: Arc<Arm>,
}

/// Where a byte lies. Only the map that gave it can tell what it means.
#[derive(Debug, Clone, Copy)]
pub struct DiskPlace {
    place: Place,
    angle_ns: u64,
}

impl DiskPlace {
    /// When its sector begins to pass under the head, from the platter's mark on: less than a turn.
    pub fn angle(&self) -> Nanos {
        Nanos(self.angle_ns)
    }
}

impl PositioningMap {
    /// One turn of the platter.
    pub fn turn(&self) -> Nanos {
        Nanos(self.arm.geometry.turn_ns)
    }

    /// Where the byte at `offset_bytes` lies; beyond the end, where the last one does.
    #[inline]
    pub fn place(&self, offset_bytes: u64) -> DiskPlace {
        let place = self.arm.geometry.locate(offset_bytes / SECTOR_BYTES);
        let angle_ns = place.angle_ns(self.arm.geometry.turn_ns);
        DiskPlace { place, angle_ns }
    }

    /// When the sector at `offset_bytes` begins to pass under the head after the platter's mark;
    /// divided by [`PositioningMap::turn`], its angle as a part of a turn.
    pub fn angle_of(&self, offset_bytes: u64) -> Nanos {
        self.place(offset_bytes).angle()
    }

    /// Moving the arm or changing the head, with the settling that a write needs, without the turn.
    pub fn seek(&self, from_bytes: u64, to_bytes: u64, write: bool) -> Nanos {
        self.seek_between(self.place(from_bytes), self.place(to_bytes), write)
    }

    /// As [`PositioningMap::seek`], between places.
    #[inline]
    pub fn seek_between(&self, from: DiskPlace, to: DiskPlace, write: bool) -> Nanos {
        let settle = if write {
            self.arm.timing.write_settle
        } else {
            Nanos::ZERO
        };
        let from = (from.place.cylinder, from.place.surface);
        self.arm.move_between(from, to.place, settle)
    }

    /// From a command sent at `now` while the arm rests at `from` until the first sector of `to`
    /// passes under the head: the drive's overhead, the seek, and the wait for the platter.
    #[inline]
    pub fn positioning(&self, now: Nanos, from: DiskPlace, to: DiskPlace, write: bool) -> Nanos {
        let timing = &self.arm.timing;
        let moving = if !write {
            (timing.read_miss[0] + self.seek_between(from, to, false)).max(timing.read_ready[0])
        } else if from.place.cylinder == to.place.cylinder {
            timing.write_hit[1] + self.seek_between(from, to, true)
        } else {
            timing.write_miss[1] + self.seek_between(from, to, true)
        };
        let turn_ns = self.arm.geometry.turn_ns;
        let phase = (now + moving).0 % turn_ns;
        let wait = if to.angle_ns >= phase {
            to.angle_ns - phase
        } else {
            to.angle_ns + turn_ns - phase
        };
        moving + Nanos(wait)
    }
}

impl HddModel {
    /// What a scheduler may know to guess positioning times.
    pub fn positioning_map(&self) -> PositioningMap {
        PositioningMap {
            arm: Arc::new(self.arm.clone()),
        }
    }
}

#[cfg(test)]
mod tests;
