//! What the kernel asks, answered: a thin adapter between the fuse3 crate and this crate's words.
//!
//! Everything that would change the directory (create, remove, rename, resize, owner, mode) is
//! refused with EPERM, and the log says why. What is not implemented here (locks, extended
//! attributes, seeking for holes, interrupts) is answered ENOSYS once by the fuse3 crate; the kernel then does
//! it itself or without it, and does not ask again.

use crate::FuseBackend;
use crate::directory::{DIRECTORY_INODE, Directory};
use crate::in_flight::InFlight;
use crate::transfer::Transfer;
use fuse3::raw::reply::*;
use fuse3::raw::{Filesystem, Request};
use fuse3::{Errno, Inode, Result, SetAttr};
use futures_util::stream::{self, Stream};
use std::ffi::OsStr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// The kernel's flags in the answer to `open` (`FOPEN_DIRECT_IO`, `FOPEN_PARALLEL_DIRECT_WRITES`).
/// The first keeps the page cache out, so that all doors see the same bytes; without the second
/// the kernel holds the inode's lock during each synchronous write, one writer at a time.
const OPEN_DIRECT_IO: u32 = 1 << 0;
const OPEN_PARALLEL_DIRECT_WRITES: u32 = 1 << 6;

/// Largest request; the mount's `max_read` is the same.
pub(crate) const REQUEST_BYTES_MAX: NonZeroU32 = NonZeroU32::new(1 << 20).unwrap();
/// Asynchronous requests that the kernel hands out at once. Its own default holds at 12.
const BACKGROUND_MAX: u16 = 256;

/// How long the kernel may remember names and attributes: they never change.
const REMEMBER: Duration = Duration::from_secs(3600);

/// What `open` was asked for, kept in the file handle, so that no table of open files is needed.
#[derive(Debug, Clone, Copy)]
struct Handle {
    durable: bool,
    writes: bool,
}

impl Handle {
    fn from_open_flags(flags: u32) -> Handle {
        let flags = flags as i32;
        Handle {
            // O_SYNC contains O_DSYNC.
            durable: flags & libc::O_DSYNC != 0,
            writes: flags & libc::O_ACCMODE != libc::O_RDONLY,
        }
    }

    fn encode(self) -> u64 {
        u64::from(self.durable) | u64::from(self.writes) << 1
    }

    fn decode(handle: u64) -> Handle {
        Handle {
            durable: handle & 1 != 0,
            writes: handle & 2 != 0,
        }
    }
}

/// The file system.
#[derive(Debug)]
pub(crate) struct VdiskFilesystem<B> {
    directory: Directory,
    transfer: Transfer<B>,
}

impl<B: FuseBackend> VdiskFilesystem<B> {
    pub(crate) fn new(directory: Directory, backend: B, in_flight: Arc<InFlight>) -> Self {
        VdiskFilesystem {
            directory,
            transfer: Transfer::new(backend, in_flight),
        }
    }

    fn position(&self, inode: Inode) -> Result<usize> {
        self.directory
            .position(inode)
            .ok_or_else(|| libc::EISDIR.into())
    }

    fn attributes(&self, inode: Inode) -> Result<FileAttr> {
        self.directory
            .attributes(inode)
            .ok_or_else(Errno::new_not_exist)
    }

    fn refuse<T>(&self, request: Request, what: &str, name: &OsStr) -> Result<T> {
        tracing::warn!(
            "refused to {what} {name:?} for process {}: the files are the vdisks of the \
             configuration, and only that changes them",
            request.pid
        );
        Err(libc::EPERM.into())
    }
}

impl<B: FuseBackend> Filesystem for VdiskFilesystem<B> {
    async fn init(&self, _request: Request) -> Result<ReplyInit> {
        let mut reply = ReplyInit::new(REQUEST_BYTES_MAX);
        reply.max_background = Some(BACKGROUND_MAX);
        reply.congestion_threshold = Some(BACKGROUND_MAX / 4 * 3);
        Ok(reply)
    }

    async fn destroy(&self, _request: Request) {}

