//! The order of a stream's requests on a disk with seeks, and the map of the disk that it is taken
//! from.

use disktime_disks::{DiskProperties, PositioningMap};
use disktime_scheduler::{Positioning, RequestOrder};
use disktime_units::Nanos;
use std::sync::Arc;

/// In which order the requests of one stream go to a disk with seeks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// Upwards from the stream's own last place, and around.
    #[default]
    Sweep,
    /// Least estimated positioning time first: by the disk's map where it is a modelled one, else by
    /// what the scheduler learns.
    LeastPositioning,
}

impl Order {
    /// As the scheduler is told.
    pub(crate) fn with_map_of(self, properties: &DiskProperties) -> RequestOrder {
        match self {
            Order::Sweep => RequestOrder::Sweep,
            Order::LeastPositioning => RequestOrder::LeastPositioning {
                map: properties
                    .positioning
                    .clone()
                    .map(|map| Arc::new(Map(map)) as Arc<dyn Positioning>),
            },
        }
    }
}

/// A disk's map as the scheduler asks for it.
#[derive(Debug)]
struct Map(PositioningMap);

impl Positioning for Map {
    fn estimate(&self, now: Nanos, from_bytes: u64, to_bytes: u64, write: bool) -> Nanos {
        let (from, to) = (self.0.place(from_bytes), self.0.place(to_bytes));
        self.0.positioning(now, from, to, write)
    }
}
