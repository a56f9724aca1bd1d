//! The files that an image of a disk holds: ext2, ext3 and ext4, on the whole image or in its
//! first partitions, read-only.
//!
//! ```text
//!   ImageFiles ── partitions.rs                     where file systems may lie
//!       └── FileSystem (ext4.rs) ─┬─ superblock.rs  sizes, features, checksums
//!                                 ├─ blocks.rs      blocks as the journal leaves them
//!                                 ├─ journal.rs     what a mount would replay
//!                                 ├─ inode.rs       attributes
//!                                 ├─ mapping.rs     extents and block maps: data and holes
//!                                 ├─ directory.rs   entries
//!                                 └─ xattrs.rs      extended attributes, ACLs
//! ```
//!
//! Invariants: an image may hold any bytes; reading it never panics, never runs for ever and takes
//! bounded memory. What does not verify is an error of the file that needs it, and of no other.
//! Nothing is written.
//!
//! What is not known here: where the image comes from, moments, FUSE.
#![forbid(unsafe_code)]

mod error;
mod ext4;
mod image;
mod partitions;

pub use error::FileError;
pub use ext4::{Entry, FileKind, FileSystem, Node, ROOT, Stretch, Time, Xattr};
pub use image::{Image, ImageFiles, Tree};
