//! Flushes after the disk's file was cut.

use super::*;

/// What was written beyond the cut was answered, and is lost.
#[test]
fn a_flush_after_the_file_was_cut_fails_without_a_write_between() {
    each(|path, has_seeks| {
        for fua in [false, true] {
            let _ = std::fs::remove_file(path);
            let mut machine = serve(path, has_seeks, BLANK);
            machine
                .write(0, SIZE - BLOCK, &[7; BLOCK as usize])
                .expect("write");
            machine.flush(0).expect("flush");
            let file = File::options().write(true).open(path);
            let file = file.expect("it is there");
            file.set_len(4 * MIB).expect("a cut");
            let flushed = match fua {
                false => machine.flush(0),
                // It waits for a commit.
                true => machine
                    .call(0, RequestKind::Trim, (0, CHUNK), None, true)
                    .map(drop),
            };
            assert_eq!(flushed, Err(IoError::Io));
            // Whatever becomes of the file.
            file.set_len(16 * MIB).expect("a length");
            assert_eq!(machine.flush(0), Err(IoError::Io));
        }
    });
}

/// A vdisk that lies before the cut has lost nothing.
#[test]
fn a_flush_of_a_vdisk_before_the_cut_succeeds() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("cut.disk");
    let disk = open_disk(&DiskOptions {
        size_bytes: Some(16 * MIB),
        create: true,
        ..DiskOptions::new(&path)
    });
    let disk_loop = disk_loop(disk.expect("a disk"), PolicyKind::Fifo, 24);
    let vdisks = configs(&[("a", 2 * MIB), ("b", 8 * MIB)]);
    let opened = VolumeSet::open(disk_loop, &mut driver(), &vdisks, options(BLANK));
    let mut machine = Machine::around(opened.expect("a set").0, Nanos::ZERO);
    let file = File::options().write(true).open(&path);
    file.expect("it is there").set_len(6 * MIB).expect("a cut");
    assert_eq!(machine.flush(0), Ok(()));
    assert_eq!(machine.flush(1), Err(IoError::Io));
}
