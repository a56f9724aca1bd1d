//! How a scheduler estimates the positioning time of a request on a modelled disk: places, seeks
//! between them, and the angle at which each passes under the head.
//!
//! A scheduler looks a request's place up once, when it arrives ([`PositioningMap::place`]), and
//! compares candidates with [`PositioningMap::positioning`], which does a table look-up and one
//! division. All in integers, so that decisions taken from it are the same on every machine.
//!
//! Invariants: no allocation in any query; a copy shares the tables. The platter's angle is the
//! time modulo a turn on the clock with which the model is served, so the map needs no state of the
//! model.
//!
//! What is not known here: the cache. A request that the cache would serve takes less than the map
//! says, and the arm of a drive that reads ahead is a little farther than the end of the last
//! request.

use super::arm::Arm;
use super::geometry::SectorPlace;
use super::model::HddModel;
use super::parameters::SECTOR_BYTES;
use disktime_units::Nanos;
use std::sync::Arc;

/// Seek times, the turn of the platter and the angle of every byte of a modelled disk.
#[derive(Debug, Clone)]
pub struct PositioningMap {
    arm: Arc<Arm>,
}

/// The place of a byte, for the map that returned it.
#[derive(Debug, Clone, Copy)]
pub struct DiskPlace {
    place: SectorPlace,
    angle_ns: u64,
}

impl DiskPlace {
    /// Time from the platter's mark until its sector begins to pass under the head: less than a
    /// turn.
    pub fn angle(&self) -> Nanos {
        Nanos(self.angle_ns)
    }
}

impl PositioningMap {
    /// One turn of the platter.
    pub fn turn(&self) -> Nanos {
        Nanos(self.arm.geometry().turn_ns)
    }

    /// The place of the byte at `offset_bytes`; of the last byte for offsets beyond the end.
    #[inline]
    pub fn place(&self, offset_bytes: u64) -> DiskPlace {
        let place = self.arm.geometry().locate(offset_bytes / SECTOR_BYTES);
        let angle_ns = place.angle_ns(self.arm.geometry().turn_ns);
        DiskPlace { place, angle_ns }
    }

    /// Time from the platter's mark until the sector at `offset_bytes` begins to pass under the
    /// head; divided by [`PositioningMap::turn`], its angle as a part of a turn.
    pub fn angle_of(&self, offset_bytes: u64) -> Nanos {
        self.place(offset_bytes).angle()
    }

    /// Time to move the arm or to change the head, with a write's settling, without the rotation.
    pub fn seek(&self, from_bytes: u64, to_bytes: u64, write: bool) -> Nanos {
        self.seek_between(self.place(from_bytes), self.place(to_bytes), write)
    }

    /// As [`PositioningMap::seek`], between places.
    #[inline]
    pub fn seek_between(&self, from: DiskPlace, to: DiskPlace, write: bool) -> Nanos {
        let settle = if write {
            self.arm.timing().write_settle
        } else {
            Nanos::ZERO
        };
        let from = (from.place.cylinder, from.place.surface);
        self.arm.move_between(from, to.place, settle)
    }

    /// Time from a command sent at `now` while the arm rests at `from` until the first sector of
    /// `to` passes under the head: the drive's overhead, the seek, and the rotational wait.
    #[inline]
    pub fn positioning(&self, now: Nanos, from: DiskPlace, to: DiskPlace, write: bool) -> Nanos {
        let timing = self.arm.timing();
        let moving = if !write {
            (timing.read_miss[0] + self.seek_between(from, to, false)).max(timing.read_ready[0])
        } else if from.place.cylinder == to.place.cylinder {
            timing.write_hit[1] + self.seek_between(from, to, true)
        } else {
            timing.write_miss[1] + self.seek_between(from, to, true)
        };
        let turn_ns = self.arm.geometry().turn_ns;
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
    /// The map by which a scheduler estimates positioning times.
    pub fn positioning_map(&self) -> PositioningMap {
        PositioningMap {
            arm: Arc::new(self.arm().clone()),
        }
    }
}

#[cfg(test)]
mod tests;
