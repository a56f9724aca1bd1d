//! What is at each place of the tree. Blocking: it reads from the disk.
//!
//! - `listing`: the entries of directories.

mod listing;

pub(crate) use listing::Listed;

use crate::attributes::{self, Defaults};
use crate::moments::{MomentError, Moments, Opened};
use crate::place::Place;
use crate::{FoundMoment, Mark, Past, PastVdisk};
use disktime_image_files::{FileError, FileKind, FileSystem, ImageFiles, ROOT, Tree as Found};
use fuse3::raw::reply::FileAttr;
use fuse3::{Errno, FileType, Timestamp};
use std::sync::Arc;

const IMAGE: &[u8] = b"image";
const FILES: &[u8] = b"files";

/// How many stretches of a file are searched for data or a hole: a damaged one may have any number.
const MOST_STRETCHES: u32 = 65_536;

pub(crate) type Answer<T> = Result<T, Errno>;

/// The tree.
pub(crate) struct Tree {
    vdisks: Vec<PastVdisk>,
    past: Arc<dyn Past>,
    moments: Moments,
    defaults: Defaults,
}

impl Tree {
    pub(crate) fn new(vdisks: Vec<PastVdisk>, past: Arc<dyn Past>, defaults: Defaults) -> Tree {
        Tree {
            vdisks,
            moments: Moments::new(past.clone()),
            past,
            defaults,
        }
    }

    pub(crate) fn moments(&self) -> &Moments {
        &self.moments
    }

    pub(crate) fn attr(&self, place: Place) -> Answer<FileAttr> {
        let directory =
            |defaults, perm| attributes::own(place, defaults, FileType::Directory, perm);
        match place {
            Place::Root => Ok(directory(self.defaults, 0o755)),
            Place::Vdisk(at) => {
                let (defaults, mode) = self.rights(self.vdisk(at)?);
                Ok(directory(defaults, if mode { 0o750 } else { 0o700 }))
            }
            Place::Moment(moment) => {
                let (vdisk, FoundMoment { seq, .. }) =
                    self.moments.vdisk_of(moment).map_err(errno)?;
                let marks = self.past.marks(&vdisk);
                let mark = marks.iter().find(|mark| mark.seq == seq);
                let time = mark.map_or(self.defaults.time, mark_time);
                let defaults = Defaults {
                    time,
                    ..self.defaults
                };
                Ok(directory(defaults, 0o555))
            }
            Place::Partitions(_) => Ok(directory(self.defaults, 0o555)),
            Place::Image(moment) => self.image_attr(place, moment),
            Place::File { tree, inode, .. } => {
                self.with_tree(place, tree, |of| Ok(node_attr(place, of, inode)?))
            }
        }
    }

    fn image_attr(&self, place: Place, moment: u32) -> Answer<FileAttr> {
        let (name, FoundMoment { size_bytes, .. }) =
            self.moments.vdisk_of(moment).map_err(errno)?;
        let vdisk = self.vdisks.iter().find(|vdisk| vdisk.name == name);
        let vdisk = vdisk.ok_or_else(not_found)?;
        let (defaults, for_group) = self.rights(vdisk);
        let perm = if for_group { 0o440 } else { 0o400 };
        Ok(FileAttr {
            size: size_bytes,
            blocks: size_bytes / 512,
            ..attributes::own(place, defaults, FileType::RegularFile, perm)
        })
    }

    /// Who owns what is shown of a virtual disk, and whether the group may read it.
    fn rights(&self, vdisk: &PastVdisk) -> (Defaults, bool) {
        let gid = vdisk.group.unwrap_or(self.defaults.gid);
        (
            Defaults {
                gid,
                ..self.defaults
            },
            vdisk.group.is_some(),
        )
    }

    fn vdisk(&self, at: u32) -> Answer<&PastVdisk> {
        self.vdisks.get(at as usize).ok_or_else(not_found)
    }

