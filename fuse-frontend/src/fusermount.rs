//! The program fusermount3, which mounts and unmounts for all users: it is set-uid root where
//! users other than root may mount.
//!
//! Invariant: it runs in a process group of its own, so that a signal to the server's group
//! (Ctrl-C, `timeout`) does not end it between two steps.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs it with options for a path.
///
/// # Errors
/// Its error output.
pub(crate) fn fusermount(options: &[&str], path: &Path) -> Result<(), String> {
    run(Command::new("fusermount3").args(options), path)
}

fn run(command: &mut Command, path: &Path) -> Result<(), String> {
    let output = command
        .process_group(0)
        .arg("--")
        .arg(path)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("fusermount3 cannot be started ({error})"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(match said.trim() {
        "" => format!("fusermount3 ended with {}", output.status),
        said => said.to_string(),
    })
}

/// Mounts on a path; returns the descriptor of `/dev/fuse` that serves the mount. Programs that
/// this one starts do not inherit it: such a program would keep the mount of a killed server alive,
/// and programs that access it would hang.
///
/// # Errors
/// Its error output, or that it sent no descriptor.
pub(crate) fn mount(options: &str, path: &Path) -> io::Result<OwnedFd> {
    // Datagram sockets keep the message whole. fusermount3 sends the descriptor before it ends.
    let (own, its) = UnixDatagram::pair()?;
    let number = its.as_raw_fd();
    let mut command = Command::new("fusermount3");
    command
        .args(["-o", options])
        .env("_FUSE_COMMFD", number.to_string());
    // SAFETY: between fork and exec only a flag of an open descriptor is cleared.
    unsafe {
        command.pre_exec(move || match libc::fcntl(number, libc::F_SETFD, 0) {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        });
    }
    run(&mut command, path).map_err(io::Error::other)?;
    receive_descriptor(&own)
}

/// Space for one descriptor in a control message, aligned as the kernel requires.
#[repr(align(8))]
struct ControlRoom([u8; 64]);

fn receive_descriptor(socket: &UnixDatagram) -> io::Result<OwnedFd> {
    let mut byte = [0_u8; 1];
    let mut room = ControlRoom([0; 64]);
    let mut part = libc::iovec {
        iov_base: byte.as_mut_ptr().cast(),
        iov_len: byte.len(),
    };
    // SAFETY: an all-zero msghdr is valid; the pointers in it outlive the calls, and `room` is
    // aligned and has the given length. A control message is only read where the kernel has
    // written one.
    let descriptor = unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &mut part;
        message.msg_iovlen = 1;
        message.msg_control = room.0.as_mut_ptr().cast();
        message.msg_controllen = room.0.len();
        let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
        if libc::recvmsg(socket.as_raw_fd(), &mut message, flags) < 0 {
            return Err(io::Error::last_os_error());
        }
        let control = libc::CMSG_FIRSTHDR(&message);
        let is_descriptor = !control.is_null()
            && (*control).cmsg_level == libc::SOL_SOCKET
            && (*control).cmsg_type == libc::SCM_RIGHTS;
        is_descriptor.then(|| libc::CMSG_DATA(control).cast::<i32>().read_unaligned())
    };
    match descriptor {
        // SAFETY: the kernel has just opened it for this process, and it has no other owner.
        Some(descriptor) => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
        None => Err(io::Error::other(
            "fusermount3 reported success but sent no descriptor of the mount",
        )),
    }
}
