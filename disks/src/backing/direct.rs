//! O_DIRECT: the alignment that it needs on an open file, and how to leave it.
//!
//! Invariant: the file's content is not changed; at most one block is read.

use super::BackingKind;
use crate::block_device;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

/// The alignment of offsets and lengths that O_DIRECT needs (512 or 4096); `None` if it works with
/// neither.
pub(super) fn direct_alignment(file: &File, kind: BackingKind) -> Option<u32> {
    if let Some((memory, offset)) = statx_alignment(file) {
        let fits = memory != 0 && memory as usize <= crate::BUFFER_ALIGNMENT;
        return if fits { block_for(offset) } else { None };
    }
    if kind == BackingKind::BlockDevice
        && let Ok(logical) = block_device::logical_block_bytes(file)
    {
        return block_for(logical);
    }
    let mut buffer = crate::Buffer::zeroed(4096);
    [512_usize, 4096]
        .into_iter()
        .find(|len| file.read_at(&mut buffer[..*len], 0).is_ok())
        .map(|len| len as u32)
}

fn block_for(alignment: u32) -> Option<u32> {
    match alignment {
        1..=512 => Some(512),
        513..=4096 => Some(4096),
        _ => None,
    }
}

/// Memory and offset alignment as the kernel reports them (since Linux 6.1, where the file system
/// does); zeroes mean that O_DIRECT does not work.
fn statx_alignment(file: &File) -> Option<(u32, u32)> {
    const STATX_DIOALIGN: u32 = 0x2000;
    // SAFETY: `statx` is a plain C struct for which all zeroes is a valid value.
    let mut result: libc::statx = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open, the path is an empty C string, `result` outlives the call.
    let status = unsafe {
        libc::statx(
            file.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            STATX_DIOALIGN,
            &raw mut result,
        )
    };
    (status == 0 && result.stx_mask & STATX_DIOALIGN != 0)
        .then_some((result.stx_dio_mem_align, result.stx_dio_offset_align))
}

/// Switches a file to I/O through the page cache.
pub(super) fn clear_direct(file: &File) -> io::Result<()> {
    // SAFETY: the descriptor is open; these calls take and return plain integers.
    let flags = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFL) };
    if flags < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: as above.
    let status = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, flags & !libc::O_DIRECT) };
    if status < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
