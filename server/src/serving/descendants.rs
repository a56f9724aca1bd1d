//! The descendants of a process: a shell that gets SIGTERM does not pass it on to the programs that
//! it runs, so they are found and signalled one by one.
//!
//! Invariant: only descendants of this process are signalled. What is not known here: why.

use std::fs;

/// The descendants of a process, parents before their children.
pub(crate) fn of(process: u32) -> Vec<i32> {
    let mut found = children(process);
    let mut next = 0;
    while let Some(child) = found.get(next).copied() {
        found.extend(children(child.unsigned_abs()));
        next += 1;
    }
    found
}

/// Orphans among the descendants become children of this process from now on.
pub(crate) fn adopt_orphans() {
    // SAFETY: sets a flag of this process. Linux does not refuse it; if it did, orphans would go to
    // init as usual and not be found.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1usize) };
}

/// Sends a signal to each; a process that has ended meanwhile is skipped.
pub(crate) fn signal(processes: &[i32], signal: i32) {
    for process in processes {
        // SAFETY: sends a signal to a process that was just listed as a descendant.
        unsafe { libc::kill(*process, signal) };
    }
}

/// Reaps those that have ended and are children of this process.
pub(crate) fn reap(processes: &[i32]) {
    for process in processes {
        // SAFETY: waits for one process without blocking, and stores nothing.
        unsafe { libc::waitpid(*process, std::ptr::null_mut(), libc::WNOHANG) };
    }
}

/// The children of all threads of a process; the kernel lists them by thread.
fn children(process: u32) -> Vec<i32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else {
        return Vec::new();
    };
    let lists = threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let mut found = Vec::new();
    for list in lists {
        found.extend(list.split_whitespace().flat_map(str::parse::<i32>));
    }
    found
}
