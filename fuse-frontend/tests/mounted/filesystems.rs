//! Real file systems on the files: made and checked in place, and mounted through a loop device.

use super::common::{MIB, Mounted, command, pattern, run};
use super::memory::Recorded;
use disktime_engine::RequestKind;
use std::fs;
use std::path::Path;

#[test]
fn ext4_is_made_and_checked_directly_on_a_file() {
    let mounted = Mounted::new(&[("web", 64 * MIB)]);
    let path = mounted.path("web");
    let path = path.to_str().expect("text");
    run("e2fsprogs", "mkfs.ext4", &["-q", "-F", path]);
    run("e2fsprogs", "e2fsck", &["-f", "-n", path]);
}

/// A loop device, detached at the end whatever happens.
struct Loop(String);

impl Drop for Loop {
    fn drop(&mut self) {
        clean_up("losetup", &["-d", &self.0]);
    }
}

/// A mount, unmounted at the end whatever happens.
struct Ext4<'a>(&'a str);

impl Drop for Ext4<'_> {
    fn drop(&mut self) {
        clean_up("umount", &[self.0]);
    }
}

fn clean_up(program: &str, arguments: &[&str]) {
    let status = command(program, arguments).status();
    if !status.is_ok_and(|status| status.success()) {
        eprintln!("{program} {arguments:?} failed");
    }
}

#[test]
fn ext4_on_a_loop_device_keeps_its_files_and_passes_fsck() {
    // SAFETY: only returns a number.
    let is_root = unsafe { libc::geteuid() } == 0;
    assert!(
        is_root,
        "this test attaches a loop device and mounts it: run it as root"
    );
    let mounted = Mounted::new(&[("web", 96 * MIB)]);
    let backing = mounted.path("web");
    let backing = backing.to_str().expect("text");
    let arguments = ["--find", "--show", "--direct-io=on", backing];
    let device = Loop(run("mount", "losetup", &arguments).trim().to_string());
    let queue = Path::new("/sys/block").join(device.0.trim_start_matches("/dev/"));
    assert_eq!(
        fs::read_to_string(queue.join("loop/dio"))
            .expect("readable")
            .trim(),
        "1"
    );

    run("e2fsprogs", "mkfs.ext4", &["-q", &device.0]);
    let temporary = tempfile::tempdir().expect("a directory");
    let place = temporary.path().to_str().expect("text");
    let content = |number: u64| pattern(300_000 + number as usize * 1001, number);
    run("mount", "mount", &[&device.0, place]);
    {
        let _ext4 = Ext4(place);
        for number in 0..50 {
            fs::write(
                Path::new(place).join(format!("file-{number}")),
                content(number),
            )
            .expect("written");
        }
        for number in (0..50).step_by(3) {
            fs::remove_file(Path::new(place).join(format!("file-{number}"))).expect("removed");
        }
        mounted.memory.take_recorded();
        let one = fs::File::open(Path::new(place).join("file-1")).expect("there");
        one.sync_all().expect("fsync");
        let flushes = |request: &Recorded| request.kind == RequestKind::Flush;
        assert!(
            mounted.memory.take_recorded().iter().any(flushes),
            "fsync above reaches the backend"
        );
        run("util-linux", "fstrim", &[place]);
        let zeroes = |request: &Recorded| request.kind == RequestKind::WriteZeroes;
        assert!(
            mounted.memory.take_recorded().iter().any(zeroes),
            "trim above reaches the backend"
        );
    }
    run("e2fsprogs", "e2fsck", &["-f", "-n", &device.0]);
    run("mount", "mount", &["-o", "ro", &device.0, place]);
    let _ext4 = Ext4(place);
    for number in 0..50 {
        let path = Path::new(place).join(format!("file-{number}"));
        match number % 3 {
            0 => assert!(!path.exists()),
            _ => assert!(
                fs::read(&path).expect("read") == content(number),
                "{path:?}"
            ),
        }
    }
}
