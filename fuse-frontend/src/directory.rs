//! Names, inodes and attributes of a flat directory with a fixed list of files. Pure.
//!
//! Invariants: the directory is inode 1; the file at position `i` is inode `i + 2`, always.

use crate::protocol::{Attributes, EntryKind, Statistics};
use crate::{FuseError, FuseFile};
use std::collections::HashMap;

/// The inode of the directory itself, which FUSE fixes.
pub(crate) const DIRECTORY_INODE: u64 = 1;
const FIRST_FILE_INODE: u64 = 2;
const NAME_BYTES_MAX: u32 = 255;
const STATFS_BLOCK_BYTES: u32 = 4096;

/// The directory and its files.
#[derive(Debug)]
pub(crate) struct Directory {
    files: Vec<FuseFile>,
    positions: HashMap<Vec<u8>, usize>,
    owner: Owner,
    /// When it was mounted, in seconds since 1970.
    created_seconds: u64,
}

/// Who owns directory and files.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// One line of a listing; a listing that starts at `next` continues after it.
#[derive(Debug)]
pub(crate) struct DirectoryLine<'a> {
    pub(crate) name: &'a str,
    pub(crate) inode: u64,
    pub(crate) next: u64,
}

impl Directory {
    /// A directory of these files, owned by `owner`, created at `created_seconds`.
    pub(crate) fn new(
        files: Vec<FuseFile>,
        owner: Owner,
        created_seconds: u64,
    ) -> Result<Directory, FuseError> {
        let mut positions = HashMap::new();
        for (position, FuseFile { name, .. }) in files.iter().enumerate() {
            let is_component = !matches!(name.as_str(), "" | "." | "..")
                && name.len() <= NAME_BYTES_MAX as usize
                && !name.contains(['/', '\0']);
            if !is_component {
                return Err(FuseError::BadName { name: name.clone() });
            }
            if positions
                .insert(name.clone().into_bytes(), position)
                .is_some()
            {
                return Err(FuseError::DuplicateName { name: name.clone() });
            }
        }
        Ok(Directory {
            files,
            positions,
            owner,
            created_seconds,
        })
    }

    /// The position of the file with this inode.
    pub(crate) fn position(&self, inode: u64) -> Option<usize> {
        let position = usize::try_from(inode.checked_sub(FIRST_FILE_INODE)?).ok()?;
        (position < self.files.len()).then_some(position)
    }

    /// The file at a position that came from [`Directory::position`].
    pub(crate) fn file(&self, position: usize) -> &FuseFile {
        &self.files[position]
    }

    pub(crate) fn files(&self) -> &[FuseFile] {
        &self.files
    }

    /// The inode of the file with this name.
    pub(crate) fn inode_of(&self, name: &[u8]) -> Option<u64> {
        let position = self.positions.get(name)?;
        Some(FIRST_FILE_INODE + *position as u64)
    }

    /// What `stat` shows for an inode.
    pub(crate) fn attributes(&self, inode: u64) -> Option<Attributes> {
        let attributes = |kind, mode, size_bytes, block_bytes| Attributes {
            inode,
            kind,
            mode,
            size_bytes,
            stored_bytes: size_bytes,
            time_seconds: self.created_seconds,
            user: self.owner.uid,
            group: self.owner.gid,
            block_bytes,
        };
        if inode == DIRECTORY_INODE {
            return Some(attributes(EntryKind::Directory, 0o700, 0, 4096));
        }
        let file = &self.files[self.position(inode)?];
        let mode = if file.read_only { 0o400 } else { 0o600 };
        let block = file
            .optimal_io_bytes
            .clamp(4096, 1 << 20)
            .next_power_of_two();
        let all = attributes(EntryKind::File, mode, file.size_bytes, block);
        Some(match &file.stored {
            Some(stored) => Attributes {
                stored_bytes: stored.get().min(file.size_bytes),
                ..all
            },
            None => all,
        })
    }

    /// The listing from `from` on, which is 0 or the `next` of a line.
    pub(crate) fn list(&self, from: u64) -> impl Iterator<Item = DirectoryLine<'_>> {
        let dots = [".", ".."].map(|name| (name, DIRECTORY_INODE));
        let files = self.files.iter().enumerate();
        let files =
            files.map(|(position, file)| (file.name.as_str(), FIRST_FILE_INODE + position as u64));
        let lines = dots.into_iter().chain(files).zip(1..);
        lines
            .map(|((name, inode), next)| DirectoryLine { name, inode, next })
            .skip(usize::try_from(from).unwrap_or(usize::MAX))
    }

    /// What `statfs` shows: the sum of the files' sizes, and no free space.
    pub(crate) fn statistics(&self) -> Statistics {
        let bytes = self
            .files
            .iter()
            .fold(0u64, |sum, file| sum.saturating_add(file.size_bytes));
        Statistics {
            blocks: bytes.div_ceil(u64::from(STATFS_BLOCK_BYTES)),
            block_bytes: STATFS_BLOCK_BYTES,
            files: self.files.len() as u64,
            name_bytes_max: NAME_BYTES_MAX,
        }
    }
}

#[cfg(test)]
mod tests;
