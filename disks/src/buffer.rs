//! Memory that O_DIRECT accepts: aligned, owned by the value that holds it, recycled by a pool.
//!
//! Invariants: a buffer's address is a multiple of [`BUFFER_ALIGNMENT`]; its bytes are always
//! initialised; the pool keeps a bounded number of bytes and gives the rest back to the system.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::any::Any;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;

/// Every buffer starts at a multiple of this, which is what O_DIRECT asks of the common devices.
pub const BUFFER_ALIGNMENT: usize = 4096;

/// Owned, aligned, initialised memory of `len` bytes.
pub struct Buffer {
    start: NonNull<u8>,
    capacity: usize,
    len: usize,
    /// The owner of the memory, if it is lent.
    lender: Option<Lender>,
}

/// The owner of lent memory, which lives as long as this does.
type Lender = Arc<dyn Any + Send + Sync>;

// SAFETY: the memory is this value's alone, its own or lent, so it may move to another thread.
unsafe impl Send for Buffer {}
// SAFETY: a shared reference gives out shared slices only.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// A buffer of `len` zero bytes.
    pub fn zeroed(len: usize) -> Buffer {
        let capacity = len.max(1).next_multiple_of(BUFFER_ALIGNMENT);
        let layout = Self::layout(capacity);
        // SAFETY: the layout's size is not zero.
        let start = unsafe { alloc_zeroed(layout) };
        let Some(start) = NonNull::new(start) else {
            handle_alloc_error(layout)
        };
        Buffer {
            start,
            capacity,
            len,
            lender: None,
        }
    }

    /// A buffer of `len` bytes in memory of another owner, which gets it back when it is dropped.
    ///
    /// # Safety
    /// `start` is a multiple of [`BUFFER_ALIGNMENT`] and points to `len` initialised bytes that
    /// live as long as `lender`, and that no other code reads or writes as long as this buffer
    /// lives.
    pub unsafe fn lent(start: NonNull<u8>, len: usize, lender: Lender) -> Buffer {
        Buffer {
            start,
            capacity: len,
            len,
            lender: Some(lender),
        }
    }

    /// A buffer with a copy of `bytes`.
    pub fn copy_of(bytes: &[u8]) -> Buffer {
        let mut buffer = Buffer::zeroed(bytes.len());
        buffer.copy_from_slice(bytes);
        buffer
    }

    /// How many bytes it can be set to hold without a new allocation.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Sets the length; bytes beyond the old length keep their earlier content.
    ///
    /// # Panics
    /// If `len` exceeds the capacity.
    pub fn set_len(&mut self, len: usize) {
        assert!(
            len <= self.capacity,
            "a buffer cannot be longer than its memory"
        );
        self.len = len;
    }

    /// The address of the first byte, for the kernel.
    pub fn as_ptr(&self) -> *const u8 {
        self.start.as_ptr()
    }

    /// The address of the first byte, for the kernel to write to.
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.start.as_ptr()
    }

    fn layout(capacity: usize) -> Layout {
        Layout::from_size_align(capacity, BUFFER_ALIGNMENT)
            .expect("a buffer's size is far below the address space")
    }
}

impl Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: `start` points to `capacity >= len` initialised bytes that this value owns.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.lender.is_some() {
            return;
        }
        // SAFETY: allocated in `zeroed` with the same layout, and owned by this value.
        unsafe { dealloc(self.start.as_ptr(), Self::layout(self.capacity)) }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} bytes)", self.len)
    }
}

/// Size classes of the pool: 4 KiB, then four times as much each, to 4 MiB.
const CLASSES: usize = 6;

/// Recycled buffers of one thread. Bounded: memory beyond `limit_bytes` is freed.
#[derive(Debug)]
pub struct BufferPool {
    free: [Vec<Buffer>; CLASSES],
    held_bytes: usize,
    limit_bytes: usize,
}

impl BufferPool {
    /// A pool that keeps at most `limit_bytes` of unused memory.
    pub fn new(limit_bytes: usize) -> BufferPool {
        BufferPool {
            free: std::array::from_fn(|_| Vec::new()),
            held_bytes: 0,
            limit_bytes,
        }
    }

    /// A buffer of `len` bytes with *arbitrary old content*: for data that is overwritten at once.
    pub fn take(&mut self, len: usize) -> Buffer {
        let class = Self::class_for(len);
        if let Some(mut buffer) = class.and_then(|class| self.free[class].pop()) {
            self.held_bytes -= buffer.capacity();
            buffer.set_len(len);
            return buffer;
        }
        let mut buffer = Buffer::zeroed(class.map_or(len, Self::class_bytes));
        buffer.set_len(len);
        buffer
    }

    /// A buffer of `len` zero bytes.
    pub fn take_zeroed(&mut self, len: usize) -> Buffer {
        let mut buffer = self.take(len);
        buffer.fill(0);
        buffer
    }

    /// Returns a buffer to the pool; one that is lent goes back to its owner.
    pub fn put(&mut self, buffer: Buffer) {
        if buffer.lender.is_some() {
            return;
        }
        let capacity = buffer.capacity();
        let Some(class) = Self::class_for(capacity) else {
            return;
        };
        if Self::class_bytes(class) == capacity && self.held_bytes + capacity <= self.limit_bytes {
            self.held_bytes += capacity;
            self.free[class].push(buffer);
        }
    }

    fn class_bytes(class: usize) -> usize {
        BUFFER_ALIGNMENT << (2 * class)
    }

    fn class_for(len: usize) -> Option<usize> {
        (0..CLASSES).find(|class| len <= Self::class_bytes(*class))
    }
}

#[cfg(test)]
mod tests;
