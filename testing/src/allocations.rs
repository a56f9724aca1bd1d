//! An allocator that counts, for tests that something allocates nothing.
//!
//! It is a whole program's, so such a test has a file of its own, with:
//!
//! ```text
//! #[global_allocator]
//! static COUNTING: Counting = Counting;
//! ```
//!
//! Invariant: the counts are of the calling thread only, so tests in other threads do not disturb.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static HELD_BYTES: Cell<i64> = const { Cell::new(0) };
    static MOST_HELD_BYTES: Cell<i64> = const { Cell::new(0) };
}

/// The system's allocator, counting.
#[derive(Debug)]
pub struct Counting;

/// Adds to the bytes held. A thread that ends allocates after its counts are gone; what is lost
/// then is of no interest.
fn hold(bytes: i64) {
    let _ = HELD_BYTES.try_with(|held| {
        held.set(held.get() + bytes);
        MOST_HELD_BYTES.with(|most| most.set(most.get().max(held.get())));
    });
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches thread-local
// numbers that need no allocation.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        hold(layout.size() as i64);
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        hold(-(layout.size() as i64));
        // SAFETY: the caller's promise about `start` and `layout` is passed on.
        unsafe { System.dealloc(start, layout) }
    }
}

/// Allocations of this thread so far.
pub fn count() -> u64 {
    ALLOCATIONS.get()
}

/// The most bytes that `work` held beyond what was held before it.
pub fn most_held_bytes(work: impl FnOnce()) -> i64 {
    let before = HELD_BYTES.get();
    MOST_HELD_BYTES.set(before);
    work();
    MOST_HELD_BYTES.get() - before
}
