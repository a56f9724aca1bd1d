//! Attributes, as the kernel wants them.

use crate::place::Place;
use disktime_image_files::{FileKind, Node, Time};
use fuse3::raw::reply::FileAttr;
use fuse3::{FileType, Timestamp};

/// Who owns what this crate makes, and when it was made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Defaults {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) time: Timestamp,
}

/// The attributes of a file of a file system.
pub(crate) fn of_node(place: Place, node: &Node, block_bytes: u64) -> FileAttr {
    FileAttr {
        ino: place.number(),
        size: node.size_bytes(),
        blocks: node.sectors(),
        atime: timestamp(node.accessed()),
        mtime: timestamp(node.modified()),
        ctime: timestamp(node.changed()),
        kind: file_type(node.kind()),
        perm: node.mode(),
        nlink: node.links().into(),
        uid: node.uid(),
        gid: node.gid(),
        rdev: node.device().map_or(0, device_number),
        blksize: block_bytes as u32,
    }
}

/// The attributes of a directory or file of this crate.
pub(crate) fn own(place: Place, defaults: Defaults, kind: FileType, perm: u16) -> FileAttr {
    FileAttr {
        ino: place.number(),
        size: 0,
        blocks: 0,
        atime: defaults.time,
        mtime: defaults.time,
        ctime: defaults.time,
        kind,
        perm,
        nlink: 1,
        uid: defaults.uid,
        gid: defaults.gid,
        rdev: 0,
        blksize: 4096,
    }
}

pub(crate) fn file_type(kind: FileKind) -> FileType {
    match kind {
        FileKind::File => FileType::RegularFile,
        FileKind::Directory => FileType::Directory,
        FileKind::Link => FileType::Symlink,
        FileKind::Character => FileType::CharDevice,
        FileKind::Block => FileType::BlockDevice,
        FileKind::Pipe => FileType::NamedPipe,
        FileKind::Socket => FileType::Socket,
    }
}

fn timestamp(time: Time) -> Timestamp {
    Timestamp::new(time.seconds, time.nanoseconds)
}

/// As the kernel's FUSE messages have it.
fn device_number((major, minor): (u32, u32)) -> u32 {
    minor & 0xFF | major << 8 | (minor & !0xFF) << 12
}
