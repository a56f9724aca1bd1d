//! Unit tests of `image_lock`.

use super::*;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

fn image(folder: &tempfile::TempDir) -> (File, PathBuf) {
    let path = folder.path().join("image.disk");
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .expect("a temporary file can be created");
    file.set_len(1 << 20).expect("a temporary file can grow");
    (file, path)
}

fn qemu(program: &str, arguments: &[&str]) -> std::process::Output {
    Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| {
            panic!("{program} cannot be run ({error}); install it: apt-get install qemu-utils")
        })
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

#[test]
fn a_second_lock_is_refused_until_the_first_is_closed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (first, path) = image(&folder);
    let (second, _) = image(&folder);
    assert_eq!(lock_image(&first, &path).expect("free"), LockOutcome::Held);
    let refused = lock_image(&second, &path).expect_err("the file is locked");
    assert!(refused.to_string().contains("in use"), "{refused}");
    drop(first);
    assert_eq!(
        lock_image(&second, &path).expect("free again"),
        LockOutcome::Held
    );
}

#[test]
fn a_refused_lock_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (first, path) = image(&folder);
    let (second, _) = image(&folder);
    lock_image(&first, &path).expect("free");
    lock_image(&second, &path).expect_err("locked");
    drop(first);
    // `second` is still open: were any of its locks left, this one would be refused.
    let (third, _) = image(&folder);
    assert_eq!(lock_image(&third, &path).expect("free"), LockOutcome::Held);
}

#[test]
fn qemu_is_refused_while_the_lock_is_held_and_only_then() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (file, path) = image(&folder);
    lock_image(&file, &path).expect("free");
    let write = ["-f", "raw", "-c", "write -P 7 0 4096", text(&path)];
    let refused = qemu("qemu-io", &write);
    assert!(!refused.status.success(), "qemu-io wrote to a locked image");
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        message.contains("lock"),
        "refused for another reason: {message}"
    );
    let resize = ["resize", "-f", "raw", text(&path), "2M"];
    assert!(
        !qemu("qemu-img", &resize).status.success(),
        "qemu-img grew a locked image"
    );
    let read = ["-U", "-r", "-f", "raw", "-c", "read 0 4096", text(&path)];
    assert!(
        qemu("qemu-io", &read).status.success(),
        "a forced read should be possible"
    );
    drop(file);
    assert!(
        qemu("qemu-io", &write).status.success(),
        "the image is free"
    );
    assert!(
        qemu("qemu-img", &resize).status.success(),
        "the image is free"
    );
}

/// A qemu-io that has the image open until its standard input closes.
fn qemu_io_holding(path: &Path) -> (Child, ChildStdin) {
    let mut child = Command::new("qemu-io")
        .args(["-f", "raw", text(path)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("qemu-io cannot be run ({error}); install it: apt-get install qemu-utils")
        });
    let mut stdin = child.stdin.take().expect("piped");
    // Its answer to a write is the sign that the image is open.
    writeln!(stdin, "write -P 1 0 512").expect("qemu-io reads commands");
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    while !line.contains("wrote") {
        line.clear();
        assert!(
            stdout.read_line(&mut line).expect("readable") > 0,
            "qemu-io did not write"
        );
    }
    (child, stdin)
}

#[test]
fn the_lock_is_refused_while_qemu_writes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (file, path) = image(&folder);
    let (mut child, stdin) = qemu_io_holding(&path);
    let refused = lock_image(&file, &path).expect_err("QEMU holds the image");
    assert!(refused.to_string().contains("in use"), "{refused}");
    drop(stdin);
    child.wait().expect("qemu-io ends at the end of its input");
    assert_eq!(lock_image(&file, &path).expect("free"), LockOutcome::Held);
}
