//! Mounting and unmounting the directory.
//!
//! Invariants: after [`MountHandle::unmount`] no request is with the backend; a handle that is
//! dropped unmounts too; a program that the server starts does not inherit the session.

use crate::directory::{Directory, Owner};
use crate::filesystem::{REQUEST_BYTES_MAX, VdiskFilesystem};
use crate::in_flight::InFlight;
use crate::mountpoint::{self, Unmounted};
use crate::{FuseBackend, FuseError};
use fuse3::raw::Session;
use fuse3::{MountOptions, Timestamp};
use std::fs;
use std::io;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// A mounted directory. Dropping it unmounts it; [`MountHandle::unmount`] does so in good order.
#[derive(Debug)]
pub struct MountHandle {
    path: PathBuf,
    in_flight: Arc<InFlight>,
    unmounted: bool,
    /// Never dropped, as its own drop would unmount a second time, with a complaint on stderr.
    session: ManuallyDrop<fuse3::raw::MountHandle>,
}

/// Makes `directory` fit to be mounted on, as [`mount`] does first, and returns its absolute path:
/// for a caller that wants to know before it changes anything else.
///
/// # Errors
/// As [`mount`].
pub async fn prepare(directory: &Path) -> Result<PathBuf, FuseError> {
    off_thread(directory, mountpoint::prepare).await
}

/// Mounts the backend's files on `directory`, which is created if it is missing; the dead mount of a
/// server that was killed is cleaned up first. Serves on the tokio runtime of the caller.
///
/// # Errors
/// A sentence with the remedy. [`FuseError::is_missing_support`] tells whether this machine has
/// no FUSE at all.
pub async fn mount<B: FuseBackend>(directory: &Path, backend: B) -> Result<MountHandle, FuseError> {
    let (owner, made) = (current_user(), Timestamp::from(SystemTime::now()));
    let files = Directory::new(backend.files(), owner, made)?;
    let path = prepare(directory).await?;

    let in_flight = Arc::new(InFlight::default());
    let filesystem = VdiskFilesystem::new(files, backend, in_flight.clone());
    let mut options = MountOptions::default();
    options.fs_name("disktime").custom_options(format!(
        "subtype={},max_read={REQUEST_BYTES_MAX}",
        mountpoint::SUBTYPE
    ));
    // fuse3's other way to mount, for root, blocks a thread per request and is three times slower.
    let session = Session::new(options)
        .mount_with_unprivileged(filesystem, &path)
        .await
        .map_err(|source| FuseError::Mount {
            path: path.clone(),
            source,
        })?;
    let session = ManuallyDrop::new(session);
    let handle = MountHandle {
        path,
        in_flight,
        unmounted: false,
        session,
    };
    keep_from_children().map_err(|source| FuseError::Mount {
        path: handle.path.clone(),
        source,
    })?;
    Ok(handle)
}

impl MountHandle {
    /// Where it is mounted, as an absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Unmounts, and returns when every request that was under way is answered; later ones get
    /// ESHUTDOWN. Returns whether nobody had a file open: one that is open (a loop device, say)
    /// keeps its connection until it is closed or this process ends.
    ///
    /// # Errors
    /// If `fusermount3` fails; the requests are answered all the same.
    pub async fn unmount(mut self) -> Result<bool, FuseError> {
        let unmounted = off_thread(&self.path, mountpoint::unmount).await;
        self.in_flight.drain().await;
        self.unmounted = unmounted.is_ok();
        match unmounted? {
            Unmounted::Now => {
                if let Err(error) = (&mut *self.session).await {
                    tracing::debug!("the FUSE session ended with: {error}");
                }
                Ok(true)
            }
            Unmounted::WhenFilesAreClosed => {
                tracing::warn!(
                    "{:?} is unmounted while files in it are open; they fail from now on",
                    self.path
                );
                Ok(false)
            }
        }
    }
}

impl Drop for MountHandle {
    fn drop(&mut self) {
        if self.unmounted {
            return;
        }
        self.in_flight.close();
        if let Err(error) = mountpoint::unmount(&self.path) {
            tracing::warn!("{error}");
        }
    }
}

async fn off_thread<T: Send + 'static>(
    path: &Path,
    work: fn(&Path) -> Result<T, FuseError>,
) -> Result<T, FuseError> {
    let owned = path.to_path_buf();
    let joined = tokio::task::spawn_blocking(move || work(&owned)).await;
    joined.unwrap_or_else(|error| {
        Err(FuseError::Mount {
            path: path.into(),
            source: io::Error::other(error),
        })
    })
}

fn current_user() -> Owner {
    // SAFETY: both calls only return a number and cannot fail.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    Owner { uid, gid }
}

/// Marks the session's descriptors close-on-exec, which fuse3 does not. A child that held one
/// would keep the mount of a killed server alive, and programs that touch it would hang.
fn keep_from_children() -> io::Result<()> {
    for entry in fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        // One that was closed meanwhile has no target, and needs nothing.
        let is_session = fs::read_link(entry.path()).is_ok_and(|to| to == Path::new("/dev/fuse"));
        let number = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<i32>().ok());
        let Some(descriptor) = number.filter(|_| is_session) else {
            continue;
        };
        // SAFETY: only sets a flag; a number that is no longer open gives EBADF.
        if unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) } == -1 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
