//! The FUSE door: a directory with one file per vdisk.
//!
//! ```text
//!   program ── kernel ── source ── port ──► the reactor of the disk, or another's by mail
//!                          │         │
//!   device, inbox: /dev/fuse         answers   what each message comes to: pure
//!   ring: FUSE over io_uring         │
//!                 protocol, directory, transfer: bytes, names, ranges; pure
//!   mount ── mountpoint, fusermount   the place in the file tree, before and after
//! ```
//!
//! A file is as long as its vdisk and never changes its length. Every read and write goes through
//! to the vdisk (no page cache in between), so all doors of a vdisk see the same bytes. A write
//! by a file opened with `O_SYNC` or `O_DSYNC` is answered when it is durable; `fsync`, and `close` after
//! writing, are answered when everything written before is.
//!
//! What is not known here: disks, scheduling, and where the bytes of a vdisk lie.

mod answers;
mod appetite;
mod device;
mod directory;
mod error;
mod file;
mod fusermount;
mod handshake;
mod inbox;
mod mount;
mod mountpoint;
mod port;
mod protocol;
mod refusals;
mod ring;
mod slots;
mod source;
mod transfer;

pub use error::FuseError;
pub use file::FuseFile;
pub use mount::{MountHandle, Transport, mount, prepare};
