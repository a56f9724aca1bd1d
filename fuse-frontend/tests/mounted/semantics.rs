//! What programs see in the mounted directory: bytes, lengths, durability, and what is refused.

use super::common::{MIB, Mounted, errno_of, fallocate, open_with};
use super::memory::Recorded;
use disktime_engine::{IoError, RequestKind};
use disktime_testing::bytes::pattern;
use disktime_testing::programs::wait_until;
use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::sync::Barrier;

/// The names in the directory, in their order.
fn listed(mounted: &Mounted) -> Vec<String> {
    let entries = fs::read_dir(mounted.path("")).expect("readable");
    let name = |entry: std::io::Result<fs::DirEntry>| {
        let name = entry.expect("an entry").file_name();
        name.into_string().expect("text")
    };
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort();
    names
}

#[test]
fn files_show_name_size_owner_and_mode() {
    let mounted = Mounted::new(&[("web", 3 * MIB + 5), ("db", MIB), ("read-only", 4096)]);
    assert_eq!(listed(&mounted), ["db", "read-only", "web"]);

    let web = fs::metadata(mounted.path("web")).expect("there");
    assert!(web.is_file());
    assert_eq!(web.len(), 3 * MIB + 5);
    assert_eq!(web.mode() & 0o7777, 0o600);
    assert_eq!(web.blksize(), 64 << 10);
    assert_eq!(web.blocks(), (3 * MIB + 5).div_ceil(512));
    let own = fs::metadata("/proc/self").expect("there").uid();
    assert_eq!(web.uid(), own);
    let read_only = fs::metadata(mounted.path("read-only")).expect("there");
    assert_eq!(read_only.mode() & 0o7777, 0o400);
    assert_eq!(errno_of(fs::metadata(mounted.path("none"))), libc::ENOENT);
}

#[test]
fn a_name_that_no_file_can_have_is_too_long() {
    let mounted = Mounted::new(&[("web", MIB)]);
    for (length, expected) in [(255, libc::ENOENT), (256, libc::ENAMETOOLONG)] {
        let path = mounted.path(&"n".repeat(length));
        assert_eq!(errno_of(fs::metadata(&path)), expected, "{length}");
    }
    let path = mounted.path(&"n".repeat(256));
    assert_eq!(errno_of(File::create(&path)), libc::ENAMETOOLONG);
    assert_eq!(errno_of(fs::create_dir(&path)), libc::ENAMETOOLONG);
    let renamed = fs::rename(mounted.path("web"), &path);
    assert_eq!(errno_of(renamed), libc::ENAMETOOLONG);
}

#[test]
fn many_files_are_all_listed() {
    let names: Vec<String> = (0..1000)
        .map(|number| format!("vdisk-{number:04}"))
        .collect();
    let files: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    let mounted = Mounted::new(&files);
    assert_eq!(listed(&mounted), names);
}

#[test]
fn bytes_are_where_they_were_written_and_no_cache_hides_other_frontends() {
    let mounted = Mounted::new(&[("web", MIB), ("db", MIB)]);
    let (one, other) = (mounted.open("web"), mounted.open("web"));
    let data = pattern(70_001, 1);
    for offset_bytes in [0, 1, 511, 4095, 65_537, MIB - 70_001] {
        one.write_all_at(&data, offset_bytes).expect("written");
        let mut read = vec![0; data.len()];
        other.read_exact_at(&mut read, offset_bytes).expect("read");
        assert!(read == data, "at {offset_bytes}");
        let at = offset_bytes as usize;
        assert!(mounted.memory.content(0)[at..at + data.len()] == data);
    }
    assert!(
        mounted.memory.content(1).iter().all(|byte| *byte == 0),
        "the neighbour is untouched"
    );

    mounted.memory.content(0)[1000] ^= 0xff;
    let mut byte = [0];
    one.read_exact_at(&mut byte, 1000).expect("read");
    assert_eq!(
        byte[0],
        mounted.memory.content(0)[1000],
        "as another frontend wrote it"
    );
}

