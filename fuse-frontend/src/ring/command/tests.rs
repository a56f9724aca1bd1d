//! Unit tests of `command`.

use super::*;

fn bytes(submission: squeue::Entry128) -> [u8; 128] {
    // SAFETY: as in `with_places`.
    unsafe { std::mem::transmute(submission) }
}

fn word(bytes: &[u8; 128], at: usize) -> u64 {
    u64::from_ne_bytes(*bytes[at..].first_chunk().expect("inside"))
}

#[test]
fn commands_lie_where_the_kernel_reads_them() {
    let places = [(); 2].map(|()| libc::iovec {
        iov_base: std::ptr::null_mut(),
        iov_len: 0,
    });
    let register = bytes(Command::Register(&places).encode(5, 3, 17));
    assert_eq!(word(&register, 16), places.as_ptr() as u64);
    assert_eq!(register[24..28], 2_u32.to_ne_bytes());
    let commit = bytes(Command::CommitAndFetch { commit_id: 99 }.encode(5, 3, 17));
    assert_eq!((word(&commit, 16), word(&commit, 56)), (0, 99));
    for (number, command) in [(1_u32, register), (2, commit)] {
        assert_eq!(command[4..8], 5_i32.to_ne_bytes());
        assert_eq!(command[8..12], number.to_ne_bytes());
        assert_eq!(word(&command, 32), 17);
        assert_eq!(command[64..66], 3_u16.to_ne_bytes());
    }
}
