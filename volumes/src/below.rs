//! The room below, in one place: the loop of a disk and the words it is spoken to with.

pub use disktime_engine::{DiskLoop, Io, IoDone, StreamConfig, StreamId};
