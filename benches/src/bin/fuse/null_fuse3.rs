//! The yardstick for FUSE servers on the fuse3 crate: one file that reads as zeroes and forgets
//! what is written, answered at once, with the flags that our own frontend uses.

use disktime_benches::BenchResult;
use fuse3::raw::reply::*;
use fuse3::raw::{Filesystem, Request, Session};
use fuse3::{Errno, FileType, Inode, MountOptions, Result, Timestamp};
use futures_util::stream::{self, Stream};
use std::ffi::OsStr;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

/// The file's name.
pub(crate) const NAME: &str = "v";

const DIRECTORY: Inode = 1;
const FILE: Inode = 2;
const REQUEST_BYTES_MAX: NonZeroU32 = NonZeroU32::new(1 << 20).unwrap();
const BACKGROUND_MAX: u16 = 512;
/// FOPEN_DIRECT_IO and FOPEN_PARALLEL_DIRECT_WRITES.
const OPEN_FLAGS: u32 = 0x41;
const REMEMBER: Duration = Duration::from_secs(3600);

struct Null {
    size_bytes: u64,
    zeroes: bytes::Bytes,
}

impl Null {
    fn attributes(&self, inode: Inode) -> Result<FileAttr> {
        let (kind, size, perm) = match inode {
            DIRECTORY => (FileType::Directory, 0, 0o700),
            FILE => (FileType::RegularFile, self.size_bytes, 0o600),
            _ => return Err(Errno::new_not_exist()),
        };
        let time = Timestamp::new(0, 0);
        Ok(FileAttr {
            ino: inode,
            size,
            blocks: size / 512,
            atime: time,
            mtime: time,
            ctime: time,
            kind,
            perm,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 65_536,
        })
    }
}

impl Filesystem for Null {
    async fn init(&self, _request: Request) -> Result<ReplyInit> {
        let mut reply = ReplyInit::new(REQUEST_BYTES_MAX);
        reply.max_background = Some(BACKGROUND_MAX);
        reply.congestion_threshold = Some(BACKGROUND_MAX / 4 * 3);
        Ok(reply)
    }

    async fn destroy(&self, _request: Request) {}

    async fn lookup(&self, _request: Request, _parent: Inode, name: &OsStr) -> Result<ReplyEntry> {
        if name != NAME {
            return Err(Errno::new_not_exist());
        }
        Ok(ReplyEntry {
            ttl: REMEMBER,
            attr: self.attributes(FILE)?,
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

    async fn open(&self, _request: Request, _inode: Inode, _flags: u32) -> Result<ReplyOpen> {
        Ok(ReplyOpen {
            fh: 0,
            flags: OPEN_FLAGS,
        })
    }

    async fn read(
        &self,
        _request: Request,
        _inode: Inode,
        _handle: u64,
        _offset: u64,
        size: u32,
    ) -> Result<ReplyData> {
        let len = self.zeroes.len().min(size as usize);
        Ok(ReplyData {
            data: self.zeroes.slice(..len),
        })
    }

    async fn write(
        &self,
        _request: Request,
        _inode: Inode,
        _handle: u64,
        _offset: u64,
        data: &[u8],
        _write_flags: u32,
        _flags: u32,
    ) -> Result<ReplyWrite> {
        Ok(ReplyWrite {
            written: data.len() as u32,
        })
    }

    async fn flush(
        &self,
        _request: Request,
        _inode: Inode,
        _handle: u64,
        _lock_owner: u64,
    ) -> Result<()> {
        Ok(())
    }

    async fn readdir<'a>(
        &'a self,
        _request: Request,
        _parent: Inode,
        _handle: u64,
        _offset: i64,
    ) -> Result<ReplyDirectory<impl Stream<Item = Result<DirectoryEntry>> + Send + 'a>> {
        Ok(ReplyDirectory {
            entries: stream::iter(Vec::new()),
        })
    }

    async fn readdirplus<'a>(
        &'a self,
        _request: Request,
        _parent: Inode,
        _handle: u64,
        _offset: u64,
        _lock_owner: u64,
    ) -> Result<ReplyDirectoryPlus<impl Stream<Item = Result<DirectoryEntryPlus>> + Send + 'a>>
    {
        Ok(ReplyDirectoryPlus {
            entries: stream::iter(Vec::new()),
        })
    }
}

/// Serves until it is killed or unmounted.
///
/// # Errors
/// If it cannot be mounted.
pub(crate) fn serve(directory: &Path, size_bytes: u64) -> BenchResult {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let null = Null {
            size_bytes,
            zeroes: vec![0; REQUEST_BYTES_MAX.get() as usize].into(),
        };
        let mut options = MountOptions::default();
        options
            .fs_name("null")
            .custom_options(format!("max_read={REQUEST_BYTES_MAX}"));
        Session::new(options)
            .mount_with_unprivileged(null, directory)
            .await?
            .await?;
        Ok(())
    })
}
