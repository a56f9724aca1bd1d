//! Inodes: what is known of a file beside its content.

use super::superblock::{Superblock, sum};
use crate::error::FileError;
use disktime_units::little_endian::{array_at, u16_at, u32_at};

/// Bytes of an inode that hold places of blocks, or the content itself.
pub(super) const PLACES_BYTES: usize = 60;
/// Where what was added to the first 128 bytes of an inode begins.
pub(super) const EXTRA: usize = 0x80;

const CHECKSUM_LOW: usize = 0x7c;
const CHECKSUM_HIGH: usize = 0x82;

const FLAG_INDEXED: u32 = 0x1000;
const FLAG_ENCRYPTED: u32 = 0x800;
const FLAG_HUGE: u32 = 0x4_0000;
const FLAG_EXTENTS: u32 = 0x8_0000;
const FLAG_INLINE: u32 = 0x1000_0000;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A character device.
    Character,
    /// A block device.
    Block,
    /// A named pipe.
    Pipe,
    /// A socket.
    Socket,
}

/// A time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Time {
    /// Seconds since 1970.
    pub seconds: i64,
    /// Nanoseconds of the second.
    pub nanoseconds: u32,
}

/// A file, by its inode.
#[derive(Debug, Clone)]
pub struct Node {
    number: u32,
    kind: FileKind,
    mode: u16,
    uid: u32,
    gid: u32,
    links: u16,
    size_bytes: u64,
    sectors: u64,
    flags: u32,
    /// Access, change, modification.
    times: [Time; 3],
    /// Seed of the checksums of what belongs to it.
    pub(super) seed: u32,
    pub(super) places: [u8; PLACES_BYTES],
    pub(super) xattr_block: u64,
    /// What lies behind the known fields: extended attributes.
    pub(super) extra: Vec<u8>,
}

impl Node {
    pub(super) fn decode(of: &Superblock, number: u32, bytes: &[u8]) -> Result<Node, FileError> {
        let extra_bytes = match bytes.len() > EXTRA {
            true => usize::from(u16_at(bytes, EXTRA)),
            false => 0,
        };
        let known_end = EXTRA + extra_bytes;
        if known_end > bytes.len() || extra_bytes % 4 != 0 {
            return Err(FileError::Damaged("an inode has an impossible size"));
        }
        let seed = sum(sum(of.seed, &number.to_le_bytes()), &bytes[0x64..0x68]);
        if of.has_checksums && !verifies(bytes, known_end, seed) {
            return Err(FileError::Damaged("an inode does not verify"));
        }
        let mode = u16_at(bytes, 0);
        let kind = kind_of_mode(mode).ok_or(FileError::Damaged("an inode is of no known kind"))?;
        let flags = u32_at(bytes, 0x20);
        let time = |at: usize, extra: usize| {
            let more = extra + 4 <= known_end;
            time(u32_at(bytes, at), more.then(|| u32_at(bytes, extra)))
        };
        let has_long_size = kind == FileKind::File || of.has_large_directories;
        let high = |at: usize, is_there: bool| if is_there { u32_at(bytes, at) } else { 0 };
        let wide = |low: usize, high: usize| {
            u32::from(u16_at(bytes, high)) << 16 | u32::from(u16_at(bytes, low))
        };
        let blocks_high = if of.has_huge_files {
            u16_at(bytes, 0x74)
        } else {
            0
        };
        let in_blocks = of.has_huge_files && flags & FLAG_HUGE != 0;
        let blocks = u64::from(blocks_high) << 32 | u64::from(u32_at(bytes, 0x1c));
        Ok(Node {
            number,
            kind,
            mode: mode & 0o7777,
            uid: wide(2, 0x78),
            gid: wide(0x18, 0x7a),
            links: u16_at(bytes, 0x1a),
            size_bytes: u64::from(high(0x6c, has_long_size)) << 32 | u64::from(u32_at(bytes, 4)),
            sectors: blocks * if in_blocks { of.block_bytes / 512 } else { 1 },
            flags,
            times: [time(8, 0x8c), time(0xc, 0x84), time(0x10, 0x88)],
            seed,
            places: array_at(bytes, 0x28),
            xattr_block: u64::from(u16_at(bytes, 0x76)) << 32 | u64::from(u32_at(bytes, 0x68)),
            extra: match bytes.len() > EXTRA {
                true => bytes[known_end..].to_vec(),
                false => Vec::new(),
            },
        })
    }

