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
mod tests {
    use super::super::{preset, preset_names};
    use super::*;
    use crate::{Operation, SplitMix64};

    /// Random requests without think time: what the map says before each, and what the model takes
    /// for it less the passing of its sectors.
    fn compare(name: &str, operation: Operation) -> (u64, u64, u64) {
        let (parameters, _) = preset(name).expect("the preset exists");
        let mut model = HddModel::scaled_to(&parameters, 64 << 30).expect("possible");
        let map = model.positioning_map();
        let (mut random, mut now) = (SplitMix64::new(11), Nanos::ZERO);
        let places = model.size_bytes() / 4096;
        let (mut from, mut apart, mut taken, mut far) = (map.place(0), 0, 0, 0);
        for _ in 0..4000 {
            let offset = random.below(places) * 4096;
            let to = map.place(offset);
            let guessed = map.positioning(now, from, to, operation == Operation::Write);
            let done = model.serve(now, operation, offset, 4096);
            let turn = map.turn().0;
            let passing = 8 * turn / u64::from(to.place.sectors_per_track);
            let positioned = (done - now).0.saturating_sub(passing);
            let error = positioned.abs_diff(guessed.0);
            // Read-ahead moves the arm by a track, and so a seek just in time may become a late one.
            far += u64::from(error > 200_000);
            apart += error.min(turn - error.min(turn));
            taken += positioned;
            now = done + Nanos(random.below(20_000_000));
            from = map.place(offset + 4096);
        }
        (apart / 4000, taken / 4000, far)
    }

    #[test]
    fn the_guess_is_what_the_model_takes() {
        for name in preset_names() {
            for operation in [Operation::Read, Operation::Write] {
                let (apart, taken, far) = compare(name, operation);
                println!("{name} {operation:?}: {apart} ns of {taken} ns, {far} of 4000 far off");
                assert!(
                    apart * 50 <= taken,
                    "{name} {operation:?}: {apart} ns of {taken} ns"
                );
                assert!(
                    far <= 80,
                    "{name} {operation:?}: {far} of 4000 guesses are far off"
                );
            }
        }
    }

    #[test]
    fn places_turn_with_the_platter_and_seeks_grow_with_distance() {
        let (parameters, _) = preset("desktop-7200-2008").expect("the preset exists");
        let model = HddModel::scaled_to(&parameters, 64 << 30).expect("possible");
        let map = model.positioning_map();
        assert_eq!(map.turn(), model.turn());
        assert_eq!(map.seek(0, 0, false), Nanos::ZERO);
        assert_eq!(map.angle_of(0), Nanos::ZERO);
        let quarter = map.angle_of(1910 / 4 * 512).0 * 1000 / map.turn().0;
        assert!(
            (248..=250).contains(&quarter),
            "{quarter} thousandths of a turn"
        );
        let mut before = Nanos::ZERO;
        for gib in 1..64 {
            let (read, write) = (map.seek(0, gib << 30, false), map.seek(0, gib << 30, true));
            assert!(read > before, "farther takes longer");
            assert_eq!(write - read, Nanos::from_millis(1), "a write settles");
            before = read;
        }
        assert!(before <= model.worst_seek());
        let last = map.place(u64::MAX);
        assert!(last.angle() < map.turn(), "beyond the end is the end");
    }
}
