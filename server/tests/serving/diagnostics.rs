//! What the program says on standard error: one format of the log, levels, whose a socket is, and
//! that a file reaches no client.

use crate::programs::{finished, text};
use crate::server::Server;
use crate::test_directory::{PLAIN_DISK, TestDirectory, assert_says, exits_with};

const WEB: [(&str, &str); 1] = [("web", r#""size": "16MiB""#)];

/// The program as the user `daemon`, wherever the binary lies.
fn as_another_user(arguments: &[&str]) -> std::process::Output {
    use std::os::fd::AsRawFd;
    use std::os::unix::process::CommandExt;
    crate::programs::needs_root("another user");
    let binary = std::fs::File::open(env!("CARGO_BIN_EXE_disktime")).expect("it is there");
    // SAFETY: fcntl on a descriptor of ours; the child needs it open.
    let kept = unsafe { libc::fcntl(binary.as_raw_fd(), libc::F_SETFD, 0) };
    assert_eq!(kept, 0);
    let path = format!("/proc/self/fd/{}", binary.as_raw_fd());
    let mut command = std::process::Command::new(path);
    command.args(arguments).current_dir("/").uid(1).gid(1);
    command.env_remove("DISKTIME_LOG");
    finished(command)
}

#[test]
fn the_socket_of_another_user_is_said_to_be_one() {
    use std::os::unix::fs::PermissionsExt;
    let place = TestDirectory::with(&WEB);
    let server = place.start();
    let control = place.control();
    let said = |output: &std::process::Output| {
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let ask = ["status", "--control", text(&control)];
    let sentence = said(&as_another_user(&ask));
    assert_says(&sentence, &["may not enter", "user root", "as root"]);
    for directory in [place.root().to_owned(), place.path("state")] {
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(directory, mode).expect("it is ours");
    }
    let sentence = said(&as_another_user(&ask));
    assert_says(&sentence, &["belongs to user root", "as root"]);
    assert!(!sentence.contains("no server answers"), "{sentence}");
    server.stop();
}

#[test]
fn the_log_has_one_format_and_wrong_levels_are_refused() {
    let place = TestDirectory::with(&WEB);
    let with_level = |level: &str, arguments: &[&str]| {
        let mut command = place.command(arguments);
        command.env("DISKTIME_LOG", level);
        command
    };
    let sentence = exits_with(with_level("loud", &["check"]), 1);
    assert_says(
        &sentence,
        &["DISKTIME_LOG", "\"loud\"", "error, warn, info"],
    );
    let help = finished(place.bare(&["--help"]));
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    assert_says(&help, &["DISKTIME_LOG", "NO_COLOR", "--quiet", "--verbose"]);
    let is_log = |line: &str| {
        let (time, rest) = line.split_once(' ').unwrap_or_default();
        let is_time = time.len() == "2026-11-30T06:23:07.911771Z".len() && time.ends_with('Z');
        let level = rest.trim_start().split(' ').next().unwrap_or_default();
        is_time && ["ERROR", "WARN", "INFO", "DEBUG"].contains(&level)
    };
    // What is created is said at every level, how it ended unless it is to be quiet.
    let said = Server::start(place.command(&["serve"])).stop();
    assert!(said.lines().all(is_log), "{said}");
    assert_says(
        &said,
        &["`web` (16MiB)", "d0: busy", "deadlines met: 0, missed: 0"],
    );
    let said = Server::start(place.command(&["serve", "--quiet"])).stop();
    assert!(!said.contains("busy"), "{said}");
    let said = Server::start(with_level("error", &["serve", "-vv"])).stop();
    assert!(said.lines().all(is_log), "{said}");
    exits_with(place.command(&["check", "-q", "-v"]), 2);
}

/// A line of the log begins with its level, so the sentence does not say it again.
#[test]
fn a_line_of_the_log_says_once_how_bad_it_is() {
    let greedy =
        r#""web": { "disk": "d0", "size": "16MiB", "reserve": "100%", "period": "100ms" }"#;
    let place = TestDirectory::configured(PLAIN_DISK, greedy, r#""nbd": { "socket": "nbd" }"#);
    let refused = place.fails(&["serve"]);
    let first = refused.lines().find(|line| line.contains(" ERROR "));
    let first = first.unwrap_or_else(|| panic!("no line of the log: {refused}"));
    assert!(!first.contains("error:"), "{first}");
    // A command has no levels.
    assert_says(&place.fails(&["check"]), &["error: "]);
}

#[test]
fn a_file_without_frontends_is_told_that_no_client_reaches_it() {
    let vdisk = r#""web": { "disk": "d0", "size": "16MiB" }"#;
    let place = TestDirectory::configured(PLAIN_DISK, vdisk, r#""x": 0"#);
    let text = std::fs::read_to_string(place.file()).expect("it is there");
    place.write("disktime.json", text.replace(",\n  \"x\": 0", ""));
    let says = ["neither \"nbd\" nor \"fuse\"", "no client"];
    let checked = finished(place.command(&["check"]));
    assert!(checked.status.success(), "it is no error");
    assert_says(&String::from_utf8_lossy(&checked.stderr), &says);
    assert_says(&place.start().stop(), &says);
}
