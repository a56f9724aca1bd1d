//! The kernel's messages, by the crate fuse3: each is answered on a thread that may block.
//!
//! Invariant: at most [`AT_ONCE`] of them read from disks at once; the others wait.

use crate::place::Place;
use crate::tree::{Answer, Listed, Tree, errno, not_found};
use bytes::Bytes;
use fuse3::raw::reply::*;
use fuse3::raw::{Filesystem, Request};
use fuse3::{Errno, Inode, Result};
use futures_util::stream::{self, Stream};
use std::ffi::{OsStr, OsString};
use std::num::NonZeroU32;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Threads that read at once.
const AT_ONCE: usize = 8;
const REQUEST_BYTES_MAX: NonZeroU32 = NonZeroU32::new(128 << 10).unwrap();
/// How long the kernel takes for known what never changes: the files of a moment.
const KEPT: Duration = Duration::from_secs(3600);
/// The same for which moments there are.
const SHORTLY: Duration = Duration::from_secs(1);
/// FOPEN_KEEP_CACHE: content that was read stays true.
const KEEP_CACHE: u32 = 0x2;

/// The file system.
pub(crate) struct Files {
    tree: Arc<Tree>,
    places: Arc<Semaphore>,
}

impl Files {
    pub(crate) fn new(tree: Arc<Tree>) -> Files {
        Files {
            tree,
            places: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Has a thread answer.
    async fn answer<T: Send + 'static>(
        &self,
        number: Inode,
        work: impl FnOnce(&Tree, Place) -> Answer<T> + Send + 'static,
    ) -> Result<T> {
        let place = Place::of(number).ok_or_else(not_found)?;
        let broken = |_| Errno::from(libc::EIO);
        let permit = self.places.clone().acquire_owned().await;
        let permit = permit.map_err(|_| Errno::from(libc::EIO))?;
        let tree = self.tree.clone();
        let work = move || {
            let _permit = permit;
            work(&tree, place)
        };
        tokio::task::spawn_blocking(work).await.map_err(broken)?
    }

    fn kept(place: Place) -> Duration {
        match place {
            // Not kept, so that the mount of a server that was killed is seen to be one.
            Place::Root => Duration::ZERO,
            Place::Vdisk(_) | Place::Moment(_) => SHORTLY,
            _ => KEPT,
        }
    }

    async fn page(&self, parent: Inode, from: u64, with_attr: bool) -> Result<Vec<Listed>> {
        let list = move |tree: &Tree, place| tree.list(place, from, with_attr);
        self.answer(parent, list).await
    }
}

impl Filesystem for Files {
    async fn init(&self, _request: Request) -> Result<ReplyInit> {
        Ok(ReplyInit::new(REQUEST_BYTES_MAX))
    }

    async fn destroy(&self, _request: Request) {}

    async fn lookup(&self, _request: Request, parent: Inode, name: &OsStr) -> Result<ReplyEntry> {
        let name = name.as_bytes().to_vec();
        let look_up = move |tree: &Tree, parent| {
            let place = tree.look_up(parent, &name)?;
            Ok((Files::kept(place), tree.attr(place)?))
        };
        let (ttl, attr) = self.answer(parent, look_up).await?;
        Ok(ReplyEntry {
            ttl,
            attr,
            generation: 0,
        })
    }

    async fn getattr(
        &self,
        _request: Request,
        inode: Inode,
        _handle: Option<u64>,
        _flags: u32,
    ) -> Result<ReplyAttr> {
        let get = |tree: &Tree, place| Ok((Files::kept(place), tree.attr(place)?));
        let (ttl, attr) = self.answer(inode, get).await?;
        Ok(ReplyAttr { ttl, attr })
    }

    async fn readlink(&self, _request: Request, inode: Inode) -> Result<ReplyData> {
        let target = self.answer(inode, Tree::target).await?;
        Ok(ReplyData {
            data: Bytes::from(target),
        })
    }

    async fn open(&self, _request: Request, inode: Inode, flags: u32) -> Result<ReplyOpen> {
        if flags as i32 & libc::O_ACCMODE != libc::O_RDONLY {
            return Err(libc::EROFS.into());
        }
        self.begin_use(inode).await
    }

    async fn release(
        &self,
        _request: Request,
        inode: Inode,
        _handle: u64,
        _flags: u32,
        _lock_owner: u64,
        _flush: bool,
    ) -> Result<()> {
        self.end_use(inode);
        Ok(())
    }

    async fn opendir(&self, _request: Request, inode: Inode, _flags: u32) -> Result<ReplyOpen> {
        self.begin_use(inode).await
    }

    async fn releasedir(
        &self,
        _request: Request,
        inode: Inode,
        _handle: u64,
        _flags: u32,
    ) -> Result<()> {
        self.end_use(inode);
        Ok(())
    }

    async fn read(
        &self,
        _request: Request,
        inode: Inode,
        _handle: u64,
        offset: u64,
        size: u32,
    ) -> Result<ReplyData> {
        let size = size.min(REQUEST_BYTES_MAX.get());
        let read = move |tree: &Tree, place| tree.read(place, offset, size);
        let data = self.answer(inode, read).await?;
        Ok(ReplyData {
            data: Bytes::from(data),
        })
    }

