//! What ends with the open files of a vdisk whose content becomes another one: requests on their
//! way to it, and what the kernel has cached of it (pages of private mappings).
//!
//! Invariant: not called on the thread that serves the directory: the kernel may wait for a page
//! whose read that thread has to answer.

use crate::FileIdentity;
use crate::mounted_files::FileChanges;
use crate::protocol::{REPLY_HEADER_BYTES, reply_header};
use disktime_engine::PortHost;
use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Weak};
use tokio::sync::oneshot;

/// The code of a notification that an inode's content is another one (FUSE_NOTIFY_INVAL_INODE).
const INVALIDATE_INODE: i32 = 2;

/// The open files of a mounted directory; what is done to them does nothing once that is unmounted.
#[derive(Clone)]
pub struct OpenFiles {
    /// The connection's device, which ends with the port: a descriptor of its own would keep
    /// programs waiting for a reactor that has ended.
    connection: Weak<File>,
    files: Arc<FileChanges>,
    /// The reactor that serves the directory.
    host: Arc<dyn PortHost>,
}

impl OpenFiles {
    pub(crate) fn new(
        connection: Weak<File>,
        files: Arc<FileChanges>,
        host: Arc<dyn PortHost>,
    ) -> OpenFiles {
        OpenFiles {
            connection,
            files,
            host,
        }
    }

    /// Returns when every request that was read from the kernel before is at its vdisk or refused:
    /// those of files that were ended are refused from now on.
    pub async fn until_submitted(&self) {
        let (done, is_done) = oneshot::channel();
        // It fails when the one who waits is gone.
        let done = Box::new(move || _ = done.send(()));
        if self.host.between_turns(done).is_ok() {
            // An error: the reactor has ended, and its requests with it.
            let _ = is_done.await;
        }
    }

    /// The connection, unless it has ended.
    pub(crate) fn connection(&self) -> Option<Arc<File>> {
        self.connection.upgrade()
    }

    /// Makes the kernel forget what it has cached of a file; may block until its reads are done.
    pub fn forget_cached(&self, file: FileIdentity) {
        let (Some(connection), Some(inode)) = (self.connection(), self.files.inode(file)) else {
            return;
        };
        let message = invalidation(inode);
        match (&*connection).write(&message) {
            Ok(_) => {}
            // No program has used the file.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
            Err(error) => tracing::warn!("what is cached of a file was not forgotten: {error}"),
        }
    }
}

/// The notification that all of an inode's content is another one.
fn invalidation(inode: u64) -> Vec<u8> {
    const BODY_BYTES: usize = 24;
    // A notification has the place of an errno, which is sent negated, for its code.
    let mut message = Vec::with_capacity(REPLY_HEADER_BYTES + BODY_BYTES);
    message.extend(reply_header(0, -INVALIDATE_INODE, BODY_BYTES));
    message.extend(inode.to_ne_bytes());
    // From the beginning to the end.
    message.extend([0; 16]);
    message
}

#[cfg(test)]
mod tests;