#[test]
fn direct_io_works_at_unaligned_offsets() {
    let mounted = Mounted::new(&[("web", MIB)]);
    let file = open_with(&mounted.path("web"), libc::O_DIRECT);
    for (offset_bytes, len) in [(0, 4096), (3, 1), (513, 1023), (4096 * 3 + 7, 12_345)] {
        let data = pattern(len, offset_bytes + 9);
        file.write_all_at(&data, offset_bytes).expect("written");
        let mut read = vec![0; len];
        file.read_exact_at(&mut read, offset_bytes).expect("read");
        assert!(read == data, "at {offset_bytes}");
    }
}

#[test]
fn large_transfers_arrive_in_requests_of_at_most_a_mebibyte() {
    let mounted = Mounted::new(&[("web", 8 * MIB)]);
    let file = mounted.open("web");
    let data = pattern(8 << 20, 5);
    file.write_all_at(&data, 0).expect("written");
    let mut read = Vec::new();
    (&file).read_to_end(&mut read).expect("read");
    assert!(read == data);
    let asked = mounted.memory.take_transfers();
    assert_eq!(asked.iter().map(|asked| asked.len_bytes).max(), Some(MIB));
    // A buffer that does not start on a page costs one more, for its last bytes.
    assert!(asked.len() <= 18, "eight or nine each way: {asked:?}");
}

#[test]
fn the_end_shortens_reads_and_writes_and_refuses_writes_beyond_it() {
    let mounted = Mounted::new(&[("web", 10_000)]);
    let file = mounted.open("web");
    let mut room = [0; 100];
    assert_eq!(file.read_at(&mut room, 9_990).expect("read"), 10);
    assert_eq!(file.read_at(&mut room, 10_000).expect("read"), 0);
    assert_eq!(file.read_at(&mut room, 1 << 40).expect("read"), 0);
    assert_eq!(file.write_at(&[7; 100], 9_990).expect("written"), 10);
    assert_eq!(errno_of(file.write_at(&[7; 100], 10_000)), libc::ENOSPC);
    assert_eq!(errno_of(file.write_at(&[7; 1], 1 << 40)), libc::ENOSPC);
    let direct = open_with(&mounted.path("web"), libc::O_DIRECT);
    assert_eq!(errno_of(direct.write_at(&[7; 512], 10_240)), libc::ENOSPC);
    assert_eq!(
        fs::metadata(mounted.path("web")).expect("there").len(),
        10_000
    );
    assert_eq!(mounted.memory.content(0)[9_989..9_991], [0, 7]);
}

#[test]
fn the_size_never_changes() {
    let mounted = Mounted::new(&[("web", 10_000)]);
    let file = mounted.open("web");
    file.write_all_at(b"kept", 0).expect("written");
    for size_bytes in [0, 9_999, 10_001] {
        assert_eq!(
            errno_of(file.set_len(size_bytes)),
            libc::EPERM,
            "{size_bytes}"
        );
    }
    file.set_len(10_000).expect("the size it has");
    assert_eq!(
        errno_of(File::create(mounted.path("web"))),
        libc::EPERM,
        "O_TRUNC"
    );
    assert_eq!(
        fs::metadata(mounted.path("web")).expect("there").len(),
        10_000
    );
    assert_eq!(mounted.memory.content(0)[..4], *b"kept");
}

#[test]
fn the_directory_never_changes() {
    let mounted = Mounted::new(&[("web", 4096), ("db", 4096)]);
    let (web, other) = (mounted.path("web"), mounted.path("other"));
    assert_eq!(errno_of(File::create(&other)), libc::EPERM);
    assert_eq!(errno_of(fs::create_dir(&other)), libc::EPERM);
    assert_eq!(
        errno_of(std::os::unix::fs::symlink("/x", &other)),
        libc::EPERM
    );
    assert_eq!(errno_of(fs::hard_link(&web, &other)), libc::EPERM);
    assert_eq!(errno_of(fs::rename(&web, &other)), libc::EPERM);
    assert_eq!(errno_of(fs::rename(&web, mounted.path("db"))), libc::EPERM);
    assert_eq!(errno_of(fs::remove_file(&web)), libc::EPERM);
    assert_eq!(
        errno_of(fs::set_permissions(&web, Permissions::from_mode(0o644))),
        libc::EPERM
    );
    assert_eq!(
        errno_of(std::os::unix::fs::chown(&web, Some(12_345), None)),
        libc::EPERM
    );
    fs::set_permissions(&web, Permissions::from_mode(0o600)).expect("the mode it has");
    assert_eq!(fs::read_dir(mounted.path("")).expect("readable").count(), 2);
}

