//! Memory from the system: zeroed whole pages, allocated when they are first touched.
//!
//! Invariants: the memory is mapped from `zeroed` to drop, readable and writable, and no other code
//! has a pointer to it.

use std::io;
use std::ops::{Deref, DerefMut, Range};
use std::ptr::NonNull;

/// Ranges of at least this length are returned to the system instead of being overwritten.
const GIVE_BACK_BYTES: usize = 256 << 10;
const PAGE_BYTES: usize = 4096;

/// Anonymous memory.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the memory is owned by this value alone, so it may move to another thread.
unsafe impl Send for Mapping {}

impl Mapping {
    /// `len` zero bytes, more than none.
    pub(crate) fn zeroed(len: usize) -> io::Result<Mapping> {
        // SAFETY: a new private mapping at an address of the kernel's choice touches no other.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // Large pages reduce page faults and TLB misses; they are not required.
        // SAFETY: the range was mapped above; the advice changes no content.
        unsafe { libc::madvise(start, len, libc::MADV_HUGEPAGE) };
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Mapping { start, len })
    }

    /// Makes the range zero; a long one costs no memory afterwards.
    pub(crate) fn zero(&mut self, range: Range<usize>) {
        let first = range.start.next_multiple_of(PAGE_BYTES);
        let last = range.end - range.end % PAGE_BYTES;
        if last <= first || last - first < GIVE_BACK_BYTES || !self.give_back(first..last) {
            self[range].fill(0);
            return;
        }
        self[range.start..first].fill(0);
        self[last..range.end].fill(0);
    }

    /// Returns whole pages to the system, which read as zeroes afterwards; whether that worked.
    fn give_back(&mut self, pages: Range<usize>) -> bool {
        let slice = &mut self[pages];
        // SAFETY: the slice is whole pages of this private anonymous mapping, which is borrowed
        // exclusively; they stay mapped and read as zeroes.
        let result =
            unsafe { libc::madvise(slice.as_mut_ptr().cast(), slice.len(), libc::MADV_DONTNEED) };
        result == 0
    }
}

impl Deref for Mapping {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: `len` mapped and readable bytes that this value owns; anonymous memory is
        // initialised with zeroes.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for Mapping {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped in `zeroed` with this length; no borrow of it is left.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}
