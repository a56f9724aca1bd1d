//! Holes in the files: `lseek` finds them, and what is beyond the end.

use super::common::{MIB, Mounted, errno_of};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};

fn seek(file: &File, offset_bytes: u64, whence: i32) -> io::Result<u64> {
    // SAFETY: only moves the descriptor's own offset.
    let found = unsafe { libc::lseek(file.as_raw_fd(), offset_bytes as i64, whence) };
    u64::try_from(found).map_err(|_| io::Error::last_os_error())
}

/// Beginnings and ends of all data, found the way that `cp` does it.
fn data_in(file: &File) -> Vec<(u64, u64)> {
    let (mut at, mut found) = (0, Vec::new());
    loop {
        match seek(file, at, libc::SEEK_DATA) {
            Ok(start) => {
                let end = seek(file, start, libc::SEEK_HOLE).expect("the end is one");
                found.push((start, end));
                at = end;
            }
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(libc::ENXIO));
                return found;
            }
        }
    }
}

const KIB: u64 = 1 << 10;

#[test]
fn data_and_holes_are_found() {
    let size_bytes = 3 * MIB + 100;
    let mounted = Mounted::new(&[("web", size_bytes), ("full", 1000)]);
    let file = mounted.open("web");
    assert_eq!(data_in(&file), []);
    assert_eq!(seek(&file, 77, libc::SEEK_HOLE).expect("a hole"), 77);
    for at in [0, 9, MIB, MIB + 70_000, 3 * MIB + 99] {
        file.write_all_at(b"x", at).expect("written");
    }
    let expected = [(0, 64 * KIB), (MIB, MIB + 128 * KIB), (3 * MIB, size_bytes)];
    assert_eq!(data_in(&file), expected);
    // Inside of data and inside of a hole.
    let cases = [
        (5, libc::SEEK_DATA, 5),
        (5, libc::SEEK_HOLE, 64 * KIB),
        (100 * KIB, libc::SEEK_DATA, MIB),
        (100 * KIB, libc::SEEK_HOLE, 100 * KIB),
        (3 * MIB + 9, libc::SEEK_HOLE, size_bytes),
    ];
    for (at, whence, found) in cases {
        assert_eq!(seek(&file, at, whence).expect("there"), found, "{at}");
    }
    let full = mounted.open("full");
    full.write_all_at(&[7; 1000], 0).expect("written");
    assert_eq!(data_in(&full), [(0, 1000)]);
}

/// Without waiting for attributes that the kernel caches to expire.
#[test]
fn what_is_stored_shows_as_blocks_and_is_never_more_than_the_size() {
    let mounted = Mounted::new(&[("web", MIB), ("sparse", MIB)]);
    let blocks = |name: &str| mounted.path(name).metadata().expect("there").blocks();
    assert_eq!((blocks("web"), blocks("sparse")), (MIB / 512, 0));
    let stored = mounted.memory.files[1].stored.clone().expect("it has one");
    stored.add(64 * KIB);
    assert_eq!(blocks("sparse"), 128);
    stored.add(MIB);
    assert_eq!(blocks("sparse"), MIB / 512);
    stored.subtract(MIB);
    assert_eq!(
        mounted.open("sparse").metadata().expect("open").blocks(),
        128
    );
}

#[test]
fn nothing_is_beyond_the_end_and_other_seeks_work() {
    let mounted = Mounted::new(&[("web", MIB)]);
    let file = mounted.open("web");
    for whence in [libc::SEEK_DATA, libc::SEEK_HOLE] {
        for at in [MIB, MIB + 1, 1 << 40] {
            assert_eq!(errno_of(seek(&file, at, whence)), libc::ENXIO);
        }
    }
    assert_eq!(seek(&file, 5, libc::SEEK_SET).expect("it is"), 5);
    assert_eq!(seek(&file, 5, libc::SEEK_CUR).expect("it is"), 10);
    assert_eq!(seek(&file, 0, libc::SEEK_END).expect("it is"), MIB);
    assert_eq!(errno_of(seek(&file, 0, 99)), libc::EINVAL);
}
