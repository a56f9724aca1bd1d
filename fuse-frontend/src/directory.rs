//! Names, inodes and attributes: a flat directory whose files never come, go or change. Pure.
//!
//! Invariants: the directory is inode 1; the file at position `i` is inode `i + 2`, always.

use crate::{FuseError, FuseFile};
use fuse3::raw::reply::{FileAttr, ReplyStatFs};
use fuse3::{FileType, Timestamp};
use std::collections::HashSet;
use std::ffi::OsStr;

/// The inode of the directory itself, which FUSE fixes.
pub(crate) const DIRECTORY_INODE: u64 = 1;
const FIRST_FILE_INODE: u64 = 2;
const NAME_BYTES_MAX: u32 = 255;
const STATFS_BLOCK_BYTES: u32 = 4096;

/// The directory and its files.
#[derive(Debug)]
pub(crate) struct Directory {
    files: Vec<FuseFile>,
    owner: Owner,
    made: Timestamp,
}

/// Who owns directory and files.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// One line of a listing; `next` is where a listing goes on behind it.
#[derive(Debug)]
pub(crate) struct Listed<'a> {
    pub(crate) name: &'a str,
    pub(crate) inode: u64,
    pub(crate) kind: FileType,
    pub(crate) next: u64,
}

impl Directory {
    /// A directory of these files, owned by `owner`, made at `made`.
    pub(crate) fn new(
        files: Vec<FuseFile>,
        owner: Owner,
        made: Timestamp,
    ) -> Result<Directory, FuseError> {
        let mut names = HashSet::new();
        for FuseFile { name, .. } in &files {
            let is_component = !matches!(name.as_str(), "" | "." | "..")
                && name.len() <= NAME_BYTES_MAX as usize
                && !name.contains(['/', '\0']);
            if !is_component {
                return Err(FuseError::BadName { name: name.clone() });
            }
            if !names.insert(name.as_str()) {
                return Err(FuseError::DuplicateName { name: name.clone() });
            }
        }
        Ok(Directory { files, owner, made })
    }

    /// The position of the file with this inode.
    pub(crate) fn position(&self, inode: u64) -> Option<usize> {
        let position = usize::try_from(inode.checked_sub(FIRST_FILE_INODE)?).ok()?;
        (position < self.files.len()).then_some(position)
    }

    /// The file at a position that [`Directory::position`] gave.
    pub(crate) fn file(&self, position: usize) -> &FuseFile {
        &self.files[position]
    }

    /// The inode of the file with this name.
    pub(crate) fn inode_of(&self, name: &OsStr) -> Option<u64> {
        let position = self
            .files
            .iter()
            .position(|file| name == file.name.as_str())?;
        Some(FIRST_FILE_INODE + position as u64)
    }

    /// What `stat` shows for an inode.
    pub(crate) fn attributes(&self, inode: u64) -> Option<FileAttr> {
        if inode == DIRECTORY_INODE {
            return Some(self.attributes_with(inode, FileType::Directory, 0o700, 0, 4096));
        }
        let file = &self.files[self.position(inode)?];
        let permissions = if file.read_only { 0o400 } else { 0o600 };
        let block = file
            .optimal_io_bytes
            .clamp(4096, 1 << 20)
            .next_power_of_two();
        Some(self.attributes_with(
            inode,
            FileType::RegularFile,
            permissions,
            file.size_bytes,
            block,
        ))
    }

    fn attributes_with(
        &self,
        ino: u64,
        kind: FileType,
        perm: u16,
        size: u64,
        blksize: u32,
    ) -> FileAttr {
        FileAttr {
            ino,
            size,
            // Reserved whole, so `du` shows all of it. The unit is 512 bytes whatever blksize is.
            blocks: size.div_ceil(512),
            atime: self.made,
            mtime: self.made,
            ctime: self.made,
            kind,
            perm,
            nlink: if kind == FileType::Directory { 2 } else { 1 },
            uid: self.owner.uid,
            gid: self.owner.gid,
            rdev: 0,
            blksize,
        }
    }

    /// The listing from the place `from` on, which is 0 or some line's `next`.
    pub(crate) fn list(&self, from: u64) -> impl Iterator<Item = Listed<'_>> + Send {
        let dots = [".", ".."].map(|name| (name, DIRECTORY_INODE, FileType::Directory));
        let files = self.files.iter().enumerate().map(|(position, file)| {
            (
                file.name.as_str(),
                FIRST_FILE_INODE + position as u64,
                FileType::RegularFile,
            )
        });
        let lines = dots.into_iter().chain(files).zip(1..);
        lines
            .map(|((name, inode, kind), next)| Listed {
                name,
                inode,
                kind,
                next,
            })
            .skip(usize::try_from(from).unwrap_or(usize::MAX))
    }

    /// What `statfs` shows: as large as its files together, and full.
    pub(crate) fn statistics(&self) -> ReplyStatFs {
        let bytes = self
            .files
            .iter()
            .fold(0u64, |sum, file| sum.saturating_add(file.size_bytes));
        ReplyStatFs {
            blocks: bytes.div_ceil(u64::from(STATFS_BLOCK_BYTES)),
            bfree: 0,
            bavail: 0,
            files: self.files.len() as u64,
            ffree: 0,
            bsize: STATFS_BLOCK_BYTES,
            namelen: NAME_BYTES_MAX,
            frsize: STATFS_BLOCK_BYTES,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, size_bytes: u64) -> FuseFile {
        FuseFile {
            name: name.into(),
            size_bytes,
            read_only: false,
            optimal_io_bytes: 65_000,
        }
    }

    fn directory(files: Vec<FuseFile>) -> Result<Directory, FuseError> {
        Directory::new(files, Owner { uid: 7, gid: 8 }, Timestamp::new(0, 0))
    }

    #[test]
    fn names_that_are_no_path_component_or_stand_twice_are_refused() {
        for name in ["", ".", "..", "a/b", "a\0b", &"x".repeat(256)] {
            let refused = directory(vec![file(name, 1)]);
            assert!(
                matches!(refused, Err(FuseError::BadName { .. })),
                "{name:?}"
            );
        }
        let twice = directory(vec![file("a", 1), file("a", 2)]);
        assert!(matches!(twice, Err(FuseError::DuplicateName { .. })));
    }

    #[test]
    fn inodes_lead_to_their_files_and_nothing_else_does() {
        let directory = directory(vec![file("a", 1), file("b", 513)]).expect("good names");
        let inode = directory.inode_of(OsStr::new("b")).expect("there");
        assert_eq!(directory.position(inode), Some(1));
        let attributes = directory.attributes(inode).expect("there");
        assert_eq!((attributes.size, attributes.blocks), (513, 2));
        assert_eq!(attributes.blksize, 65_536);
        for inode in [0, 1, 4, u64::MAX] {
            assert_eq!(directory.position(inode), None);
        }
        assert!(directory.attributes(4).is_none());
    }

    #[test]
    fn a_listing_goes_on_where_it_stopped() {
        let directory = directory(vec![file("a", 1), file("b", 1)]).expect("good names");
        let mut from = 0;
        let mut names = Vec::new();
        while let Some(line) = directory.list(from).next() {
            names.push(line.name);
            from = line.next;
        }
        assert_eq!(names, [".", "..", "a", "b"]);
        assert_eq!(directory.list(u64::MAX).count(), 0);
    }
}
