//! The FUSE door: a directory with one file per vdisk.
//!
//! ```text
//!   program ── kernel ── /dev/fuse ── filesystem ── transfer ──► FuseBackend (the server)
//!                                         │
//!                                     directory   names, inodes, attributes: pure
//!   mount ── mountpoint   the place in the file tree, before and after
//! ```
//!
//! A file is as long as its vdisk and never changes its length. Every read and write goes through
//! to the backend (no page cache in between), so all doors of a vdisk see the same bytes. A write
//! by a file opened with `O_SYNC` or `O_DSYNC` is answered when it is durable; `fsync`, and `close` after
//! writing, are answered when everything written before is.
//!
//! What is not known here: disks, scheduling, and where the bytes of a vdisk lie.

mod backend;
mod directory;
mod error;
mod filesystem;
mod in_flight;
mod mount;
mod mountpoint;
mod transfer;

pub use backend::{FuseBackend, FuseFile};
pub use error::FuseError;
pub use mount::{MountHandle, mount, prepare};
