//! Opening real disks: what is accepted, what is refused and in which words.

mod driver;

use disktime_disks::{BackingError, Buffer, Disk, DiskOptions, Operation, open_disk};
use driver::{Driver, request};
use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{PoisonError, RwLock};

const MIB: u64 = 1 << 20;

/// A process holds copies of our open files from its fork to its exec, and so their locks: nothing
/// is started while a test closes a file and opens it again.
static STARTING: RwLock<()> = RwLock::new(());

fn open(
    path: &Path,
    size_bytes: Option<u64>,
    create: bool,
) -> Result<Box<dyn Disk + Send>, BackingError> {
    open_disk(&DiskOptions {
        size_bytes,
        create,
        ..DiskOptions::new(path)
    })
}

fn refused(path: &Path, size_bytes: Option<u64>, create: bool) -> BackingError {
    open(path, size_bytes, create)
        .err()
        .expect("cannot be opened")
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

#[test]
fn a_missing_file_is_created_sparse_when_asked() {
    let _quiet = STARTING.read().unwrap_or_else(PoisonError::into_inner);
    let folder = folder();
    let path = folder.path().join("new.disk");
    let error = refused(&path, Some(64 * MIB), false).to_string();
    assert!(error.contains("truncate -s 67108864"), "{error}");
    assert!(!path.exists(), "a refusal created the file");
    let error = refused(&path, None, true).to_string();
    assert!(error.contains("\"size\""), "{error}");
    let disk = open(&path, Some(64 * MIB), true).expect("may be created");
    assert_eq!(disk.properties().size_bytes, 64 * MIB);
    assert!(matches!(disk.properties().block_bytes, 512 | 4096));
    let metadata = fs::metadata(&path).expect("it is there");
    assert!(metadata.is_file());
    let on_disk = metadata.blocks() * 512;
    assert!(
        on_disk < MIB,
        "{on_disk} bytes were allocated for an empty file"
    );
}

#[test]
fn a_file_tells_its_holes_and_a_discard_makes_one() {
    let _quiet = STARTING.read().unwrap_or_else(PoisonError::into_inner);
    let folder = folder();
    let path = folder.path().join("holes.disk");
    let file = fs::File::create(&path).expect("writable");
    file.set_len(16 * MIB).expect("a length");
    file.write_all_at(&[7; 2 << 20], 4 * MIB).expect("room");
    // What a page cache holds may count as data or not; what is on the disk is what it is.
    file.sync_all().expect("it is a disk's file");
    drop(file);
    let disk = open_disk(&DiskOptions::new(&path)).expect("it opens");
    let map = disk.content_map().expect("a file knows its holes");
    assert_eq!(map.data_after(0, 16 * MIB), Some((4 * MIB, 6 * MIB)));
    assert_eq!(map.data_after(5 * MIB, 16 * MIB), Some((5 * MIB, 6 * MIB)));
    assert_eq!(map.data_after(0, 5 * MIB), Some((4 * MIB, 5 * MIB)));
    assert_eq!(map.data_after(0, 4 * MIB), None);
    assert_eq!(map.data_after(6 * MIB, 16 * MIB), None);
    assert_eq!(map.data_after(6 * MIB, 6 * MIB), None);
    assert!(
        disk.properties().capabilities.discard_zeroes(),
        "holes of a file are zeroes"
    );
    let mut driver = Driver::real(disk);
    let discard = request(Operation::Discard, 4 * MIB, MIB);
    assert_eq!(driver.run(discard).result, Ok(()));
    let map = driver.disk.content_map().expect("it knows them still");
    assert_eq!(map.data_after(0, 16 * MIB), Some((5 * MIB, 6 * MIB)));
}

#[test]
fn a_file_grows_and_never_shrinks() {
    let _quiet = STARTING.read().unwrap_or_else(PoisonError::into_inner);
    let folder = folder();
    let path = folder.path().join("grows.disk");
    fs::write(&path, vec![7; 8192]).expect("writable");
    let grown = open(&path, Some(MIB), false).expect("may grow");
    assert_eq!(grown.properties().size_bytes, MIB);
    drop(grown);
    let kept = open(&path, Some(8192), false).expect("is large enough");
    assert_eq!(kept.properties().size_bytes, MIB);
    drop(kept);
    let content = fs::read(&path).expect("readable");
    assert!(
        content[..8192].iter().all(|byte| *byte == 7),
        "opening changed the content"
    );
    assert_eq!(content.len() as u64, MIB);
}

#[test]
fn a_file_in_use_is_refused_before_it_is_grown() {
    let _quiet = STARTING.read().unwrap_or_else(PoisonError::into_inner);
    let folder = folder();
    let path = folder.path().join("used.disk");
    let _first = open(&path, Some(MIB), true).expect("free");
    let error = refused(&path, Some(2 * MIB), true);
    assert!(matches!(error, BackingError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("fuser"), "{error}");
    assert_eq!(
        fs::metadata(&path).expect("it is there").len(),
        MIB,
        "the file was grown"
    );
}

#[test]
fn what_is_not_a_disk_is_named() {
    let folder = folder();
    let cases = [
        (folder.path(), "a directory"),
        (Path::new("/dev/null"), "a character device"),
    ];
    for (path, found) in cases {
        let error = refused(path, Some(MIB), true).to_string();
        assert!(error.contains(found), "{error}");
    }
    let empty = folder.path().join("empty.disk");
    fs::write(&empty, []).expect("writable");
    let error = refused(&empty, None, false);
    assert!(matches!(error, BackingError::TooSmall { .. }), "{error}");
    let error = refused(&folder.path().join("no/such.disk"), Some(MIB), true).to_string();
    assert!(error.contains("mkdir -p"), "{error}");
    let error = refused(Path::new("/dev/no-such-disk"), Some(MIB), true).to_string();
    assert!(error.contains("lsblk"), "{error}");
}

#[test]
fn defaults_are_announced_and_overridden() {
    let _quiet = STARTING.read().unwrap_or_else(PoisonError::into_inner);
    let folder = folder();
    let mut options = DiskOptions::new(folder.path().join("a.disk"));
    options.size_bytes = Some(MIB);
    options.create = true;
    options.has_seeks = Some(false);
    let disk = open_disk(&options).expect("can be created");
    let notices = disk.properties().notices.join("\n");
    assert!(
        notices.contains("defaults are assumed: a SATA SSD"),
        "{notices}"
    );
    assert_eq!(
        (
            disk.properties().max_in_flight,
            disk.properties().quantum_bytes
        ),
        (32, 128 << 10)
    );
    drop(disk);
    options.max_in_flight = Some(1);
    let disk = open_disk(&options).expect("is free again");
    let notices = disk.properties().notices.join("\n");
    assert!(notices.contains("one request at a time"), "{notices}");
    assert_eq!(disk.properties().quantum_bytes, 1 << 20);
    drop(disk);
    options.max_in_flight = None;
    options.has_seeks = Some(true);
    let disk = open_disk(&options).expect("is free again");
    assert_eq!(
        (
            disk.properties().max_in_flight,
            disk.properties().quantum_bytes
        ),
        (1, 512 << 10)
    );
    assert!(!disk.properties().seek_curve.is_empty());
    drop(disk);
    options.paced = true;
    let disk = open_disk(&options).expect("is free again");
    let notices = disk.properties().notices.join("\n");
    assert!(
        !notices.contains("assumed"),
        "a model stands in front: {notices}"
    );
}

/// A loop device over a file, gone when dropped.
struct LoopDevice(PathBuf);

impl LoopDevice {
    fn over(path: &Path) -> LoopDevice {
        let _alone = STARTING.write().unwrap_or_else(PoisonError::into_inner);
        let output = Command::new("losetup")
            .args(["--find", "--show"])
            .arg(path)
            .output()
            .expect("losetup cannot be run; install it: apt-get install util-linux");
        assert!(
            output.status.success(),
            "a loop device cannot be made (this test needs root: `sudo cargo test`): {}",
            String::from_utf8_lossy(&output.stderr)
        );
        LoopDevice(PathBuf::from(
            String::from_utf8_lossy(&output.stdout).trim(),
        ))
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        let _alone = STARTING.write().unwrap_or_else(PoisonError::into_inner);
        let _ = Command::new("losetup")
            .arg("--detach")
            .arg(&self.0)
            .status();
    }
}

#[test]
fn a_block_device_is_served_and_kept_to_one_user() {
    let folder = folder();
    let file = folder.path().join("below");
    fs::File::create(&file)
        .and_then(|file| file.set_len(16 * MIB))
        .expect("writable");
    let device = LoopDevice::over(&file);
    let error = refused(&device.0, Some(32 * MIB), false);
    assert!(matches!(error, BackingError::TooSmall { .. }), "{error}");
    let mut options = DiskOptions::new(&device.0);
    options.has_seeks = Some(false);
    let disk = open_disk(&options).expect("the device is free");
    assert_eq!(disk.properties().size_bytes, 16 * MIB);
    let error = refused(&device.0, None, false);
    assert!(matches!(error, BackingError::InUse { .. }), "{error}");
    let mut driver = Driver::real(disk);
    driver.write(MIB, &vec![0x5A; 1 << 20], &[1 << 20], true);
    driver.run(request(Operation::WriteZeroes, MIB + 65536, 65536));
    driver.run(request(Operation::Discard, 2 * MIB - 65536, 65536));
    driver.run(request(Operation::Flush, 0, 0));
    let mut expected = vec![0x5A; (1 << 20) - 65536];
    expected[65536..2 * 65536].fill(0);
    assert!(
        driver.read(MIB, &[(1 << 20) - 65536]) == expected,
        "not what was written"
    );
    let below = fs::read(&file).expect("readable");
    assert!(
        below[1 << 20..(2 << 20) - 65536] == expected,
        "the flush did not reach the file"
    );
    drop(driver);
    let again = open(&device.0, None, false);
    assert!(again.is_ok(), "the device is free again");
}

#[test]
fn a_file_is_made_for_its_owner_and_one_that_others_may_read_is_named() {
    let _quiet = STARTING.read().unwrap_or_else(PoisonError::into_inner);
    let folder = folder();
    let path = folder.path().join("new.disk");
    let notices = || {
        let disk = open(&path, Some(MIB), true).expect("a file");
        disk.properties().notices.join("\n")
    };
    let said = notices();
    let mode = fs::metadata(&path).expect("it was made").mode();
    assert_eq!(mode & 0o7777 & !0o600, 0, "{mode:o}");
    assert!(!said.contains("mode"), "{said}");
    for (mode, expected) in [
        (0o604, "other users may read what"),
        (0o640, "its group may read what"),
        (0o622, "other users may read or write what"),
    ] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
        let said = notices();
        let found = fs::metadata(&path).expect("it is there").mode() & 0o7777;
        assert_eq!(found, mode, "it is left as it is");
        assert!(
            said.contains(expected) && said.contains("chmod 600"),
            "{said}"
        );
    }
}

/// A write behind the new end would make the file long again, and what was cut off read as zeroes.
#[test]
fn what_was_cut_off_while_it_is_open_is_neither_read_nor_written() {
    let _quiet = STARTING.read().unwrap_or_else(PoisonError::into_inner);
    for force_sync in [false, true] {
        let folder = folder();
        let path = folder.path().join("cut.disk");
        let options = DiskOptions {
            size_bytes: Some(64 * MIB),
            create: true,
            force_sync,
            ..DiskOptions::new(&path)
        };
        let disk = open_disk(&options).expect("may be created");
        let mut driver = Driver::real(disk);
        let mut ends = |operation, offset_bytes, len_bytes| {
            let mut request = request(operation, offset_bytes, len_bytes);
            if operation.moves_data() {
                request.buffers.push(Buffer::zeroed(len_bytes as usize));
            }
            driver.submit(request);
            driver.wait_all().remove(0).result
        };
        let (inside, across, beyond) = (MIB, 31 * MIB, 48 * MIB);
        for at in [inside, across, beyond] {
            assert_eq!(ends(Operation::Write, at, 2 * MIB), Ok(()));
        }
        let file = fs::OpenOptions::new().write(true).open(&path);
        let file = file.expect("it is there");
        file.set_len(32 * MIB).expect("it can be cut");
        // The last one would make the file as long as it was.
        for (operation, at) in [
            (Operation::Write, beyond),
            (Operation::Write, across),
            (Operation::WriteZeroes, beyond),
            (Operation::Read, beyond),
            (Operation::Write, 62 * MIB),
        ] {
            let error = ends(operation, at, 2 * MIB).expect_err("it was cut off");
            assert!(error.context.contains("was cut to 33554432"), "{error}");
        }
        assert_eq!(file.metadata().expect("it is open").len(), 32 * MIB);
        assert_eq!(ends(Operation::Write, inside, 2 * MIB), Ok(()));
        assert_eq!(ends(Operation::Flush, 0, 0), Ok(()));
        // Whatever becomes of the file: there are zeroes now where data were.
        file.set_len(64 * MIB).expect("it can be grown");
        assert!(ends(Operation::Read, beyond, 2 * MIB).is_err());
        assert_eq!(
            driver.disk.cut_mark().and_then(|mark| mark.cut_at()),
            Some(32 * MIB)
        );
    }
}

/// A flush promises what was written before, so the length is asked before it is answered.
#[test]
fn a_flush_finds_out_that_the_file_was_cut() {
    let _quiet = STARTING.read().unwrap_or_else(PoisonError::into_inner);
    for force_sync in [false, true] {
        let folder = folder();
        let path = folder.path().join("cut.disk");
        let options = DiskOptions {
            size_bytes: Some(64 * MIB),
            create: true,
            force_sync,
            ..DiskOptions::new(&path)
        };
        let mut driver = Driver::real(open_disk(&options).expect("may be created"));
        let flush = |driver: &mut Driver| {
            driver.submit(request(Operation::Flush, 0, 0));
            assert_eq!(driver.wait_all().remove(0).result, Ok(()));
            driver.disk.cut_mark().and_then(|mark| mark.cut_at())
        };
        assert_eq!(flush(&mut driver), None);
        let file = fs::OpenOptions::new().write(true).open(&path);
        file.expect("it is there").set_len(32 * MIB).expect("a cut");
        assert_eq!(flush(&mut driver), Some(32 * MIB));
    }
}
