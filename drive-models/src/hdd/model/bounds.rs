//! Bounds and means of a modelled disk, for schedulers and for people.
//!
//! Invariant: [`HddModel::worst_case`] is a true bound on one request of at most that length with
//! the write cache off, whatever came before; the longest path through the model's own steps.

use super::HddModel;
use crate::hdd::geometry::Zone;
use crate::hdd::parameters::SECTOR_BYTES;
use crate::{CostModel, DriveProperties, LinearCost, Operation, SeekPoint};
use disktime_random::SplitMix64;
use disktime_units::Nanos;
use serde::Serialize;

/// Points of the seek curve; the scheduler interpolates.
const CURVE_POINTS: u64 = 64;
/// Places on the disk between which the mean seek is taken, over all pairs.
const PLACES: u64 = 512;
/// Requests from which a mean is taken.
const SAMPLES: u32 = 20_000;

/// Longest request that goes to a modelled hard disk in one piece: 5 to 10 ms of the medium at
/// 50 to 100 MB/s. Longer ones would raise W, and so the shortest useful period; shorter ones
/// would gain little, as W holds a whole seek and a turn anyway (20 to 30 ms).
pub(in crate::hdd) const HDD_QUANTUM_BYTES: u32 = 512 << 10;

/// A zone, for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ZoneSummary {
    /// First byte of the zone.
    pub first_byte: u64,
    /// Its length in the geometry served.
    pub bytes: u64,
    /// Cylinders.
    pub cylinders: u32,
    /// Sectors on each track.
    pub sectors_per_track: u32,
    /// Sustained rate in units of 10⁶ bytes a second, track switches included.
    pub mb_per_s: f64,
}

/// Mean and spread of service times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MeanTime {
    /// Mean.
    pub mean_ms: f64,
    /// Standard deviation.
    pub deviation_ms: f64,
}

impl HddModel {
    /// Time from the end of a track to the start of the next when data streams: the skew, and as
    /// many turns as it takes when the skew is too short for the switch.
    fn crossing(&self, skew_ns: u64, switch: Nanos) -> u64 {
        let turn = self.arm.geometry().turn_ns;
        skew_ns + switch.0.saturating_sub(skew_ns).div_ceil(turn) * turn
    }

    /// The longest crossing within zone `index`, and the longest jump at the border of a serpentine
    /// group.
    fn crossings(&self, index: usize) -> (u64, u64) {
        let zone = &self.arm.geometry().zones[index];
        let head = self.arm.timing().head_switch;
        let arm = self
            .arm
            .timing()
            .track_switch
            .unwrap_or(self.arm.seeks().time(1));
        let both = arm.max(self.arm.timing().head_switch);
        if self.arm.geometry().serpentine > 0 {
            let group = self.arm.geometry().serpentine;
            let back = self
                .arm
                .seeks()
                .time(group)
                .max(self.arm.timing().head_switch);
            let usual = self
                .crossing(zone.track_skew_ns, head)
                .max(self.crossing(zone.track_skew_ns, both));
            return (
                usual,
                self.crossing(zone.track_skew_ns + zone.group_shift_ns, back.max(both)),
            );
        }
        let usual = self
            .crossing(zone.track_skew_ns, head)
            .max(self.crossing(zone.cylinder_skew_ns, both));
        (usual, 0)
    }

    /// W: no request of at most `quantum_bytes` takes longer, with the write cache off. With it on
    /// a request may also have to wait until dirty data is on the medium.
    pub fn worst_case(&self, quantum_bytes: u64) -> Nanos {
        // A request that is not aligned to sectors touches one more.
        let count = (quantum_bytes.div_ceil(SECTOR_BYTES) + 1).min(self.arm.geometry().sectors());
        let turn = self.arm.geometry().turn_ns;
        let settle = self.arm.timing().write_settle;
        let mut streaming = 0;
        let mut slow_bus = false;
        for (index, zone) in self.arm.geometry().zones.iter().enumerate() {
            let per_track = u64::from(zone.sectors_per_track);
            let crossings = (count + per_track - 2) / per_track;
            let (usual, jump) = self.crossings(index);
            let group =
                u64::from(self.arm.geometry().serpentine) * u64::from(self.arm.geometry().surfaces);
            // A run shorter than a group meets one border of groups at most.
            let jumps = match crossings {
                _ if jump == 0 => 0,
                0 => 0,
                few if few <= group => 1,
                many => many.div_ceil(group.max(1)) + 1,
            };
            // Every part is rounded to the nanosecond by itself.
            let passing = count * turn / per_track + crossings + 1;
            let time = passing + crossings * usual + jumps * jump.saturating_sub(usual);
            streaming = streaming.max(time);
            slow_bus |= self.arm.timing().bus(1).0 > turn / per_track;
        }
        streaming += self.zone_borders_within(count) * self.worst_border();
        let arm = (self.arm.seeks().longest(self.arm.geometry().cylinders) + settle)
            .max(self.arm.timing().head_switch + settle);
        let bus = self.arm.timing().bus(count);
        let medium = Nanos(streaming) + self.arm.timing().bus(1);
        let moving = if slow_bus {
            bus + medium
        } else {
            bus.max(medium)
        };
        self.arm.timing().worst_overhead() + arm + Nanos(turn) + moving
    }

