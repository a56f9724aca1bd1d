//! What the directory shows: one file for each vdisk.

use disktime_engine::{StoredBytes, VdiskId};

/// One file of the directory.
#[derive(Debug, Clone)]
pub struct FuseFile {
    /// Its name: one path component.
    pub name: String,
    /// Its length, which is the vdisk's size.
    pub size_bytes: u64,
    /// How much of it programs are told is stored (`st_blocks`); all of it without.
    pub stored: Option<StoredBytes>,
    /// Whether it refuses to be opened for writing.
    pub read_only: bool,
    /// What programs are told to read and write at a time (`st_blksize`), rounded up to a power
    /// of two from 4 KiB to 1 MiB.
    pub optimal_io_bytes: u32,
    /// The position of its disk's reactor among those that [`crate::mount`] is given.
    pub disk: usize,
    /// Which vdisk of that disk it is.
    pub vdisk: VdiskId,
}
