//! The order of a stream's requests on a disk with seeks, and the disk's map that the scheduler
//! asks for positioning times.

use disktime_disks::{DiskProperties, PositioningMap};
use disktime_scheduler::{Positioning, RequestOrder};
use disktime_units::Nanos;
use std::sync::Arc;

/// In which order the requests of one stream go to a disk with seeks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// By ascending place from the stream's own last place, wrapping around at the end.
    #[default]
    Sweep,
    /// Least estimated positioning time first: by the disk's map if it is a modelled one, else by
    /// the times that the scheduler learns.
    LeastPositioning,
}

impl Order {
    /// The scheduler's form of it.
    pub(crate) fn with_map_of(self, properties: &DiskProperties) -> RequestOrder {
        match self {
            Order::Sweep => RequestOrder::Sweep,
            Order::LeastPositioning => RequestOrder::LeastPositioning {
                map: map_of(properties),
            },
        }
    }
}

/// A disk's map, as the scheduler takes it.
pub(crate) fn map_of(properties: &DiskProperties) -> Option<Arc<dyn Positioning>> {
    let map = properties.positioning.clone()?;
    Some(Arc::new(Map(map)))
}

/// A disk's map behind the scheduler's interface.
#[derive(Debug)]
struct Map(PositioningMap);

impl Positioning for Map {
    fn estimate(&self, now: Nanos, from_bytes: u64, to_bytes: u64, write: bool) -> Nanos {
        let (from, to) = (self.0.place(from_bytes), self.0.place(to_bytes));
        self.0.positioning(now, from, to, write)
    }
}
