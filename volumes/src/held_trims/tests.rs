//! What is held, and in which order the disk is told.

use super::HeldTrims;
use crate::geometry::CHUNK_BYTES as C;

#[test]
fn whole_chunks_are_held_until_they_are_used_or_told() {
    let mut trims = HeldTrims::new(10 * C);
    assert_eq!(trims.next(C), None);
    trims.hold(C / 2, 4 * C + 1);
    assert_eq!(trims.held().get(), 3 * C);
    trims.release(2 * C + 5, 2 * C + 6);
    assert_eq!(trims.held().get(), 2 * C);
    assert_eq!(trims.next(8 * C), Some((C, 2 * C)));
    assert_eq!(trims.next(8 * C), Some((3 * C, 4 * C)));
    assert_eq!(trims.next(8 * C), Some((C, 2 * C)), "around");
    trims.release(C, 4 * C);
    assert!(trims.is_empty());
    assert_eq!(trims.next(C), None);
}

#[test]
fn a_range_is_no_longer_than_asked_for() {
    let mut trims = HeldTrims::new(7 * C);
    trims.hold(0, 7 * C);
    assert_eq!(trims.next(2 * C), Some((0, 2 * C)));
    assert_eq!(trims.next(1), Some((2 * C, 3 * C)), "a chunk at least");
    trims.release(0, 3 * C);
    assert_eq!(trims.next(100 * C), Some((3 * C, 7 * C)));
}
