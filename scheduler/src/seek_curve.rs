//! Seek time by distance: a table with linear interpolation, in integers.

use disktime_units::Nanos;

/// Seek time by distance in bytes of the disk's address space. Empty: seeks cost nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeekCurve {
    points: Vec<(u64, Nanos)>,
}

impl SeekCurve {
    /// A curve through `points` (distance in bytes, time), ascending in distance.
    ///
    /// # Panics
    /// If the distances do not ascend.
    pub fn new(points: Vec<(u64, Nanos)>) -> SeekCurve {
        assert!(
            points.windows(2).all(|pair| pair[0].0 < pair[1].0),
            "the distances of a seek curve must ascend"
        );
        SeekCurve { points }
    }

    /// Seek time for a distance; the last point's beyond the last point.
    pub fn seek(&self, distance_bytes: u64) -> Nanos {
        let above = self
            .points
            .partition_point(|(distance, _)| *distance <= distance_bytes);
        let Some(&(low, time_low)) = above.checked_sub(1).and_then(|i| self.points.get(i)) else {
            return self.points.first().map_or(Nanos::ZERO, |(_, time)| *time);
        };
        let Some(&(high, time_high)) = self.points.get(above) else {
            return time_low;
        };
        let part = u128::from(distance_bytes - low);
        let span = u128::from(high - low);
        let rise = i128::from(time_high.0) - i128::from(time_low.0);
        let time = i128::from(time_low.0) + rise * part as i128 / span as i128;
        Nanos(u64::try_from(time).unwrap_or(0))
    }

    /// Mean seek over independent, uniformly spread places of a disk of `size_bytes`: the seek at
    /// distance d weighted by 2 (1 − d), at 64 distances.
    pub fn mean(&self, size_bytes: u64) -> Nanos {
        let steps = 64u128;
        let sum: u128 = (0..steps)
            .map(|step| {
                let distance = u128::from(size_bytes) * (2 * step + 1) / (2 * steps);
                let weight = 2 * steps - (2 * step + 1);
                let distance = u64::try_from(distance).unwrap_or(u64::MAX);
                u128::from(self.seek(distance).0) * weight
            })
            .sum();
        Nanos(u64::try_from(sum / (steps * steps)).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests;
