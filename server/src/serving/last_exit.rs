//! The end of a process whose disk hangs in the kernel: a thread that waits there cannot be killed,
//! and until it returns the kernel keeps the process with its open files. What clients wait for is
//! closed by hand, so that they see an end instead of a server that says nothing.

use rustix::fs::{FileType, fstat};
use std::os::fd::{BorrowedFd, RawFd};

/// The device number of /dev/fuse.
const FUSE_DEVICE: (u32, u32) = (10, 229);

/// Closes all sockets, and the connections to FUSE directories, of this process, which is about to
/// exit. Disks and the lock of the state directory stay open as long as requests may reach the
/// disks.
pub(crate) fn close_connections() {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else {
        return;
    };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let open: Vec<RawFd> = numbers
        .filter(|number| *number > libc::STDERR_FILENO)
        .collect();
    for number in open.into_iter().filter(|number| is_connection(*number)) {
        // SAFETY: a plain system call. Owners of the descriptor may still use it: they get an
        // error, or touch another descriptor of a process that ends within the next moments.
        unsafe { libc::close(number) };
    }
}

fn is_connection(number: RawFd) -> bool {
    // SAFETY: a descriptor that is not open any more is an error of the call.
    let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
    let Ok(found) = fstat(descriptor) else {
        return false;
    };
    match FileType::from_raw_mode(found.st_mode) {
        FileType::Socket => true,
        FileType::CharacterDevice => {
            let device = (
                rustix::fs::major(found.st_rdev),
                rustix::fs::minor(found.st_rdev),
            );
            device == FUSE_DEVICE
        }
        _ => false,
    }
}
