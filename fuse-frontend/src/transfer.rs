//! Reads, writes, flushes and zeroes: from what a program asks to what the backend is asked.
//!
//! Invariants: the backend is only asked for ranges inside the file; an error of the backend
//! reaches the program that asked, as its number; buffers are recycled within a bound.

use crate::in_flight::InFlight;
use crate::{FuseBackend, FuseFile};
use bytes::Bytes;
use disktime_engine::{Buffer, BufferPool, IoError, RequestKind};
use fuse3::Errno;
use std::sync::{Arc, Mutex, PoisonError};

/// Unused buffers that are kept: 16 of the largest request.
const POOL_BYTES: usize = 16 << 20;

/// The way to the backend.
#[derive(Debug)]
pub(crate) struct Transfer<B> {
    backend: B,
    pool: SharedPool,
    in_flight: Arc<InFlight>,
}

impl<B: FuseBackend> Transfer<B> {
    pub(crate) fn new(backend: B, in_flight: Arc<InFlight>) -> Transfer<B> {
        let pool = SharedPool(Arc::new(Mutex::new(BufferPool::new(POOL_BYTES))));
        Transfer {
            backend,
            pool,
            in_flight,
        }
    }

    /// As `pread`: short at the end of the file, empty behind it.
    pub(crate) async fn read(
        &self,
        position: usize,
        file: &FuseFile,
        offset_bytes: u64,
        len_bytes: u32,
    ) -> Result<Bytes, Errno> {
        let len_bytes = len_inside(file, offset_bytes, u64::from(len_bytes));
        if len_bytes == 0 {
            return Ok(Bytes::new());
        }
        let room = self.pool.take(len_bytes as usize);
        let answer = self
            .ask(
                position,
                RequestKind::Read,
                offset_bytes,
                len_bytes,
                false,
                Some(room),
            )
            .await?;
        match answer {
            Some(data) if data.len() as u64 == len_bytes => Ok(self.pool.lend(data)),
            _ => {
                tracing::error!(file = %file.name, offset_bytes, len_bytes, "a read was answered without its data");
                Err(libc::EIO.into())
            }
        }
    }

    /// As `pwrite` on a block device: short at the end, ENOSPC behind it. Returns what was written.
    pub(crate) async fn write(
        &self,
        position: usize,
        file: &FuseFile,
        offset_bytes: u64,
        data: &[u8],
        durable: bool,
    ) -> Result<u32, Errno> {
        if file.read_only {
            return Err(libc::EROFS.into());
        }
        if data.is_empty() {
            return Ok(0);
        }
        let len_bytes = len_inside(file, offset_bytes, data.len() as u64);
        if len_bytes == 0 {
            return Err(libc::ENOSPC.into());
        }
        let mut buffer = self.pool.take(len_bytes as usize);
        buffer.copy_from_slice(&data[..len_bytes as usize]);
        let answer = self
            .ask(
                position,
                RequestKind::Write,
                offset_bytes,
                len_bytes,
                durable,
                Some(buffer),
            )
            .await?;
        if let Some(buffer) = answer {
            self.pool.put(buffer);
        }
        // Never more than `data.len()`, which the kernel keeps below `max_write`.
        Ok(len_bytes as u32)
    }

    /// Everything written before is durable afterwards.
    pub(crate) async fn flush(&self, position: usize) -> Result<(), Errno> {
        self.ask(position, RequestKind::Flush, 0, 0, false, None)
            .await
            .map(drop)
    }

    /// As `fallocate`. Space is reserved for the whole file already; making a hole and zeroing are
    /// one thing, as both must read as zeroes afterwards; and the length never changes.
    pub(crate) async fn allocate(
        &self,
        position: usize,
        file: &FuseFile,
        offset_bytes: u64,
        len_bytes: u64,
        mode: u32,
        durable: bool,
    ) -> Result<(), Errno> {
        const KEEP_SIZE: u32 = libc::FALLOC_FL_KEEP_SIZE as u32;
        const PUNCH_HOLE: u32 = libc::FALLOC_FL_PUNCH_HOLE as u32;
        const ZERO_RANGE: u32 = libc::FALLOC_FL_ZERO_RANGE as u32;
        if file.read_only {
            return Err(libc::EROFS.into());
        }
        let inside_bytes = len_inside(file, offset_bytes, len_bytes);
        match mode & !KEEP_SIZE {
            // Behind the end there is nothing to make a hole in, which is success.
            PUNCH_HOLE if mode & KEEP_SIZE != 0 => {}
            0 | ZERO_RANGE if inside_bytes < len_bytes => return Err(libc::ENOSPC.into()),
            0 => return Ok(()),
            ZERO_RANGE => {}
            _ => return Err(libc::EOPNOTSUPP.into()),
        }
        if inside_bytes == 0 {
            return Ok(());
        }
        self.ask(
            position,
            RequestKind::WriteZeroes,
            offset_bytes,
            inside_bytes,
            durable,
            None,
        )
        .await
        .map(drop)
    }

    async fn ask(
        &self,
        position: usize,
        kind: RequestKind,
        offset_bytes: u64,
        len_bytes: u64,
        fua: bool,
        buffer: Option<Buffer>,
    ) -> Result<Option<Buffer>, Errno> {
        let Some(_entered) = self.in_flight.enter() else {
            return Err(libc::ESHUTDOWN.into());
        };
        self.backend
            .submit(position, kind, offset_bytes, len_bytes, fua, buffer)
            .await
            .map_err(errno)
    }
}

/// How much of a range lies inside the file.
fn len_inside(file: &FuseFile, offset_bytes: u64, len_bytes: u64) -> u64 {
    len_bytes.min(file.size_bytes.saturating_sub(offset_bytes))
}

fn errno(error: IoError) -> Errno {
    match error {
        IoError::Io => libc::EIO,
        IoError::Invalid => libc::EINVAL,
        IoError::NoSpace => libc::ENOSPC,
        IoError::ReadOnly => libc::EROFS,
        IoError::NotSupported => libc::EOPNOTSUPP,
        IoError::Shutdown => libc::ESHUTDOWN,
    }
    .into()
}

/// A pool that several threads use. The lock is held for a few instructions; fuse3 itself
/// allocates per request, so a pool per thread would gain nothing.
#[derive(Debug, Clone)]
struct SharedPool(Arc<Mutex<BufferPool>>);

impl SharedPool {
    fn take(&self, len: usize) -> Buffer {
        self.pool().take(len)
    }

    fn put(&self, buffer: Buffer) {
        self.pool().put(buffer);
    }

    /// Data that returns to the pool when the reply is sent.
    fn lend(&self, data: Buffer) -> Bytes {
        Bytes::from_owner(Lent {
            data: Some(data),
            pool: self.clone(),
        })
    }

    fn pool(&self) -> std::sync::MutexGuard<'_, BufferPool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Lent {
    data: Option<Buffer>,
    pool: SharedPool,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.data.as_deref().unwrap_or_default()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(data) = self.data.take() {
            self.pool.put(data);
        }
    }
}
