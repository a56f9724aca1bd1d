//! Locks that keep a second writer off a disk's file, understood by QEMU's programs too.
//!
//! QEMU's convention for image files: every permission that a program may hold has a number `i`
//! (0 consistent read, 1 write, 2 write unchanged, 3 resize). Who holds permission `i` keeps a
//! shared lock on byte 100 + i; who does not want others to hold it keeps one on byte 200 + i.
//! Having taken its own locks, a program asks whether it *could* take an exclusive lock on 200 + i
//! for what it holds and on 100 + i for what it does not share; if not, somebody disagrees, and it
//! gives up. Taking first and asking afterwards means that of two programs at once at least one
//! sees the other.
//!
//! Invariants: the locks belong to the open file description (OFD locks), so they end with it, also
//! when the process is killed, and they also work within one process. A lock that was refused
//! leaves none behind.

use crate::BackingError;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

const HELD_FROM: i64 = 100;
const UNSHARED_FROM: i64 = 200;

const CONSISTENT_READ: u32 = 1 << 0;
const WRITE: u32 = 1 << 1;
const WRITE_UNCHANGED: u32 = 1 << 2;
const RESIZE: u32 = 1 << 3;
const PERMISSIONS: [(u32, &str); 4] = [
    (CONSISTENT_READ, "reads"),
    (WRITE, "writes"),
    (WRITE_UNCHANGED, "rewrites"),
    (RESIZE, "resizes"),
];

/// We read, write and grow the file.
const HELD: u32 = CONSISTENT_READ | WRITE | RESIZE;
/// Others may read what they know to be in use (QEMU's `--force-share`); nobody else may write.
const SHARED: u32 = CONSISTENT_READ | WRITE_UNCHANGED;

/// What became of the attempt to lock.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LockOutcome {
    /// The locks are held until the file is closed.
    Held,
    /// The file system cannot lock; the sentence is for the user.
    Unsupported(String),
}

/// Locks `file` for reading, writing and resizing, against every other such lock.
pub(crate) fn lock_image(file: &File, path: &Path) -> Result<LockOutcome, BackingError> {
    match try_lock(file) {
        Ok(None) => Ok(LockOutcome::Held),
        Ok(Some(what)) => {
            unlock(file);
            Err(BackingError::InUse {
                path: path.to_owned(),
                cause: format!("another program {what} it"),
            })
        }
        Err(error) => {
            unlock(file);
            Ok(LockOutcome::Unsupported(format!(
                "{}: the file system cannot lock the file ({error}), so nothing keeps a second \
                 server or QEMU from writing to it at the same time",
                path.display()
            )))
        }
    }
}

/// Takes the locks, then looks for contradictions: what a conflicting program does, if any.
fn try_lock(file: &File) -> io::Result<Option<&'static str>> {
    for (bit, what) in PERMISSIONS {
        let position = i64::from(bit.trailing_zeros());
        let held = (HELD & bit != 0).then_some(HELD_FROM + position);
        let unshared = (SHARED & bit == 0).then_some(UNSHARED_FROM + position);
        for byte in [held, unshared].into_iter().flatten() {
            if !set_lock(file, libc::F_RDLCK, byte)? {
                return Ok(Some(what));
            }
        }
    }
    for (bit, what) in PERMISSIONS {
        let position = i64::from(bit.trailing_zeros());
        if SHARED & bit == 0 && would_conflict(file, HELD_FROM + position)? {
            return Ok(Some(what));
        }
        if HELD & bit != 0 && would_conflict(file, UNSHARED_FROM + position)? {
            return Ok(Some("has locked"));
        }
    }
    Ok(None)
}

fn unlock(file: &File) {
    for (bit, _) in PERMISSIONS {
        let position = i64::from(bit.trailing_zeros());
        for byte in [HELD_FROM + position, UNSHARED_FROM + position] {
            // Closing the file would release what is left, so an error here changes nothing.
            let _ = set_lock(file, libc::F_UNLCK, byte);
        }
    }
}

fn one_byte(kind: libc::c_int, byte: i64) -> libc::flock {
    // SAFETY: `flock` is a plain C struct for which all zeroes is a valid value; OFD locks ask for
    // `l_pid` to be zero.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock.l_start = byte;
    lock.l_len = 1;
    lock
}

/// Whether the lock was taken; `false` if somebody holds an exclusive one.
fn set_lock(file: &File, kind: libc::c_int, byte: i64) -> io::Result<bool> {
    let lock = one_byte(kind, byte);
    // SAFETY: the descriptor is open and `lock` outlives the call.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) } == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::EACCES) => Ok(false),
        _ => Err(error),
    }
}

/// Whether another open file holds any lock on the byte.
fn would_conflict(file: &File, byte: i64) -> io::Result<bool> {
    let mut lock = one_byte(libc::F_WRLCK, byte);
    // SAFETY: the descriptor is open, and `lock` is valid to read and to write and outlives the call.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(lock.l_type != libc::F_UNLCK as libc::c_short)
}

#[cfg(test)]
mod tests {
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
        let look = ["-U", "-r", "-f", "raw", "-c", "read 0 4096", text(&path)];
        assert!(
            qemu("qemu-io", &look).status.success(),
            "a forced look should be possible"
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
}
