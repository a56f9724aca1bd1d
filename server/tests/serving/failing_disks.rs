//! Disks that fail: the client that asked gets the error, and no other (I7).

use crate::nbd::{assert_same, pattern};
use crate::programs::{Loop, Mounted, finished, text, tool, tool_output};
use crate::server::Server;
use crate::test_directory::{MIB, PLAIN_DISK, TestDirectory, assert_says, exits_with};
use disktime_engine::RequestKind;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

const EIO: u32 = 5;
const ENOSPC: u32 = 28;

/// A place with the plain disk and another one, a vdisk on each.
fn beside(path: &str, size: &str) -> TestDirectory {
    let disks = format!(r#"{PLAIN_DISK}, "poor": {{ "path": "{path}", {size} "seeks": false }}"#);
    let vdisks = r#""poor": { "disk": "poor", "size": "48MiB" },
        "good": { "disk": "d0", "size": "48MiB" }"#;

    TestDirectory::configured(&disks, vdisks, r#""nbd": {}, "fuse": {}"#)
}

#[test]
fn a_full_file_system_is_enospc_to_the_one_who_wrote() {
    let place = beside("small/poor.disk", r#""size": "64MiB","#);
    let small = Mounted::new(
        &["-t", "tmpfs", "-o", "size=8m", "disktime-test"],
        &place.path("state/small"),
    );
    let checked = exits_with(place.command(&["check"]), 0);
    let server = place.start();
    let (mut poor, mut good) = (server.client("poor"), server.client("good"));
    poor.write(0, &[1; 4096]);
    let mut failed = None;
    for mebibyte in 1..48 {
        let data = pattern(1 << 20, mebibyte);
        let (error, _) = poor.ask(RequestKind::Write, mebibyte * MIB, 1 << 20, &data);
        if error != 0 {
            assert_eq!(error, ENOSPC);
            failed = Some(mebibyte);
            break;
        }
        good.write(mebibyte * MIB, &data);
    }
    let failed = failed.expect("8 MiB do not hold 48");
    // What is there stays readable, can be overwritten, and the other disk goes on.
    assert_same(
        &poor.read(MIB, 1 << 20),
        &pattern(1 << 20, 1),
        "written before",
    );
    poor.write(0, &[2; 4096]);
    assert_eq!(poor.read(0, 4096), [2; 4096]);
    good.write(failed * MIB, &pattern(1 << 20, 99));
    good.flush();
    let status = place.status();
    let no_space = |vdisk: &str| status.vdisks[vdisk].no_space;
    assert_eq!((no_space("poor"), no_space("good")), (1, 0));
    let space = status.disks["poor"].space.expect("it is a file");
    assert_eq!(space.promised_bytes, 64 * MIB);
    let problem = status.disks["poor"].space_problem.as_ref();
    assert!(problem.is_some_and(|said| said.contains("of disk `poor` cannot hold it")));
    // With more space it takes writes again.
    let remount = ["-o", "remount,size=80m", text(&small.directory)];
    tool("mount", "mount", &remount);
    poor.write(failed * MIB, &pattern(1 << 20, failed));
    poor.flush();
    drop((poor, good));
    let deadline = Instant::now() + Duration::from_secs(60);
    while place.status().disks["poor"].space_problem.is_some() {
        assert!(Instant::now() < deadline, "the new space is not noticed");
        std::thread::sleep(Duration::from_millis(100));
    }
    let said = server.stop();
    // What cannot be held is said before anything is lost by it.
    for said in [&checked, &said] {
        assert!(said.contains("disk `poor`: 64MiB promised"), "{said}");
        assert!(
            said.contains("disk `poor` cannot hold it when it is full"),
            "{said}"
        );
    }
    let again = "of `poor` has space for all that is promised again";
    assert!(said.contains(again), "{said}");
    let server = place.start();
    for mebibyte in 1..=failed {
        let got = server.client("poor").read(mebibyte * MIB, 1 << 20);
        assert_same(&got, &pattern(1 << 20, mebibyte), "after a restart");
    }
    server.stop();
}

#[test]
fn a_disk_that_cannot_be_read_is_eio_to_the_one_who_read() {
    let backing_place = TestDirectory::new();
    let backing = backing_place.write("backing", vec![0; 64 << 20]);
    let device = Loop::attach(&backing);
    let place = beside(text(&device.device), "");
    let server = place.start();
    let (mut poor, mut good) = (server.client("poor"), server.client("good"));
    let data = poor.fill(1);
    good.fill(2);
    // The second half of what the device stands on vanishes; the kernel fails reads there.
    let file = OpenOptions::new()
        .write(true)
        .open(&backing)
        .expect("it is there");
    file.set_len(32 << 20).expect("a file can be cut");
    let (error, _) = poor.ask(RequestKind::Read, 40 * MIB, 4096, &[]);
    assert_eq!(error, EIO);
    let by_fuse = std::fs::File::open(server.file("poor")).expect("it is there");
    let read = std::os::unix::fs::FileExt::read_at(&by_fuse, &mut [0; 4096], 40 * MIB);
    assert_eq!(
        read.expect_err("by this frontend, too").raw_os_error(),
        Some(libc::EIO)
    );
    // A request that reaches into the bad part fails as a whole; what lies before it is fine.
    let (error, _) = poor.ask(RequestKind::Read, 4 * MIB, 32 << 20, &[]);
    assert_eq!(error, EIO);
    assert_same(
        &poor.read(4 * MIB, 1 << 20),
        &data[4 << 20..5 << 20],
        "the good part",
    );
    good.write(0, &[7; 4096]);
    assert_eq!(good.read(0, 4096), [7; 4096]);
    good.flush();
    drop((poor, good, by_fuse));
    server.stop();
}

#[test]
fn space_is_set_aside_or_refused_before_the_file_system_is_full() {
    let place = beside("small/poor.disk", r#""size": "64MiB","#);
    let _small = Mounted::new(
        &["-t", "tmpfs", "-o", "size=32m", "disktime-test"],
        &place.path("state/small"),
    );
    let server = place.start();
    let allocated_bytes = |disk: &str| {
        let found = fs::metadata(place.path("state").join(disk));
        found.expect("it is there").blocks() * 512
    };
    let fallocate = |vdisk: &str, options: &[&str]| {
        let file = server.file(vdisk);
        let arguments = [options, &[text(&file)]].concat();
        tool_output("util-linux", "fallocate", &arguments)
    };
    // One file system zeroes ranges, the other one cannot.
    for (vdisk, disk) in [("good", "d0.disk"), ("poor", "small/poor.disk")] {
        let data = pattern(100_000, 5);
        server.client(vdisk).write(MIB + 7, &data);
        let before = allocated_bytes(disk);
        let done = fallocate(vdisk, &["--length", "16MiB"]);
        assert!(done.status.success(), "{vdisk}: {done:?}");
        assert!(allocated_bytes(disk) >= before + 15 * MIB, "{vdisk}");
        let got = server.client(vdisk).read(MIB + 7, 100_000);
        assert_same(&got, &data, "what was there");
        let range = ["--offset", "16MiB", "--length", "4MiB"];
        let zeroed = fallocate(vdisk, &[&["--zero-range"], &range[..]].concat());
        assert!(zeroed.status.success(), "{vdisk}: {zeroed:?}");
        assert!(allocated_bytes(disk) >= 20 * MIB, "{vdisk}");
    }
    let before = allocated_bytes("small/poor.disk");
    for options in [
        ["--length", "48MiB"].as_slice(),
        &["--zero-range", "--length", "48MiB"],
    ] {
        let refused = fallocate("poor", options);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(
            said.contains("No space left on device"),
            "{options:?}: {said}"
        );
        assert_eq!(allocated_bytes("small/poor.disk"), before, "{options:?}");
    }
    server.stop();
}

/// The server with a limit on the size of files (`ulimit -f`), and these arguments.
fn with_file_limit(place: &TestDirectory, limit_bytes: u64, arguments: &[&str]) -> Command {
    let mut command = place.command(arguments);
    let limit = libc::rlimit {
        rlim_cur: limit_bytes,
        rlim_max: limit_bytes,
    };
    // SAFETY: between fork and exec only a plain system call happens.
    unsafe {
        command.pre_exec(move || {
            libc::signal(libc::SIGXFSZ, libc::SIG_DFL);
            match libc::setrlimit(libc::RLIMIT_FSIZE, &limit) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        });
    }
    command
}

#[test]
fn a_limit_of_file_sizes_is_enospc_to_the_one_who_wrote() {
    let place = beside("poor.disk", r#""size": "64MiB","#);
    let refused = exits_with(with_file_limit(&place, 32 * MIB, &["serve"]), 1);
    assert_says(&refused, &["d0.disk", "File too large"]);
    place.start().stop();
    let server = Server::start(with_file_limit(&place, 32 * MIB, &["serve"]));
    let (mut poor, mut good) = (server.client("poor"), server.client("good"));
    let data = pattern(1 << 20, 5);
    let (error, _) = poor.ask(RequestKind::Write, 40 * MIB, 1 << 20, &data);
    assert_eq!(error, ENOSPC);
    poor.write(MIB, &data);
    poor.flush();
    good.write(MIB, &data);
    assert_same(&poor.read(MIB, 1 << 20), &data, "below the limit");
    drop((poor, good));
    server.stop();
    // The limit still ends a program that does not expect it.
    let run = "kill -XFSZ $$";
    exits_with_status_of(&place, &["serve", "--run", run], 128 + libc::SIGXFSZ);
}

#[track_caller]
fn exits_with_status_of(place: &TestDirectory, arguments: &[&str], status: i32) {
    let output = finished(place.command(arguments));
    assert_eq!(output.status.code(), Some(status), "{output:?}");
}
