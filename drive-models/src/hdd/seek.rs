//! Seek time by distance, as a table in nanoseconds that is looked up with integers.
//!
//! Invariants: distance 0 takes no time; beyond the last point the last time holds. A stretched
//! table serves a geometry with fewer cylinders: one cylinder stays one cylinder (so that
//! streaming from track to track takes the drive's time), the whole stroke stays the whole stroke,
//! and distances between are scaled by the fraction of the stroke.

use super::parameters::{HddParameters, SeekParameters, lee};
use disktime_units::Nanos;

/// Points of a table made from a data sheet; the curve is smooth, so straight lines between this
/// many points stay within a thousandth of it.
const CURVE_POINTS: u32 = 256;

/// Seek time by distance in cylinders of the geometry that is served.
#[derive(Debug, Clone)]
pub(crate) struct SeekTable {
    /// Distances in cylinders of the real drive, ascending, and times.
    points: Vec<(u64, u64)>,
    /// Stroke of the drive and of the geometry served, both in cylinders less one.
    stretch: (u64, u64),
}

impl SeekTable {
    /// The table of a drive, for a geometry of `cylinders`.
    pub(crate) fn new(parameters: &HddParameters, cylinders: u32, stretched: bool) -> SeekTable {
        let scale = parameters.time_scale;
        let nanos = |ms: f64| (ms * scale * 1e6).round() as u64;
        let points: Vec<(u64, u64)> = match &parameters.seek {
            SeekParameters::Table(points) => points
                .iter()
                .map(|(distance, ms)| (u64::from(*distance), nanos(*ms)))
                .collect(),
            SeekParameters::DataSheet {
                track_to_track_ms: min,
                average_ms,
                full_stroke_ms,
            } => {
                let (root, linear) = lee(*min, *average_ms, *full_stroke_ms);
                let last = f64::from(parameters.cyls.max(2) - 1);
                let mut points: Vec<(u64, u64)> = (0..=CURVE_POINTS)
                    .map(|index| {
                        // Squares put more points where the square root bends most.
                        let part = (f64::from(index) / f64::from(CURVE_POINTS)).powi(2);
                        let distance = (1.0 + part * (last - 1.0)).round();
                        let x = if last > 1.0 {
                            (distance - 1.0) / (last - 1.0)
                        } else {
                            1.0
                        };
                        (distance as u64, nanos(root * x.sqrt() + linear * x + min))
                    })
                    .collect();
                points.dedup_by_key(|point| point.0);
                points
            }
        };
        let whole = u64::from(parameters.cyls.saturating_sub(2)).max(1);
        let served = u64::from(cylinders.saturating_sub(2)).max(1);
        let stretch = if stretched { (whole, served) } else { (1, 1) };
        SeekTable { points, stretch }
    }

    /// Time of a seek over `distance` cylinders of the geometry served.
    #[inline]
    pub(crate) fn time(&self, distance: u32) -> Nanos {
        if distance == 0 {
            return Nanos::ZERO;
        }
        let (whole, served) = self.stretch;
        let distance = 1 + u64::from(distance - 1) * whole / served;
        let after = self.points.partition_point(|point| point.0 < distance);
        if after == 0 {
            return Nanos(self.points[0].1);
        }
        let (low, low_time) = self.points[after - 1];
        let Some(&(high, high_time)) = self.points.get(after) else {
            return Nanos(low_time);
        };
        let (part, gap) = (distance - low, high - low);
        // No sum of the two products is larger than this one.
        if low_time.max(high_time).checked_mul(gap).is_some() {
            return Nanos((low_time * (gap - part) + high_time * part) / gap);
        }
        let (part, gap) = (u128::from(part), u128::from(gap));
        let weighted = u128::from(low_time) * (gap - part) + u128::from(high_time) * part;
        Nanos((weighted / gap) as u64)
    }

    /// The longest seek over at most `cylinders` of the geometry served. Measured tables are not
    /// always monotone, so it need not be the seek over the whole stroke.
    pub(crate) fn longest(&self, cylinders: u32) -> Nanos {
        if cylinders < 2 {
            return Nanos::ZERO;
        }
        let (whole, served) = self.stretch;
        let reach = 1 + u64::from(cylinders - 2) * whole / served;
        let inside = self
            .points
            .iter()
            .filter(|point| point.0 <= reach)
            .map(|point| Nanos(point.1));
        inside
            .max()
            .unwrap_or(Nanos::ZERO)
            .max(self.time(cylinders - 1))
            .max(self.time(1))
    }
}