#[test]
fn writes_that_must_be_durable_are_fua() {
    let mounted = Mounted::new(&[("web", 4096)]);
    let fua = || {
        let asked = mounted.memory.take_transfers();
        let write = asked.iter().find(|asked| asked.kind == RequestKind::Write);
        write.expect("a write").fua
    };
    for (flags, durable) in [
        (0, false),
        (libc::O_DSYNC, true),
        (libc::O_SYNC, true),
        (libc::O_DIRECT, false),
    ] {
        let file = open_with(&mounted.path("web"), flags);
        file.write_all_at(b"x", 0).expect("written");
        assert_eq!(fua(), durable, "flags {flags:#o}");
    }
    let file = mounted.open("web");
    let mut byte = *b"y";
    let piece = libc::iovec {
        iov_base: byte.as_mut_ptr().cast(),
        iov_len: 1,
    };
    // SAFETY: one piece that points to one byte, which outlives the call.
    let written = unsafe { libc::pwritev2(file.as_raw_fd(), &piece, 1, 0, libc::RWF_DSYNC) };
    assert_eq!(written, 1, "{}", io::Error::last_os_error());
    assert!(fua(), "one durable write of an ordinary file");
}

#[test]
fn holes_and_zeroed_ranges_read_as_zeroes_and_keep_the_size() {
    const KEEP: i32 = libc::FALLOC_FL_KEEP_SIZE;
    const PUNCH: i32 = libc::FALLOC_FL_PUNCH_HOLE;
    const ZERO: i32 = libc::FALLOC_FL_ZERO_RANGE;
    let mounted = Mounted::new(&[("web", 10_000)]);
    let file = mounted.open("web");
    file.write_all_at(&[9; 10_000], 0).expect("written");
    mounted.memory.take_transfers();

    fallocate(&file, PUNCH | KEEP, 100, 200).expect("a hole");
    fallocate(&file, ZERO, 5_000, 5_000).expect("zeroes up to the end");
    fallocate(&file, ZERO | KEEP, 4_000, 1).expect("zeroes");
    fallocate(&file, PUNCH | KEEP, 9_000, 5_000).expect("a hole over the end");
    let asked = |kind, offset_bytes, len_bytes| Recorded {
        kind,
        offset_bytes,
        len_bytes,
        fua: false,
    };
    // The space of a hole may be returned; a zeroed range stays allocated.
    let (hole, zeroes) = (RequestKind::WriteZeroes, RequestKind::ZeroKeepingSpace);
    let expected = [
        asked(hole, 100, 200),
        asked(zeroes, 5_000, 5_000),
        asked(zeroes, 4_000, 1),
        asked(hole, 9_000, 1_000),
    ];
    assert_eq!(mounted.memory.take_transfers(), expected);

    fallocate(&file, 0, 0, 10_000).expect("space is there");
    fallocate(&file, KEEP, 7, 1).expect("space is there");
    let allocate = RequestKind::Allocate;
    let expected = [asked(allocate, 0, 10_000), asked(allocate, 7, 1)];
    assert_eq!(mounted.memory.take_transfers(), expected);
    fallocate(&file, PUNCH | KEEP, 20_000, 5).expect("nothing to make a hole in");
    assert_eq!(errno_of(fallocate(&file, 0, 0, 10_001)), libc::ENOSPC);
    assert_eq!(errno_of(fallocate(&file, ZERO, 9_000, 1_001)), libc::ENOSPC);
    assert_eq!(
        errno_of(fallocate(&file, ZERO | KEEP, 10_000, 1)),
        libc::ENOSPC
    );
    assert_eq!(
        errno_of(fallocate(&file, libc::FALLOC_FL_COLLAPSE_RANGE, 0, 4096)),
        libc::EOPNOTSUPP
    );
    assert_eq!(mounted.memory.take_transfers(), []);

    let content = mounted.memory.content(0);
    let is_zero = |at: usize| (100..300).contains(&at) || at == 4_000 || at >= 5_000;
    assert!((0..10_000).all(|at| content[at] == if is_zero(at) { 0 } else { 9 }));
    drop(content);
    assert_eq!(file.metadata().expect("there").len(), 10_000);
    let durable = open_with(&mounted.path("web"), libc::O_DSYNC);
    fallocate(&durable, PUNCH | KEEP, 0, 1).expect("a hole");
    assert!(mounted.memory.take_transfers()[0].fua);
}

