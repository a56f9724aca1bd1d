//! How vdisks lie on disks: label, extents, zero maps; and the way of their requests to the disk.
//!
//! ```text
//!            JoinedSets                several sets, where logs lie on other disks
//!                │
//!            VolumeSet                 what is served of one disk, as a `disktime_engine::Service`
//!                │
//!                ├── histories         changes to a log: the log's I/O are requests, too
//!            data_path                 request in, reply out
//!    ┌───────────┼──────────────┬──────────────┐
//!  request_table splitter     commit        block_status     pure
//!  (bounds,      (pieces,     (write, flush, (holes)
//!   claims)       targets)     write)
//!                │              │
//!              layout ── zero_map, allocation_map, space_map pure
//!                │
//!            io_queue ── disktime_engine::DiskLoop           the only way to the disk
//! ```
//!
//! Request → piece → I/O: a client's request is cut into pieces, which lie together on a disk; a
//! piece is one or two I/Os. [`LabelledDisk`] is the disk with its label for the commands that run
//! without a server (format, remove, list).
//!
//! What is not known here: protocols and sockets; when an I/O goes to the disk.

mod abilities;
mod allocation_map;
mod block_status;
mod catalog;
mod commit;
mod data_path;
mod driver;
mod error;
mod foreign;
mod geometry;
mod held_trims;
mod histories;
mod ids;
mod inspect;
mod io_queue;
mod joined;
pub mod label;
mod labelled;
mod layout;
mod piece_io;
mod program_version;
mod range_locks;
mod request;
mod request_checks;
mod request_header;
mod request_table;
mod rotation;
pub mod space;
mod space_map;
mod splitter;
mod target;
mod uuid;
mod vdisk;
mod volume_set;
mod zero_map;

/// The target of log lines that say how far something long is, which people should see.
pub const PROGRESS_TARGET: &str = "disktime::progress";

pub use driver::{Driver, RealDriver, VirtualDriver};
pub use error::VolumeError;
pub use histories::{
    ChangedBlocks, ChangedDone, HistoryError, HistoryReport, MomentDone, SeqDone, VerifyDone,
    VerifyProgress,
};
pub use io_queue::MAX_QUEUED_IOS;
pub use joined::JoinedSets;
pub use label::{Extent, Label, Uuid, VdiskEntry};
pub use labelled::{Format, LabelledDisk, OpenOptions, RecordedClone, RecordedClones};
pub use request_table::{MAX_REQUEST_BYTES, MAX_REQUESTS};
pub use space::{
    MAX_HISTORY_BYTES, MIN_HISTORY_BYTES, Misfit, Plan, PlannedDisk, VdiskSpec, free_bytes,
    reconcile, reconcile_joined,
};
pub use volume_set::{
    CloneConfig, CloneConfigs, CloneDisks, ClonesDone, DropDone, GroupConfig, HistoryConfig,
    HistoryStreams, OpenReport, VdiskConfig, VolumeSet, require_endable_log,
};
