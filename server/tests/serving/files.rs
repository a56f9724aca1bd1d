//! The vdisks as files of the running server: what is given back, and what is refused and why.

use crate::history::DB;
use crate::nbd::{assert_same, pattern};
use crate::programs::{Loop, Mounted, text, tool};
use crate::server::Server;
use crate::test_directory::{MIB, TestDirectory, assert_says};
use disktime_observe::{FilesStatus, PastStatus};
use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

fn allocated_bytes(file: &Path) -> u64 {
    fs::metadata(file).expect("there").blocks() * 512
}

#[test]
fn space_that_a_file_system_trims_is_given_back() {
    let place = TestDirectory::with(&[("db", r#""size": "96MiB""#)]);
    let server = place.start();
    let device = Loop::attach(&server.file("db"));
    tool("e2fsprogs", "mkfs.ext4", &["-q", text(&device.device)]);
    let mounted = Mounted::new(&[text(&device.device)], &place.path("mnt"));
    let (kept, removed) = (pattern(8 << 20, 21), pattern(48 << 20, 22));
    fs::write(mounted.directory.join("kept"), &kept).expect("room for it");
    fs::write(mounted.directory.join("removed"), &removed).expect("room for it");
    tool("coreutils", "sync", &["-f", text(&mounted.directory)]);
    let full = allocated_bytes(&place.disk_file());
    assert!(full >= 56 * MIB, "{full}");
    fs::remove_file(mounted.directory.join("removed")).expect("it is there");
    tool("coreutils", "sync", &["-f", text(&mounted.directory)]);
    let said = tool(
        "util-linux",
        "fstrim",
        &["--verbose", text(&mounted.directory)],
    );
    let trimmed = said
        .split(['(', ' '])
        .find_map(|word| word.parse::<u64>().ok().filter(|count| *count > 1000));
    assert!(trimmed >= Some(40 * MIB), "{said}");

    let got = fs::read(mounted.directory.join("kept")).expect("it is there");
    assert_same(&got, &kept, "what was not trimmed");
    drop(mounted);
    tool("e2fsprogs", "e2fsck", &["-f", "-n", text(&device.device)]);
    drop(device);
    server.stop();
}

#[test]
fn what_would_change_the_directory_is_refused_and_the_log_says_why() {
    let place = TestDirectory::with(&[("web", r#""size": "1MiB""#), ("db", r#""size": "1MiB""#)]);
    let server = Server::start(place.command(&["serve"]));
    let (web, other) = (server.file("web"), place.mount().join("other"));
    let attempts = [
        fs::remove_file(&web),
        fs::rename(&web, server.file("db")),
        fs::rename(&web, &other),
        fs::write(&other, "new"),
        fs::hard_link(&web, &other),
        fs::OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(&web)
            .map(drop),
        fs::OpenOptions::new()
            .write(true)
            .open(&web)
            .and_then(|file| file.set_len(4096)),
    ];
    for (number, attempt) in attempts.into_iter().enumerate() {
        let error = attempt.expect_err("refused");
        assert_eq!(error.raw_os_error(), Some(libc::EPERM), "attempt {number}");
    }
    // SAFETY: only returns a number.
    let own = format!("process {}", unsafe { libc::gettid() });
    let said = server.stop();
    assert_says(
        &said,
        &["remove \"web\"", "rename \"web\"", "create \"other\""],
    );
    assert_says(
        &said,
        &["truncate \"web\"", "change the size of \"web\"", &own],
    );
}

#[test]
fn a_file_has_no_extended_attributes() {
    let place = TestDirectory::with(&[("web", r#""size": "1MiB""#)]);
    let server = place.start();
    let file = std::ffi::CString::new(text(&server.file("web"))).expect("no NUL");
    let (name, value) = (c"user.colour", b"red");
    // SAFETY: NUL-terminated strings, and three bytes that live through the call.
    let set = unsafe {
        libc::setxattr(
            file.as_ptr(),
            name.as_ptr(),
            value.as_ptr().cast(),
            value.len(),
            0,
        )
    };
    let error = std::io::Error::last_os_error().raw_os_error();
    assert_eq!((set, error), (-1, Some(libc::EOPNOTSUPP)));
    server.stop();
}

#[test]
fn the_status_says_where_the_files_are_and_how_they_are_served() {
    let place = TestDirectory::with(&[("web", r#""size": "1MiB""#)]);
    let server = place.start();
    // Off in kernels that have it, unless the administrator or a test has switched it on.
    let switch = fs::read_to_string("/sys/module/fuse/parameters/enable_uring");
    let switched_on = switch.is_ok_and(|state| state.trim() == "Y");
    let expected = FilesStatus {
        mount: place.mount(),
        over_io_uring: switched_on,
        unmounted: false,
    };
    assert_eq!(place.status().files, Some(expected));
    let transport = if switched_on {
        "over io_uring"
    } else {
        "by /dev/fuse"
    };
    let mount = text(&place.mount()).to_owned();
    assert_says(&place.succeeds(&["status"]), &[&mount, transport]);
    server.stop();
}

#[test]
fn a_directory_unmounted_by_another_program_is_reported_and_nbd_goes_on() {
    let place = TestDirectory::with(&[("a", r#""size": "16MiB""#)]);
    let server = place.start();
    let open = fs::File::open(server.file("a")).expect("it is there");
    tool("fuse3", "fusermount3", &["-uz", text(&place.mount())]);
    assert!(place.status().files.expect("a frontend").unmounted);
    let said = place.succeeds(&["status"]);
    let last = said.lines().last().unwrap_or_default();
    assert!(last.contains("was unmounted by another program"), "{said}");
    // A file that is open is served as before, until it is closed.
    open.read_at(&mut [0; 512], 0).expect("it is open");
    drop(open);
    let mut client = server.client("a");
    client.write(0, b"by the other frontend");
    assert_says(&server.stop(), &["unmounted by another program"]);
    // The next server mounts it again, and says nothing of the kind at its end.
    let server = place.start();
    assert!(
        fs::read(server.file("a"))
            .expect("it is there")
            .starts_with(b"by the other frontend")
    );
    let said = server.stop();
    assert!(!said.contains("unmounted by another program"), "{said}");
}

#[test]
fn a_past_that_another_program_unmounted_is_reported() {
    let disks = r#""d": { "path": "d.disk", "size": "160MiB", "seeks": false }"#;
    let db = format!(r#""db": {{ "disk": "d", {DB} }}"#);
    let place = TestDirectory::configured(disks, &db, r#""fuse": { "history": "past" }"#);
    for _ in 0..2 {
        // The second server mounts it again.
        let server = place.start();
        let mount = place.path("state/past");
        let there = PastStatus {
            mount: mount.clone(),
            unmounted: false,
        };
        assert_eq!(place.status().past, Some(there));
        let said = place.succeeds(&["status"]);
        assert_says(
            &said,
            &[&format!("files of the past in {}", mount.display())],
        );
        tool("fuse3", "fusermount3", &["-uz", text(&mount)]);
        assert!(place.status().past.expect("it is served").unmounted);
        let said = place.succeeds(&["status"]);
        assert_says(
            &said,
            &["no files of the past are served", "restart the server"],
        );
        assert!(!place.status().files.expect("a frontend").unmounted);
        server.stop();
    }
}
