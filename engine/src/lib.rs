//! The loop of one disk: take requests, ask the scheduler, drive the disk, settle charges, answer.
//!
//! What is not known here: protocols and file formats.

mod request;
mod service;
mod session;

pub use request::{IoError, Reply, Request, RequestKind, VdiskId};
pub use service::Service;
pub use session::{Session, SessionStatus};

pub use disktime_disks::{Buffer, BufferPool};
