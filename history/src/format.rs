//! The bytes of a log, as docs/history-format.md says: encoders and decoders.
//!
//! Invariants: a decoder returns `None` (or says what is wrong) for any bytes that no encoder made,
//! and never panics; what it returns encodes to bytes that decode to the same. Checksums are
//! compared before anything else is believed. Bytes that verify and that no field names are
//! ignored: a later program may have written them.
//!
//! What is not known here: in what order blocks are written, and what they mean together.

pub(crate) mod batch;
pub(crate) mod bytes;
pub(crate) mod checkpoint;
pub(crate) mod checks;
pub(crate) mod footer;
pub(crate) mod record;
pub(crate) mod segment_header;
pub(crate) mod superblock;

/// Bytes of a unit: what a place counts, and a block of a vdisk.
pub const UNIT_BYTES: usize = 4096;

/// Number of an entry or record.
pub type Seq = u64;

/// Number of a unit from the beginning of the log area.
pub type Unit = u32;

/// Version of the log that this program writes and reads.
pub(crate) const VERSION: u32 = 1;

/// Places of the two superblocks.
pub(crate) const SUPERBLOCK_UNITS: [Unit; 2] = [0, 16];

/// Where slot 0 begins.
pub(crate) const FIRST_SLOT_UNIT: Unit = 32;

/// Bounds of a slot's size.
pub(crate) const SLOT_UNITS_MIN: u32 = 16;
pub(crate) const SLOT_UNITS_MAX: u32 = 16384;

/// Bounds of the number of slots.
pub(crate) const SLOTS_MIN: u32 = 6;
pub(crate) const SLOTS_MAX: u32 = 4096;

/// Blocks of a vdisk, at most: 64 TiB. A trim of all of it takes 4 million leaves of the index.
pub const VDISK_BLOCKS_MAX: u64 = 1 << 34;

/// Numbers and times only count up from small ones: one that is not below this is none of ours.
pub(crate) const COUNT_LIMIT: u64 = 1 << 62;

/// A log is not opened when one of its numbers is not below this: it counts on from there, and must
/// not come to [`COUNT_LIMIT`].
pub(crate) const COUNT_OPEN_LIMIT: u64 = 1 << 61;

/// A clock that shows a later time than this, in 2043, is wrong: the log's own time stays here and
/// counts on.
pub(crate) const CLOCK_MAX_NS: u64 = 1 << 61;

/// Units of payload of a batch, at most.
pub(crate) const PAYLOAD_UNITS_MAX: usize = 256;

/// Bytes of a mark's name, at most.
pub(crate) const MARK_NAME_BYTES_MAX: usize = 128;

/// Bytes of the settings of a clone, at most.
pub(crate) const CLONE_SETTINGS_BYTES_MAX: usize = 1024;

/// How many seqs are not durable, at most; and how many are skipped after a crash.
pub(crate) const UNFLUSHED_SEQS_MAX: u64 = 65_536;

/// 16 bytes that identify a vdisk, a disk, a log or a cut through several vdisks.
pub type Uuid = [u8; 16];
