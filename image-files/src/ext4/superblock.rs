//! The superblock: sizes, features, and the seeds of checksums.

use crate::error::FileError;
use disktime_units::little_endian::{u16_at, u32_at};

/// Where it lies, and how long it is.
pub(super) const SUPERBLOCK_OFFSET: u64 = 1024;
pub(super) const SUPERBLOCK_BYTES: usize = 1024;

const MAGIC: u16 = 0xEF53;

/// Features without which a reader is lost.
mod incompatible {
    pub(super) const FILE_TYPES: u32 = 0x2;
    pub(super) const RECOVER: u32 = 0x4;
    pub(super) const META_GROUPS: u32 = 0x10;
    pub(super) const EXTENTS: u32 = 0x40;
    pub(super) const BITS_64: u32 = 0x80;
    pub(super) const MULTI_MOUNT: u32 = 0x100;
    pub(super) const FLEXIBLE_GROUPS: u32 = 0x200;
    pub(super) const XATTR_INODES: u32 = 0x400;
    pub(super) const CHECKSUM_SEED: u32 = 0x2000;
    pub(super) const LARGE_DIRECTORIES: u32 = 0x4000;
    pub(super) const INLINE_DATA: u32 = 0x8000;
    pub(super) const ENCRYPTION: u32 = 0x1_0000;
    pub(super) const CASE_FOLDING: u32 = 0x2_0000;

    pub(super) const KNOWN: u32 = FILE_TYPES
        | RECOVER
        | META_GROUPS
        | EXTENTS
        | BITS_64
        | MULTI_MOUNT
        | FLEXIBLE_GROUPS
        | XATTR_INODES
        | CHECKSUM_SEED
        | LARGE_DIRECTORIES
        | INLINE_DATA
        | ENCRYPTION
        | CASE_FOLDING;
}

const HAS_JOURNAL: u32 = 0x4;
const SPARSE_SUPERBLOCKS: u32 = 0x1;
const HUGE_FILES: u32 = 0x8;
const METADATA_CHECKSUMS: u32 = 0x400;

/// What the superblock says.
#[derive(Debug, Clone)]
pub(super) struct Superblock {
    pub(super) block_bytes: u64,
    pub(super) blocks: u64,
    pub(super) first_data_block: u64,
    pub(super) blocks_per_group: u64,
    pub(super) inodes: u32,
    pub(super) inodes_per_group: u32,
    pub(super) inode_bytes: u64,
    pub(super) descriptor_bytes: u64,
    pub(super) first_meta_group: u64,
    /// The inode of the journal, if a mount would replay it.
    pub(super) journal: Option<u32>,
    pub(super) has_checksums: bool,
    pub(super) seed: u32,
    pub(super) has_file_types: bool,
    pub(super) has_large_directories: bool,
    pub(super) has_huge_files: bool,
    pub(super) has_meta_groups: bool,
    pub(super) is_sparse: bool,
}

/// The sum that ext4 makes: CRC-32C without the inversion of the result.
pub(super) fn sum(seed: u32, bytes: &[u8]) -> u32 {
    !crc32c::crc32c_append(!seed, bytes)
}

impl Superblock {
    /// Reads it; `None` if this is none.
    pub(super) fn decode(bytes: &[u8], len_bytes: u64) -> Result<Option<Superblock>, FileError> {
        if bytes.len() < SUPERBLOCK_BYTES || u16_at(bytes, 0x38) != MAGIC {
            return Ok(None);
        }
        let (compatible, needed, read_only) = (
            u32_at(bytes, 0x5c),
            u32_at(bytes, 0x60),
            u32_at(bytes, 0x64),
        );
        let has = |bit: u32| needed & bit != 0;
        let has_checksums = read_only & METADATA_CHECKSUMS != 0;
        if has_checksums && sum(!0, &bytes[..0x3fc]) != u32_at(bytes, 0x3fc) {
            return Err(FileError::Damaged("its superblock does not verify"));
        }
        if needed & !incompatible::KNOWN != 0 {
            return Err(FileError::Unsupported("a feature that is not known"));
        }
        let dynamic = u32_at(bytes, 0x4c) > 0;
        let log_block = u32_at(bytes, 0x18);
        let wide = has(incompatible::BITS_64);
        let high = if wide { u32_at(bytes, 0x150) } else { 0 };
        let seed = match has(incompatible::CHECKSUM_SEED) {
            true => u32_at(bytes, 0x270),
            false => sum(!0, &bytes[0x68..0x78]),
        };
        let replays = compatible & HAS_JOURNAL != 0 && has(incompatible::RECOVER);
        let read = Superblock {
            block_bytes: 1024 << log_block.min(7),
            blocks: u64::from(high) << 32 | u64::from(u32_at(bytes, 0x4)),
            first_data_block: u32_at(bytes, 0x14).into(),
            blocks_per_group: u32_at(bytes, 0x20).into(),
            inodes: u32_at(bytes, 0x0),
            inodes_per_group: u32_at(bytes, 0x28),
            inode_bytes: if dynamic {
                u16_at(bytes, 0x58).into()
            } else {
                128
            },
            descriptor_bytes: if wide { u16_at(bytes, 0xfe).into() } else { 32 },
            first_meta_group: u32_at(bytes, 0x104).into(),
            journal: replays.then(|| u32_at(bytes, 0xe0)),
            has_checksums,
            seed,
            has_file_types: has(incompatible::FILE_TYPES),
            has_large_directories: has(incompatible::LARGE_DIRECTORIES),
            has_huge_files: read_only & HUGE_FILES != 0,
            has_meta_groups: has(incompatible::META_GROUPS),
            is_sparse: read_only & SPARSE_SUPERBLOCKS != 0,
        };
        if replays && u32_at(bytes, 0xe4) != 0 {
            return Err(FileError::Unsupported("a journal on another device"));
        }
        match log_block <= 6 && read.is_possible(len_bytes) {
            true => Ok(Some(read)),
            false => Err(FileError::Damaged("its superblock has impossible sizes")),
        }
    }

    fn is_possible(&self, len_bytes: u64) -> bool {
        let fits = self.blocks.checked_mul(self.block_bytes);
        fits.is_some_and(|bytes| bytes <= len_bytes)
            && self.first_data_block < self.blocks
            && (1..=self.block_bytes * 8).contains(&self.blocks_per_group)
            && self.inodes_per_group > 0
            && self.inode_bytes.is_power_of_two()
            && (128..=self.block_bytes).contains(&self.inode_bytes)
            && self.descriptor_bytes.is_power_of_two()
            && (32..=self.block_bytes).contains(&self.descriptor_bytes)
    }

    /// The block and the place in it of the descriptor of a group.
    pub(super) fn descriptor_place(&self, group: u64) -> (u64, u64) {
        let in_a_block = self.block_bytes / self.descriptor_bytes;
        let (table, row) = (group / in_a_block, group % in_a_block);
        let place = row * self.descriptor_bytes;
        if !self.has_meta_groups || table < self.first_meta_group {
            return (self.first_data_block + 1 + table, place);
        }
        let first = table * in_a_block;
        let start = self.first_data_block + first * self.blocks_per_group;
        (start + u64::from(self.has_superblock(first)), place)
    }

    /// Whether a group begins with a copy of the superblock.
    fn has_superblock(&self, group: u64) -> bool {
        let is_power = |of: u64| {
            let mut power = of;
            while power < group {
                power *= of;
            }
            power == group
        };
        !self.is_sparse || group <= 1 || [3, 5, 7].into_iter().any(is_power)
    }
}
