//! A small ext2 with one file, block by block: enough to give a file versions where no file system
//! can be mounted.
//!
//! ```text
//!   block 0           1            2, 3      4         5                6 to 17
//!   superblock │ descriptor │ bitmaps │ inodes │ directory │ content of the file
//! ```
//!
//! Invariant: the same version gives the same blocks, and `e2fsck` finds nothing wrong with them.

/// Bytes of a block.
pub(super) const BLOCK: usize = 4096;
/// The file's name.
pub(super) const NAME: &str = "report";

const BLOCKS: u32 = 64;
const INODES: u32 = 32;
const INODE_BYTES: usize = 128;
const ROOT_INODE: usize = 2;
/// The first that is no system's.
const FILE_INODE: usize = 11;
const DIRECTORY_BLOCK: usize = 5;
const CONTENT_BLOCK: usize = 6;

/// Changes a number of a block.
fn put<const N: usize>(block: &mut [u8], at: usize, number: [u8; N]) {
    block[at..at + N].copy_from_slice(&number);
}

/// All blocks of the file system while its file has this content, written at that time (seconds
/// since 1970), except those that are empty.
pub(super) fn blocks(content: &[u8], time: u32) -> Vec<(u64, Vec<u8>)> {
    let of_content = content.chunks(BLOCK).map(|part| {
        let mut block = part.to_vec();
        block.resize(BLOCK, 0);
        block
    });
    let system = [
        superblock(content.len()),
        descriptor(content.len()),
        bitmap(CONTENT_BLOCK + content.len().div_ceil(BLOCK), BLOCKS),
        bitmap(FILE_INODE, INODES),
        inodes(content.len(), time),
        directory(),
    ];
    (0..).zip(system.into_iter().chain(of_content)).collect()
}

fn free_blocks(len: usize) -> u32 {
    BLOCKS - (CONTENT_BLOCK + len.div_ceil(BLOCK)) as u32
}

fn superblock(len: usize) -> Vec<u8> {
    let mut block = vec![0; BLOCK];
    let fields = &mut block[1024..];
    for (at, number) in [
        (0x0, INODES),
        (0x4, BLOCKS),
        (0xc, free_blocks(len)),
        (0x10, INODES - FILE_INODE as u32),
        // Blocks of 4 KiB, and so large fragments.
        (0x18, 2),
        (0x1c, 2),
        (0x20, 32_768),
        (0x24, 32_768),
        (0x28, INODES),
        // With sizes of inodes, and types in directories.
        (0x4c, 1),
        (0x54, FILE_INODE as u32),
        (0x60, 2),
    ] {
        put(fields, at, number.to_le_bytes());
    }
    put(fields, 0x36, u16::MAX.to_le_bytes());
    put(fields, 0x38, 0xEF53u16.to_le_bytes());
    // Clean; errors are gone on with.
    put(fields, 0x3a, 1u16.to_le_bytes());
    put(fields, 0x3c, 1u16.to_le_bytes());
    put(fields, 0x58, (INODE_BYTES as u16).to_le_bytes());
    put(fields, 0x68, *b"a small ext2 fs.");
    block
}

fn descriptor(len: usize) -> Vec<u8> {
    let mut block = vec![0; BLOCK];
    for (at, place) in [(0x0, 2u32), (0x4, 3), (0x8, 4)] {
        put(&mut block, at, place.to_le_bytes());
    }
    for (at, count) in [
        (0xc, free_blocks(len) as u16),
        (0xe, (INODES - FILE_INODE as u32) as u16),
        (0x10, 1),
    ] {
        put(&mut block, at, count.to_le_bytes());
    }
    block
}

/// The first `used` bits, and those that stand for nothing.
fn bitmap(used: usize, all: u32) -> Vec<u8> {
    let mut block = vec![0; BLOCK];
    for bit in (0..used).chain(all as usize..BLOCK * 8) {
        block[bit / 8] |= 1 << (bit % 8);
    }
    block
}

fn inodes(len: usize, time: u32) -> Vec<u8> {
    let mut block = vec![0; BLOCK];
    let mut inode = |number: usize, mode: u16, links: u16, size: usize, first: usize| {
        let fields = &mut block[(number - 1) * INODE_BYTES..][..INODE_BYTES];
        let places = size.div_ceil(BLOCK);
        put(fields, 0, mode.to_le_bytes());
        put(fields, 4, (size as u32).to_le_bytes());
        for at in [8, 0xc, 0x10] {
            put(fields, at, time.to_le_bytes());
        }
        put(fields, 0x1a, links.to_le_bytes());
        put(fields, 0x1c, (places as u32 * 8).to_le_bytes());
        for place in 0..places {
            let at = 0x28 + 4 * place;
            put(fields, at, ((first + place) as u32).to_le_bytes());
        }
    };
    inode(ROOT_INODE, 0o040_755, 2, BLOCK, DIRECTORY_BLOCK);
    inode(FILE_INODE, 0o100_640, 1, len, CONTENT_BLOCK);
    block
}

fn directory() -> Vec<u8> {
    let mut block = vec![0; BLOCK];
    let mut at = 0;
    for (name, inode, kind, len) in [
        (".", ROOT_INODE, 2, 12),
        ("..", ROOT_INODE, 2, 12),
        (NAME, FILE_INODE, 1, BLOCK - 24),
    ] {
        put(&mut block, at, (inode as u32).to_le_bytes());
        put(&mut block, at + 4, (len as u16).to_le_bytes());
        put(&mut block, at + 6, [name.len() as u8, kind]);
        block[at + 8..at + 8 + name.len()].copy_from_slice(name.as_bytes());
        at += len;
    }
    block
}

#[cfg(test)]
mod tests;
