//! What is reported of disks, vdisks, groups and background work: one typed status, and its tables.
//!
//! ```text
//!   ServerStatus ┬─ disks ────── DiskStatus: Windows<DiskWindow>, Pacing, DiskOverlap
//!                ├─ vdisks ───── VdiskStatus: StreamStatus
//!                ├─ groups ───── GroupStatus: Account
//!                ├─ background ─ StreamStatus, by disk and name of the work
//!                ├─ files ────── FilesStatus: the FUSE frontend
//!                └─ past ─────── PastStatus: the files of the past
//!   StreamStatus ── Account, Percentiles
//!   Account ── Entitlement, Windows<StreamWindow>, SoloTime
//! ```
//!
//! The server serialises a [`ServerStatus`] on its control socket; `disktime status`, `load`,
//! `demo` and the tests read that same struct, and `simulate` reports windows and percentiles of
//! the same types. The keys of the JSON are the names of the fields; docs/status.md explains them.
//!
//! Units: `_ns`, `_us` and `_ms` are times; a `_share` is a part of the window's length, from 0 to
//! 1, with six decimals. A stream has two accounts: `reserved_used` is what it received on
//! the reserved account, `spare` what it received beyond; `received` is their sum, and
//! `reserved_share` what it is entitled to.
//!
//! Invariants: every struct here is plain data that serialises and deserialises without loss; names
//! are sorted, so the same counters give the same bytes. What is not known here: how things are
//! served, and where the counters come from (a running server or a simulation).
#![forbid(unsafe_code)]

mod difference;
mod history;
mod overlap;
mod percentiles;
mod status;
mod table;
mod text;
mod window;

pub use difference::{DiskDifference, ServerDifference, StreamDifference};
pub use history::{HistoryBranch, HistoryCut, HistoryHolder, HistoryMark, HistoryStatus};
pub use overlap::{DiskOverlap, SlowerDisk, SoloTime};
pub use percentiles::Percentiles;
pub use status::{
    Account, DiskSpace, DiskStatus, Entitlement, FilesStatus, GroupStatus, Grouped, Pacing,
    PastStatus, ServerStatus, StreamStatus, VdiskStatus, grouped,
};
pub use table::Table;
pub use window::{DiskTimes, DiskWindow, StreamCounts, StreamTimes, StreamWindow, Windows};
