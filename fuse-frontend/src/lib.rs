//! The FUSE frontend: a directory with one file per vdisk.
//!
//! ```text
//!   program ── kernel ── connection ── port ──► the reactor of the disk; another's by its mailbox
//!                            │           │
//!   device, read_buffer: /dev/fuse     handler: what to do for each message; pure
//!   ring: FUSE over io_uring             │
//!                       protocol, directory, vdisk_request: bytes, names, ranges; pure
//!                                        │
//!                       in_flight: the table of requests that vdisks serve; bounded
//!   open_files: what ends with the open files of a vdisk whose content becomes another one
//!   mounted_files: files that come and leave while the directory is served
//!   mount ── handshake, mountpoint, fusermount: mounting and unmounting
//! ```
//!
//! A file is as long as its vdisk and never changes its length. Every read and write goes through
//! to the vdisk without the page cache, so all frontends of a vdisk see the same bytes. The reply
//! to a write of a file that is opened with `O_SYNC` or `O_DSYNC` is sent when the data are
//! durable; the reply to `fsync`, and to `close` after writing, when all data written before are
//! durable.
//!
//! What is not known here: disks, scheduling, and where the bytes of a vdisk are stored.

mod batch_size;
mod connection;
mod device;
mod directory;
mod error;
mod file;
mod fusermount;
mod handler;
mod handshake;
mod held_requests;
mod in_flight;
mod mount;
mod mounted_files;
mod mountpoint;
mod open_files;
mod port;
mod protocol;
mod read_buffer;
mod refusal_log;
mod ring;
mod transport;
mod vdisk_request;

pub use error::FuseError;
pub use file::{FileIdentity, FuseFile};
pub use mount::{MountHandle, check_mount_point, is_mounted, mount, prepare, unmount};
pub use mounted_files::MountedFiles;
pub use mountpoint::SUBTYPE;
pub use open_files::OpenFiles;
pub use transport::Transport;
