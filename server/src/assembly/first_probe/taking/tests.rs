//! Unit tests of `taking`: of which files the blocks are on the disk.

use super::*;
use rustix::fs::{FallocateFlags, fallocate};

#[test]
fn only_a_file_that_was_written_is_stored() {
    let mut written = tempfile::tempfile().expect("a file");
    written.write_all(&[1; 1 << 20]).expect("room");
    assert!(is_stored(&written).expect("an answer"));

    let sparse = tempfile::tempfile().expect("a file");
    sparse.set_len(1 << 20).expect("a length");
    assert!(!is_stored(&sparse).expect("an answer"));

    // It has blocks, and reads of them ask no disk.
    let set_aside = tempfile::tempfile().expect("a file");
    fallocate(&set_aside, FallocateFlags::empty(), 0, 1 << 20).expect("room");
    assert!(!is_stored(&set_aside).expect("an answer"));
}
