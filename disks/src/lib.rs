//! What serves a request. One trait, [`Disk`], and behind it real devices, modelled ones and broken ones.
//!
//! What is not known here: who asked, and why.

mod backing;
mod backing_error;
mod block_device;
mod buffer;
mod capabilities;
mod disk;
mod fault;
mod image_lock;
mod mapping;
mod memory;
mod open;
mod paced;
mod pacing;
mod real_device;
mod remove_unused;
mod survey;
mod sync_engine;
mod transfer;
mod uring;
mod virtual_disk;
mod wake_event;

pub use backing::{Backing, BackingKind, BackingOptions};
pub use backing_error::BackingError;
pub use buffer::{BUFFER_ALIGNMENT, Buffer, BufferPool};
pub use capabilities::{Capabilities, DiscardEffect};
pub use disk::{
    Completion, ContentMap, Disk, DiskError, DiskErrorKind, DiskProperties, DiskRequest,
};
pub use fault::{
    Fault, FaultDisk, FaultHandle, FaultKind, FaultOptions, RandomFaults, ServiceTime,
};
pub use memory::MemoryDisk;
pub use open::{DiskOptions, Medium, open_disk};
pub use paced::PacedDisk;
pub use pacing::{Lateness, PacingReport};
pub use remove_unused::remove_unused;
pub use survey::{Survey, survey_disk};
pub use sync_engine::SyncDisk;
pub use uring::UringDisk;
pub use virtual_disk::{Store, VirtualDisk, VirtualLinearDisk};
pub use wake_event::reset_wake;

pub use disktime_drive_models::{CostModel, LinearCost, Operation, PositioningMap, SeekPoint};