#[test]
fn statfs_reports_the_sum_of_the_sizes_and_no_free_space() {
    let mounted = Mounted::new(&[("web", 3 * MIB), ("db", MIB)]);
    let path = std::ffi::CString::new(mounted.path("").to_str().expect("text")).expect("no NUL");
    let mut answer = std::mem::MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: a NUL-terminated path and space for the answer, which zeroes initialise.
    let answer = unsafe {
        assert_eq!(libc::statvfs(path.as_ptr(), answer.as_mut_ptr()), 0);
        answer.assume_init()
    };
    assert_eq!(answer.f_blocks * answer.f_frsize, 4 * MIB);
    assert_eq!((answer.f_bfree, answer.f_bavail, answer.f_ffree), (0, 0, 0));
    assert_eq!(answer.f_files, 2);
}

#[test]
fn a_read_only_file_can_be_read_and_not_written() {
    let mounted = Mounted::new(&[("read-only", 4096)]);
    mounted.memory.content(0)[17] = 1;
    let content = fs::read(mounted.path("read-only")).expect("read");
    assert_eq!((content.len(), content[17]), (4096, 1));
    let writer = fs::OpenOptions::new()
        .write(true)
        .open(mounted.path("read-only"));
    assert_eq!(errno_of(writer), libc::EROFS);
}

#[test]
fn an_error_reaches_its_program_and_affects_no_other_request() {
    let mounted = Mounted::new(&[("web", 4096)]);
    let file = mounted.open("web");
    let errors = [
        (IoError::Io, libc::EIO),
        (IoError::Invalid, libc::EINVAL),
        (IoError::NoSpace, libc::ENOSPC),
        (IoError::ReadOnly, libc::EROFS),
        (IoError::NotSupported, libc::EOPNOTSUPP),
        (IoError::Shutdown, libc::ESHUTDOWN),
    ];
    for (error, number) in errors {
        mounted.memory.fail_with(Some(error));
        assert_eq!(errno_of(file.read_at(&mut [0; 10], 0)), number, "{error}");
        assert_eq!(errno_of(file.write_at(&[0; 10], 0)), number, "{error}");
        assert_eq!(errno_of(file.sync_all()), number, "{error}");
    }
    mounted.memory.fail_with(None);
    file.write_all_at(b"well", 0).expect("written");
    file.sync_all().expect("fsync");
}

#[test]
fn synchronous_writers_of_one_file_do_not_wait_for_each_other() {
    const WRITERS: u64 = 8;
    let mounted = Mounted::new(&[("web", 4096 * WRITERS)]);
    let file = mounted.open("web");
    let started = Barrier::new(WRITERS as usize);
    std::thread::scope(|scope| {
        let gate = mounted.memory.close_gate();
        for writer in 0..WRITERS {
            let (file, started) = (&file, &started);
            scope.spawn(move || {
                started.wait();
                file.write_all_at(&[writer as u8; 4096], writer * 4096)
                    .expect("written");
            });
        }
        let writes = || mounted.memory.count_recorded(RequestKind::Write) as u64;
        wait_until(
            "all writers are at the backend before one is answered",
            || writes() == WRITERS,
        );
        drop(gate);
    });
    for writer in 0..WRITERS as usize {
        assert_eq!(mounted.memory.content(0)[writer * 4096 + 77], writer as u8);
    }
}

#[test]
fn fsync_and_close_after_writing_flush_and_reading_does_not() {
    let mounted = Mounted::new(&[("web", 4096)]);
    let flushes = || {
        let asked = mounted.memory.take_recorded();
        asked
            .iter()
            .filter(|asked| asked.kind == RequestKind::Flush)
            .count()
    };
    let file = mounted.open("web");
    file.write_all_at(b"x", 0).expect("written");
    assert_eq!(flushes(), 0);
    file.sync_all().expect("fsync");
    assert_eq!(flushes(), 1);
    file.sync_data().expect("fdatasync");
    assert_eq!(flushes(), 1);
    drop(file);
    assert_eq!(flushes(), 1, "close");
    let mut content = Vec::new();
    let mut reader = File::open(mounted.path("web")).expect("opened");
    reader.read_to_end(&mut content).expect("read");
    drop(reader);
    assert_eq!(flushes(), 0, "a reader's close");
    File::open(mounted.path("web"))
        .expect("opened")
        .sync_all()
        .expect("fsync");
    assert_eq!(flushes(), 1, "a reader's fsync");
}