    /// What a directory names so.
    pub(crate) fn look_up(&self, parent: Place, name: &[u8]) -> Answer<Place> {
        match parent {
            Place::Root => {
                let at = self
                    .vdisks
                    .iter()
                    .position(|vdisk| vdisk.name.as_bytes() == name);
                Ok(Place::Vdisk(at.ok_or_else(not_found)? as u32))
            }
            Place::Vdisk(at) => {
                let moment = std::str::from_utf8(name).map_err(|_| not_found())?;
                let found = self.moments.find(&self.vdisk(at)?.name, moment);
                // That there is no such moment is no failure.
                Ok(Place::Moment(found.map_err(|error| match error {
                    MomentError::Gone => not_found(),
                    MomentError::TooMany => errno(error),
                })?))
            }
            Place::Moment(moment) if name == IMAGE => Ok(Place::Image(moment)),
            Place::Moment(moment) if name == FILES => {
                self.files_place(moment)?.ok_or_else(not_found)
            }
            Place::Partitions(moment) => {
                let files = self.files(moment)?.1;
                let is_meant = |tree: &Found| partition_name(tree) == name;
                let at = files.trees().iter().position(is_meant);
                let at = at.ok_or_else(not_found)?;
                Ok(root_of(moment, at as u32))
            }
            Place::File {
                moment,
                tree,
                inode,
            } => self.with_tree(parent, tree, |of| {
                let found = of.look_up(&of.node(inode)?, name)?;
                Ok(Place::File {
                    moment,
                    tree,
                    inode: found.ok_or_else(not_found)?,
                })
            }),
            Place::Moment(_) => Err(not_found()),
            Place::Image(_) => Err(Errno::from(libc::ENOTDIR)),
        }
    }

    /// Where the files of a moment are; `None` if its image holds no file system.
    fn files_place(&self, moment: u32) -> Answer<Option<Place>> {
        let files = self.files(moment)?.1;
        Ok(match files.trees() {
            [] => None,
            [tree] if tree.partition.is_none() => {
                // A file system that cannot be read is there all the same.
                Some(root_of(moment, 0))
            }
            _ => Some(Place::Partitions(moment)),
        })
    }

    pub(crate) fn read(&self, place: Place, offset: u64, size: u32) -> Answer<Vec<u8>> {
        let mut bytes = vec![0; size as usize];
        match place {
            Place::Image(moment) => {
                let opened = self.open(moment)?;
                let left = opened.image.size_bytes().saturating_sub(offset);
                bytes.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                let read = opened.image.read_at(offset, &mut bytes);
                read.map_err(|error| file_errno(FileError::Io(error)))?;
            }
            Place::File { tree, inode, .. } => self.with_tree(place, tree, |of| {
                let node = of.node(inode)?;
                if node.kind() == FileKind::Directory {
                    return Err(Errno::from(libc::EISDIR).into());
                }
                let len = of.read(&node, offset, &mut bytes)?;
                bytes.truncate(len);
                Ok(())
            })?,
            _ => return Err(Errno::from(libc::EISDIR)),
        }
        Ok(bytes)
    }

    pub(crate) fn target(&self, place: Place) -> Answer<Vec<u8>> {
        let Place::File { tree, inode, .. } = place else {
            return Err(Errno::from(libc::EINVAL));
        };
        self.with_tree(place, tree, |of| Ok(of.target(&of.node(inode)?)?))
    }

    /// The extended attributes, by name.
    pub(crate) fn xattrs(&self, place: Place) -> Answer<Vec<(Vec<u8>, Vec<u8>)>> {
        let Place::File { tree, inode, .. } = place else {
            return Ok(Vec::new());
        };
        self.with_tree(place, tree, |of| {
            let found = of.xattrs(&of.node(inode)?)?;
            Ok(found.into_iter().map(|one| (one.name, one.value)).collect())
        })
    }