    async fn lookup(&self, _request: Request, parent: Inode, name: &OsStr) -> Result<ReplyEntry> {
        if parent != DIRECTORY_INODE {
            return Err(Errno::new_is_not_dir());
        }
        let inode = self
            .directory
            .inode_of(name)
            .ok_or_else(Errno::new_not_exist)?;
        Ok(ReplyEntry {
            ttl: REMEMBER,
            attr: self.attributes(inode)?,
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
        Ok(ReplyAttr {
            ttl: REMEMBER,
            attr: self.attributes(inode)?,
        })
    }

    /// Times are accepted and not kept, as `cp -p` and `touch` set them in passing.
    async fn setattr(
        &self,
        request: Request,
        inode: Inode,
        _handle: Option<u64>,
        wanted: SetAttr,
    ) -> Result<ReplyAttr> {
        let attr = self.attributes(inode)?;
        let name = match self.directory.position(inode) {
            Some(position) => OsStr::new(&self.directory.file(position).name),
            None => OsStr::new("."),
        };
        if wanted.size.is_some_and(|size| size != attr.size) {
            return self.refuse(request, "change the size of", name);
        }
        let changes_owner = wanted.uid.is_some_and(|uid| uid != attr.uid)
            || wanted.gid.is_some_and(|gid| gid != attr.gid);
        let changes_mode = wanted
            .mode
            .is_some_and(|mode| mode & 0o7777 != u32::from(attr.perm));
        if changes_owner || changes_mode {
            return self.refuse(request, "change owner or mode of", name);
        }
        Ok(ReplyAttr {
            ttl: REMEMBER,
            attr,
        })
    }

    async fn access(&self, _request: Request, inode: Inode, mask: u32) -> Result<()> {
        let attr = self.attributes(inode)?;
        // Only the user who mounted gets this far, and owns everything; so the owner's bits decide.
        let refused = mask & !u32::from(attr.perm >> 6);
        match refused & (libc::R_OK | libc::W_OK | libc::X_OK) as u32 {
            0 => Ok(()),
            bits if bits == libc::W_OK as u32 => Err(libc::EROFS.into()),
            _ => Err(libc::EACCES.into()),
        }
    }

    async fn open(&self, _request: Request, inode: Inode, flags: u32) -> Result<ReplyOpen> {
        let file = self.directory.file(self.position(inode)?);
        let handle = Handle::from_open_flags(flags);
        if file.read_only && handle.writes {
            return Err(libc::EROFS.into());
        }
        if flags as i32 & libc::O_TRUNC != 0 && file.size_bytes != 0 {
            tracing::warn!(
                "refused to truncate {:?} for process {}: a vdisk keeps its size; write without \
                 truncating (dd: conv=notrunc, shell: 1<>)",
                file.name,
                _request.pid
            );
            return Err(libc::EPERM.into());
        }
        let flags = OPEN_DIRECT_IO | OPEN_PARALLEL_DIRECT_WRITES;
        Ok(ReplyOpen {
            fh: handle.encode(),
            flags,
        })
    }

    async fn read(
        &self,
        _request: Request,
        inode: Inode,
        _handle: u64,
        offset: u64,
        size: u32,
    ) -> Result<ReplyData> {
        let position = self.position(inode)?;
        let data = self
            .transfer
            .read(position, self.directory.file(position), offset, size)
            .await?;
        Ok(ReplyData { data })
    }

    /// `flags` are the file's flags at the time of the write, per-write O_DSYNC (`RWF_DSYNC`) included.
    async fn write(
        &self,
        _request: Request,
        inode: Inode,
        handle: u64,
        offset: u64,
        data: &[u8],
        _write_flags: u32,
        flags: u32,
    ) -> Result<ReplyWrite> {
        let position = self.position(inode)?;
        let durable = Handle::decode(handle).durable || flags as i32 & libc::O_DSYNC != 0;
        let written = self
            .transfer
            .write(
                position,
                self.directory.file(position),
                offset,
                data,
                durable,
            )
            .await?;
        Ok(ReplyWrite { written })
    }

    async fn fsync(
        &self,
        _request: Request,
        inode: Inode,
        _handle: u64,
        _data_only: bool,
    ) -> Result<()> {
        self.transfer.flush(self.position(inode)?).await
    }

    /// The program closes the file. Readers have nothing to make durable.
    async fn flush(
        &self,
        _request: Request,
        inode: Inode,
        handle: u64,
        _lock_owner: u64,
    ) -> Result<()> {
        let position = self.position(inode)?;
        if Handle::decode(handle).writes {
            self.transfer.flush(position).await
        } else {
            Ok(())
        }
    }

    async fn release(
        &self,
        _request: Request,
        _inode: Inode,
        _handle: u64,
        _flags: u32,
        _lock_owner: u64,
        _flush: bool,
    ) -> Result<()> {
        Ok(())
    }

    async fn fallocate(
        &self,
        _request: Request,
        inode: Inode,
        handle: u64,
        offset: u64,
        length: u64,
        mode: u32,
    ) -> Result<()> {
        let position = self.position(inode)?;
        let file = self.directory.file(position);
        let durable = Handle::decode(handle).durable;
        self.transfer
            .allocate(position, file, offset, length, mode, durable)
            .await
    }

    async fn statfs(&self, _request: Request, _inode: Inode) -> Result<ReplyStatFs> {
        Ok(self.directory.statistics())
    }

    async fn opendir(&self, _request: Request, inode: Inode, _flags: u32) -> Result<ReplyOpen> {
        match inode {
            DIRECTORY_INODE => Ok(ReplyOpen { fh: 0, flags: 0 }),
            _ => Err(Errno::new_is_not_dir()),
        }
    }

    async fn fsyncdir(
        &self,
        _request: Request,
        _inode: Inode,
        _handle: u64,
        _data_only: bool,
    ) -> Result<()> {
        Ok(())
    }

    async fn readdir<'a>(
        &'a self,
        _request: Request,
        _parent: Inode,
        _handle: u64,
        offset: i64,
    ) -> Result<ReplyDirectory<impl Stream<Item = Result<DirectoryEntry>> + Send + 'a>> {
        let from = u64::try_from(offset).map_err(|_| libc::EINVAL)?;
        let entries = self.directory.list(from).map(|line| {
            Ok(DirectoryEntry {
                inode: line.inode,
                kind: line.kind,
                name: line.name.into(),
                offset: line.next as i64,
            })
        });
        Ok(ReplyDirectory {
            entries: stream::iter(entries),
        })
    }

