//! Names, inodes and attributes of a flat directory. Pure.
//!
//! Invariants: the directory is inode 1. As long as it is mounted, a file has one inode and no
//! other file ever has it; a file that was removed and is added again, which its identity shows,
//! gets its old inode. The file at position `i` is inode `i + 2`, so the same holds for positions.

use crate::protocol::{Attributes, EntryKind, Statistics};
use crate::{FileIdentity, FuseError, FuseFile};
use std::collections::HashMap;

/// The inode of the directory itself, which FUSE fixes.
pub(crate) const DIRECTORY_INODE: u64 = 1;
const FIRST_FILE_INODE: u64 = 2;
/// Bytes of the longest name.
pub(crate) const NAME_BYTES_MAX: u32 = 255;
const STATFS_BLOCK_BYTES: u32 = 4096;

/// The directory and its files.
#[derive(Debug)]
pub(crate) struct Directory {
    /// By position. Entries of removed files stay.
    entries: Vec<Entry>,
    /// The positions of the files that are there.
    by_name: HashMap<Vec<u8>, usize>,
    by_identity: HashMap<FileIdentity, usize>,
    owner: Owner,
    /// When it was mounted, in nanoseconds since 1970.
    created_ns: u64,
}

#[derive(Debug)]
struct Entry {
    file: FuseFile,
    is_removed: bool,
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
    /// A directory of these files, owned by `owner`, created at `created_ns`.
    pub(crate) fn new(
        files: Vec<FuseFile>,
        owner: Owner,
        created_ns: u64,
    ) -> Result<Directory, FuseError> {
        let mut directory = Directory {
            entries: Vec::with_capacity(files.len()),
            by_name: HashMap::new(),
            by_identity: HashMap::new(),
            owner,
            created_ns,
        };
        for file in files {
            directory.add(file)?;
        }
        Ok(directory)
    }

    /// Adds a file, and returns its inode.
    pub(crate) fn add(&mut self, file: FuseFile) -> Result<u64, FuseError> {
        let name = &file.name;
        let is_component = !matches!(name.as_str(), "" | "." | "..")
            && name.len() <= NAME_BYTES_MAX as usize
            && !name.contains(['/', '\0']);
        if !is_component {
            return Err(FuseError::BadName { name: name.clone() });
        }
        let known = self.by_identity.get(&file.identity).copied();
        let is_there = known.is_some_and(|position| !self.entries[position].is_removed);
        if is_there || self.by_name.contains_key(name.as_bytes()) {
            return Err(FuseError::DuplicateName { name: name.clone() });
        }
        let position = known.unwrap_or(self.entries.len());
        self.by_name.insert(name.clone().into_bytes(), position);
        self.by_identity.insert(file.identity, position);
        let entry = Entry {
            file,
            is_removed: false,
        };
        match self.entries.get_mut(position) {
            Some(old) => *old = entry,
            None => self.entries.push(entry),
        }
        Ok(FIRST_FILE_INODE + position as u64)
    }

    /// Removes a file; its inode leads to nothing from now on. Whether it was there.
    pub(crate) fn remove(&mut self, identity: FileIdentity) -> bool {
        let Some(position) = self.by_identity.get(&identity) else {
            return false;
        };
        let entry = &mut self.entries[*position];
        self.by_name.remove(entry.file.name.as_bytes());
        !std::mem::replace(&mut entry.is_removed, true)
    }

    /// The inodes of the files that are there.
    pub(crate) fn inodes(&self) -> HashMap<FileIdentity, u64> {
        let files = self.files();
        files
            .map(|(position, file)| (file.identity, FIRST_FILE_INODE + position as u64))
            .collect()
    }

    /// The position of the file with this inode.
    pub(crate) fn position(&self, inode: u64) -> Option<usize> {
        let position = usize::try_from(inode.checked_sub(FIRST_FILE_INODE)?).ok()?;
        let entry = self.entries.get(position)?;
        (!entry.is_removed).then_some(position)
    }

    /// The file at a position that came from [`Directory::position`].
    pub(crate) fn file(&self, position: usize) -> &FuseFile {
        &self.entries[position].file
    }

    /// The files that are there, with their positions.
    fn files(&self) -> impl Iterator<Item = (usize, &FuseFile)> {
        let entries = self.entries.iter().enumerate();
        let there = entries.filter(|(_, entry)| !entry.is_removed);
        there.map(|(position, entry)| (position, &entry.file))
    }

    /// The inode of the file with this name.
    pub(crate) fn inode_of(&self, name: &[u8]) -> Option<u64> {
        let position = self.by_name.get(name)?;
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
            time_ns: self.created_ns,
            user: self.owner.uid,
            group: self.owner.gid,
            block_bytes,
        };
        if inode == DIRECTORY_INODE {
            return Some(attributes(EntryKind::Directory, 0o700, 0, 4096));
        }
        let file = self.file(self.position(inode)?);
        let mode = if file.read_only { 0o400 } else { 0o600 };
        let block = file
            .optimal_io_bytes
            .clamp(4096, 1 << 20)
            .next_power_of_two();
        let all = Attributes {
            time_ns: file.last_change.since_1970_ns(),
            ..attributes(EntryKind::File, mode, file.size_bytes, block)
        };
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
        let dots = [".", ".."].into_iter().zip(1..);
        let dots = dots.map(|(name, next)| (name, DIRECTORY_INODE, next));
        // Behind the dots a line's place is its file's position, so that a listing goes on at the
        // right file when others come or go meanwhile.
        let files = self.files().map(|(position, file)| {
            let inode = FIRST_FILE_INODE + position as u64;
            (file.name.as_str(), inode, inode + 1)
        });
        let lines = dots.chain(files);
        let lines = lines.map(|(name, inode, next)| DirectoryLine { name, inode, next });
        lines.filter(move |line| line.next > from)
    }

    /// What `statfs` shows: the sum of the files' sizes, and no free space.
    pub(crate) fn statistics(&self) -> Statistics {
        let sizes = self.files().map(|(_, file)| file.size_bytes);
        let bytes = sizes.fold(0u64, u64::saturating_add);
        Statistics {
            blocks: bytes.div_ceil(u64::from(STATFS_BLOCK_BYTES)),
            block_bytes: STATFS_BLOCK_BYTES,
            files: self.by_name.len() as u64,
            name_bytes_max: NAME_BYTES_MAX,
        }
    }
}

#[cfg(test)]
mod tests;
