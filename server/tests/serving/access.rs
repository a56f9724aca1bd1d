//! Which clients the NBD frontend accepts: addresses, the unix socket's mode and owner, limits, and
//! vdisks that are only read.

use crate::nbd::{Client, raw};
use crate::programs::{text, tool, tool_output};
use crate::server::Server;
use crate::test_directory::{MIB, PLAIN_DISK, TestDirectory, assert_says};
use disktime_engine::RequestKind;
use disktime_nbd_client::NbdClient;
use disktime_nbd_protocol::NbdUri;
use std::fs;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::time::{Duration, Instant};

const LIBNBD: &str = "libnbd-bin";
const EPERM: u32 = 1;

/// A directory with the vdisks `a` and `b`, each with these further keys, and this `nbd` section.
fn place(a: &str, b: &str, nbd: &str) -> TestDirectory {
    let vdisks = format!(
        r#""a": {{ "disk": "d0", "size": "8MiB"{a} }}, "b": {{ "disk": "d0", "size": "8MiB"{b} }}"#
    );

    TestDirectory::configured(PLAIN_DISK, &vdisks, &format!(r#""nbd": {{ {nbd} }}"#))
}

fn listed(uri: &NbdUri) -> Vec<&'static str> {
    let all = NbdUri {
        export: String::new(),
        ..uri.clone()
    };
    let said = tool(LIBNBD, "nbdinfo", &["--list", "--json", &all.to_string()]);
    let names = ["a", "b"];
    let is_listed = |name: &&&str| said.contains(&format!(r#""export-name": "{name}""#));
    names.iter().filter(is_listed).copied().collect()
}

#[test]
fn addresses_that_are_not_allowed_are_kept_out() {
    let tcp = r#""listen": ["127.0.0.1:0"], "allow": ["10.0.0.0/8", "::1"]"#;
    let place = place("", "", tcp);
    let server = place.start();
    let [unix, tcp] = &server.vdisks[0].uris[..] else {
        panic!("two ways in: {:?}", server.vdisks[0]);
    };
    assert_eq!(listed(unix), ["a", "b"]);
    let Err(error) = NbdClient::connect(tcp) else {
        panic!("127.0.0.1 is not in the list");
    };
    assert!(error.to_string().contains("connection"), "{error}");
    assert_says(&server.stop(), &["127.0.0.1 refused", "`allow`"]);
}

#[test]
fn a_vdisk_exists_only_for_those_who_may_use_it() {
    let (a, b) = (
        r#", "allow": ["127.0.0.0/8"]"#,
        r#", "allow": ["10.0.0.0/8"]"#,
    );
    let place = place(a, b, r#""listen": ["127.0.0.1:0"]"#);
    let server = place.start();
    let tcp = server.vdisks[0].uris[1].clone();
    assert_eq!(listed(&tcp), ["a"]);
    assert_eq!(
        listed(&server.uri("a")),
        ["a", "b"],
        "the unix socket is not asked"
    );
    assert_eq!(Client::connect(&tcp).size_bytes(), 8 * MIB);
    let other = server.vdisks[1].uris[1].clone();
    let Err(error) = NbdClient::connect(&other) else {
        panic!("`b` is not for 127.0.0.1");
    };
    assert!(error.to_string().contains("no export \"b\""), "{error}");
    assert_eq!(server.client("b").size_bytes(), 8 * MIB);
    server.stop();
}

#[test]
fn a_vdisk_that_is_only_read_is_written_by_no_frontend() {
    let place = TestDirectory::with(&[("a", r#""size": "8MiB""#)]);
    let server = place.start();
    let mut client = server.client("a");
    client.write(4096, b"kept");
    client.flush();
    drop(client);
    server.stop();
    place.configure(&[("a", r#""size": "8MiB", "read_only": true"#)]);
    let server = place.start();
    let said = tool(LIBNBD, "nbdinfo", &["--json", &server.uri("a").to_string()]);
    assert!(said.contains(r#""is_read_only": true"#), "{said}");
    let mut client = server.client("a");
    for (kind, len_bytes, data) in [
        (RequestKind::Write, 5, &b"other"[..]),
        (RequestKind::WriteZeroes, 4096, b""),
        (RequestKind::Trim, 4096, b""),
    ] {
        let (error, _) = client.ask(kind, 4096, len_bytes, data);
        assert_eq!(error, EPERM, "{kind:?}");
    }
    assert_eq!(client.read(4096, 4), b"kept");
    let file = server.file("a");
    assert_eq!(fs::read(&file).expect("it is read")[4096..4100], *b"kept");
    let error = fs::OpenOptions::new().write(true).open(&file);
    let error = error.expect_err("it is not written").kind();
    let refusals = [ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem];
    assert!(refusals.contains(&error), "{error:?}");
    server.stop();
}

#[test]
fn the_socket_has_the_mode_and_the_owner_of_the_file() {
    let socket = r#""socket": "../run/nbd.sock", "socket_mode": "0660", "socket_owner": "daemon", "socket_group": "12345""#;
    let place = place("", "", socket);
    let folder = place.path("run");
    fs::create_dir(&folder).expect("a directory");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("for all");
    let server = place.start();
    let found = fs::metadata(folder.join("nbd.sock")).expect("it is there");
    assert_eq!(found.mode() & 0o7777, 0o660);
    assert_eq!((found.uid(), found.gid()), (1, 12345), "`daemon` is user 1");
    let said = server.stop();
    assert!(!said.contains("may not enter"), "{said}");
    assert!(!folder.join("nbd.sock").exists());

    // A socket in a directory that other users may not enter gives a notice.
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).expect("for its owner");
    let output = place.succeeds(&["check"]);
    assert!(
        output.contains("admitted") || !output.is_empty(),
        "{output}"
    );
    let said = place.start().stop();
    assert_says(&said, &["may not enter its directory", "nbd.sock"]);
}

#[test]
fn users_and_groups_that_do_not_exist_are_found_before_anything_is_opened() {
    for (key, what) in [("socket_owner", "user"), ("socket_group", "group")] {
        let place = place("", "", &format!(r#""{key}": "no-such-account""#));
        for command in ["check", "serve"] {
            let said = place.fails(&[command]);
            let what = format!("no {what} `no-such-account`");
            assert_says(&said, &[&what, "disktime.json:4:", "getent"]);
        }
        assert!(!place.disk_file().exists());
    }
}

#[test]
fn who_is_above_a_limit_is_told_so() {
    let place = place(r#", "connections": 1"#, "", r#""connections": 3"#);
    let server = place.start();
    let refused = |vdisk: &str| match NbdClient::connect(&server.uri(vdisk)) {
        Ok(_) => panic!("{vdisk} takes one more"),
        Err(error) => error.to_string(),
    };
    let first = server.client("a");
    assert!(refused("a").contains("1 connections use \"a\" already"));
    let others = [admitted(&server.uri("b")), admitted(&server.uri("b"))];
    assert!(refused("b").contains("3 connections, which is its limit"));
    // Who only asks what there is gets an answer even then.
    assert_eq!(listed(&server.uri("a")), ["a", "b"]);
    drop((first, others));
    drop(admitted(&server.uri("a")));
    assert_says(&server.stop(), &["the limit is 3 connections"]);
}

/// A client that is admitted as soon as the server has noticed that those before it have gone: one
/// that was refused has its place until then.
fn admitted(uri: &NbdUri) -> NbdClient {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        match NbdClient::connect(uri) {
            Ok(client) => return client,
            Err(error) => assert!(Instant::now() < until, "no place becomes free: {error}"),
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_client_that_chooses_nothing_is_dropped_after_its_time() {
    let place = place("", "", r#""handshake_time": "100ms""#);
    let server = place.start();
    let mut stream = raw(&server.uri("a"));
    let mut all = Vec::new();
    stream.read_to_end(&mut all).expect("an end");
    assert_eq!(all.len(), 18, "the greeting, then the end");
    // One that has chosen has no such limit.
    let mut client = server.client("a");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(client.read(0, 4), [0; 4]);
    server.stop();
}

#[test]
fn qemu_keeps_away_from_the_file_of_a_disk_that_is_served() {
    let place = place("", "", "");
    let server = place.start();
    let file = place.disk_file();
    let file = text(&file);
    let write = ["-f", "raw", "-c", "write 0 4k", file];
    let output = tool_output("qemu-utils", "qemu-io", &write);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "it wrote behind our back");
    assert_says(&said, &["lock"]);
    server.stop();
    // And we keep away from a file that QEMU uses.
    let mut holder = std::process::Command::new("qemu-io");
    holder.args(["-f", "raw", file]);
    holder.stdin(std::process::Stdio::piped());
    holder.stdout(std::process::Stdio::piped());
    let mut holder = holder.spawn().expect("qemu-io was run above");
    // It prompts when it has opened the file.
    let mut prompt = [0; 1];
    let mut output = holder.stdout.take().expect("a pipe");
    output.read_exact(&mut prompt).expect("a prompt");
    let said = place.fails(&["serve"]);
    // Its end of the pipe closes, and it ends.
    drop(holder.stdin.take());
    holder.wait().expect("it ends");
    assert_says(&said, &["in use", "d0.disk"]);
    place.start().stop();
}

#[test]
fn a_server_that_may_have_few_files_takes_fewer_connections_and_says_so() {
    let place = place("", "", r#""connections": 500"#);
    let mut command = std::process::Command::new("sh");
    let script = "ulimit -n 128; exec \"$0\" serve disktime.json";
    command.args(["-c", script, env!("CARGO_BIN_EXE_disktime")]);
    command.current_dir(place.root()).env_remove("DISKTIME_LOG");
    let server = Server::start(command);
    let mut clients = Vec::new();
    let mut refusals = Vec::new();
    // A part of the places is kept for the other vdisk.
    for vdisk in ["a", "b"] {
        refusals.push(loop {
            match NbdClient::connect(&server.uri(vdisk)) {
                Ok(client) => clients.push(client),
                Err(error) => break error.to_string(),
            }
            assert!(clients.len() < 128, "more clients than files");
        });
    }
    let count = format!("{} connections", clients.len());
    assert_says(&refusals[0], &["kept for other vdisks"]);
    assert_says(&refusals[1], &[&count, "limit"]);
    place.succeeds(&["status"]);
    drop(clients);
    let said = server.stop();
    assert_says(&said, &["may have 128", &count, "ulimit -n"]);
    assert!(!said.contains("cannot be accepted"), "{said}");
}

#[test]
fn everything_that_is_made_is_for_the_user_of_the_server() {
    let place = TestDirectory::configured(
        r#""d0": { "path": "../outside.disk", "size": "16MiB", "seeks": false }"#,
        r#""web": { "disk": "d0", "size": "1MiB" }"#,
        r#""nbd": {}, "fuse": { "mount": "../files/here" }"#,
    );
    fs::remove_dir_all(place.path("state")).ok();
    let mut command = place.command(&["serve"]);
    // SAFETY: it only sets a number of the process, before the program runs.
    unsafe {
        command.pre_exec(|| {
            libc::umask(0);
            Ok(())
        });
    }
    let server = Server::start(command);
    let (mut made, mut folders) = (Vec::new(), vec![place.path("state"), place.path("files")]);
    made.push(place.path("outside.disk"));
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("it is ours").flatten() {
            match entry.file_type().expect("a type").is_dir() {
                true => folders.push(entry.path()),
                false => made.push(entry.path()),
            }
        }
        made.push(folder);
    }
    assert!(made.len() >= 7, "{made:?}");
    for path in &made {
        let mode = fs::symlink_metadata(path).expect("it is there").mode();
        assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
    }
    server.stop();
    fs::set_permissions(place.path("state"), fs::Permissions::from_mode(0o770)).expect("ours");
    let said = place.start().stop();
    assert_says(
        &said,
        &["other users may replace what is in it", "chmod go-w"],
    );
}