    async fn readdirplus<'a>(
        &'a self,
        _request: Request,
        _parent: Inode,
        _handle: u64,
        offset: u64,
        _lock_owner: u64,
    ) -> Result<ReplyDirectoryPlus<impl Stream<Item = Result<DirectoryEntryPlus>> + Send + 'a>>
    {
        let entries = self.directory.list(offset).map(|line| {
            Ok(DirectoryEntryPlus {
                inode: line.inode,
                generation: 0,
                kind: line.kind,
                name: line.name.into(),
                offset: line.next as i64,
                attr: self.attributes(line.inode)?,
                entry_ttl: REMEMBER,
                attr_ttl: REMEMBER,
            })
        });
        Ok(ReplyDirectoryPlus {
            entries: stream::iter(entries),
        })
    }

    async fn create(
        &self,
        request: Request,
        _parent: Inode,
        name: &OsStr,
        _mode: u32,
        _flags: u32,
    ) -> Result<ReplyCreated> {
        self.refuse(request, "create", name)
    }

    async fn mknod(
        &self,
        request: Request,
        _parent: Inode,
        name: &OsStr,
        _mode: u32,
        _rdev: u32,
    ) -> Result<ReplyEntry> {
        self.refuse(request, "create", name)
    }

    async fn mkdir(
        &self,
        request: Request,
        _parent: Inode,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
    ) -> Result<ReplyEntry> {
        self.refuse(request, "create the directory", name)
    }

    async fn symlink(
        &self,
        request: Request,
        _parent: Inode,
        name: &OsStr,
        _link: &OsStr,
    ) -> Result<ReplyEntry> {
        self.refuse(request, "create the link", name)
    }

    async fn link(
        &self,
        request: Request,
        _inode: Inode,
        _parent: Inode,
        name: &OsStr,
    ) -> Result<ReplyEntry> {
        self.refuse(request, "create the link", name)
    }

    async fn unlink(&self, request: Request, _parent: Inode, name: &OsStr) -> Result<()> {
        self.refuse(request, "remove", name)
    }

    async fn rmdir(&self, request: Request, _parent: Inode, name: &OsStr) -> Result<()> {
        self.refuse(request, "remove", name)
    }

    async fn rename(
        &self,
        request: Request,
        _parent: Inode,
        name: &OsStr,
        _to: Inode,
        _new: &OsStr,
    ) -> Result<()> {
        self.refuse(request, "rename", name)
    }

    async fn rename2(
        &self,
        request: Request,
        _parent: Inode,
        name: &OsStr,
        _to: Inode,
        _new: &OsStr,
        _flags: u32,
    ) -> Result<()> {
        self.refuse(request, "rename", name)
    }
}
