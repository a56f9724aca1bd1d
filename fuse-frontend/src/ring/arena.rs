//! The memory that the kernel and the ring's entries share: for each entry a header, and room for the
//! largest payload. It is only reserved at first; a page is taken when something is put there.
//!
//! Invariant: what an entry has here is touched by one side at a time; which, [`super::Ring`] knows.

use crate::inbox::REQUEST_BYTES_MAX;
use disktime_engine::BUFFER_ALIGNMENT;
use std::io;
use std::ptr::NonNull;

/// From one header to the next; a header is shorter.
const HEADER_STRIDE_BYTES: usize = 512;
/// Room for data of an entry: the kernel wants room for the largest.
pub(super) const PAYLOAD_BYTES: usize = REQUEST_BYTES_MAX as usize;

/// Memory of a number of entries.
#[derive(Debug)]
pub(super) struct Arena {
    start: NonNull<u8>,
    len: usize,
    headers_bytes: usize,
}

// SAFETY: plain memory that is unmapped once, when nobody has it any more.
unsafe impl Send for Arena {}
// SAFETY: it gives out addresses only.
unsafe impl Sync for Arena {}

impl Arena {
    pub(super) fn new(entries: usize) -> io::Result<Arena> {
        let headers_bytes = (entries * HEADER_STRIDE_BYTES).next_multiple_of(BUFFER_ALIGNMENT);
        let len = headers_bytes + entries * PAYLOAD_BYTES;
        // SAFETY: a new private mapping at a place that the kernel chooses; the advice concerns only it.
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
            // A huge page for each small payload would take all of it; children need none of it. Kernels
            // that do not know the advice do without.
            libc::madvise(start, len, libc::MADV_NOHUGEPAGE);
            libc::madvise(start, len, libc::MADV_DONTFORK);
            start
        };
        let start = NonNull::new(start.cast())
            .ok_or_else(|| io::Error::other("memory at address 0 is of no use"))?;
        Ok(Arena {
            start,
            len,
            headers_bytes,
        })
    }

    /// Where the header of an entry lies.
    pub(super) fn header(&self, entry: u32) -> NonNull<u8> {
        self.at(entry as usize * HEADER_STRIDE_BYTES)
    }

    /// Where the payload of an entry lies: a page's beginning.
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
        // SAFETY: mapped in `new` with this length, and nobody has an address in it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}
