//! Reads, writes, flushes, zeroes and seeks: from what a program asks of a file to what is asked of its
//! vdisk. Pure.
//!
//! Invariant: a vdisk is only asked for ranges inside it.

use crate::FuseFile;
use disktime_engine::{Extent, IoError, RequestKind};

/// Room for what lies where a seek looks: the vdisk tells as much as it can in one extent, so what is
/// sought begins where the first one does or ends.
pub(crate) const SEEK_BYTES: usize = 2 * Extent::BYTES;

/// What is asked of a vdisk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Transfer {
    pub(crate) position: usize,
    pub(crate) kind: RequestKind,
    pub(crate) offset_bytes: u64,
    pub(crate) len_bytes: u64,
    /// The answer waits until it is durable.
    pub(crate) durable: bool,
    /// What the answer to a status is looked through for.
    pub(crate) sought: Sought,
}

/// What a seek is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sought {
    Data,
    Hole,
}

/// What becomes of a wish, if no error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// It is fulfilled as it is, with nothing read and nothing written.
    Nothing,
    Transfer(Transfer),
}

/// As `pread`: short at the end of the file, empty behind it.
pub(crate) fn read(position: usize, file: &FuseFile, offset_bytes: u64, len_bytes: u32) -> Wish {
    match len_inside(file, offset_bytes, u64::from(len_bytes)) {
        0 => Wish::Nothing,
        len_bytes => Wish::Transfer(Transfer {
            position,
            kind: RequestKind::Read,
            offset_bytes,
            len_bytes,
            durable: false,
            sought: Sought::Data,
        }),
    }
}

/// As `pwrite` on a block device: short at the end, ENOSPC behind it.
pub(crate) fn write(
    position: usize,
    file: &FuseFile,
    offset_bytes: u64,
    len_bytes: u32,
    durable: bool,
) -> Result<Wish, i32> {
    if file.read_only {
        return Err(libc::EROFS);
    }
    if len_bytes == 0 {
        return Ok(Wish::Nothing);
    }
    match len_inside(file, offset_bytes, u64::from(len_bytes)) {
        0 => Err(libc::ENOSPC),
        len_bytes => Ok(Wish::Transfer(Transfer {
            position,
            kind: RequestKind::Write,
            offset_bytes,
            len_bytes,
            durable,
            sought: Sought::Data,
        })),
    }
}

/// Everything written before is durable afterwards.
pub(crate) fn flush(position: usize) -> Wish {
    Wish::Transfer(Transfer {
        position,
        kind: RequestKind::Flush,
        offset_bytes: 0,
        len_bytes: 0,
        durable: false,
        sought: Sought::Data,
    })
}

/// As `fallocate`. The vdisk's space is set aside already. A hole and a zeroed range both read as
/// zeroes afterwards, but a hole may be given back to what is below. The length never changes.
pub(crate) fn allocate(
    position: usize,
    file: &FuseFile,
    offset_bytes: u64,
    len_bytes: u64,
    mode: u32,
    durable: bool,
) -> Result<Wish, i32> {
    const KEEP_SIZE: u32 = libc::FALLOC_FL_KEEP_SIZE as u32;
    const PUNCH_HOLE: u32 = libc::FALLOC_FL_PUNCH_HOLE as u32;
    const ZERO_RANGE: u32 = libc::FALLOC_FL_ZERO_RANGE as u32;
    if file.read_only {
        return Err(libc::EROFS);
    }
    let inside_bytes = len_inside(file, offset_bytes, len_bytes);
    let kind = match mode & !KEEP_SIZE {
        // Behind the end there is nothing to make a hole in, which is success.
        PUNCH_HOLE if mode & KEEP_SIZE != 0 => RequestKind::WriteZeroes,
        0 | ZERO_RANGE if inside_bytes < len_bytes => return Err(libc::ENOSPC),
        0 => return Ok(Wish::Nothing),
        ZERO_RANGE => RequestKind::ZeroKeepingSpace,
        _ => return Err(libc::EOPNOTSUPP),
    };
    if inside_bytes == 0 {
        return Ok(Wish::Nothing);
    }
    Ok(Wish::Transfer(Transfer {
        position,
        kind,
        offset_bytes,
        len_bytes: inside_bytes,
        durable,
        sought: Sought::Data,
    }))
}

/// As `lseek` with SEEK_DATA or SEEK_HOLE: ENXIO behind the end.
pub(crate) fn seek(
    position: usize,
    file: &FuseFile,
    offset_bytes: u64,
    whence: u32,
) -> Result<Wish, i32> {
    let sought = match whence as i32 {
        libc::SEEK_DATA => Sought::Data,
        libc::SEEK_HOLE => Sought::Hole,
        _ => return Err(libc::EINVAL),
    };
    match len_inside(file, offset_bytes, u64::MAX) {
        0 => Err(libc::ENXIO),
        len_bytes => Ok(Wish::Transfer(Transfer {
            position,
            kind: RequestKind::Status,
            offset_bytes,
            len_bytes,
            durable: false,
            sought,
        })),
    }
}

/// Where in the range what is sought begins, by what the vdisk told of that range. What is known to
/// read as zeroes is a hole, and so is the end of the file.
pub(crate) fn found(sought: Sought, (start, end): (u64, u64), told: &[u8]) -> Option<u64> {
    let mut at = start;
    for extent in Extent::read_all(told) {
        if extent.zero == (sought == Sought::Hole) {
            return Some(at);
        }
        at = at.saturating_add(extent.len_bytes);
    }
    // Nothing is told of what lies behind, and data is always safe to say.
    match sought {
        Sought::Data if at < end => Some(at),
        Sought::Data => None,
        Sought::Hole => Some(at.min(end)),
    }
}

/// How much of a range lies inside the file.
fn len_inside(file: &FuseFile, offset_bytes: u64, len_bytes: u64) -> u64 {
    len_bytes.min(file.size_bytes.saturating_sub(offset_bytes))
}

/// The system's number for an error of a vdisk.
pub(crate) fn errno(error: IoError) -> i32 {
    match error {
        IoError::Io => libc::EIO,
        IoError::Invalid => libc::EINVAL,
        IoError::NoSpace => libc::ENOSPC,
        IoError::ReadOnly => libc::EROFS,
        IoError::NotSupported => libc::EOPNOTSUPP,
        IoError::Shutdown => libc::ESHUTDOWN,
    }
}

#[cfg(test)]
mod tests;
