//! All processes that a process has started, and those that they have started: a shell that is asked to
//! end does not pass that on to the programs it runs.
//!
//! Invariant: only children of children of this process are ever signalled. What is not known here: why.

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

/// What a process that ends leaves behind becomes this process's from now on.
pub(crate) fn adopt_orphans() {
    // SAFETY: sets a flag of this process. If it is refused (it is not, on Linux), orphans go where they
    // always went, and are not found.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1usize) };
}

/// Sends a signal to each; one that has ended meanwhile is passed over.
pub(crate) fn signal(processes: &[i32], signal: i32) {
    for process in processes {
        // SAFETY: sends a signal to a process that has just been seen below this one.
        unsafe { libc::kill(*process, signal) };
    }
}

/// Waits for those of these that have ended and are this process's own; the others are left alone.
pub(crate) fn reap(processes: &[i32]) {
    for process in processes {
        // SAFETY: asks about one process and stores nothing.
        unsafe { libc::waitpid(*process, std::ptr::null_mut(), libc::WNOHANG) };
    }
}

/// The kernel lists them by the thread that made them.
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
