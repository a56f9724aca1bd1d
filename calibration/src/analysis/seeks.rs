//! The seek curve of a device with seeks.
//!
//! A small read over a distance takes the seek, the command and between nothing and a whole turn.
//! The spread of its times is the turn, and the mean without half a turn is the seek with the
//! command.

use crate::measurements::{Measurements, median};
use crate::plan::Part;
use crate::probe::Places;
use crate::profile::Seeks;
use disktime_drive_models::SeekPoint;
use disktime_units::Nanos;
use std::collections::BTreeMap;

impl Measurements {
    /// `None` on a device without seeks.
    pub(super) fn seeks(&self) -> Option<Seeks> {
        let mut spreads = Vec::new();
        let mut means: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for (part, probe, sample) in self.samples() {
            let (Part::Seeks, Places::Apart(distance)) = (part, probe.places) else {
                continue;
            };
            // 2 % at each end are left out of the spread.
            let spread = sample.quantile(980).saturating_sub(sample.quantile(20));
            spreads.push(spread.0 * 100 / 96);
            means.entry(distance).or_default().push(sample.mean().0);
        }
        if means.is_empty() {
            return None;
        }
        let rotation = Nanos(median(spreads).max(1));
        let mut curve = vec![SeekPoint {
            distance_bytes: 0,
            seek: Nanos::ZERO,
        }];
        let mut longest = Nanos::ZERO;
        for (distance_bytes, rounds) in means {
            let seek = Nanos(median(rounds)).saturating_sub(Nanos(rotation.0 / 2));
            // A longer way never takes less: what says so is noise.
            longest = longest.max(seek);
            curve.push(SeekPoint {
                distance_bytes,
                seek: longest,
            });
        }
        curve.push(whole_disk(&curve, self.plan.facts.size_bytes));
        curve.dedup_by_key(|point| point.distance_bytes);
        Some(Seeks { rotation, curve })
    }
}

/// The seek over the whole disk, on the line through the last two points.
fn whole_disk(curve: &[SeekPoint], size_bytes: u64) -> SeekPoint {
    let [.., before, last] = curve else {
        return SeekPoint {
            distance_bytes: size_bytes,
            seek: Nanos::ZERO,
        };
    };
    let rise = u128::from(last.seek.saturating_sub(before.seek).0);
    let run = u128::from(last.distance_bytes.saturating_sub(before.distance_bytes)).max(1);
    let beyond = u128::from(size_bytes.saturating_sub(last.distance_bytes));
    let more = u64::try_from(rise * beyond / run).unwrap_or(u64::MAX);
    SeekPoint {
        distance_bytes: size_bytes,
        seek: last.seek.saturating_add(Nanos(more)),
    }
}
