//! What a process costs, and where it may run: its processor time over all its threads, dead ones
//! included, and its affinity.

use crate::BenchResult;
use std::io;
use std::sync::OnceLock;
use std::time::Duration;

/// Processor time of a process so far.
///
/// # Errors
/// If there is no such process.
pub fn cpu_time(process: u32) -> BenchResult<Duration> {
    let mut clock = 0;
    // SAFETY: the second argument is space for a clock's number.
    let error = unsafe { libc::clock_getcpuclockid(process as libc::pid_t, &mut clock) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error).into());
    }
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: space for a time that lives through the call.
    if unsafe { libc::clock_gettime(clock, &mut time) } != 0 {
        return Err(io::Error::last_os_error().into());
    }
    Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

/// Where a process may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Processors {
    /// On one, the same for everybody.
    One,
    /// Wherever this process was allowed to in the beginning.
    All,
}

/// What this process was allowed when it first asked: afterwards it may have been pinned itself.
fn allowed() -> BenchResult<&'static libc::cpu_set_t> {
    static ALLOWED: OnceLock<libc::cpu_set_t> = OnceLock::new();
    // SAFETY: all zeroes is a valid, empty set; it is filled up to the size that is given.
    let (result, set) = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        let size = size_of::<libc::cpu_set_t>();
        (libc::sched_getaffinity(0, size, &mut set), set)
    };
    if result < 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    Ok(ALLOWED.get_or_init(|| set))
}

/// Lets all threads of a process run there; 0 is this one.
///
/// # Errors
/// If the process is not there.
pub fn pin(process: u32, processors: Processors) -> BenchResult {
    let mut set = *allowed()?;
    if processors == Processors::One {
        // SAFETY: the set is valid, and no index is beyond it.
        unsafe {
            let one = (0..libc::CPU_SETSIZE as usize).find(|at| libc::CPU_ISSET(*at, &set));
            libc::CPU_ZERO(&mut set);
            libc::CPU_SET(one.unwrap_or(0), &mut set);
        }
    }
    let process = if process == 0 {
        std::process::id()
    } else {
        process
    };
    for task in std::fs::read_dir(format!("/proc/{process}/task"))? {
        let Some(thread) = task?
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        // SAFETY: the set is valid and its size is given. A thread that has ended meanwhile does
        // not matter.
        unsafe { libc::sched_setaffinity(thread, size_of::<libc::cpu_set_t>(), &set) };
    }
    Ok(())
}

#[cfg(test)]
mod tests;