    /// The next data or hole from a place of a file on.
    pub(crate) fn seek(&self, place: Place, offset: u64, to_hole: bool) -> Answer<u64> {
        let beyond = || Errno::from(libc::ENXIO);
        let Place::File { tree, inode, .. } = place else {
            let size = self.attr(place)?.size;
            return match (offset < size, to_hole) {
                (true, true) => Ok(size),
                (true, false) => Ok(offset),
                (false, _) => Err(beyond()),
            };
        };
        self.with_tree(place, tree, |of| {
            let node = of.node(inode)?;
            let mut at = offset;
            for _ in 0..MOST_STRETCHES {
                match of.stretch(&node, at)? {
                    Some(stretch) if stretch.is_hole != to_hole => at = stretch.end,
                    Some(_) => return Ok(at),
                    None if to_hole && offset < node.size_bytes() => return Ok(at),
                    None => return Err(beyond().into()),
                }
            }
            // A hole may be called data, and a file ends with one.
            match to_hole {
                true => Ok(node.size_bytes()),
                false => Ok(at),
            }
        })
    }

    fn open(&self, moment: u32) -> Answer<Arc<Opened>> {
        self.moments.open(moment).map_err(errno)
    }

    /// The file systems of a moment; it is in use as long as the first is kept.
    fn files(&self, moment: u32) -> Answer<(Arc<Opened>, Arc<ImageFiles>)> {
        let opened = self.open(moment)?;
        let files = opened.files().map_err(file_errno)?;
        Ok((opened, files))
    }

    fn with_tree<T>(
        &self,
        place: Place,
        tree: u32,
        read: impl FnOnce(&FileSystem) -> Result<T, Unread>,
    ) -> Answer<T> {
        let moment = place.moment().ok_or_else(not_found)?;
        let (_in_use, files) = self.files(moment)?;
        let tree = files.trees().get(tree as usize).ok_or_else(not_found)?;
        let of = tree.file_system.as_ref().map_err(unreadable)?;
        read(of).map_err(|unread| match unread {
            Unread::Errno(errno) => errno,
            Unread::File(error) => file_errno(error),
        })
    }
}

/// Why a file cannot be read.
enum Unread {
    Errno(Errno),
    File(FileError),
}

impl From<Errno> for Unread {
    fn from(errno: Errno) -> Unread {
        Unread::Errno(errno)
    }
}

impl From<FileError> for Unread {
    fn from(error: FileError) -> Unread {
        Unread::File(error)
    }
}

fn node_attr(place: Place, of: &FileSystem, inode: u32) -> Result<FileAttr, FileError> {
    let node = of.node(inode)?;
    Ok(attributes::of_node(place, &node, of.block_bytes()))
}

fn root_of(moment: u32, tree: u32) -> Place {
    Place::File {
        moment,
        tree,
        inode: ROOT,
    }
}

fn partition_name(tree: &Found) -> Vec<u8> {
    tree.partition.unwrap_or_default().to_string().into_bytes()
}

fn mark_time(mark: &Mark) -> Timestamp {
    let second = 1_000_000_000;
    let (seconds, rest) = (mark.since_1970_ns / second, mark.since_1970_ns % second);
    Timestamp::new(seconds as i64, rest as u32)
}

pub(crate) fn not_found() -> Errno {
    Errno::from(libc::ENOENT)
}

pub(crate) fn errno(error: MomentError) -> Errno {
    Errno::from(match error {
        MomentError::Gone => libc::ESTALE,
        MomentError::TooMany => libc::EMFILE,
    })
}

fn file_errno(error: FileError) -> Errno {
    unreadable(&error)
}

fn unreadable(error: &FileError) -> Errno {
    tracing::debug!("a file of the past: {error}");
    Errno::from(match error {
        FileError::Damaged(_) | FileError::Io(_) => libc::EIO,
        FileError::Unsupported(_) => libc::EOPNOTSUPP,
        FileError::NotADirectory => libc::ENOTDIR,
        FileError::NotALink => libc::EINVAL,
    })
}
