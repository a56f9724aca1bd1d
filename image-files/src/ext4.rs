//! A file system of the ext family, read-only.

mod blocks;
mod directory;
mod inode;
mod journal;
mod mapping;
mod superblock;
mod xattrs;

pub use directory::Entry;
pub use inode::{FileKind, Node, Time};
pub use xattrs::Xattr;

use crate::error::FileError;
use crate::image::Image;
use blocks::Blocks;
use disktime_units::little_endian::{u16_at, u32_at};
use mapping::Mapping;
use std::sync::Arc;
use superblock::{SUPERBLOCK_BYTES, SUPERBLOCK_OFFSET, Superblock, sum};

/// The inode of the root directory.
pub const ROOT: u32 = 2;

/// The longest target of a symbolic link.
const MOST_TARGET_BYTES: u64 = 4096;
/// Of a descriptor of a group.
const CHECKSUM_AT: usize = 0x1e;

/// A part of a file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// Where it ends: that of the file at most.
    pub end: u64,
    /// Whether it reads as zeroes and takes no space.
    pub is_hole: bool,
}

/// A file system.
#[derive(Debug)]
pub struct FileSystem {
    superblock: Superblock,
    blocks: Blocks,
}

impl FileSystem {
    /// Opens the file system at a place of an image; `None` if there is none. Its journal is
    /// followed, and nothing is written.
    ///
    /// # Errors
    /// When there is one that cannot be read.
    pub fn open(
        image: Arc<dyn Image>,
        offset: u64,
        len_bytes: u64,
    ) -> Result<Option<FileSystem>, FileError> {
        if len_bytes < SUPERBLOCK_OFFSET + SUPERBLOCK_BYTES as u64 {
            return Ok(None);
        }
        let mut blocks = Blocks::new(image, offset, len_bytes);
        let mut bytes = [0; SUPERBLOCK_BYTES];
        blocks.kept_bytes(SUPERBLOCK_OFFSET, &mut bytes)?;
        let Some(superblock) = Superblock::decode(&bytes, len_bytes)? else {
            return Ok(None);
        };
        blocks.block_bytes = superblock.block_bytes;
        let mut opened = FileSystem { superblock, blocks };
        if let Some(journal) = opened.superblock.journal {
            let node = opened.node(journal)?;
            if !node.can_be_a_journal() {
                return Err(FileError::Damaged("its journal is no file"));
            }
            let found = journal::read(&opened.blocks, opened.mapping(&node))?;
            opened.blocks.replay(found);
            opened.read_superblock_again(len_bytes)?;
        }
        Ok(Some(opened))
    }

    /// The journal may hold a newer superblock, of a file system that has grown.
    fn read_superblock_again(&mut self, len_bytes: u64) -> Result<(), FileError> {
        let block_bytes = self.superblock.block_bytes;
        let block = self.blocks.block(SUPERBLOCK_OFFSET / block_bytes)?;
        let at = (SUPERBLOCK_OFFSET % block_bytes) as usize;
        let bytes = &block[at..at + SUPERBLOCK_BYTES];
        match Superblock::decode(bytes, len_bytes)? {
            Some(newer) if newer.block_bytes == block_bytes => self.superblock = newer,
            _ => return Err(FileError::Damaged("its journal holds no superblock")),
        }
        Ok(())
    }

    /// The file of an inode.
    ///
    /// # Errors
    /// When there is none, or it is damaged.
    pub fn node(&self, number: u32) -> Result<Node, FileError> {
        const NONE: FileError = FileError::Damaged("there is no such inode");
        let of = &self.superblock;
        let at = number
            .checked_sub(1)
            .filter(|at| *at < of.inodes)
            .ok_or(NONE)?;
        let group = u64::from(at / of.inodes_per_group);
        let groups = (of.blocks - of.first_data_block).div_ceil(of.blocks_per_group);
        if group >= groups {
            return Err(NONE);
        }
        let table = self.inode_table(group)?;
        let within = u64::from(at % of.inodes_per_group) * of.inode_bytes;
        let block = self
            .blocks
            .block(table.saturating_add(within / of.block_bytes))?;
        let start = (within % of.block_bytes) as usize;
        Node::decode(of, number, &block[start..start + of.inode_bytes as usize])
    }