    /// How many zone borders a run of `count` sectors can cross at most.
    fn zone_borders_within(&self, count: u64) -> u64 {
        let zones = &self.arm.geometry().zones;
        let mut most = 0;
        for (index, zone) in zones.iter().enumerate().skip(1) {
            // A run that ends just behind this border began `count` sectors earlier.
            let begin = (zone.first_sector + 1).saturating_sub(count);
            let first = zones.partition_point(|zone| zone.first_sector <= begin) - 1;
            most = most.max(index - first);
        }
        most as u64
    }

    /// The longest time from the last track of a zone to the first of the next: the shift between
    /// the two, and as many turns as the arm needs.
    fn worst_border(&self) -> u64 {
        let geometry = self.arm.geometry();
        let time = |zone: &Zone| {
            let (from, to) = (
                geometry.locate(zone.first_sector - 1),
                geometry.locate(zone.first_sector),
            );
            let shift = (to.phase_ns + geometry.turn_ns - from.phase_ns) % geometry.turn_ns;
            let seek = self.arm.seeks().time(from.cylinder.abs_diff(to.cylinder));
            self.crossing(shift, seek.max(self.arm.timing().head_switch))
        };
        geometry.zones.iter().skip(1).map(time).max().unwrap_or(0)
    }

    /// Mean seek between places of the address space, taken at random.
    pub fn mean_seek(&self) -> Nanos {
        let sectors = self.size_bytes() / SECTOR_BYTES;
        let place = |index: u64| {
            let sector = u128::from(sectors) * u128::from(2 * index + 1) / u128::from(2 * PLACES);
            self.arm.geometry().locate(sector as u64).cylinder
        };
        let places: Vec<u32> = (0..PLACES).map(place).collect();
        let mut sum = 0;
        for from in &places {
            sum += places
                .iter()
                .map(|to| self.arm.seeks().time(from.abs_diff(*to)).0)
                .sum::<u64>();
        }
        Nanos(sum / (PLACES * PLACES))
    }

    /// s: mean cost of a switch between streams, a mean seek and half a turn.
    pub fn switch_cost(&self) -> Nanos {
        self.mean_seek() + Nanos(self.arm.geometry().turn_ns / 2)
    }

    /// R: the longest seek, write settle included, and a turn.
    pub fn worst_seek(&self) -> Nanos {
        let longest = self.arm.seeks().longest(self.arm.geometry().cylinders);
        longest + self.arm.timing().write_settle + Nanos(self.arm.geometry().turn_ns)
    }

    /// Seek time by distance in bytes, ascending, from 0 to the whole disk. A distance in bytes is
    /// a mean one: outer cylinders hold more than inner ones.
    pub fn seek_curve(&self) -> Vec<SeekPoint> {
        let size = self.size_bytes();
        let last = u64::from(self.arm.geometry().cylinders.max(2) - 1);
        let mut curve = vec![SeekPoint {
            distance_bytes: 0,
            seek: Nanos::ZERO,
        }];
        for index in 0..=CURVE_POINTS {
            let part = (index as f64 / CURVE_POINTS as f64).powi(3);
            let cylinders = (1.0 + part * (last - 1) as f64).round() as u64;
            let bytes = u128::from(size) * u128::from(cylinders) / u128::from(last);
            let point = SeekPoint {
                distance_bytes: bytes as u64,
                seek: self.arm.seeks().time(cylinders as u32),
            };
            if curve
                .last()
                .is_some_and(|before| before.distance_bytes < point.distance_bytes)
            {
                curve.push(point);
            }
        }
        curve
    }