#[test]
fn a_shared_mapping_is_refused_because_it_would_be_cached() {
    let mounted = Mounted::new(&[("web", 4096)]);
    let file = mounted.open("web");
    // SAFETY: a new mapping at a place of the kernel's choice, which is refused.
    let mapping = unsafe {
        let (null, protection) = (std::ptr::null_mut(), libc::PROT_READ | libc::PROT_WRITE);
        libc::mmap(
            null,
            4096,
            protection,
            libc::MAP_SHARED,
            file.as_raw_fd(),
            0,
        )
    };
    let error = io::Error::last_os_error();
    assert_eq!(
        (mapping, error.raw_os_error()),
        (libc::MAP_FAILED, Some(libc::ENODEV))
    );
}

/// How many of the first pages of a file the kernel has in its cache.
fn cached_pages(map: *mut libc::c_void, count: usize) -> usize {
    let mut pages = vec![0u8; count];
    // SAFETY: the mapping has so many pages, and `pages` a byte for each.
    let told = unsafe { libc::mincore(map, count * 4096, pages.as_mut_ptr()) };
    assert_eq!(told, 0, "{}", io::Error::last_os_error());
    pages.iter().filter(|page| **page & 1 != 0).count()
}

/// The content of a vdisk becomes another one: what its files were opened for is over.
#[test]
fn files_that_were_ended_get_errors_and_leave_nothing_cached() {
    let mounted = Mounted::new(&[("web", MIB), ("db", MIB)]);
    let file = &mounted.memory.files[0];
    let (old, other) = (mounted.open("web"), mounted.open("db"));
    old.write_all_at(&[1; 8192], 0).expect("written");
    // SAFETY: a new mapping of an open file.
    let map = unsafe {
        let (kind, fd) = (libc::MAP_PRIVATE, old.as_raw_fd());
        libc::mmap(std::ptr::null_mut(), 8192, libc::PROT_READ, kind, fd, 0)
    };
    assert_ne!(map, libc::MAP_FAILED, "{}", io::Error::last_os_error());
    for page in 0..2 {
        // SAFETY: within the mapping.
        let byte = unsafe { map.cast::<u8>().add(page * 4096).read_volatile() };
        assert_eq!(byte, 1);
    }
    assert_eq!(cached_pages(map, 2), 2);

    let closed = file.clients.close().expect("it is open to clients");
    let open = || File::open(mounted.path("web"));
    assert_eq!(errno_of(open()), libc::EBUSY);
    assert_eq!(closed.end_files(), 1);
    let files = mounted.handle.as_ref().expect("mounted").open_files();
    mounted.runtime.block_on(files.until_submitted());
    files.forget_cached(file.identity);
    assert_eq!(cached_pages(map, 2), 0);
    drop(closed);

    assert_eq!(errno_of(old.read_at(&mut [0; 512], 0)), libc::EIO);
    assert_eq!(errno_of(old.write_at(&[3; 512], 0)), libc::EIO);
    assert_eq!(errno_of(old.sync_all()), libc::EIO);
    let punch = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    assert_eq!(errno_of(fallocate(&old, punch, 0, 4096)), libc::EIO);
    other.write_all_at(&[4; 512], 0).expect("it goes on");
    let new = mounted.open("web");
    let mut read = [0; 512];
    new.read_exact_at(&mut read, 0).expect("read");
    assert_eq!(read, [1; 512]);
    // SAFETY: it was mapped above.
    unsafe { libc::munmap(map, 8192) };
    drop(old);
    // The kernel tells of the end of `old` when it likes; it changes nothing.
    assert_eq!(file.clients.get(), 1);
    drop(new);
    wait_until("the file is closed", || file.clients.get() == 0);
}
