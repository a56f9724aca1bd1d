//! What the directory shows: one file for each vdisk.

use disktime_engine::{ClientCount, LastChange, StoredBytes, VdiskId};

/// Which file it is, whatever its name and its place in a list: of a vdisk, the uuid in its label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileIdentity(pub u128);

/// One file of the directory.
#[derive(Debug, Clone)]
pub struct FuseFile {
    /// Its identity, which no other file of the directory has.
    pub identity: FileIdentity,
    /// Its name: one path component.
    pub name: String,
    /// Its length, which is the vdisk's size.
    pub size_bytes: u64,
    /// How much of it is reported as stored (`st_blocks`); all of it if `None`.
    pub stored: Option<StoredBytes>,
    /// When its content changed last, by whichever frontend: `st_mtime` and `st_ctime`.
    pub last_change: LastChange,
    /// Counts how often it is open.
    pub clients: ClientCount,
    /// Whether opening it for writing is refused.
    pub read_only: bool,
    /// Whether holes can be punched into it; else `fallocate` with PUNCH_HOLE is not supported.
    pub punches_holes: bool,
    /// The size of reads and writes that is recommended to programs (`st_blksize`), rounded up to a
    /// power of two from 4 KiB to 1 MiB.
    pub optimal_io_bytes: u32,
    /// The index of its disk's reactor among those that [`crate::mount`] gets.
    pub disk: usize,
    /// The handle of the vdisk at that disk's service.
    pub vdisk: VdiskId,
}
