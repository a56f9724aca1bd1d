//! The loop of one disk: take requests, ask the scheduler, drive the disk, settle charges, answer.
//!
//! ```text
//!   sessions, mailbox ── Reactor (real time) ─┐                       ┌─ Scheduler (which, when)
//!                                             ├─ Service (volumes) ── DiskLoop
//!   simulated clients ── virtual time ────────┘                       └─ Disk (serves it)
//! ```
//!
//! - `disk_loop`, `order`, `statistics`: the loop, with I/Os in and completed I/Os out.
//! - `service`, `request`, `extent`, `zero_pieces`, `stored`, `client_count`: the interface of a
//!   vdisk service, its requests and replies.
//! - `reactor`: the thread that runs a service in real time. `session`, `port`: the interfaces of
//!   the frontends that it drives.
//! - `log_throttle`: a limit on repeated log messages.
//!
//! What is not known here: protocols and file formats.

mod client_count;
mod disk_loop;
mod extent;
mod last_change;
mod log_throttle;
mod no_space;
mod order;
mod port;
mod reactor;
mod request;
mod service;
mod session;
mod statistics;
mod stored;
mod zero_pieces;

pub use client_count::{
    ClientCount, ClosedToClients, ClosedVdisk, CountedClient, OpenedFile, StillInUse,
};
pub use disk_loop::{DiskLoop, Io, IoDone, LoopSettings};
pub use extent::Extent;
pub use last_change::LastChange;
pub use log_throttle::LogThrottle;
pub use no_space::NoSpaceCount;
pub use order::Order;
pub use port::{Port, PortStatus, Submit};
pub use reactor::{
    NotTaken, PortHost, Reactor, ReactorGone, ReactorHandle, ReplyCallback, StopTimes, Visit,
};
pub use request::{IoError, Reply, ReplyDetail, Request, VdiskId};
pub use service::Service;
pub use session::{Session, SessionStatus};
pub use statistics::{LoopReport, Percentiles, SoloReport, StreamReport, Window, Windows};
pub use stored::StoredBytes;
pub use zero_pieces::ZeroPieces;

pub use disktime_disks::{BUFFER_ALIGNMENT, Buffer, BufferPool};
pub use disktime_scheduler::{
    DiskCounters, Limit, OccupancyReading, PolicyKind, Reservation, Scheduler, Slowdown,
    StreamConfig, StreamCounters, StreamId, StreamMap, SwitchingAccount,
};
pub use disktime_units::RequestKind;
