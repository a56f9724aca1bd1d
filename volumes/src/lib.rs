//! How vdisks lie on disks: label, extents, zero maps; and the mapping of their requests.
//!
//! ```text
//!  Request ─ intake ─ range_locks ─ layout (extents, zero map) ─ parts ─┐
//!    Reply ──────────────────────────────────────── sync (FLUSH, FUA) ──┴─ DiskLoop
//! ```
//!
//! [`VolumeSet`] serves the vdisks of one disk as a [`disktime_engine::Service`]. [`LabelledDisk`]
//! is the disk with its label for the commands that run without a server (format, remove, list).
//!
//! What is not known here: protocols and sockets; when a request goes to the disk.

mod below;
mod driver;
mod error;
pub mod foreign;
mod inspect;
mod intake;
pub mod label;
mod labelled;
mod layout;
mod parts;
mod presence;
mod range_locks;
mod slab;
pub mod space;
mod status;
mod sync;
mod uuid;
mod vdisk;
mod volume_set;
pub mod zero_map;

pub use driver::{Driver, RealDriver, VirtualDriver};
pub use error::VolumeError;
pub use label::{Extent, Label, Uuid, VdiskEntry};
pub use labelled::{Format, LabelledDisk, OpenOptions};
pub use space::{Plan, VdiskSpec, reconcile};
pub use vdisk::{MAX_QUEUED_PARTS, MAX_REQUEST_BYTES, MAX_REQUESTS};
pub use volume_set::{GroupConfig, OpenReport, VdiskConfig, VolumeSet};
