//! Processes that must not outlive the benchmark, however it ends.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// The process that `command` starts is told to stop (SIGTERM) when this one ends.
pub fn ends_with_us(command: &mut Command) -> &mut Command {
    // SAFETY: between fork and exec only prctl is called, which is a system call without memory.
    unsafe {
        command.pre_exec(
            || match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            },
        )
    }
}