    /// The number of its inode.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// What it is.
    pub fn kind(&self) -> FileKind {
        self.kind
    }

    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.kind == FileKind::File
    }

    /// Its permissions, with the bits for set-user-id, set-group-id and sticky.
    pub fn mode(&self) -> u16 {
        self.mode
    }

    /// Its owner.
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// Its group.
    pub fn gid(&self) -> u32 {
        self.gid
    }

    /// How many names it has.
    pub fn links(&self) -> u16 {
        self.links
    }

    /// The length of its content.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Sectors of 512 bytes that it takes.
    pub fn sectors(&self) -> u64 {
        self.sectors
    }

    /// When it was last read.
    pub fn accessed(&self) -> Time {
        self.times[0]
    }

    /// When anything of it was last changed.
    pub fn changed(&self) -> Time {
        self.times[1]
    }

    /// When its content was last changed.
    pub fn modified(&self) -> Time {
        self.times[2]
    }

    /// Major and minor number of a device.
    pub fn device(&self) -> Option<(u32, u32)> {
        if !matches!(self.kind, FileKind::Character | FileKind::Block) {
            return None;
        }
        let (old, new) = (u32_at(&self.places, 0), u32_at(&self.places, 4));
        Some(match old {
            0 => (new >> 8 & 0xFFF, new & 0xFF | new >> 12 & 0xF_FF00),
            _ => (old >> 8 & 0xFF, old & 0xFF),
        })
    }

    pub(super) fn is_indexed(&self) -> bool {
        self.flags & FLAG_INDEXED != 0
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.flags & FLAG_ENCRYPTED != 0
    }

    pub(super) fn has_extents(&self) -> bool {
        self.flags & FLAG_EXTENTS != 0
    }

    pub(super) fn has_inline_content(&self) -> bool {
        self.flags & FLAG_INLINE != 0
    }

    /// Whether a symbolic link's target lies in the inode.
    pub(super) fn has_short_target(&self, block_bytes: u64) -> bool {
        let of_xattrs = if self.xattr_block == 0 {
            0
        } else {
            block_bytes / 512
        };
        !self.has_extents() && self.size_bytes < PLACES_BYTES as u64 && self.sectors <= of_xattrs
    }
}

fn verifies(bytes: &[u8], known_end: usize, seed: u32) -> bool {
    let has_high = known_end >= CHECKSUM_HIGH + 2;
    let mut actual = sum(seed, &bytes[..CHECKSUM_LOW]);
    actual = sum(actual, &[0; 2]);
    actual = sum(actual, &bytes[CHECKSUM_LOW + 2..EXTRA.min(bytes.len())]);
    if bytes.len() > EXTRA {
        actual = match has_high {
            true => {
                let before = sum(actual, &bytes[EXTRA..CHECKSUM_HIGH]);
                sum(sum(before, &[0; 2]), &bytes[CHECKSUM_HIGH + 2..])
            }
            false => sum(actual, &bytes[EXTRA..]),
        };
    }
    let low = u32::from(u16_at(bytes, CHECKSUM_LOW));
    match has_high {
        true => actual == u32::from(u16_at(bytes, CHECKSUM_HIGH)) << 16 | low,
        false => actual & 0xFFFF == low,
    }
}

fn kind_of_mode(mode: u16) -> Option<FileKind> {
    Some(match mode >> 12 {
        0x1 => FileKind::Pipe,
        0x2 => FileKind::Character,
        0x4 => FileKind::Directory,
        0x6 => FileKind::Block,
        0x8 => FileKind::File,
        0xA => FileKind::Link,
        0xC => FileKind::Socket,
        _ => return None,
    })
}

/// A time: seconds with a sign, and two more bits of them below the nanoseconds.
fn time(seconds: u32, extra: Option<u32>) -> Time {
    let extra = extra.unwrap_or_default();
    Time {
        seconds: i64::from(seconds as i32) + (i64::from(extra & 3) << 32),
        nanoseconds: (extra >> 2).min(999_999_999),
    }
}
