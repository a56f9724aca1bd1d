//! Stopping when something stands in the way: work that takes for ever, a command that does not
//! want to end or that leaves others behind.

use crate::programs::{die_with_parent, is_mounted, text, tool, wait_until};
use crate::server::Server;
use crate::test_directory::{PLAIN_DISK, TestDirectory, assert_says};
use disktime_engine::RequestKind;
use disktime_nbd_client::{ClientRequest, NbdClient};
use disktime_nbd_protocol::NbdUri;
use std::fs::{OpenOptions, Permissions};
use std::io::{BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

/// Zeroing that takes longer than a stop, and little enough to be set aside where the tests run.
const SET_ASIDE_BYTES: i64 = 3 << 30;

pub(crate) const SLOW_DISK: &str =
    r#""d0": { "path": "d0.disk", "size": "64GiB", "emulate": "desktop-7200-2008" }"#;
const LONG_VDISK: &str = r#""a": { "disk": "d0", "size": "48GiB" }"#;

/// A client whose requests take as long as a stop lets them.
pub(crate) fn zero_for_ever(uri: &NbdUri) -> NbdClient {
    let mut client = NbdClient::connect(uri).expect("it serves");
    for tag in 0..8 {
        let kind = RequestKind::ZeroKeepingSpace;
        let request = ClientRequest::new(tag, kind, u64::from(tag) << 32, u32::MAX - 4095);
        client.send_request(&request).expect("it is taken");
    }
    // It comes behind the others, so that they are there when it is answered.
    let read = ClientRequest::new(8, RequestKind::Read, 0, 512);
    client.call(&read, &mut Vec::new()).expect("it is answered");
    client
}

#[test]
fn work_that_takes_for_ever_does_not_hold_up_a_stop() {
    let place = TestDirectory::configured(SLOW_DISK, LONG_VDISK, r#""nbd": {}, "fuse": {}"#);
    let server = place.start();
    let file = OpenOptions::new().write(true).open(server.file("a"));
    let file = file.expect("it is there");
    let by_file = std::thread::spawn(move || {
        let (mode, len) = (libc::FALLOC_FL_ZERO_RANGE, SET_ASIDE_BYTES);
        // SAFETY: a plain system call on an open file.
        let result = unsafe { libc::fallocate(file.as_raw_fd(), mode, 0, len) };
        (result == 0)
            .then_some(0)
            .or(std::io::Error::last_os_error().raw_os_error())
    });
    let _zeroing = zero_for_ever(&server.uri("a"));
    server.signal(libc::SIGTERM);
    // When the frontends are closed, a status request still gets an answer.
    wait_until("the frontends are closed", || {
        !place.path("state/nbd.sock").exists()
    });
    place.succeeds(&["status"]);
    let said = server.stopped();
    assert_says(&said, &["the stop waits for disk d0", "a second signal"]);
    let error = by_file.join().expect("it does not panic");
    assert!(
        [libc::ESHUTDOWN, libc::ENOTCONN, libc::ECONNABORTED].contains(&error.unwrap_or_default()),
        "{error:?} {said}"
    );
}

/// `serve --run` of a command whose first line names a process.
fn serving_a_command(place: &TestDirectory, command: &str) -> (Child, i32) {
    let vdisk = r#""a": { "disk": "d0", "size": "16MiB" }"#;
    place.configure_as(PLAIN_DISK, vdisk, r#""nbd": {}"#);
    let mut serve = place.command(&["serve"]);
    serve.args(["--run", command]);
    serve.stdout(Stdio::piped()).stderr(Stdio::null());
    die_with_parent(&mut serve);
    let mut server = serve.spawn().expect("the program was built");
    let mut line = String::new();
    let mut output = BufReader::new(server.stdout.take().expect("a pipe"));
    output.read_line(&mut line).expect("it starts");
    let process = line.trim().parse().expect("a number");
    (server, process)
}

#[test]
fn a_server_whose_words_nobody_reads_goes_on_and_stops_in_good_order() {
    let place = TestDirectory::with(&[("a", r#""size": "16MiB""#)]);
    let mut serve = place.command(&["serve"]);
    let (read, written) = std::io::pipe().expect("a pipe");
    serve.stdout(Stdio::piped()).stderr(written);
    die_with_parent(&mut serve);
    let mut server = serve.spawn().expect("the program was built");
    let output = BufReader::new(server.stdout.take().expect("a pipe"));
    let mut lines = output.lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "ready"));
    // The command holds a copy of the pipe's other end, which is not the one that matters.
    drop((serve, read));
    let file = place.mount().join("a");
    std::fs::remove_file(&file).expect_err("it is refused, and the log says so");
    std::fs::write(&file, "in vain").expect_err("so is truncating");
    let open = OpenOptions::new().write(true).open(&file).expect("there");
    open.write_all_at(b"still served", 0).expect("it serves");
    // The server has something to say about a file that is still open.
    signal(server.id(), libc::SIGTERM);
    assert_eq!(server.wait().expect("our child").code(), Some(0));
}

fn signal(process: u32, signal: i32) {
    // SAFETY: a signal to our own child, which is not waited for yet.
    unsafe { libc::kill(process as i32, signal) };
}

fn exists(process: i32) -> bool {
    Path::new(&format!("/proc/{process}")).exists()
}

#[test]
fn what_a_command_has_started_ends_with_it() {
    let place = TestDirectory::new();
    // The shell waits for another one, which is what takes time.
    let command = "sh -c 'echo $$; exec sleep 1000000'; exit 5";
    let (mut server, started) = serving_a_command(&place, command);
    signal(server.id(), libc::SIGTERM);
    let status = server.wait().expect("our child");
    assert_eq!(status.code(), Some(128 + libc::SIGTERM));
    assert!(!exists(started), "it outlived the server");
}

#[test]
fn a_second_signal_ends_a_command_that_does_not_want_to() {
    let place = TestDirectory::new();
    let command = "sh -c 'trap \"\" TERM; echo $$; while :; do sleep 0.05; done'; exit 5";
    let (mut server, started) = serving_a_command(&place, &format!("trap '' TERM; {command}"));
    signal(server.id(), libc::SIGTERM);
    // Those that come within a second are one, so it is sent until the second one has counted; the
    // third one would end the server at once.
    wait_until("the command is killed", || {
        signal(server.id(), libc::SIGTERM);
        std::thread::sleep(Duration::from_millis(20));
        !exists(started)
    });
    let status = server.wait().expect("our child");
    assert_eq!(status.code(), Some(128 + libc::SIGKILL));
    assert!(!exists(started), "it outlived the server");
}

/// `timeout` and terminals send their signal to the server's whole process group.
#[test]
fn a_signal_to_the_process_group_does_not_reach_fusermount3() {
    let place = TestDirectory::with(&[("a", r#""size": "16MiB""#)]);
    let program = "#!/bin/sh\nread -r _ _ _ _ group _ < /proc/self/stat\necho \"$group\" >> groups\n\
                   PATH=$OLD_PATH exec fusermount3 \"$@\"\n";
    let program = place.write("fusermount3", program);
    std::fs::set_permissions(program, Permissions::from_mode(0o755)).expect("ours");
    let old_path = std::env::var("PATH").expect("a PATH");
    let mut serve = place.command(&["serve"]);
    serve.env("PATH", format!("{}:{old_path}", text(place.root())));
    serve.env("OLD_PATH", old_path).process_group(0);
    let server = Server::start(serve);
    let group = server.process() as i32;
    server.signal_group(libc::SIGTERM);
    let said = server.stopped();
    assert!(!said.contains("still open"), "{said}");
    assert!(!is_mounted(&place.mount()));
    let groups = std::fs::read_to_string(place.path("groups")).expect("it ran");
    assert!(groups.lines().count() >= 1);
    for its in groups.lines() {
        assert_ne!(its.parse(), Ok(group), "it is in the server's group");
    }
}

#[test]
fn a_second_signal_ends_a_stop_at_once() {
    let place = TestDirectory::new();
    place.configure_as(SLOW_DISK, LONG_VDISK, r#""nbd": {}"#);
    let mut server = place.start();
    let _zeroing = zero_for_ever(&server.uri("a"));
    // Those that come within a second are one.
    let mut status = None;
    wait_until("the server ends", || {
        server.signal(libc::SIGTERM);
        std::thread::sleep(Duration::from_millis(100));
        status = server.status_if_ended();
        status.is_some()
    });
    assert_eq!(status, Some(Some(1)), "{}", server.said());
    server.says(&["ends at once", "not flushed"]);
}

#[test]
fn a_second_signal_ends_a_start_that_hangs() {
    let place = TestDirectory::with(&[("a", r#""size": "16MiB""#)]);
    tool("coreutils", "mkfifo", &[text(&place.path("never"))]);
    // While this is held, a reader of the pipe waits.
    let pipe = OpenOptions::new()
        .read(true)
        .write(true)
        .open(place.path("never"));
    let _pipe = pipe.expect("a pipe");
    let program = "#!/bin/sh\nread -r _ < never\n";
    let program = place.write("fusermount3", program);
    std::fs::set_permissions(program, Permissions::from_mode(0o755)).expect("ours");
    let mut serve = place.command(&["serve"]);
    let path = std::env::var("PATH").expect("a PATH");
    serve.env("PATH", format!("{}:{path}", text(place.root())));
    die_with_parent(&mut serve);
    let mut server = serve.spawn().expect("the program was built");
    wait_until("the server starts", || {
        place.path("state/nbd.sock").exists()
    });
    let mut status = None;
    wait_until("the server ends", || {
        status = server.try_wait().expect("our child");
        if status.is_none() {
            signal(server.id(), libc::SIGTERM);
            std::thread::sleep(Duration::from_millis(100));
        }
        status.is_some()
    });
    assert_eq!(status.and_then(|status| status.code()), Some(1));
}
