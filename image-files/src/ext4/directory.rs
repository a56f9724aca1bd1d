//! The entries of directories, block by block. The index of large directories is passed over: its
//! blocks look like blocks without entries.

use super::FileSystem;
use super::inode::{FileKind, Node};
use super::superblock::sum;
use crate::error::FileError;
use disktime_units::little_endian::{u16_at, u32_at};
use std::ops::ControlFlow;

const HEAD_BYTES: usize = 8;
const TAIL_BYTES: usize = 12;
const TAIL_KIND: u8 = 0xDE;
/// Bytes of an inline directory before its entries: the number of its parent.
const INLINE_HEAD_BYTES: usize = 4;

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name: no `/`, no zero byte, not empty.
    pub name: Vec<u8>,
    /// The inode that it names.
    pub inode: u32,
    /// What that is, where the directory says it.
    pub kind: Option<FileKind>,
}

impl FileSystem {
    /// Shows the entries of a directory from a place on, without `.` and `..`, each with the place
    /// behind it. The first place is 0.
    ///
    /// # Errors
    /// When it is no directory, or damaged.
    pub fn entries(
        &self,
        directory: &Node,
        from: u64,
        mut show: impl FnMut(Entry, u64) -> ControlFlow<()>,
    ) -> Result<(), FileError> {
        if directory.kind() != FileKind::Directory {
            return Err(FileError::NotADirectory);
        }
        if directory.is_encrypted() {
            return Err(FileError::Unsupported("encryption"));
        }
        let block_bytes = self.block_bytes();
        let size = directory.size_bytes();
        // Its holes are errors, so a whole one has as many blocks of its own.
        if !directory.has_inline_content() && size / block_bytes > self.superblock.blocks {
            return Err(FileError::Damaged(
                "a directory is larger than its file system",
            ));
        }
        let mut start = from / block_bytes * block_bytes;
        let mut first = (from % block_bytes) as usize;
        while start < size {
            let (block, at) = match directory.has_inline_content() {
                true => (self.inline_content(directory)?, INLINE_HEAD_BYTES),
                false => (self.directory_block(directory, start)?, 0),
            };
            let is_inline = directory.has_inline_content();
            let mut at = first.max(at);
            while at < block.len() {
                let (entry, len) = self.entry(&block, at)?;
                at += len;
                let Some(entry) = entry else { continue };
                if show(entry, start + at as u64).is_break() {
                    return Ok(());
                }
            }
            if is_inline {
                return Ok(());
            }
            start += block_bytes;
            first = 0;
        }
        Ok(())
    }

    /// The inode that a directory names so.
    ///
    /// # Errors
    /// When it is no directory, or damaged.
    pub fn look_up(&self, directory: &Node, name: &[u8]) -> Result<Option<u32>, FileError> {
        let mut found = None;
        self.entries(directory, 0, |entry, _| {
            if entry.name != name {
                return ControlFlow::Continue(());
            }
            found = Some(entry.inode);
            ControlFlow::Break(())
        })?;
        Ok(found)
    }

    fn directory_block(&self, directory: &Node, start: u64) -> Result<Vec<u8>, FileError> {
        let run = self.mapping(directory).run(start / self.block_bytes())?;
        let place = run
            .place
            .ok_or(FileError::Damaged("a directory has a hole"))?;
        let block = self.blocks.block(place)?;
        if !self.superblock.has_checksums {
            return Ok(block);
        }
        let (rest, tail) = block.split_at(block.len() - TAIL_BYTES);
        let has_tail = u32_at(tail, 0) == 0 && u16_at(tail, 4) == 12 && tail[7] == TAIL_KIND;
        let is_good = match has_tail {
            true => sum(directory.seed, rest) == u32_at(tail, 8),
            // A block of the index has none, and no entries but `.` and `..`.
            false => directory.is_indexed(),
        };
        match is_good {
            true => Ok(block),
            false => Err(FileError::Damaged("a directory does not verify")),
        }
    }

    /// The entry at a place of a block, and its length.
    fn entry(&self, block: &[u8], at: usize) -> Result<(Option<Entry>, usize), FileError> {
        const BROKEN: FileError = FileError::Damaged("a directory has an impossible entry");
        let bytes = &block[at..];
        if bytes.len() < HEAD_BYTES {
            return Err(BROKEN);
        }
        let len = match (u16_at(bytes, 4), block.len()) {
            (0 | 0xFFFF, 0x1_0000) => 0x1_0000,
            (len, _) => usize::from(len),
        };
        let has_kinds = self.superblock.has_file_types;
        let name_len = match has_kinds {
            true => usize::from(bytes[6]),
            false => usize::from(u16_at(bytes, 6)),
        };
        if len < HEAD_BYTES || len > bytes.len() {
            return Err(BROKEN);
        }
        let inode = u32_at(bytes, 0);
        if inode == 0 {
            return Ok((None, len));
        }
        let name = bytes.get(HEAD_BYTES..HEAD_BYTES + name_len);
        let name = name.filter(|name| HEAD_BYTES + name.len() <= len && !name.is_empty());
        let name = name.ok_or(BROKEN)?;
        if name == b"." || name == b".." {
            return Ok((None, len));
        }
        if name.iter().any(|byte| matches!(byte, 0 | b'/')) {
            return Err(BROKEN);
        }
        let entry = Entry {
            name: name.to_vec(),
            inode,
            kind: if has_kinds { kind(bytes[7]) } else { None },
        };
        Ok((Some(entry), len))
    }
}

fn kind(byte: u8) -> Option<FileKind> {
    Some(match byte {
        1 => FileKind::File,
        2 => FileKind::Directory,
        3 => FileKind::Character,
        4 => FileKind::Block,
        5 => FileKind::Pipe,
        6 => FileKind::Socket,
        7 => FileKind::Link,
        _ => return None,
    })
}