    async fn flush(&self, _request: Request, _: Inode, _: u64, _: u64) -> Result<()> {
        Ok(())
    }

    async fn statfs(&self, _request: Request, _inode: Inode) -> Result<ReplyStatFs> {
        Ok(ReplyStatFs {
            blocks: 0,
            bfree: 0,
            bavail: 0,
            files: 0,
            ffree: 0,
            bsize: 4096,
            namelen: 255,
            frsize: 4096,
        })
    }

    async fn getxattr(
        &self,
        _request: Request,
        inode: Inode,
        name: &OsStr,
        size: u32,
    ) -> Result<ReplyXAttr> {
        let found = self.answer(inode, Tree::xattrs).await?;
        let one = found.into_iter().find(|one| one.0 == name.as_bytes());
        let (_, value) = one.ok_or(Errno::from(libc::ENODATA))?;
        sized(value, size)
    }

    async fn listxattr(&self, _request: Request, inode: Inode, size: u32) -> Result<ReplyXAttr> {
        let found = self.answer(inode, Tree::xattrs).await?;
        let mut names = Vec::new();
        for (name, _) in found {
            names.extend(name);
            names.push(0);
        }
        sized(names, size)
    }

    async fn readdir<'a>(
        &'a self,
        _request: Request,
        parent: Inode,
        _handle: u64,
        offset: i64,
    ) -> Result<ReplyDirectory<impl Stream<Item = Result<DirectoryEntry>> + Send + 'a>> {
        let page = self.page(parent, offset as u64, false).await?;
        let entries = page.into_iter().map(|listed| {
            Ok(DirectoryEntry {
                inode: listed.number,
                kind: listed.kind,
                name: OsString::from_vec(listed.name),
                offset: listed.next as i64,
            })
        });
        Ok(ReplyDirectory {
            entries: stream::iter(entries),
        })
    }

    async fn readdirplus<'a>(
        &'a self,
        _request: Request,
        parent: Inode,
        _handle: u64,
        offset: u64,
        _lock_owner: u64,
    ) -> Result<ReplyDirectoryPlus<impl Stream<Item = Result<DirectoryEntryPlus>> + Send + 'a>>
    {
        let page = self.page(parent, offset, true).await?;
        let entries = page.into_iter().map(|listed| {
            // Without attributes (node 0) the kernel looks the entry up when it needs it.
            let attr = listed.attr.unwrap_or_else(|| nothing(listed.kind));
            Ok(DirectoryEntryPlus {
                inode: listed.number,
                generation: 0,
                kind: listed.kind,
                name: OsString::from_vec(listed.name),
                offset: listed.next as i64,
                attr,
                entry_ttl: KEPT,
                attr_ttl: KEPT,
            })
        });
        Ok(ReplyDirectoryPlus {
            entries: stream::iter(entries),
        })
    }

    async fn lseek(
        &self,
        _request: Request,
        inode: Inode,
        _handle: u64,
        offset: u64,
        whence: u32,
    ) -> Result<ReplyLSeek> {
        let to_hole = match whence as i32 {
            libc::SEEK_DATA => false,
            libc::SEEK_HOLE => true,
            _ => return Err(libc::EINVAL.into()),
        };
        let seek = move |tree: &Tree, place| tree.seek(place, offset, to_hole);
        let offset = self.answer(inode, seek).await?;
        Ok(ReplyLSeek { offset })
    }
}

impl Files {
    /// A file or directory is opened: its moment stays open as long.
    async fn begin_use(&self, inode: Inode) -> Result<ReplyOpen> {
        let begin = |tree: &Tree, place: Place| {
            if let Some(moment) = place.moment() {
                // It is opened first, so that a moment that is gone is told here.
                tree.moments().open(moment).map_err(errno)?;
                tree.moments().begin_use(moment).map_err(errno)?;
            }
            Ok(())
        };
        self.answer(inode, begin).await?;
        Ok(ReplyOpen {
            fh: 0,
            flags: KEEP_CACHE,
        })
    }

    fn end_use(&self, inode: Inode) {
        if let Some(moment) = Place::of(inode).and_then(Place::moment) {
            self.tree.moments().end_use(moment);
        }
    }
}

/// An attribute, or its length if no space for it was given.
fn sized(bytes: Vec<u8>, size: u32) -> Result<ReplyXAttr> {
    match size as usize {
        0 => Ok(ReplyXAttr::Size(bytes.len() as u32)),
        space if space < bytes.len() => Err(libc::ERANGE.into()),
        _ => Ok(ReplyXAttr::Data(Bytes::from(bytes))),
    }
}

fn nothing(kind: fuse3::FileType) -> FileAttr {
    let time = fuse3::Timestamp::new(0, 0);
    FileAttr {
        ino: 0,
        size: 0,
        blocks: 0,
        atime: time,
        mtime: time,
        ctime: time,
        kind,
        perm: 0,
        nlink: 0,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 4096,
    }
}
