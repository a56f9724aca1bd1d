//! The memory that the kernel and the ring's entries share: for each entry a header, and space for
//! the largest payload. It is only reserved at first; a page is allocated when it is first written.
//!
//! Invariant: the memory of an entry is accessed by one side at a time; [`super::Ring`] knows
//! which.

use crate::read_buffer::REQUEST_BYTES_MAX;
use disktime_engine::BUFFER_ALIGNMENT;
use std::io;
use std::ptr::NonNull;

/// From one header to the next; a header is shorter.
const HEADER_STRIDE_BYTES: usize = 512;
/// Space for the data of an entry: the kernel requires space for the largest request.
pub(super) const PAYLOAD_BYTES: usize = REQUEST_BYTES_MAX as usize;

/// The memory of a number of entries.
#[derive(Debug)]
pub(super) struct Arena {
    start: NonNull<u8>,
    len: usize,
    headers_bytes: usize,
}

// SAFETY: plain memory that is unmapped once, when its last owner is dropped.
unsafe impl Send for Arena {}
// SAFETY: shared references give out addresses only.
unsafe impl Sync for Arena {}

impl Arena {
    pub(super) fn new(entries: usize) -> io::Result<Arena> {
        let headers_bytes = (entries * HEADER_STRIDE_BYTES).next_multiple_of(BUFFER_ALIGNMENT);
        let len = headers_bytes + entries * PAYLOAD_BYTES;
        // SAFETY: a new private mapping at an address that the kernel chooses; the advice is about
        // it only.
        let start = unsafe {
            let start = libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            );
            if start == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            // With huge pages each small payload would allocate all of its space; child processes
            // need none of it. On a kernel that does not support the advice nothing else changes.
            libc::madvise(start, len, libc::MADV_NOHUGEPAGE);
            libc::madvise(start, len, libc::MADV_DONTFORK);
            start
        };
        let start = NonNull::new(start.cast()).ok_or_else(|| {
            io::Error::other("the kernel mapped memory at address 0, which cannot be used")
        })?;
        Ok(Arena {
            start,
            len,
            headers_bytes,
        })
    }

    /// The address of an entry's header.
    pub(super) fn header(&self, entry: u32) -> NonNull<u8> {
        self.at(entry as usize * HEADER_STRIDE_BYTES)
    }

    /// The address of an entry's payload: the beginning of a page.
    pub(super) fn payload(&self, entry: u32) -> NonNull<u8> {
        self.at(self.headers_bytes + entry as usize * PAYLOAD_BYTES)
    }

    fn at(&self, offset: usize) -> NonNull<u8> {
        assert!(offset < self.len, "there is no such entry");
        // SAFETY: inside the mapping.
        unsafe { self.start.add(offset) }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: mapped in `new` with this length, and no address in it is used any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}
