//! Real file systems on the files: made and checked in place, and mounted through a loop device.

use super::common::{MIB, Mounted};
use super::memory::Recorded;
use disktime_engine::RequestKind;
use disktime_testing::bytes::pattern;
use disktime_testing::programs::{self, Loop, text, tool};
use std::fs;
use std::path::Path;

#[test]
fn ext4_is_made_and_checked_directly_on_a_file() {
    let mounted = Mounted::new(&[("web", 64 * MIB)]);
    let path = mounted.path("web");
    tool("e2fsprogs", "mkfs.ext4", &["-q", "-F", text(&path)]);
    tool("e2fsprogs", "e2fsck", &["-f", "-n", text(&path)]);
}

#[test]
fn ext4_on_a_loop_device_keeps_its_files_and_passes_fsck() {
    let mounted = Mounted::new(&[("web", 96 * MIB)]);
    let backing = Loop::attach(&mounted.path("web"));
    let device = text(&backing.device);
    let queue = Path::new("/sys/block").join(device.trim_start_matches("/dev/"));
    assert_eq!(
        fs::read_to_string(queue.join("loop/dio"))
            .expect("readable")
            .trim(),
        "1"
    );

    tool("e2fsprogs", "mkfs.ext4", &["-q", device]);
    let temporary = tempfile::tempdir().expect("a directory");
    let place = temporary.path();
    let content = |number: u64| pattern(300_000 + number as usize * 1001, number);
    {
        let _ext4 = programs::Mounted::new(&[device], place);
        for number in 0..50 {
            fs::write(place.join(format!("file-{number}")), content(number)).expect("written");
        }
        for number in (0..50).step_by(3) {
            fs::remove_file(place.join(format!("file-{number}"))).expect("removed");
        }
        mounted.memory.take_recorded();
        let one = fs::File::open(place.join("file-1")).expect("there");
        one.sync_all().expect("fsync");
        let flushes = |request: &Recorded| request.kind == RequestKind::Flush;
        assert!(
            mounted.memory.take_recorded().iter().any(flushes),
            "fsync above reaches the backend"
        );
        tool("util-linux", "fstrim", &[text(place)]);
        let zeroes = |request: &Recorded| request.kind == RequestKind::WriteZeroes;
        assert!(
            mounted.memory.take_recorded().iter().any(zeroes),
            "trim above reaches the backend"
        );
    }
    tool("e2fsprogs", "e2fsck", &["-f", "-n", device]);
    let _ext4 = programs::Mounted::new(&["-o", "ro", device], place);
    for number in 0..50 {
        let path = place.join(format!("file-{number}"));
        match number % 3 {
            0 => assert!(!path.exists()),
            _ => assert!(
                fs::read(&path).expect("read") == content(number),
                "{path:?}"
            ),
        }
    }
}
