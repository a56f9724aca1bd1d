//! Unit tests of `file_space`.

use super::*;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

const MIB: u64 = 1 << 20;

#[test]
fn what_was_never_written_is_a_hole_whether_it_has_blocks_or_not() {
    let file = tempfile::tempfile().expect("a file");
    file.write_all_at(&vec![1; MIB as usize], MIB)
        .expect("room");
    assert_eq!(hole_bytes(&file), MIB, "before the data");
    file.set_len(4 * MIB).expect("a length");
    assert_eq!(hole_bytes(&file), 3 * MIB, "and behind them");
    // SAFETY: a plain system call on an open file.
    let result = unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, 4 * MIB as i64) };
    assert_eq!(result, 0, "there is room");
    assert_eq!(hole_bytes(&file), 3 * MIB, "space that is set aside");
    file.write_all_at(&vec![1; MIB as usize], 0).expect("room");
    file.write_all_at(&vec![1; 2 * MIB as usize], 2 * MIB)
        .expect("room");
    assert_eq!(hole_bytes(&file), 0);
    assert!(free_bytes(&file).expect("an answer") > 0);
}
