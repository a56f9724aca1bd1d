//! What serves a request. One trait, [`Disk`], and behind it real devices, modelled ones and broken ones.
//!
//! What is not known here: who asked, and why.

mod buffer;
mod disk;

pub use buffer::{Buffer, BufferPool, BUFFER_ALIGNMENT};
pub use disk::{
    Completion, Disk, DiskError, DiskErrorKind, DiskProperties, DiskRequest, LinearCost, Operation,
    SeekPoint,
};
