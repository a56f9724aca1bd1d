//! Reads, writes, flushes, zeroes and seeks: from a program's operation on a file to the request
//! to its vdisk. Pure.
//!
//! Invariant: a request is for a range inside its vdisk.
//!
//! A function returns `None` where the operation succeeds with nothing read and nothing written.

use crate::FuseFile;
use disktime_engine::{Extent, IoError, RequestKind};

/// Space for the extents where a seek looks: the vdisk reports the longest extents that it can, so
/// the target begins at the start or at the end of the first one.
pub(crate) const SEEK_REPLY_BYTES: usize = 2 * Extent::BYTES;

/// A request to a vdisk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VdiskRequest {
    /// The position of the file.
    pub(crate) position: usize,
    pub(crate) kind: RequestKind,
    pub(crate) offset_bytes: u64,
    pub(crate) len_bytes: u64,
    /// Whether the reply waits until the data are durable (FUA).
    pub(crate) durable: bool,
    /// What a seek looks for in the extents of the range.
    pub(crate) target: SeekTarget,
}

/// What a seek looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SeekTarget {
    Data,
    Hole,
}

impl VdiskRequest {
    fn new(position: usize, kind: RequestKind, offset_bytes: u64, len_bytes: u64) -> VdiskRequest {
        VdiskRequest {
            position,
            kind,
            offset_bytes,
            len_bytes,
            durable: false,
            target: SeekTarget::Data,
        }
    }
}

/// As `pread`: short at the end of the file, empty beyond it.
pub(crate) fn read(
    position: usize,
    file: &FuseFile,
    offset_bytes: u64,
    len_bytes: u32,
) -> Option<VdiskRequest> {
    match len_inside(file, offset_bytes, u64::from(len_bytes)) {
        0 => None,
        len_bytes => {
            let kind = RequestKind::Read;
            Some(VdiskRequest::new(position, kind, offset_bytes, len_bytes))
        }
    }
}

/// As `pwrite` on a block device: short at the end, ENOSPC beyond it.
pub(crate) fn write(
    position: usize,
    file: &FuseFile,
    offset_bytes: u64,
    len_bytes: u32,
    durable: bool,
) -> Result<Option<VdiskRequest>, i32> {
    if file.read_only {
        return Err(libc::EROFS);
    }
    if len_bytes == 0 {
        return Ok(None);
    }
    match len_inside(file, offset_bytes, u64::from(len_bytes)) {
        0 => Err(libc::ENOSPC),
        len_bytes => Ok(Some(VdiskRequest {
            durable,
            ..VdiskRequest::new(position, RequestKind::Write, offset_bytes, len_bytes)
        })),
    }
}

/// All data written before are durable when it is completed.
pub(crate) fn flush(position: usize) -> VdiskRequest {
    VdiskRequest::new(position, RequestKind::Flush, 0, 0)
}

/// As `fallocate`. A hole and a zeroed range both read as zeroes afterwards, but the space of a
/// hole may be returned to the disk's file or device. The length never changes.
pub(crate) fn allocate(
    position: usize,
    file: &FuseFile,
    offset_bytes: u64,
    len_bytes: u64,
    mode: u32,
    durable: bool,
) -> Result<Option<VdiskRequest>, i32> {
    const KEEP_SIZE: u32 = libc::FALLOC_FL_KEEP_SIZE as u32;
    const PUNCH_HOLE: u32 = libc::FALLOC_FL_PUNCH_HOLE as u32;
    const ZERO_RANGE: u32 = libc::FALLOC_FL_ZERO_RANGE as u32;
    if file.read_only {
        return Err(libc::EROFS);
    }
    let inside_bytes = len_inside(file, offset_bytes, len_bytes);
    let kind = match mode & !KEEP_SIZE {
        PUNCH_HOLE if !file.punches_holes => return Err(libc::EOPNOTSUPP),
        // Beyond the end there is nothing to make a hole in, which is success.
        PUNCH_HOLE if mode & KEEP_SIZE != 0 => RequestKind::WriteZeroes,
        0 | ZERO_RANGE if inside_bytes < len_bytes => return Err(libc::ENOSPC),
        0 => RequestKind::Allocate,
        ZERO_RANGE => RequestKind::ZeroKeepingSpace,
        _ => return Err(libc::EOPNOTSUPP),
    };
    if inside_bytes == 0 {
        return Ok(None);
    }
    Ok(Some(VdiskRequest {
        durable,
        ..VdiskRequest::new(position, kind, offset_bytes, inside_bytes)
    }))
}

/// As `lseek` with SEEK_DATA or SEEK_HOLE: ENXIO beyond the end.
pub(crate) fn seek(
    position: usize,
    file: &FuseFile,
    offset_bytes: u64,
    whence: u32,
) -> Result<Option<VdiskRequest>, i32> {
    let target = match whence as i32 {
        libc::SEEK_DATA => SeekTarget::Data,
        libc::SEEK_HOLE => SeekTarget::Hole,
        _ => return Err(libc::EINVAL),
    };
    match len_inside(file, offset_bytes, u64::MAX) {
        0 => Err(libc::ENXIO),
        len_bytes => Ok(Some(VdiskRequest {
            target,
            ..VdiskRequest::new(position, RequestKind::Status, offset_bytes, len_bytes)
        })),
    }
}

/// Where in the range the target begins, by the extents that the vdisk reported for that range.
/// What is known to read as zeroes is a hole, and so is the end of the file.
pub(crate) fn find_target(
    target: SeekTarget,
    (start, end): (u64, u64),
    extents: &[u8],
) -> Option<u64> {
    let mut at = start;
    for extent in Extent::read_all(extents) {
        if extent.zero == (target == SeekTarget::Hole) {
            return Some(at);
        }
        at = at.saturating_add(extent.len_bytes);
    }
    // Nothing is reported beyond here; to treat it as data is always correct.
    match target {
        SeekTarget::Data if at < end => Some(at),
        SeekTarget::Data => None,
        SeekTarget::Hole => Some(at.min(end)),
    }
}

/// How much of a range is inside the file.
fn len_inside(file: &FuseFile, offset_bytes: u64, len_bytes: u64) -> u64 {
    len_bytes.min(file.size_bytes.saturating_sub(offset_bytes))
}

/// The errno for an error of a vdisk.
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
