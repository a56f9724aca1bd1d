//! Disks: one trait, [`Disk`], and its implementations on real devices, on models and for tests.
//!
//! - `disk`, `capabilities`, `pacing`: the trait, its requests, and what a disk says of itself.
//! - `buffer`: memory for requests.
//! - `identity`: what a device is and what uses it.
//! - `open`, `survey`, `usable`: opening a real disk, or finding out what would be opened, and
//!   whether it could be. `defaults`: what
//!   is assumed of it. `backing`, `block_device`, `image_lock`, `loop_device`, `remove_unused`: the
//!   file or device behind it.
//! - `uring`, `sync_engine`: the two engines of real disks. Both drive `transfer`, the system calls
//!   of one request; `device_state` is what they learn of the device. `wake_event` wakes the
//!   reactor.
//! - `memory`, `mapping`: a disk in memory.
//! - `virtual_disk`: a model in virtual time. `paced`: the same model paced in real time.
//! - `fault`: a disk that fails on purpose.
//!
//! What is not known here: streams, vdisks, clients.

mod backing;
mod backing_error;
mod block_device;
mod buffer;
mod capabilities;
mod cut_mark;
mod defaults;
mod device_state;
mod disk;
mod fault;
mod file_space;
mod identity;
mod image_lock;
mod loop_device;
mod mapping;
mod memory;
mod open;
mod paced;
mod pacing;
mod remove_unused;
mod survey;
mod sync_engine;
mod transfer;
mod uring;
mod usable;
mod virtual_disk;
mod wake_event;

pub use backing_error::BackingError;
pub use buffer::{BUFFER_ALIGNMENT, Buffer, BufferPool};
pub use capabilities::{Capabilities, DiscardEffect};
pub use cut_mark::CutMark;
pub use disk::{
    Completion, ContentMap, Disk, DiskError, DiskErrorKind, DiskProperties, DiskRequest, SpaceBelow,
};
pub use fault::{
    Fault, FaultDisk, FaultHandle, FaultKind, FaultOptions, RandomFaults, ServiceTime,
};
pub use file_space::{FreeSpace, free_bytes};
pub use identity::{DiskIdentity, identify_disk};
pub use open::{DiskOptions, Medium, open_disk};
pub use paced::{PacedDisk, PacedOverlapDisk};
pub use pacing::{Lateness, PacingReport};
pub use remove_unused::{GrownFile, remove_unused, shorten_unused};
pub use survey::{Survey, nearest_directory, survey_disk};
pub use usable::{is_write_protected, require_unused, require_writable};
pub use virtual_disk::{Preparation, Store, VirtualDisk, VirtualLinearDisk, VirtualOverlapDisk};
pub use wake_event::reset_wake;

pub use disktime_drive_models::{
    ClassCost, CostModel, LinearCost, Operation, OverlapCost, PositioningMap, Quote, SeekPoint,
};
