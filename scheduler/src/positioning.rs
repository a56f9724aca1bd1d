//! How long until the first byte of a request passes under the head: told by the disk's maker or
//! its model, or learnt.
//!
//! With a map of the disk ([`Positioning`]) the estimate has the seek and the wait for the platter
//! in it, and the order of a stream's requests that follows from it (least estimated positioning
//! time) is worth 1.4 times the requests of a sweep at depth 8 and more at greater depths. Without
//! a map, the scheduler learns the mean positioning time by distance from what requests take: it
//! cannot know the platter's angle, so the order becomes that of the shortest seek, and gains
//! little over a sweep.
//!
//! What is not known: caches. A request that the drive's cache would serve takes less.

use disktime_units::Nanos;
use std::sync::Arc;

/// Tells how long positioning takes on one disk.
pub trait Positioning: std::fmt::Debug + Send + Sync {
    /// From a request sent at `now`, with the last one having ended at `from_bytes`, until the
    /// first byte at `to_bytes` passes under the head.
    fn estimate(&self, now: Nanos, from_bytes: u64, to_bytes: u64, write: bool) -> Nanos;
}

/// In which order the requests of one stream go to the disk.
#[derive(Debug, Clone, Default)]
pub enum RequestOrder {
    /// Upwards from the stream's own last place, around. Fair among the requests of a stream.
    #[default]
    Sweep,
    /// The one with the least estimated positioning time from where the head is; a sequential run
    /// stays in order, and a request that has been passed over too often goes first.
    LeastPositioning {
        /// The disk's map; `None`: the scheduler learns by distance.
        map: Option<Arc<dyn Positioning>>,
    },
}

/// Distances are told apart by their logarithm.
const CLASSES: usize = 65;
/// A new measurement counts for one part in this many at least: the platter's turn is in each, so
/// it takes hundreds to tell two distances apart.
const MEMORY: u64 = 512;
/// Fewer measurements of a class say nothing.
const ENOUGH: u64 = 8;

/// What was learnt of one class of distances.
#[derive(Debug, Clone, Copy, Default)]
struct Learnt {
    mean: Nanos,
    count: u64,
}

/// Positioning time by distance, as learnt from requests that were measured.
#[derive(Debug)]
pub(crate) struct LearntPositioning {
    classes: [Learnt; CLASSES],
}

impl LearntPositioning {
    /// Nothing is known yet.
    pub(crate) fn new() -> LearntPositioning {
        LearntPositioning {
            classes: [Learnt::default(); CLASSES],
        }
    }

    /// Class c holds the distances from 2^(c − 1) to 2^c.
    fn class(distance_bytes: u64) -> usize {
        (u64::BITS - distance_bytes.leading_zeros()) as usize
    }

    /// A request that far from the last one took so long to position.
    pub(crate) fn learn(&mut self, distance_bytes: u64, taken: Nanos) {
        let learnt = &mut self.classes[Self::class(distance_bytes)];
        learnt.count = (learnt.count + 1).min(MEMORY);
        let old = learnt.mean.0 * (learnt.count - 1);
        learnt.mean = Nanos((old + taken.0) / learnt.count);
    }

    /// What to expect at that distance, between what was learnt of the class and of the next;
    /// `None` where nothing was. Longer never counts as quicker: that is chance.
    pub(crate) fn expect(&self, distance_bytes: u64) -> Option<Nanos> {
        let class = Self::class(distance_bytes);
        let known = |learnt: &&Learnt| learnt.count >= ENOUGH;
        let below = self.classes[..=class].iter().filter(known);
        let here = below.map(|learnt| learnt.mean).max()?;
        let Some(above) = self.classes.get(class + 1).filter(known) else {
            return Some(here);
        };
        let start = 1u64 << class.saturating_sub(1).min(63);
        let part = u128::from(distance_bytes.saturating_sub(start));
        let rise = u128::from(above.mean.0.saturating_sub(here.0)) * part / u128::from(start);
        Some(Nanos(here.0 + u64::try_from(rise).unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests;
