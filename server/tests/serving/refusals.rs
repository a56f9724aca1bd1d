//! A system that refuses what the server would like: it says so, with the remedy, and serves
//! without it as far as it can.

use crate::programs::is_mounted;
use crate::server::Server;
use crate::test_directory::{PLAIN_DISK, TestDirectory, assert_says, exits_with};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

const VDISK: &str = r#""a": { "disk": "d0", "size": "8MiB" }"#;

#[test]
fn without_fusermount3_nbd_is_served_alone() {
    let place = TestDirectory::with(&[("a", r#""size": "8MiB""#)]);
    let mut command = place.command(&["serve"]);
    command.env("PATH", place.path("no-programs"));
    let server = Server::start(command);
    assert!(server.vdisks[0].file.is_none() && !is_mounted(&place.mount()));
    let mut client = server.client("a");
    client.write(0, b"served");
    assert_eq!(client.read(0, 6), b"served");
    drop(client);
    assert_says(
        &server.stop(),
        &["fusermount3", "apt-get install fuse3", "NBD alone"],
    );
}

#[test]
fn without_fusermount3_and_nbd_there_is_nothing_to_serve() {
    let place = TestDirectory::configured(PLAIN_DISK, VDISK, r#""fuse": {}"#);
    let mut command = place.command(&["serve"]);
    command.env("PATH", place.path("no-programs"));
    assert_says(
        &exits_with(command, 1),
        &["apt-get install fuse3", "disktime.json:4:"],
    );
}

/// Makes the kernel answer EPERM to io_uring_setup in this command, as containers do.
fn refuse_io_uring(command: &mut Command) {
    const LOAD_WORD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const JUMP_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let statement = |code, k| libc::sock_filter {
        code,
        jt: 0,
        jf: 0,
        k,
    };
    let filter = [
        // The number of the system call is the first word of what a filter sees.
        statement(LOAD_WORD, 0),
        libc::sock_filter {
            code: JUMP_IF_EQUAL,
            jt: 0,
            jf: 1,
            k: libc::SYS_io_uring_setup as u32,
        },
        statement(RETURN, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        statement(RETURN, libc::SECCOMP_RET_ALLOW),
    ];
    let install = move || {
        let mut filter = filter;
        let program = libc::sock_fprog {
            len: filter.len() as u16,
            filter: filter.as_mut_ptr(),
        };
        // SAFETY: plain system calls; the program and its filter outlive them.
        let installed = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(
                    libc::PR_SET_SECCOMP,
                    libc::SECCOMP_MODE_FILTER,
                    &raw const program,
                ) == 0
        };
        if installed {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    };
    // SAFETY: between fork and exec only the two system calls happen.
    unsafe { command.pre_exec(install) };
}

#[test]
fn without_io_uring_plain_calls_serve() {
    let place = TestDirectory::with(&[("a", r#""size": "8MiB""#), ("b", r#""size": "8MiB""#)]);
    let mut command = place.command(&["serve"]);
    refuse_io_uring(&mut command);
    let server = Server::start(command);
    server.says(&["d0.disk", "io_uring is refused", "plain system calls"]);
    let description = &place.status().disks["d0"].description;
    assert_says(description, &["plain system calls"]);
    let data = server.client("a").fill(3);
    crate::nbd::assert_same(&server.client("a").read_all(), &data, "by plain calls");
    server.stop();
    // The same disk with io_uring again.
    let server = place.start();
    assert!(!server.said().contains("refused"), "{}", server.said());
    crate::nbd::assert_same(&server.client("a").read_all(), &data, "by io_uring again");
    server.stop();
}
