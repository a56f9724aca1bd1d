//! Where a disk's file holds data, and which of its bytes have their space on the file system.
//!
//! Two questions, as a file system has three states: data; space that was set aside and never
//! written (ext4, xfs: unwritten extents), which reads as zeroes; and holes. SEEK_DATA tells data
//! from the rest, with what the page cache holds. FIEMAP tells holes from the rest. Where a file
//! system has no FIEMAP (tmpfs, network file systems), what has data is known to have space, and
//! the blocks of the whole file tell whether there is more.
//!
//! Not known here: what lies where, and what the answers are for.

use super::{Backing, BackingKind};
use crate::file_space::{block_bytes, hides_space};
use crate::{ContentMap, SpaceBelow};
use std::io;
use std::os::fd::{AsRawFd, RawFd};

/// Extents that one call names.
const EXTENTS: usize = 256;

impl ContentMap for Backing {
    /// As far as the file system knows; block devices do not know.
    fn data_after(&self, from: u64, to: u64) -> Option<(u64, u64)> {
        if self.kind != BackingKind::File {
            return (from < to).then_some((from, to));
        }
        let seek = |at: u64, whence| -> Result<u64, io::Error> {
            let at = i64::try_from(at).map_err(io::Error::other)?;
            // SAFETY: the descriptor is open; the call takes and returns plain integers. The file's
            // position, which it changes, is not used: all I/O names its offset.
            let found = unsafe { libc::lseek(self.fd(), at, whence) };
            u64::try_from(found).map_err(|_| io::Error::last_os_error())
        };
        match seek(from, libc::SEEK_DATA) {
            Ok(start) if start >= to => None,
            Ok(start) => {
                let end = seek(start, libc::SEEK_HOLE).unwrap_or(to);
                Some((start, end.clamp(start + 1, to)))
            }
            // A hole up to the end.
            Err(error) if error.raw_os_error() == Some(libc::ENXIO) => None,
            Err(_) => (from < to).then_some((from, to)),
        }
    }

    fn space_below(&self) -> Option<&dyn SpaceBelow> {
        (self.kind == BackingKind::File).then_some(self as &dyn SpaceBelow)
    }
}

impl SpaceBelow for Backing {
    fn unit_bytes(&self) -> u64 {
        block_bytes(&self.file)
    }

    fn each(&self, (from, to): (u64, u64), calls_left: &mut u32, note: &mut dyn FnMut(u64, u64)) {
        let mut at = from;
        while at < to {
            if *calls_left == 0 {
                return note(at, to);
            }
            *calls_left -= 1;
            let found = match extents_after(self.file.as_raw_fd(), at, to) {
                Ok(found) => found,
                Err(_) => self.data_after(at, to).into_iter().collect(),
            };
            let Some((_, end)) = found.last().copied() else {
                return;
            };
            for (start, end) in found {
                note(start.max(at), end.min(to));
            }
            at = end;
        }
    }

    fn is_exact(&self) -> bool {
        // A hole behind the end of the file is asked for, so that nothing is listed.
        let has_extents = extents_after(self.file.as_raw_fd(), self.size_bytes, u64::MAX).is_ok();
        has_extents || !hides_space(&self.file)
    }
}

/// As in <linux/fiemap.h>.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Extent {
    logical: u64,
    physical: u64,
    length: u64,
    reserved64: [u64; 2],
    flags: u32,
    reserved: [u32; 3],
}

#[repr(C)]
struct Request {
    start: u64,
    length: u64,
    flags: u32,
    mapped_extents: u32,
    extent_count: u32,
    reserved: u32,
    extents: [Extent; EXTENTS],
}

/// The next extents of a file that have space in `from..to`, in order: begin and end.
fn extents_after(file: RawFd, from: u64, to: u64) -> Result<Vec<(u64, u64)>, io::Error> {
    // _IOWR('f', 11, struct fiemap), whose extents do not count; missing in the crate `libc`.
    const FS_IOC_FIEMAP: libc::Ioctl = 0xC020_660B_u32 as libc::Ioctl;
    let mut request = Box::new(Request {
        start: from,
        length: to - from,
        flags: 0,
        mapped_extents: 0,
        extent_count: EXTENTS as u32,
        reserved: 0,
        extents: [Extent::default(); EXTENTS],
    });
    // SAFETY: the descriptor is open; the call reads the head of `request` and writes the head and
    // at most `extent_count` extents behind it, all of which outlives the call.
    let status = unsafe { libc::ioctl(file, FS_IOC_FIEMAP, &raw mut *request) };
    if status < 0 {
        return Err(io::Error::last_os_error());
    }
    let mapped = (request.mapped_extents as usize).min(EXTENTS);
    let range = |extent: &Extent| {
        let end = extent.logical.saturating_add(extent.length);
        (extent.logical, end)
    };
    let ranges = request.extents[..mapped].iter().map(range);
    Ok(ranges
        .filter(|(start, end)| start < end && *end > from)
        .collect())
}
