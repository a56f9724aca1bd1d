//! Unit tests of `buffer`.

use super::*;

#[test]
fn a_buffer_is_aligned_and_zero() {
    for len in [0, 1, 511, 4096, 4097, 1 << 20] {
        let buffer = Buffer::zeroed(len);
        assert_eq!(buffer.as_ptr() as usize % BUFFER_ALIGNMENT, 0);
        assert_eq!(buffer.len(), len);
        assert!(buffer.iter().all(|byte| *byte == 0));
    }
}

#[test]
fn the_pool_recycles_within_its_limit() {
    let mut pool = BufferPool::new(64 << 10);
    let first = pool.take(5000);
    let address = first.as_ptr();
    assert_eq!(first.capacity(), 16 << 10);
    pool.put(first);
    let again = pool.take(16 << 10);
    assert_eq!(again.as_ptr(), address, "the buffer was not reused");
    pool.put(again);
    pool.put(Buffer::zeroed(1 << 20));
    assert_eq!(
        pool.held_bytes,
        16 << 10,
        "a buffer above the limit was kept"
    );
}

#[test]
fn lent_memory_goes_back_to_its_lender_and_not_to_the_pool() {
    let lender = Arc::new(std::sync::Mutex::new(Buffer::zeroed(4096)));
    let start = NonNull::from(&mut lender.lock().expect("alone")[0]);
    let mut pool = BufferPool::new(1 << 20);
    for give_to_pool in [false, true] {
        let of_lender: Lender = Arc::clone(&lender) as Lender;
        // SAFETY: the start of a buffer of that length, which no other code uses while this lives.
        let mut lent = unsafe { Buffer::lent(start, 4096, of_lender) };
        lent.fill(7 + u8::from(give_to_pool));
        assert_eq!(Arc::strong_count(&lender), 2);
        match give_to_pool {
            true => pool.put(lent),
            false => drop(lent),
        }
        assert_eq!(Arc::strong_count(&lender), 1);
    }
    assert_eq!(pool.held_bytes, 0);
    assert_eq!(lender.lock().expect("alone")[4095], 8);
}

#[test]
fn zeroed_buffers_from_the_pool_hide_old_content() {
    let mut pool = BufferPool::new(1 << 20);
    let mut buffer = pool.take(4096);
    buffer.fill(0xAA);
    pool.put(buffer);
    assert!(pool.take_zeroed(4096).iter().all(|byte| *byte == 0));
}