    /// The zones of the geometry served, outermost first.
    pub fn zones(&self) -> Vec<ZoneSummary> {
        let surfaces = u64::from(self.arm.geometry().surfaces);
        let size = self.size_bytes();
        let zone_summary = |(index, zone): (usize, &Zone)| {
            let track_bytes = u64::from(zone.sectors_per_track) * SECTOR_BYTES;
            let arm = self
                .arm
                .timing()
                .track_switch
                .unwrap_or(self.arm.seeks().time(1));
            let arm = arm.max(self.arm.timing().head_switch);
            let lost = if self.arm.geometry().serpentine > 0 {
                surfaces * self.crossing(zone.track_skew_ns, arm)
            } else {
                (surfaces - 1) * self.crossing(zone.track_skew_ns, self.arm.timing().head_switch)
                    + self.crossing(zone.cylinder_skew_ns, arm)
            };
            let cylinder_ns = surfaces * self.arm.geometry().turn_ns + lost;
            let first_byte = zone.first_sector * SECTOR_BYTES;
            let next = self.arm.geometry().zones.get(index + 1);
            let end = next
                .map_or(size, |next| next.first_sector * SECTOR_BYTES)
                .min(size);
            ZoneSummary {
                first_byte,
                bytes: end.saturating_sub(first_byte),
                cylinders: zone.cylinders,
                sectors_per_track: zone.sectors_per_track,
                mb_per_s: (surfaces * track_bytes) as f64 * 1e3 / cylinder_ns as f64,
            }
        };
        let zones = self
            .arm
            .geometry()
            .zones
            .iter()
            .enumerate()
            .map(zone_summary);
        zones.filter(|zone| zone.bytes > 0).collect()
    }

    /// Reads of `bytes` at random places, one after the other without think time.
    pub fn mean_random_read(&self, bytes: u64) -> MeanTime {
        let mut random = SplitMix64::new(1);
        let places = (self.size_bytes() / bytes.max(1)).max(1);
        self.sample(bytes, |_| random.below(places) * bytes)
    }

    /// Reads of `bytes` in order from the start of the disk, without think time.
    pub fn mean_sequential_read(&self, bytes: u64) -> MeanTime {
        let places = (self.size_bytes() / bytes.max(1)).max(1);
        self.sample(bytes, |index| u64::from(index) % places * bytes)
    }

    fn sample(&self, bytes: u64, mut place: impl FnMut(u32) -> u64) -> MeanTime {
        let mut model = self.clone();
        model.reset();
        let (mut now, mut sum, mut squares) = (Nanos::ZERO, 0.0, 0.0);
        for index in 0..SAMPLES {
            let done = model.serve(now, Operation::Read, place(index), bytes);
            let ms = (done - now).as_millis_f64();
            sum += ms;
            squares += ms * ms;
            now = done;
        }
        let mean = sum / f64::from(SAMPLES);
        let deviation = (squares / f64::from(SAMPLES) - mean * mean).max(0.0).sqrt();
        MeanTime {
            mean_ms: mean,
            deviation_ms: deviation,
        }
    }

    /// What the drive says of itself, in virtual time or paced in real time.
    pub fn properties(&self) -> DriveProperties {
        let mut notices = Vec::new();
        if self.write_cache() {
            notices.push(
                "the modelled drive's write cache is on: a write is charged when the cache has \
                 it, its way to the medium is charged to the request that comes next, and W is no \
                 bound on either"
                    .to_owned(),
            );
        }
        DriveProperties {
            size_bytes: self.size_bytes() - self.size_bytes() % SECTOR_BYTES,
            block_bytes: SECTOR_BYTES as u32,
            has_seeks: true,
            worst_case: self.worst_case(u64::from(HDD_QUANTUM_BYTES)),
            switch_cost: self.switch_cost(),
            worst_seek: self.worst_seek(),
            seek_curve: self.seek_curve(),
            positioning: Some(self.positioning_map()),
            cost: CostModel::Linear(self.linear_cost()),
            max_in_flight: 1,
            quantum_bytes: HDD_QUANTUM_BYTES,
            discards: false,
            write_cache: self.write_cache(),
            notices,
        }
    }

    /// Mean access and mean transfer rate over the whole disk.
    fn linear_cost(&self) -> LinearCost {
        let rates = self.zones();
        let bytes: u64 = rates.iter().map(|zone| zone.bytes).sum();
        let seconds: f64 = rates
            .iter()
            .map(|zone| zone.bytes as f64 / (zone.mb_per_s * 1e6))
            .sum();
        let per_mib = Nanos((seconds * 1e9 * f64::from(1 << 20) / bytes.max(1) as f64) as u64);
        let base = self.switch_cost() + self.arm.timing().worst_overhead();
        LinearCost {
            read_base: base,
            read_per_mib: per_mib,
            write_base: base + self.arm.timing().write_settle,
            write_per_mib: per_mib,
            flush: self.arm.timing().worst_overhead(),
        }
    }
}
