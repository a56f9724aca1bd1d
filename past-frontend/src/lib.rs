//! The files of the past: a read-only directory with what virtual disks held at moments of their
//! histories.
//!
//! ```text
//!   VDISK/MOMENT/image           the virtual disk
//!   VDISK/MOMENT/files/          the files in it (disktime_image_files), or
//!   VDISK/MOMENT/files/N/        those of its partition N
//!
//!   mount ── Files (filesystem.rs, fuse3's messages) ── Tree (tree.rs, answers)
//!                                                         └── Moments (moments.rs, what is open)
//! ```
//!
//! Invariants: nothing is written; a number of a node means the same file as long as the server
//! runs; how many moments are open is bounded, and those that are not used are closed.
//!
//! What is not known here: how moments are read, and who pays for it: the server's [`Past`].

mod attributes;
mod filesystem;
mod moments;
mod mount;
mod place;
mod tree;

pub use mount::{PastMount, mount};

use disktime_image_files::Image;
use std::sync::Arc;

/// A virtual disk whose past is shown.
#[derive(Debug, Clone)]
pub struct PastVdisk {
    /// Its name.
    pub name: String,
    /// The group that may read its past, beside the user that runs the server.
    pub group: Option<u32>,
}

/// A moment that has a name.
#[derive(Debug, Clone)]
pub struct Mark {
    /// The name.
    pub name: String,
    /// The number of the change that it stands behind.
    pub seq: u64,
    /// When it was made.
    pub since_1970_ns: u64,
}

/// A moment of a virtual disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundMoment {
    /// The number of the last change before it.
    pub seq: u64,
    /// The size that the virtual disk had then.
    pub size_bytes: u64,
}

/// The past of virtual disks. All of it may block.
pub trait Past: Send + Sync {
    /// The marks of a virtual disk.
    fn marks(&self, vdisk: &str) -> Vec<Mark>;

    /// The moment that people write so.
    ///
    /// # Errors
    /// Why there is no such moment.
    fn resolve(&self, vdisk: &str, moment: &str) -> Result<FoundMoment, String>;

    /// Opens what a virtual disk held behind a change. It is open until it is dropped.
    ///
    /// # Errors
    /// Why it cannot be opened.
    fn open(&self, vdisk: &str, seq: u64) -> Result<Arc<dyn Image>, String>;
}