    /// The first block of the inodes of a group.
    fn inode_table(&self, group: u64) -> Result<u64, FileError> {
        let of = &self.superblock;
        let (block, at) = of.descriptor_place(group);
        let block = self.blocks.block(block)?;
        let row = &block[at as usize..(at + of.descriptor_bytes) as usize];
        if of.has_checksums {
            let seed = sum(of.seed, &(group as u32).to_le_bytes());
            let head = sum(sum(seed, &row[..CHECKSUM_AT]), &[0; 2]);
            let actual = sum(head, &row[CHECKSUM_AT + 2..]);
            if actual & 0xFFFF != u32::from(u16_at(row, CHECKSUM_AT)) {
                return Err(FileError::Damaged("a group of blocks does not verify"));
            }
        }
        let high = if row.len() >= 64 {
            u32_at(row, 0x28)
        } else {
            0
        };
        Ok(u64::from(high) << 32 | u64::from(u32_at(row, 8)))
    }

    /// Reads the content of a file; returns how much there is, less than asked for only at the end.
    ///
    /// # Errors
    /// When it is damaged or encrypted.
    pub fn read(&self, node: &Node, offset: u64, into: &mut [u8]) -> Result<usize, FileError> {
        if node.is_encrypted() {
            return Err(FileError::Unsupported("encryption"));
        }
        let left = node.size_bytes().saturating_sub(offset);
        let len = into.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let into = &mut into[..len];
        if node.has_inline_content() {
            let content = self.inline_content(node)?;
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            let from = content.get(start..).and_then(|rest| rest.get(..len));
            into.copy_from_slice(from.ok_or(FileError::Damaged("a file ends too early"))?);
            return Ok(len);
        }
        let block_bytes = self.block_bytes();
        let mut done = 0;
        while done < len {
            let at = offset + done as u64;
            let run = self.mapping(node).run(at / block_bytes)?;
            let skip = at % block_bytes;
            let run_bytes = run.blocks.saturating_mul(block_bytes) - skip;
            let part = (len - done).min(usize::try_from(run_bytes).unwrap_or(usize::MAX));
            let target = &mut into[done..done + part];
            match run.place {
                Some(place) => self.blocks.data(place, skip, target)?,
                None => target.fill(0),
            }
            done += part;
        }
        Ok(len)
    }

    /// The data or hole that lies at a place of a file; `None` behind its end.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn stretch(&self, node: &Node, offset: u64) -> Result<Option<Stretch>, FileError> {
        let size = node.size_bytes();
        if offset >= size {
            return Ok(None);
        }
        if node.has_inline_content() {
            return Ok(Some(Stretch {
                end: size,
                is_hole: false,
            }));
        }
        let run = self.mapping(node).run(offset / self.block_bytes())?;
        let start = offset / self.block_bytes() * self.block_bytes();
        let len_bytes = run.blocks.saturating_mul(self.block_bytes());
        Ok(Some(Stretch {
            end: start.saturating_add(len_bytes).min(size),
            is_hole: run.place.is_none(),
        }))
    }

    /// The target of a symbolic link.
    ///
    /// # Errors
    /// When it is none, or damaged.
    pub fn target(&self, link: &Node) -> Result<Vec<u8>, FileError> {
        if link.kind() != FileKind::Link {
            return Err(FileError::NotALink);
        }
        if link.size_bytes() > MOST_TARGET_BYTES {
            return Err(FileError::Damaged("a symbolic link is too long"));
        }
        let mut target = vec![0; link.size_bytes() as usize];
        if link.has_inline_content() || !link.has_short_target(self.block_bytes()) {
            self.read(link, 0, &mut target)?;
        } else {
            let len = target.len();
            target.copy_from_slice(&link.places[..len]);
        }
        match target.is_empty() || target.contains(&0) {
            true => Err(FileError::Damaged("a symbolic link leads nowhere")),
            false => Ok(target),
        }
    }

    /// The unit in which space is given to files.
    pub fn block_bytes(&self) -> u64 {
        self.superblock.block_bytes
    }

    fn mapping<'a>(&'a self, node: &'a Node) -> Mapping<'a> {
        Mapping::new(&self.blocks, &self.superblock, node)
    }
}
