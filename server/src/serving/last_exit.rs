//! The end of a process whose disk hangs in the kernel: a thread that waits there cannot be killed,
//! and until it returns the kernel keeps the process with its open files. What clients wait for is
//! closed by hand, so that they see an end instead of a server that says nothing.

use rustix::fs::{FileType, fstat};
use std::fs::File;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

/// The device number of /dev/fuse.
const FUSE_DEVICE: (u32, u32) = (10, 229);

/// Closes all sockets, and the connections to FUSE directories, of this process, which is about to
/// exit. Disks and the lock of the state directory stay open as long as requests may reach the
/// disks.
///
/// The reactors of other disks still run. So no number becomes free: it could be that of another
/// file the next moment, and a reply would be written into it.
pub(crate) fn close_connections() {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else {
        return;
    };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let open: Vec<RawFd> = numbers
        .filter(|number| *number > libc::STDERR_FILENO)
        .collect();
    // Not to be written: what a reactor still sends fails, and is not taken for done.
    let Ok(nothing) = File::open("/dev/null") else {
        return;
    };
    for number in open.into_iter().filter(|number| is_connection(*number)) {
        replace(number, &nothing);
    }
}

/// Closes what is open by a number, and has the number mean `nothing` from then on. A socket is not
/// shut down: one that listens may be another process's, too.
fn replace(number: RawFd, nothing: &File) {
    // SAFETY: a plain system call. Owners of the descriptor may still use it: what they do there
    // does nothing, or fails.
    unsafe { libc::dup3(nothing.as_raw_fd(), number, libc::O_CLOEXEC) };
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

#[cfg(test)]
mod tests;
