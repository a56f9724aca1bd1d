//! Files that come to a mounted directory, or leave it, while it is served.
//!
//! ```text
//!   any thread ── add, remove ──► FileChanges ──► the port, before it reads its next message
//! ```
//!
//! Invariants: a program that looks for a file after it was added finds it; when a removal has
//! returned, no program finds the file by its name, and what is asked of those that have it open
//! fails.
//!
//! Not known here: why files come and go, and whether programs use them.

use crate::directory::{DIRECTORY_INODE, Directory};
use crate::protocol::{REPLY_HEADER_BYTES, reply_header};
use crate::{FileIdentity, FuseFile, OpenFiles};
use disktime_engine::PortHost;
use std::collections::HashMap;
use std::io::Write;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The code of a notification that a name is gone (FUSE_NOTIFY_INVAL_ENTRY).
const INVALIDATE_ENTRY: i32 = 3;

/// A change of a mounted directory.
#[derive(Debug)]
enum FileChange {
    Add(Box<FuseFile>),
    Remove(FileIdentity),
}

/// What is to be changed, and the inodes of the files that are there; shared with the port.
#[derive(Debug, Default)]
pub(crate) struct FileChanges {
    /// Read for each message.
    is_waiting: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<FileChange>,
    inodes: HashMap<FileIdentity, u64>,
}

impl FileChanges {
    /// Of a directory with these inodes.
    pub(crate) fn of(inodes: HashMap<FileIdentity, u64>) -> FileChanges {
        let state = State {
            waiting: Vec::new(),
            inodes,
        };
        FileChanges {
            is_waiting: AtomicBool::new(false),
            state: Mutex::new(state),
        }
    }

    fn push(&self, change: FileChange) {
        self.lock().waiting.push(change);
        self.is_waiting.store(true, Ordering::Release);
    }

    /// Makes the changes that wait, if there are any.
    #[inline]
    pub(crate) fn apply(&self, directory: &mut Directory) {
        if self.is_waiting.load(Ordering::Acquire) {
            self.apply_now(directory);
        }
    }

    fn apply_now(&self, directory: &mut Directory) {
        let mut state = self.lock();
        self.is_waiting.store(false, Ordering::Release);
        for change in mem::take(&mut state.waiting) {
            match change {
                FileChange::Add(file) => {
                    if let Err(error) = directory.add(*file) {
                        tracing::error!("a file is missing in the FUSE directory: {error}");
                    }
                }
                FileChange::Remove(identity) => drop(directory.remove(identity)),
            }
        }
        state.inodes = directory.inodes();
    }

    /// The inode of a file that is there.
    pub(crate) fn inode(&self, file: FileIdentity) -> Option<u64> {
        self.lock().inodes.get(&file).copied()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The files of a mounted directory; nothing is done once that is unmounted.
#[derive(Clone)]
pub struct MountedFiles {
    changes: Arc<FileChanges>,
    open_files: OpenFiles,
    /// The reactor that serves the directory.
    host: Arc<dyn PortHost>,
}

impl MountedFiles {
    pub(crate) fn new(
        changes: Arc<FileChanges>,
        open_files: OpenFiles,
        host: Arc<dyn PortHost>,
    ) -> MountedFiles {
        MountedFiles {
            changes,
            open_files,
            host,
        }
    }

    /// A file is there from now on.
    pub fn add(&self, file: FuseFile) {
        self.changes.push(FileChange::Add(Box::new(file)));
        self.host.wake();
    }

    /// A file is gone when this returns, or when the reactor has ended.
    pub async fn remove(&self, file: FileIdentity, name: &str) {
        self.changes.push(FileChange::Remove(file));
        self.host.wake();
        self.open_files.until_submitted().await;
        let (open_files, name) = (self.open_files.clone(), name.to_owned());
        // The kernel may wait for a look-up that the reactor has to answer.
        let forgotten = tokio::task::spawn_blocking(move || {
            let Some(connection) = open_files.connection() else {
                return;
            };
            match (&*connection).write(&invalidation(&name)) {
                Ok(_) => {}
                // No program has looked for it.
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
                Err(error) => tracing::warn!("the kernel did not forget a file name: {error}"),
            }
        });
        let _ = forgotten.await;
    }
}

/// The notification that a name of the directory is gone.
fn invalidation(name: &str) -> Vec<u8> {
    const FIXED_BYTES: usize = 16;
    let body_bytes = FIXED_BYTES + name.len() + 1;
    let mut message = Vec::with_capacity(REPLY_HEADER_BYTES + body_bytes);
    message.extend(reply_header(0, -INVALIDATE_ENTRY, body_bytes));
    message.extend(DIRECTORY_INODE.to_ne_bytes());
    message.extend((name.len() as u32).to_ne_bytes());
    message.extend([0; 4]);
    message.extend(name.as_bytes());
    message.push(0);
    message
}

#[cfg(test)]
mod tests;
